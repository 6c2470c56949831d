"""P-values and critical values for several t tests in a family."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import stats

from merextras._typing import Array
from merextras.distributions.simultaneous import LargestT, range_isf, range_sf, sidak

ADJUSTMENTS = ("tukey", "dunnett", "mvt", "sidak", "bonferroni", "holm", "fdr", "none")

#: By the kind of a set of contrasts.
DEFAULTS = {
    "pairwise": "tukey",
    "control": "dunnett",
    "consec": "mvt",
    "eff": "fdr",
    "custom": "none",
}


def adjusted(how: str, t: Array, df: Array, correlation: Array, m: int, k: int) -> Array:
    """P-values of a family's tests, (r,).

    Parameters
    ----------
    how : str
        One of `ADJUSTMENTS`.
    t, df : (r,) arrays
        Of the estimable contrasts.
    correlation : (r, r) array
    m : int
        Contrasts in the family, those that can't be estimated included.
    k : int
        Means that are compared.
    """
    if how == "tukey":
        return range_sf(np.sqrt(2.0) * np.abs(t), k, df)
    if how in {"dunnett", "mvt"}:
        return LargestT(correlation).sf(t, df)
    p: Array = 2.0 * stats.t.sf(np.abs(t), df)
    if how == "sidak":
        return sidak(p, m)
    if how == "bonferroni":
        return np.minimum(1.0, m * p)
    return _stepwise(p, how, m) if how in {"holm", "fdr"} else p


def _stepwise(p: Array, how: str, m: int) -> Array:
    """Holm (1979), and Benjamini and Hochberg (1995)."""
    order = np.argsort(p, kind="stable")
    rank = np.arange(len(p))
    out = np.empty(len(p))
    if how == "holm":
        out[order] = np.maximum.accumulate((m - rank) * p[order])
    else:
        out[order] = np.minimum.accumulate((m / (rank + 1.0) * p[order])[::-1])[::-1]
    return np.minimum(1.0, out)


def critical(how: str, alpha: float, df: Array, correlation: Array, m: int, k: int) -> Array:
    """Half widths of simultaneous intervals in standard errors, (r,); arguments as `adjusted`."""
    if how == "tukey":
        return np.asarray(range_isf(alpha, k, df) / np.sqrt(2.0))
    if how in {"dunnett", "mvt"}:
        return LargestT(correlation).isf(alpha, df)
    if how == "sidak":
        alpha = float(-np.expm1(np.log1p(-alpha) / m))
    elif how != "none":
        alpha = alpha / m
    return np.asarray(stats.t.isf(alpha / 2.0, df))


_SAID = {
    "tukey": "Tukey's adjustment",
    "dunnett": "Dunnett's adjustment, by the contrasts' own correlations",
    "mvt": "Adjusted by the multivariate t distribution",
    "sidak": "Sidak's adjustment",
    "bonferroni": "Bonferroni's adjustment",
    "holm": "Holm's adjustment of p-values, Bonferroni's of intervals",
    "fdr": "P-values by false discovery rate, Bonferroni's intervals",
    "none": "No adjustment",
}


def said(how: str, sizes: Sequence[int]) -> str:
    """What was done, for a note; of a single contrast nothing, whatever the method."""
    if how == "none" or list(sizes) == [1]:
        return f"{_SAID['none']}."
    families = " or ".join(map(str, sizes))
    return f"{_SAID[how]}, for families of {families}."
