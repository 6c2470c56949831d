"""A score test of constant residual variance along the fitted values."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import stats

from merextras.diagnostics.residuals.checks_generalised import heteroscedasticity
from merextras.diagnostics.residuals.simulated import Simulated
from merextras.diagnostics.residuals.standardized import Standardized
from merextras.exceptions import InvalidArgumentError
from merextras.foundation.aliases import Array, Rng
from merextras.foundation.arguments import check_count, check_level
from merextras.foundation.rng import as_generator
from merextras.model.columns.levels import grouping
from merextras.model.frame.kinds import is_number
from merextras.model.generalised.fitted import FittedGlmm
from merextras.model.settings.residual import shown
from merextras.model.state.fitted import FittedModel
from merextras.model.statsmodels.mixedlm import as_fitted
from merextras.results.checks.check import HeteroscedasticityCheck

__all__ = ["check_heteroscedasticity"]

#: Rows of a group, at least, from which its spread is compared with others'.
_FEWEST = 4
#: A p-value from which on groups are spoken of where the test finds nothing with the fitted value.
_CLEAR = 1e-4


def check_heteroscedasticity(
    m: object,
    *,
    robust: bool = False,
    alpha: float = 0.05,
    n_sims: int = 250,
    rng: Rng = None,
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
    n_sims : int, default 250
        Of a model of `glmer`: simulated responses.
    rng : int, numpy.random.Generator or None
        Of these.

    Returns
    -------
    HeteroscedasticityCheck
        `statistic`, `p_value`, `ok`, `verdict`, `advice`, which names the columns of the model by
        whose groups the residual standard deviation differs (``residual_by=`` of `lmer`). `ok` is
        None, and the numbers are NaN,
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
    Pearson's. A frequency weight counts as so many rows. Of a model of `glmer` the residuals are
    normal quantiles of the responses among simulated ones, along the fixed part of the linear
    predictor, and the p-value is from the simulated responses; `robust` makes no difference there.
    Cost: that of the leverages, O(n (p + k)**2).

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
    model = as_fitted(m, generalised=True)
    if not isinstance(robust, (bool, np.bool_)):
        raise InvalidArgumentError(f"robust={robust!r}: True or False")
    alpha, n_sims = check_level(alpha, "alpha"), check_count(n_sims, "n_sims")
    if isinstance(model, FittedGlmm):
        simulated = Simulated.of(model, n_sims, as_generator(rng))
        return heteroscedasticity(model, simulated, alpha)
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
        return HeteroscedasticityCheck(True, text, _by_group(model, found, _CLEAR), table)
    advice: tuple[str, ...] = (
        "look at it: plot_residuals(residual_table(m)), on the right",
        "a variance that grows with the mean: a logarithm or root of the response",
        *(
            _by_group(model, found, alpha)
            or ("a variance that differs by group: lmer(..., residual_by='column')",)
        ),
        "a variance that differs by predictor: precision weights, lmer(..., weights=1 / variance)",
    )
    if not robust:
        advice += ("heavy tails make this test reject too: robust=True does not mind them",)
    text = f"the residual variance changes with the fitted value (p = {p:.3g})"
    return HeteroscedasticityCheck(False, text, advice, table)


def _by_group(model: FittedModel, found: Standardized, alpha: float) -> tuple[str, ...]:
    """The columns by whose groups the residual standard deviation differs, by the argument's name.

    Brown and Forsythe's test of each grouping factor and column of labels, those of most evidence
    first.
    """
    design, known = model.design, np.isfinite(found.values)
    values, frame = found.values[known], design.frame.iloc[found.rows[known]]
    before = () if design.residual is None else design.residual.columns
    factors = [term.columns[0] for term in design.terms if len(term.columns) == 1]
    labels = [c for c in design.columns if c in factors or not is_number(frame[c])]
    tested = []
    for column in labels:
        if column in before or column == design.response:
            continue
        _, codes = grouping(frame, [column])
        sizes = np.bincount(codes)
        if len(sizes) < 2 or np.min(sizes) < _FEWEST:
            continue
        parts = [values[codes == h] for h in range(len(sizes))]
        p = float(stats.levene(*parts, center="median").pvalue)
        if p < alpha:
            sds = [float(np.std(part)) for part in parts]
            tested.append((p, column, max(sds) / min(sds)))
    out = []
    for p, column, ratio in sorted(tested):
        by = shown((*before, column))
        how = f"m.update(residual_by={by})"
        p_text = "p < 0.0001" if p < 1e-4 else f"p = {p:.2g}"
        out.append(
            f"the residual standard deviation differs by {column!r}, by a factor of {ratio:.2g} "
            f"({p_text}): one for each group, {how}"
        )
    return tuple(out)


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
