"""lattice's figures, and R's ``plot`` of a result."""

from __future__ import annotations

import re
from importlib import import_module
from typing import Any

import pandas as pd

from merextras.exceptions import InvalidArgumentError
from merextras.model.statsmodels.mixedlm import as_fitted
from merextras.results.estimates.influence import Influence
from merextras.results.estimates.ranef import Ranef
from merextras.results.means.emmeans import Emmeans
from merextras.results.profiles.profile import Profile

__all__ = ["plot", "qqmath", "xyplot"]


def qqmath(x: Any, **options: Any) -> Any:
    """Draw quantiles: of a model's residuals, or of what ``ranef`` returned.

    Parameters
    ----------
    x : MerMod, MixedLMResults or Ranef
    **options
        As in `MerMod.qqmath`, or `merextras.plot_qqmath`.

    Returns
    -------
    Axes, or seaborn.FacetGrid
    """
    if isinstance(x, Ranef):
        return _plots("plot_qqmath")(x, **options)
    model: Any = as_fitted(x)
    return model.qqmath(**options)


def plot(x: Any, **options: Any) -> Any:
    """Draw a model's residuals, or what is usually drawn of a result.

    Parameters
    ----------
    x : MerMod, MixedLMResults, Ranef, Profile, Influence or Emmeans
        Of random effects with several terms their scatter plots, with one their quantiles; of a
        profile zeta; of an influence its measures; of means their intervals.
    **options
        As in the function of `merextras` that draws it.

    Returns
    -------
    Figure, Axes or seaborn.FacetGrid
    """
    if isinstance(x, Ranef):
        several = any(x[factor].shape[1] > 1 for factor in x)
        return _plots("plot_re_correlation" if several else "plot_qqmath")(x, **options)
    drawn = {Profile: "plot_profile_zeta", Influence: "plot_influence", Emmeans: "plot_emmeans"}
    for kind, name in drawn.items():
        if isinstance(x, kind):
            return _plots(name)(x, **options)
    model: Any = as_fitted(x)
    return model.plot(**options)


def xyplot(
    formula: Any,
    data: pd.DataFrame | None = None,
    *,
    layout: tuple[int, int] | None = None,
    main: str | None = None,
    auto_key: object = None,
    **options: Any,
) -> Any:
    """Draw lattice's ``y ~ x1 + x2 | g`` or ``y ~ x1 + x2 | g + h``; of a profile, zeta.

    Parameters
    ----------
    formula : str, or Profile
        Names of columns; ``*`` between the conditioning ones is the same as ``+``.
    data : DataFrame
    layout : (columns, rows), optional
        Only the number of columns is used.
    main : str, optional
        Title of the figure.
    auto_key : object
        Not used: there always is a legend.
    **options
        Passed to `merextras.plots.xyplot`, or to ``plot_profile_zeta``.

    Returns
    -------
    seaborn.FacetGrid

    Raises
    ------
    InvalidArgumentError
        A formula that is not of this form, or names that are not columns.
    """
    del auto_key
    columns = None if layout is None else layout[0]
    if isinstance(formula, Profile):
        return _plots("plot_profile_zeta")(formula, col_wrap=columns, title=main, **options)
    shape = r"\s*([^~|]+)~([^~|]+)\|([^~|]+)"
    match = re.fullmatch(shape, formula) if isinstance(formula, str) else None
    y, xs, by = [
        [name.strip().strip("`") for name in re.split(r"[+*]", part)]
        for part in (match.groups() if match else ("", "", ""))
    ]
    if match is None or len(y) != 1 or len(by) > 2:
        raise InvalidArgumentError(
            f"formula={formula!r}: expected 'y ~ x1 + x2 | g' or 'y ~ x1 + x2 | g + h'"
        )
    return _plots("xyplot")(data, y[0], xs, *by, col_wrap=columns, title=main, **options)


def _plots(name: str) -> Any:
    return getattr(import_module("merextras.plots"), name)  # loads matplotlib no earlier
