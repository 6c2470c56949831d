"""`report`: a model in one HTML file."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import pandas as pd

from merextras.exceptions import InvalidArgumentError, MerextrasError
from merextras.foundation.arguments import check_choice, check_level
from merextras.foundation.extras import need
from merextras.inference.ddf.method import method_of
from merextras.inference.ddf.robust import KINDS
from merextras.model.state.fitted import FittedModel
from merextras.model.statsmodels.mixedlm import as_fitted
from merextras.reporting.cases import Cases
from merextras.reporting.contents import checked, levels, summary, swap
from merextras.reporting.figures import Drawn, for_page
from merextras.reporting.session import session
from merextras.reporting.symbols import symbols
from merextras.reporting.tables import to_html
from merextras.reporting.view import MX, View, answered, preamble

#: Rows of a table in the report.
_SHOWN = 20


@dataclass(frozen=True)
class Part:
    """A section of the report, as the template has it."""

    key: str
    title: str
    lead: str = ""
    problem: str = ""
    notes: tuple[str, ...] = ()
    html: str = ""
    figures: tuple[dict[str, Any], ...] = ()
    tables: tuple[dict[str, str], ...] = ()
    code: str = ""


@dataclass(frozen=True)
class Plan:
    """A section to be made: its view, and which of the view's tables and figures it has."""

    key: str
    title: str
    lead: str
    ask: Callable[[], View]
    figures: tuple[str, ...]
    tables: tuple[str, ...]
    html: str = ""


def report(
    m: object,
    path: str | os.PathLike[str],
    *,
    data: Any = None,
    title: str | None = None,
    ddf: str = "satterthwaite",
    cluster: str | None = None,
    level: float = 0.95,
    seed: int = 1,
) -> Path:
    """Write a report of a model as one HTML file.

    Parameters
    ----------
    m : MerMod or MixedLMResults
        A fitted model.
    path : str or path
        The file, ``"report.html"``; one that is there is replaced.
    data : DataFrame (pandas or polars), optional
        Rows that the what-if cases are drawn from, by default the model's own.
    title : str, optional
        By default "A mixed model of" the response.
    ddf : {"satterthwaite", "kenward-roger", "asymptotic", "CR0", "CR1", "CR2"}
        What the tests of fixed effects rest on; the last three have cluster-robust standard errors.
    cluster : str, optional
        Of these, the name of a factor or column of the model, as in `MerMod.vcov`.
    level : float, default 0.95
        Of all intervals.
    seed : int, default 1
        Of what is drawn at random: the cases, the predictive check.

    Returns
    -------
    Path
        Where it is.

    Raises
    ------
    MissingExtraError
        jinja2 is not installed: ``pip install 'merextras[report]'``.
    InvalidArgumentError
        The folder is not there; another `ddf`; a `cluster` without a robust one, or one that the
        model has not; `level` outside (0, 1).

    See Also
    --------
    explore : The same and more, to play with.

    Notes
    -----
    The file needs no other and no network: figures, style and script are in it. It is in light or
    dark as the reader's system is, and prints in light. It has the model in words and symbols,
    estimates, the levels' effects, checks with verdicts, what some cases would be in other levels,
    the code that makes all of it again, and the versions of what it was made with. A section that
    a model can't have, such as the what-if of one that keeps no rows, says why. Columns, levels and
    title are text, whatever is in them.

    **R counterpart**: none.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import merextras as mx
    >>> m = mx.lmer("Reaction ~ Days + (Days | Subject)", mx.load_dataset("sleepstudy"))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     made = mx.report(m, Path(folder) / "report.html")
    ...     text = made.read_text(encoding="utf-8")
    >>> made.name, "A mixed model of Reaction" in text
    ('report.html', True)
    """
    need("jinja2", "report", "mx.report")
    model = as_fitted(m, generalised=True)
    check_choice(ddf, list(summary.DDF), "ddf")
    _check_cluster(model, ddf, cluster)
    level = check_level(level)
    where = _checked_path(path)
    plans = _plans(model, data, {"ddf": ddf, "cluster": cluster}, level, seed)
    views = [answered(plan.ask) for plan in plans]
    parts = [_part(plan, view) for plan, view in zip(plans, views, strict=True)]
    parts += [_code(model, plans, views), _session()]
    title = title or f"A mixed model of {model.design.response}"
    where.write_text(_page(title, model.design.formula, parts), encoding="utf-8")
    return where


def _checked_path(path: str | os.PathLike[str]) -> Path:
    if not isinstance(path, (str, os.PathLike)):
        raise InvalidArgumentError(f"path={path!r}: a file's name, such as 'report.html'")
    where = Path(path)
    if where.is_dir():
        raise InvalidArgumentError(f"path={str(path)!r}: a folder; give a file's name in it")
    if not where.absolute().parent.is_dir():
        raise InvalidArgumentError(f"path={str(path)!r}: there is no folder {where.parent}")
    return where


