"""Least-squares means of all factors of the fixed part."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from merextras.exceptions import InvalidArgumentError
from merextras.foundation.arguments import check_level, one_of
from merextras.inference.ddf.method import method_of
from merextras.inference.functions.averages import averaged
from merextras.inference.functions.estimable import uncertainty_of
from merextras.inference.functions.grid import Grid, reference_grid
from merextras.model.statsmodels.mixedlm import as_fitted
from merextras.results.base import Table
from merextras.results.means.contrast_sets import contrast_set

__all__ = ["ls_means"]


def ls_means(
    m: object,
    which: str | Sequence[str] | None = None,
    *,
    differences: bool = False,
    ddf: str = "satterthwaite",
    cluster: Any = None,
    level: float = 0.95,
) -> pd.DataFrame:
    """Least-squares means of all factors and their interactions, lmerTest's ``ls_means``.

    Parameters
    ----------
    m : MerMod or MixedLMResults
    which : str or sequence of str, optional
        Terms wanted, as ``"a"`` or ``"a:b"``; by default all terms of the fixed part that are made
        of factors alone.
    differences : bool, default False
        All pairwise differences within a term instead of the means, lmerTest's
        ``ls_means(pairwise = TRUE)`` and ``difflsmeans``. Their p-values are not adjusted; those
        of ``emmeans(...).contrasts()`` are.
    ddf : {"satterthwaite", "kenward-roger", "asymptotic", "CR0", "CR1", "CR2"}
    cluster : str or array, optional
        Of the robust ones, as in `MerMod.vcov`.
    level : float
        Of the confidence intervals.

    Returns
    -------
    DataFrame
        ``term level estimate std_error df statistic p_value conf_low conf_high``; NaN where a mean
        is not estimable.

    Raises
    ------
    InvalidArgumentError
        A term that is none of those, an unknown `ddf`; and what `emmeans` raises.

    Warns
    -----
    RefitWarning
        Kenward-Roger's method for an ML fit.

    See Also
    --------
    emmeans : Means of chosen factors, other weights and values of covariates, contrasts.

    Notes
    -----
    As in lmerTest all numbers are held at their means, those with two values, too, which `emmeans`
    takes for factors; the statistic tests that a mean is zero. Of a factor that is nested in others
    the means are those of the combinations that occur, see `emmeans`; lmerTest has none.

    Examples
    --------
    >>> import merextras as mx
    >>> students = mx.load_dataset("students")
    >>> m = mx.lmer("extro ~ open + Q('class') + (1 | school)", students)
    >>> mx.ls_means(m).iloc[:, :5].round(3)
        term level  estimate  std_error     df
    0  class     a    57.418      3.999  5.004
    1  class     b    59.462      3.999  5.004
    2  class     c    61.116      3.999  5.004
    3  class     d    63.074      3.999  5.004
    >>> mx.ls_means(m, differences=True).iloc[:2, :5].round(3)
        term  level  estimate  std_error      df
    0  class  a - b    -2.044      0.136  1190.0
    1  class  a - c    -3.697      0.136  1190.0
    """
    fitted, level = as_fitted(m), check_level(level)
    design = fitted.design
    numbers = [v.name for v in design.variables() if v.levels is None]
    grid = reference_grid(design, {name: design.mean(name) for name in numbers})
    terms = _chosen(_terms(grid), which)
    uncertainty = uncertainty_of(method_of(fitted, ddf, cluster=cluster, stacklevel=3))
    labels, rows, offset = [], [np.empty((0, grid.rows.shape[1]))], [np.empty(0)]
    for term, names in terms.items():
        found, made, shift = averaged(grid, names)
        words = [":".join(map(str, row)) for row in found.to_numpy()]
        if differences:
            words, weights = contrast_set("pairwise", words)[1:]
            made, shift = weights @ made, weights @ shift
        labels += [(term, word) for word in words]
        rows.append(made)
        offset.append(shift)
    table = uncertainty.table(np.concatenate(rows), np.concatenate(offset))
    statistic = table["estimate"] / table["std_error"]
    half = stats.t.isf((1.0 - level) / 2.0, table["df"]) * table["std_error"]
    table = table.assign(
        statistic=statistic,
        p_value=2.0 * stats.t.sf(np.abs(statistic), table["df"]),
        conf_low=table["estimate"] - half,
        conf_high=table["estimate"] + half,
    )
    said = pd.DataFrame(labels, columns=["term", "level"])
    return Table.of(pd.concat([said, table], axis=1))


def _terms(grid: Grid) -> dict[str, tuple[str, ...]]:
    """The terms of factors alone, main effects first, with what nested factors are in."""
    order = {name: i for i, name in enumerate(grid.values)}
    out: dict[str, tuple[str, ...]] = {}
    for term in sorted(grid.design.term_variables(), key=len):
        if term <= grid.factors:
            names = sorted(grid.closed(sorted(term)), key=order.__getitem__)
            out[":".join(names)] = tuple(names)
    return out


def _chosen(
    terms: dict[str, tuple[str, ...]], which: str | Sequence[str] | None
) -> dict[str, tuple[str, ...]]:
    if which is None:
        return terms
    by_names = {frozenset(names): label for label, names in terms.items()}
    out = {}
    for given in [which] if isinstance(which, str) else list(which):
        label = by_names.get(frozenset(str(given).split(":")))
        if label is None:
            raise InvalidArgumentError(f"which={given!r}: {one_of(given, list(terms))}")
        out[label] = terms[label]
    return out
