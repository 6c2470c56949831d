"""Tests of normality of the residuals and of the random effects."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import stats

from merextras.diagnostics.residuals.checks_generalised import uniformity
from merextras.diagnostics.residuals.simulated import Simulated
from merextras.diagnostics.residuals.standardized import Standardized
from merextras.foundation.aliases import Array, Rng
from merextras.foundation.arguments import check_choice, check_count, check_level
from merextras.foundation.rng import as_generator
from merextras.model.generalised.fitted import FittedGlmm
from merextras.model.state.fitted import FittedModel
from merextras.model.statsmodels.mixedlm import as_fitted
from merextras.results.checks.check import NormalityCheck

__all__ = ["check_normality"]

#: Royston's algorithm for the Shapiro-Wilk test goes up to here.
_MOST = 5000
#: From here on a test finds departures that do no harm.
_LARGE = 1000
#: Residuals are repeated by their frequencies up to here.
_COUNTED = 10_000_000
#: How advice begins that is for linear models, and what to do of a generalised one.
_LINEAR = ("the residuals are skewed", "light tails", "heavy tails")
_REMEDY = (
    "the responses are not distributed as the family has it: another family or link, a missing "
    "predictor; see check_overdispersion(m) and check_zero_inflation(m)"
)
_WHAT = ("all", "residuals", "random")
_Tested = tuple[int, float, float, float, float, str, str]
_COLUMNS = [
    "source", "group", "term", "n", "statistic", "p_value", "skewness", "kurtosis", "test", "note",
]  # fmt: skip


def check_normality(
    m: object, *, what: str = "all", alpha: float = 0.05, n_sims: int = 250, rng: Rng = None
) -> NormalityCheck:
    r"""Test the residuals and the random effects for normality.

    Of a model of `glmer` the residuals are the responses' places in their distributions, among
    simulated responses, and the test is whether these are uniform, with its p-value from the
    simulated responses themselves: exact whatever the correlation in a group, but for the
    estimation of the parameters. DHARMa tests the same as if all rows were independent.

    Residuals are standardised, :math:`r_i / (\hat\sigma \sqrt{1 - h_i})` with h the leverage, and
    so is a level's conditional mode, by its own standard deviation
    :math:`\sqrt{G_{kk} - C_{kk}}`, C its conditional variance: modes are shrunken the more the
    fewer data a level has, so that without it those of unbalanced data would be a mixture of
    normals. In balanced data that changes nothing.

    Parameters
    ----------
    m : MerMod or MixedLMResults
    what : {"all", "residuals", "random"}
    alpha : float, default 0.05
        A p-value below it speaks against normality.
    n_sims : int, default 250
        Of a model of `glmer`: simulated responses.
    rng : int, numpy.random.Generator or None
        Of these.

    Returns
    -------
    NormalityCheck
        The table has a row for the residuals and one per random effect: ``source group term n
        statistic p_value skewness kurtosis test note``, kurtosis as excess over the normal one.
        ``p_value`` is NaN, and `note` says why, where there is nothing to test.

    Raises
    ------
    InvalidArgumentError
        Another `what`, an `alpha` outside (0, 1).

    See Also
    --------
    merextras.plots.plot_qq, merextras.plots.plot_qqmath : Where the departure is.

    Notes
    -----
    R: ``performance::check_normality``. It tests the residuals standardised in the same way
    (lme4's ``rstudent``) and the modes as they are. Shapiro and Wilk's test for up to 5000 values
    (R falls back on a Kolmogorov-Smirnov test against the standard normal distribution);
    D'Agostino and Pearson's for more. The residuals and the modes are correlated, so that the
    p-values are approximate; in a large table they find what does no harm: look at the plot.
    Schielzeth, H. et al. (2020). Methods Ecol. Evol. 11, 1141-1152, on how little it matters for
    fixed effects. A frequency weight counts as so many residuals. Cost: that of the
    leverages, O(n (p + k)**2).

    Examples
    --------
    >>> import merextras as mx
    >>> m = mx.lmer("Yield ~ 1 + (1 | Batch)", mx.load_dataset("dyestuff"))
    >>> mx.check_normality(m).to_frame()[["source", "group", "n", "p_value"]].round(3)
          source  group   n  p_value
    0  residuals         30    0.110
    1     random  Batch   6    0.837
    """
    model = as_fitted(m, generalised=True)
    check_choice(what, _WHAT, "what")
    alpha, n_sims = check_level(alpha, "alpha"), check_count(n_sims, "n_sims")
    if isinstance(model, FittedGlmm):
        simulated = None
        if what != "random":
            simulated = Simulated.of(model, n_sims, as_generator(rng))
        return of_glmm(model, simulated, what != "residuals", alpha)
    rows: list[tuple[object, ...]] = []
    if what != "random":
        rows.append(("residuals", "", "", *_residuals(model)))
    if what != "residuals":
        rows += _random(model)
    table = pd.DataFrame(rows, columns=_COLUMNS)
    return NormalityCheck(*_judged(table, alpha), table)


def of_glmm(
    model: FittedGlmm, simulated: Simulated | None, random: bool, alpha: float
) -> NormalityCheck:
    """The same of a generalised model among simulated responses."""
    rows: list[tuple[object, ...]] = []
    if simulated is not None:
        rows.append(("residuals", "", "", *uniformity(simulated)))
    rows += _random(model) if random else []
    table = pd.DataFrame(rows, columns=_COLUMNS)
    ok, text, advice = _judged(table, alpha)
    kept = tuple(line for line in advice if not line.startswith(_LINEAR))
    low = table["p_value"].iloc[0] < alpha if simulated is not None else False
    if low:
        kept = (*kept, _REMEDY)
    return NormalityCheck(ok, text, kept, table)


def _residuals(model: FittedModel) -> _Tested:
    """The test of the residuals, each as often as its frequency."""
    found, counts = Standardized.of(model), model.design.frequencies
    known = np.isfinite(found.values)
    values = found.values[known]
    if counts is not None:
        repeats = counts[found.rows[known]].astype(np.intp)
        n = int(np.sum(repeats))
        if n > _COUNTED:
            why = f"frequency weights stand for more than {_COUNTED} observations"
            return n, np.nan, np.nan, np.nan, np.nan, "", why
        values = np.repeat(values, repeats)
    return _tested(values)


def _random(model: FittedModel) -> list[tuple[object, ...]]:
    """A row per effect of every term."""
    rows: list[tuple[object, ...]] = []
    solution = model.working
    for t, term in enumerate(model.design.terms):
        prior = np.diag(model.covariances[t])
        spread = prior - np.einsum("jkk->jk", solution.sigma2 * solution.conditional(t))
        for k, name in enumerate(term.names):
            if prior[k] <= 0.0:
                found = (0, np.nan, np.nan, np.nan, np.nan, "", "its variance is zero")
            else:
                known = spread[:, k] > 1e-8 * prior[k]  # a level without data has a mode of zero
                scale = np.sqrt(spread[known, k])
                found = _tested(model.modes[t][known, k] / scale)
            rows.append(("random", term.factor, name, *found))
    return rows


def _tested(values: Array) -> _Tested:
    """Number, statistic, p-value, skewness, excess kurtosis, name of the test, note."""
    n = len(values)
    if n < 3:
        return n, np.nan, np.nan, np.nan, np.nan, "", "fewer than three values"
    if np.ptp(values) <= 1e-12 * np.max(np.abs(values)):
        return n, np.nan, np.nan, np.nan, np.nan, "", "all values are the same"
    if n <= _MOST:
        name, (statistic, p) = "Shapiro-Wilk", stats.shapiro(values)
    else:
        name, (statistic, p) = "D'Agostino-Pearson", stats.normaltest(values)
    moments = float(stats.skew(values)), float(stats.kurtosis(values))
    return n, float(statistic), float(p), *moments, name, ""


def _judged(table: pd.DataFrame, alpha: float) -> tuple[bool | None, str, tuple[str, ...]]:
    tested = table[table["p_value"].notna()]
    if len(tested) == 0:
        return None, "there is nothing to test", ()
    low = tested[tested["p_value"] < alpha]
    if len(low) == 0:
        return True, f"nothing departs from a normal distribution (p >= {alpha:g})", ()
    names = [
        f"{row.term} by {row.group}" if row.source == "random" else "the residuals"
        for row in low.itertuples()
    ]
    advice = ["look where it departs: plot_qq(qq_residuals(m)), plot_qqmath(m.ranef())"]
    residuals = low[low["source"] == "residuals"]
    if len(residuals):
        advice.append(_shape(*residuals[["skewness", "kurtosis"]].iloc[0]))
    if (low["n"] >= _LARGE).any():
        advice.append("with this many values the test finds departures that do no harm")
    if len(residuals) < len(low):
        advice.append(
            "levels far out, or groups of levels, hint at a missing predictor of the level"
        )
    return False, f"not normal (p < {alpha:g}): {', '.join(names)}", tuple(advice)


def _shape(skewness: float, kurtosis: float) -> str:
    """What a departure of the residuals means."""
    if abs(skewness) > 1.0:
        return "the residuals are skewed: a transformed response (log, root) may fit better"
    if kurtosis < 0.0:
        return (
            "light tails: the response may have bounds, which intervals of single predictions do "
            "not keep; estimates stand"
        )
    return (
        "heavy tails: estimates stand, intervals of single predictions are too narrow; see "
        "check_outliers(m)"
    )
