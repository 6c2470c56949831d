"""Observations that the model does not expect, and those that move it."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import stats

from merextras.diagnostics.residuals.checks_generalised import outliers
from merextras.diagnostics.residuals.standardized import Standardized
from merextras.exceptions import InvalidArgumentError
from merextras.foundation.aliases import Array, IntArray
from merextras.foundation.arguments import check_level
from merextras.model.design.user_rows import in_user_rows
from merextras.model.generalised.fitted import FittedGlmm
from merextras.model.state.fitted import FittedModel
from merextras.model.statsmodels.mixedlm import as_fitted
from merextras.results.checks.check import OutlierCheck

__all__ = ["check_outliers"]


def check_outliers(
    m: object, *, threshold: float | None = None, alpha: float = 0.05
) -> OutlierCheck:
    r"""Find observations with large studentised residuals or Cook's distances.

    Given theta, deleting row i lowers the penalised residual sum of squares by
    :math:`r_i^2 / (1 - h_i)`, so that the studentised residual

    .. math:: t_i = \frac{r_i}{\hat\sigma_{(i)} \sqrt{1 - h_i}}, \qquad
       \hat\sigma^2_{(i)} = \frac{\mathrm{pwrss} - r_i^2 / (1 - h_i)}{n - p - 1}

    has a t distribution with n - p - 1 degrees of freedom. Its p-value is multiplied by n
    (Bonferroni). Cook's distance is :math:`D_i = r_i^2 h_i / ((1 - h_i)^2 \hat\sigma^2 p)`.

    Parameters
    ----------
    m : MerMod or MixedLMResults
    threshold : float, optional
        Of Cook's distance; by default the median of the F distribution with p and n - p degrees of
        freedom, at which the joint estimate would move to the edge of its 50 % region.
    alpha : float, default 0.05
        Of the adjusted p-values.

    Returns
    -------
    OutlierCheck
        `rows` has the index labels of what was found. The table has all observations, under the
        user's index: ``residual leverage cooks_distance p_value outlier influential`` with the
        studentised residual and the adjusted p-value; NaN for a row that is no observation, or
        whose leverage is one.

    Raises
    ------
    InvalidArgumentError
        A `threshold` that is not positive, an `alpha` outside (0, 1), frequency weights (a row is
        then no single observation).

    See Also
    --------
    MerMod.cooks_distance, MerMod.hatvalues

    Notes
    -----
    R: ``performance::check_outliers(m)`` has Cook's distances with the same threshold; ``lme4``'s
    ``cooks.distance`` and ``hatvalues``. A whole level may be odd without any odd row: see
    `check_normality` of the random effects. Of a model of `glmer` the residual is that of
    `MerMod.rstudent`, and the p-value twice the probability of a response as far out, over the
    random effects, by one integral; Cook's distance is that of `MerMod.cooks_distance`. Cook, R. D.
    and Weisberg, S. (1982). *Residuals and Influence in Regression*, chapters 2 and 3. Cost: that
    of the leverages.

    Examples
    --------
    >>> import merextras as mx
    >>> m = mx.lmer("Reaction ~ Days + (Days | Subject)", mx.load_dataset("sleepstudy"))
    >>> found = mx.check_outliers(m)
    >>> found.rows.tolist(), round(found.threshold, 4)
    ([7, 56, 59, 130], 0.6959)
    """
    model = as_fitted(m, generalised=True)
    alpha = check_level(alpha, "alpha")
    design, solution = model.design, model.joint
    if design.frequencies is not None:
        raise InvalidArgumentError(
            "m: the model has frequency weights, so that a row is several observations; repeat the "
            "rows, data.loc[data.index.repeat(freq_weights)], and fit without them"
        )
    if threshold is None:
        known = solution.p > 0 and solution.n > solution.p
        limit = float(stats.f.isf(0.5, solution.p, solution.n - solution.p)) if known else np.nan
    else:
        limit = _positive(threshold)
    if isinstance(model, FittedGlmm):
        of_glmm = outliers(model, limit, alpha)
        return OutlierCheck(*_judged(of_glmm.table), of_glmm.table, limit, alpha)
    found = Standardized.of(model)
    squares = found.values**2
    with np.errstate(invalid="ignore", divide="ignore"):
        cook = squares * found.leverage / (1.0 - found.leverage) / max(solution.p, np.nan)
    cook = cook if solution.p else np.full(len(squares), np.nan)
    studentised, p = _studentised(model, found.values)
    columns = {
        "residual": studentised,
        "leverage": found.leverage,
        "cooks_distance": cook,
        "p_value": p,
    }
    table = pd.DataFrame({k: _spread(v, found.rows, design.n) for k, v in columns.items()})
    table = in_user_rows(table.set_axis(design.index, axis=0), design.user_rows)
    table["outlier"] = table["p_value"] < alpha
    table["influential"] = table["cooks_distance"] > limit
    return OutlierCheck(*_judged(table), table, limit, alpha)


def _positive(threshold: object) -> float:
    is_number = isinstance(threshold, (int, float, np.number)) and not isinstance(threshold, bool)
    if not is_number or not 0.0 < float(threshold) < np.inf:  # type: ignore[arg-type]
        raise InvalidArgumentError(f"threshold={threshold!r}: a positive number")
    return float(threshold)  # type: ignore[arg-type]


def _studentised(model: FittedModel, values: Array) -> tuple[Array, Array]:
    """Studentised residuals and their Bonferroni p-values."""
    solution = model.solution
    if model.has_known_sigma:  # nothing of it is estimated from the row itself
        p = 2.0 * stats.norm.sf(np.abs(values))
        return values, np.minimum(p * len(values), 1.0)
    df = solution.n - solution.p - 1
    if df < 1:
        return np.full(len(values), np.nan), np.full(len(values), np.nan)
    scaled = values * np.sqrt(solution.sigma2)
    with np.errstate(invalid="ignore", divide="ignore"):
        studentised = scaled / np.sqrt(np.maximum(solution.pwrss - scaled**2, 0.0) / df)
    p = 2.0 * stats.t.sf(np.abs(studentised), df)
    return studentised, np.minimum(p * len(values), 1.0)


def _spread(values: Array, rows: IntArray, n: int) -> Array:
    out = np.full(n, np.nan)
    out[rows] = values
    return out


def _judged(table: pd.DataFrame) -> tuple[bool | None, str, tuple[str, ...]]:
    outliers, influential = int(table["outlier"].sum()), int(table["influential"].sum())
    if outliers + influential == 0:
        return True, "no outliers and no influential observations", ()
    text = f"{outliers} outlier(s), {influential} influential observation(s)"
    advice = (
        "look at these rows for errors of measurement or entry; correct or report, do not drop "
        "them for the fit's sake",
        "fit without them and see what changes: m.update(data=data.drop(index=check.rows))",
    )
    return False, text, advice
