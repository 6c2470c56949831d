"""`explore`: look at a model in the browser."""

from __future__ import annotations

import asyncio
import webbrowser
from typing import Any

import numpy as np

from merextras.app.serve import Explorer
from merextras.exceptions import InvalidArgumentError
from merextras.foundation.arguments import check_flag
from merextras.foundation.extras import need
from merextras.model.statsmodels.mixedlm import as_fitted
from merextras.reporting.cases import rows_of


def explore(
    m: object,
    data: Any = None,
    *,
    port: int = 0,
    browser: bool = True,
    wait: bool | None = None,
) -> Explorer:
    """Open a page to look at a model with, merTools' ``shinyMer``.

    Parameters
    ----------
    m : MerMod or MixedLMResults
        A fitted model.
    data : DataFrame (pandas or polars), optional
        Rows that cases are taken from, with the variables of the model; rows that miss one are left
        out. By default the model's own rows.
    port : int, default 0
        Where to serve on this machine; 0 for any that is free.
    browser : bool, default True
        Whether to open the page. Its address is printed too.
    wait : bool, optional
        Whether to go on only when the page is stopped with Ctrl+C. By default so, but in a
        notebook, which stays usable: there ``.stop()`` of what is returned ends it.

    Returns
    -------
    Explorer
        With ``url``, ``stop()`` and ``running``.

    Raises
    ------
    MissingExtraError
        shiny is not installed: ``pip install 'merextras[app]'``.
    InvalidArgumentError
        A port that is taken or is none; data without a variable of the model.

    See Also
    --------
    report : A file to keep.

    Notes
    -----
    The tabs: the model; what cases would be in other levels, with the probability that the move
    helps (`what_if`); their prediction intervals (`predict_interval`, `predict`); other values of a
    predictor; the impact of the levels' ranks (`re_impact`); simulated effects (`re_sim`,
    `fe_sim`); the levels with a search (`ranef`, `expected_rank`); checks (`model_checks`); the
    report. Each shows the calls that make it again; tables and figures can be saved. All numbers
    are those of the functions.

    The page is served to this machine alone, and there only to who has the address with its key; it
    needs no network. Nothing that is typed into it is evaluated.

    **R counterpart**: ``merTools::shinyMer``, which has no checks, no search of levels, and no
    moves between levels.

    Examples
    --------
    >>> import merextras as mx
    >>> m = mx.lmer("extro ~ open + agree + social + (1 | school)", mx.load_dataset("students"))
    >>> with mx.explore(m, browser=False, wait=False) as page:  # doctest: +ELLIPSIS
    ...     page.running
    The explorer is at http://127.0.0.1:...
    True
    """
    need("shiny", "app", "mx.explore")
    need("jinja2", "app", "mx.explore")
    model = as_fitted(m, generalised=True)
    if data is not None:
        rows_of(model, data)
    port = _checked_port(port)
    check_flag(browser, "browser")
    made = Explorer(application(model, data), port)
    print(f"The explorer is at {made.url}", flush=True)
    if browser:
        webbrowser.open(made.url)
    if not _in_notebook() if wait is None else check_flag(wait, "wait"):
        print("Ctrl+C stops it.", flush=True)
        made.wait()
    return made


def application(m: Any, data: Any = None) -> Any:
    """The page as an ASGI application, without a server.

    Parameters
    ----------
    m : MerMod
    data : DataFrame, optional
    """
    from shiny import App  # noqa: PLC0415 (an extra)

    from merextras.app.choices import case_controls  # noqa: PLC0415
    from merextras.app.page import page  # noqa: PLC0415
    from merextras.app.server import server_of  # noqa: PLC0415
    from merextras.app.tabs import tabs_of  # noqa: PLC0415

    tabs, cases = tabs_of(m, data), case_controls(m, data)
    return App(page(tabs, cases, m.design.formula), server_of(m, data, tabs, cases))


def _checked_port(port: object) -> int:
    is_int = isinstance(port, (int, np.integer)) and not isinstance(port, bool)
    if not is_int or not 0 <= int(port) <= 65535:  # type: ignore[call-overload]
        raise InvalidArgumentError(f"port={port!r}: a whole number from 0 (any) to 65535")
    return int(port)  # type: ignore[call-overload, no-any-return]


def _in_notebook() -> bool:
    """Whether an event loop runs here already, as in a notebook."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