def _check_cluster(model: FittedModel, ddf: str, cluster: object) -> None:
    """Refuse what the table of fixed effects would be refused for: a report has it."""
    if cluster is not None and not isinstance(cluster, str):
        raise InvalidArgumentError(
            f"cluster: the name of a factor or column, which the report's code can have, not "
            f"{type(cluster).__name__}"
        )
    if cluster is not None or ddf in KINDS:
        method_of(model, ddf, cluster=cluster)


def _plans(m: Any, data: Any, tests: Mapping[str, Any], level: float, seed: int) -> list[Plan]:
    """The sections that come from views, in order."""
    group = m.design.factors[0]
    every = len(swap.levels_of(m, group)) <= swap.SPANNING
    return [
        Plan(
            "model", "The model", "", lambda: summary.summary(m, **tests, level=level),
            (summary.FIXED,),
            (summary.FIXED, summary.RANDOM, summary.FIT, summary.R_SQUARED, summary.ICC),
            symbols(m),
        ),
        *(_levels(m, factor, i, level) for i, factor in enumerate(m.design.factors)),
        Plan(
            "checks", "Checks", "What the model takes for granted, looked at in the data.",
            lambda: checked.checked(m, seed=seed),
            (checked.FIGURE,), (checked.VERDICTS, checked.OUTLIERS),
        ),
        Plan(
            "what-if", "What if",
            "Six cases drawn at random, in "
            + (f"each level of {group}." if every else f"{swap.SPANNING} levels of {group} from "
               "the lowest to the highest and in their own."),
            lambda: swap.swap(
                m, data, cases=Cases(seed=seed), group=group, level=level,
                levels=None if every else swap.SPANNING,
            ),
            (swap.FIGURE,), (swap.MEANS, swap.SPREAD),
        ),
    ]  # fmt: skip


def _levels(m: Any, factor: str, i: int, level: float) -> Plan:
    count = len(m.design.terms[m.design.terms_of(factor)[0]].levels)
    lead = f"The effects of the {count} levels, and where each is expected to rank among them."
    return Plan(
        f"levels-{i}", f"Levels of {factor}", lead,
        lambda: levels.levels(m, group=factor, ranks=count <= levels.RANKED, level=level),
        (levels.ALL,), (levels.TABLE,),
    )  # fmt: skip


def _part(plan: Plan, view: View) -> Part:
    figures = tuple(
        _figure(name, plan.title, view.figures[name])
        for name in plan.figures
        if name in view.figures
    )
    tables = tuple(_table(name, view) for name in plan.tables if name in view.tables)
    return Part(
        plan.key, plan.title, plan.lead, view.problem, view.notes, plan.html, figures, tables
    )


def _table(name: str, view: View) -> dict[str, str]:
    frame = view.tables[name]
    return {"title": name, "html": to_html(frame, shown=_SHOWN, rest="in what the code makes")}


def _figure(name: str, section: str, draw: Callable[[], Any]) -> dict[str, Any]:
    """Both themes of a figure, or why it can't be drawn."""
    try:
        made: dict[str, Drawn] = {theme: for_page(draw, theme=theme) for theme in ("light", "dark")}
    except MerextrasError as err:
        return {"title": name, "light": None, "problem": str(err)}
    return {"title": name, "alt": f"{section}: {name}", **made}


def _code(m: Any, plans: list[Plan], views: list[View]) -> Part:
    blocks = [
        f"# {plan.title}\n{view.code}" for plan, view in zip(plans, views, strict=True) if view.code
    ]
    return Part(
        "code", "Code", "It makes again all that is above.",
        code="\n\n".join([preamble(m), *blocks]),
    )  # fmt: skip


def _session() -> Part:
    frame: pd.DataFrame = session()
    return Part("session", "Session", tables=({"title": "Versions", "html": to_html(frame)},))


def asset(name: str) -> str:
    """The text of a file that pages are made with."""
    return (resources.files("merextras.reporting") / name).read_text(encoding="utf-8")


def _page(title: str, formula: str, parts: list[Part]) -> str:
    import jinja2  # noqa: PLC0415 (an extra)

    # Everything is escaped but for what we have made: style, script, tables, equations.
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    template = environment.from_string(asset("report.html.j2"))
    return template.render(
        title=title,
        formula=formula,
        parts=parts,
        version=MX.value.__version__,
        css=asset("parts.css") + asset("report.css"),
        script=asset("copy.js"),
    )
