"""P-values and critical values for several t tests in a family."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import stats

from merextras.distributions.simultaneous import LargestT, range_isf, range_sf, sidak
from merextras.foundation.aliases import Array

ADJUSTMENTS = (
    "tukey",
    "dunnett",
    "mvt",
    "scheffe",
    "sidak",
    "bonferroni",
    "holm",
    "fdr",
    "none",
)
#: Those that need only p-values, one-sided ones too.
OF_P_VALUES = ("sidak", "bonferroni", "holm", "fdr", "none")

#: By the kind of a set of contrasts.
DEFAULTS = {
    "pairwise": "tukey",
    "revpairwise": "tukey",
    "control": "dunnett",
    "consec": "mvt",
    "mean_chg": "mvt",
    "helmert": "mvt",
    "eff": "fdr",
    "del.eff": "fdr",
    "poly": "none",
    "identity": "none",
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
    if how == "scheffe":
        rank = _rank(correlation)
        return np.asarray(_f_tail(t**2 / rank, rank, df))
    return adjusted_p(how, 2.0 * stats.t.sf(np.abs(t), df), m)


def adjusted_p(how: str, p: Array, m: int) -> Array:
    """P-values of m tests in a family by one of `OF_P_VALUES`, (r,)."""
    if how == "sidak":
        return sidak(p, m)
    if how == "bonferroni":
        return np.minimum(1.0, m * p)
    return _stepwise(p, how, m) if how in {"holm", "fdr"} else p


def _rank(correlation: Array) -> int:
    return int(np.linalg.matrix_rank(correlation, tol=1e-8 * len(correlation), hermitian=True))


def _f_tail(f: Array, q: int, df: Array) -> Array:
    finite = np.isfinite(df)
    tails = stats.f.sf(f, q, np.where(finite, df, 1.0))
    return np.asarray(np.where(finite, tails, stats.chi2.sf(q * f, q)))


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


def critical(
    how: str, alpha: float, df: Array, correlation: Array, m: int, k: int, *, sides: int = 2
) -> Array:
    """Half widths of simultaneous intervals in standard errors, (r,); arguments as `adjusted`.

    One-sided ones, ``sides=1``, by one of `OF_P_VALUES`.
    """
    if how == "tukey":
        return np.asarray(range_isf(alpha, k, df) / np.sqrt(2.0))
    if how in {"dunnett", "mvt"}:
        return LargestT(correlation).isf(alpha, df)
    if how == "scheffe":
        rank, finite = _rank(correlation), np.isfinite(df)
        found = stats.f.isf(alpha, rank, np.where(finite, df, 1.0))
        return np.asarray(np.sqrt(np.where(finite, rank * found, stats.chi2.isf(alpha, rank))))
    if how == "sidak":
        alpha = float(-np.expm1(np.log1p(-alpha) / m))
    elif how != "none":
        alpha = alpha / m
    return np.asarray(stats.t.isf(alpha / sides, df))


_SAID = {
    "tukey": "Tukey's adjustment",
    "dunnett": "Dunnett's adjustment, by the contrasts' own correlations",
    "mvt": "Adjusted by the multivariate t distribution",
    "scheffe": "Scheffe's adjustment",
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
