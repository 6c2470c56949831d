"""The checks of a generalised model's residuals: normality, variance, outliers, predictions."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import stats

from merextras.accessors import generalised
from merextras.diagnostics.case_deletion.leverage import cook_values, hat_values, student_values
from merextras.diagnostics.residuals.simulated import Simulated, distance_from_uniform
from merextras.foundation.aliases import Array
from merextras.model.design.user_rows import in_user_rows
from merextras.model.generalised.fitted import FittedGlmm
from merextras.model.generalised.responses.probabilities import places_over_effects
from merextras.results.checks.check import HeteroscedasticityCheck, OutlierCheck

#: Number, statistic, p-value, skewness, excess kurtosis, name of the test, note.
_Tested = tuple[int, float, float, float, float, str, str]


def uniformity(simulated: Simulated) -> _Tested:
    """Whether the responses are where the model expects them, as a test of residuals."""
    statistic, p = simulated.p_value(distance_from_uniform, simulated.uniform)
    z = simulated.normal[:, 0]
    moments = float(stats.skew(z)), float(stats.kurtosis(z))
    return len(z), statistic, p, *moments, "simulated Kolmogorov-Smirnov", ""


def heteroscedasticity(
    model: FittedGlmm, simulated: Simulated, alpha: float
) -> HeteroscedasticityCheck:
    """Whether quantile residuals spread more or less along the linear predictor."""
    design = model.design
    eta = design.x @ model.fixed_estimates + (0.0 if design.offset is None else design.offset)
    spread, squares = float(np.ptp(eta)), simulated.normal**2
    statistic, p = np.nan, np.nan
    if spread > 1e-10 * np.max(np.abs(eta), initial=0.0):
        centred = (eta - np.mean(eta)) / np.std(eta)
        statistic, p = simulated.p_value(lambda u: float(np.mean(centred * u) ** 2), squares)
    row = {"test": ["simulated score"], "statistic": [statistic], "df": [1], "p_value": [p]}
    table = pd.DataFrame(row)
    if np.isnan(p):
        text = "the fixed part is the same in all rows: there is nothing to test"
        return HeteroscedasticityCheck(None, text, (), table)
    if p >= alpha:
        text = f"quantile residuals spread alike along the predictor (p = {p:.3g})"
        return HeteroscedasticityCheck(True, text, (), table)
    advice = (
        "look at it: plot_residuals(residual_table(m)), on the right",
        "another variance: family='negative_binomial' for counts, an effect of each row for "
        "counts or proportions, a random slope of the predictor",
    )
    text = f"the spread of quantile residuals changes with the linear predictor (p = {p:.3g})"
    return HeteroscedasticityCheck(False, text, advice, table)


def outliers(model: FittedGlmm, limit: float, alpha: float) -> OutlierCheck:
    """Responses that are far out in their distribution over the random effects."""
    p = np.minimum(places_over_effects(model).two_sided * model.design.n, 1.0)
    table = pd.DataFrame(
        {
            "residual": student_values(model),
            "leverage": hat_values(model),
            "cooks_distance": cook_values(model),
            "p_value": p,
        },
        index=model.design.index,
    )
    table = in_user_rows(table, model.design.user_rows)
    table["outlier"] = table["p_value"] < alpha
    table["influential"] = table["cooks_distance"] > limit
    return OutlierCheck(True, "", (), table, limit, alpha)


def residual_columns(model: FittedGlmm, rng: np.random.Generator) -> dict[str, Array]:
    """What `residual_table` has of each row."""
    quantile, leverage = places_over_effects(model).residuals(rng), hat_values(model)
    left = np.where(1.0 - leverage > 1e-10, 1.0 - leverage, np.nan)
    pearson = generalised.residual_values(model, "pearson")
    pearson = pearson / np.sqrt(generalised.unit_of(model))
    return {
        "observed": model.response.observed,
        "fitted": model.mu,
        "residual": quantile,
        "standardized": quantile,
        "leverage": leverage,
        "cooks_distance": cook_values(model),
        "pearson": pearson / np.sqrt(left),
    }
