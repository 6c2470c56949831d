"""Whether the residual variance changes with the fitted value."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import stats

from merextras._checks import check_level
from merextras._typing import Array
from merextras.diagnostics.standardized import Standardized
from merextras.exceptions import InvalidArgumentError
from merextras.model.statsmodels.mixedlm import as_fitted
from merextras.results.checks.check import HeteroscedasticityCheck

__all__ = ["check_heteroscedasticity"]


def check_heteroscedasticity(
    m: object, *, robust: bool = False, alpha: float = 0.05
) -> HeteroscedasticityCheck:
    r"""Score test of a residual variance that rises or falls with the fitted value.

    With u the squared standardised residuals (:math:`r_i^2 / (1 - h_i)`, h the leverage) over
    their mean, the statistic is half the regression sum of squares of u on the conditional fitted
    values, chi-square with one degree of freedom (Cook & Weisberg 1983, of Breusch & Pagan's
    family).

    Parameters
    ----------
    m : MerMod or MixedLMResults
    robust : bool, default False
        Koenker's version, n times the squared correlation, which does not take the residuals for
        normal: heavy tails alone do not reject.
    alpha : float, default 0.05

    Returns
    -------
    HeteroscedasticityCheck
        `statistic`, `p_value`, `ok`, `verdict`, `advice`. `ok` is None, and the numbers are NaN,
        where all fitted values are the same.

    Raises
    ------
    InvalidArgumentError
        A `robust` that is not a bool, an `alpha` outside (0, 1).

    Notes
    -----
    R: ``performance::check_heteroscedasticity`` means Cook and Weisberg's test; for a mixed model
    version 0.10.2 divides the residuals by a scale made of the log-likelihood instead of the
    residual variance, so that its p-value is not one. With precision weights the residuals are
    Pearson's. A frequency weight counts as so many rows. Cost: that of the leverages,
    O(n (p + k)**2).

    References
    ----------
    Breusch, T. S. and Pagan, A. R. (1979). Econometrica 47, 1287-1294; Cook, R. D. and Weisberg,
    S. (1983). Biometrika 70, 1-10; Koenker, R. (1981). J. Econometrics 17, 107-112.

    Examples
    --------
    >>> import merextras as mx
    >>> m = mx.lmer("diameter ~ 1 + (1 | plate) + (1 | sample)", mx.load_dataset("penicillin"))
    >>> mx.check_heteroscedasticity(m)
    ok: the residual variance does not change with the fitted value (p = 0.716)
             test statistic  df p_value
    0  Cook-Weisberg    0.1326   1   0.716
    """
    model = as_fitted(m)
    if not isinstance(robust, (bool, np.bool_)):
        raise InvalidArgumentError(f"robust={robust!r}: True or False")
    alpha = check_level(alpha, "alpha")
    found = Standardized.of(model)
    counts = model.design.frequencies
    counts = np.ones(len(found.rows)) if counts is None else counts[found.rows]
    known = np.isfinite(found.values)
    statistic = _score(found.values[known] ** 2, found.fitted[known], counts[known], robust=robust)
    p = float(stats.chi2.sf(statistic, 1))
    name = "Koenker" if robust else "Cook-Weisberg"
    table = pd.DataFrame({"test": [name], "statistic": [statistic], "df": [1], "p_value": [p]})
    if np.isnan(statistic):
        text = "all fitted values are the same, or all residuals: there is nothing to test"
        return HeteroscedasticityCheck(None, text, (), table)
    if p >= alpha:
        text = f"the residual variance does not change with the fitted value (p = {p:.3g})"
        return HeteroscedasticityCheck(True, text, (), table)
    advice: tuple[str, ...] = (
        "look at it: plot_residuals(residual_table(m)), on the right",
        "a variance that grows with the mean: a logarithm or root of the response",
        "a variance that differs by group or predictor: precision weights, "
        "lmer(..., weights=1 / variance)",
    )
    if not robust:
        advice += ("heavy tails make this test reject too: robust=True does not mind them",)
    text = f"the residual variance changes with the fitted value (p = {p:.3g})"
    return HeteroscedasticityCheck(False, text, advice, table)


def _score(squares: Array, fitted: Array, counts: Array, *, robust: bool) -> float:
    n = float(np.sum(counts))
    if n < 3.0 or np.ptp(fitted) <= 1e-10 * np.max(np.abs(fitted)):
        return np.nan
    mean = np.average(squares, weights=counts)
    if mean <= 0.0:
        return np.nan
    u = squares / mean - 1.0
    centred = fitted - np.average(fitted, weights=counts)
    slope = np.sum(counts * centred * u) / np.sum(counts * centred**2)
    regression = float(slope**2 * np.sum(counts * centred**2))
    if not robust:
        return 0.5 * regression
    total = float(np.sum(counts * u**2))
    return n * regression / total if total > 0.0 else np.nan
