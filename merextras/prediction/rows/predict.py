"""Prediction for the data of the fit and for new data, with standard errors and intervals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from merextras.exceptions import InvalidArgumentError
from merextras.foundation.aliases import Array, IntArray
from merextras.foundation.arguments import check_choice, check_flag, check_level
from merextras.inference.ddf.method import check_method
from merextras.model.newdata.re_form import Kept, kept_effects
from merextras.model.newdata.rows import read_new
from merextras.model.newdata.target import left_out_rows, precisions, residual_groups, target_rows
from merextras.model.state.fitted import FittedModel
from merextras.prediction.combinations.prediction_variance import (
    ThetaNeighbourhood,
    relative_variances,
)

_INTERVALS = ("confidence", "prediction")
_DDF = ("residual", "satterthwaite", "asymptotic")


def predict(
    model: FittedModel,
    newdata: Any = None,
    *,
    re_form: str | float | None = None,
    random_only: bool = False,
    allow_new_levels: bool | str = False,
    se_fit: bool = False,
    interval: str | None = None,
    level: float = 0.95,
    ddf: str = "residual",
    adjust: bool = False,
    weights: Any = None,
) -> pd.Series | pd.DataFrame:
    r"""Expected response, lme4's ``predict``, with standard errors and intervals.

    ``X beta + Z b`` with the conditional modes b of the random effects that `re_form` keeps.

    Parameters
    ----------
    newdata : DataFrame (pandas or polars), optional
        By default the data of the fit; after ``missing="keep"`` all of their rows, NaN in those
        that miss a value.
    re_form : None, "NA" or a formula
        None: all random effects. ``"NA"`` (or ``"~0"``, or NaN as in R): none, the population's
        expectation. A formula of bars such as ``"~ (1 | school)"``: only these effects; they must
        be among the model's.
    random_only : bool
        ``Z b`` alone, without the fixed effects and the offset, lme4's ``random.only``: of the
        effects that `re_form` keeps. A standard error is then that of the random part.
    allow_new_levels : bool, "zero" or "draw"
        What a level that the model has not seen is. False: an error. ``"zero"`` (or True): its
        effects are taken for zero, and known to be. ``"draw"``: expected to be zero, with the
        variance ``z'Gz`` of an effect that nothing is known of, which then is in `std_error` and in
        the intervals; `fit` is the same. A missing level is one that the model has not seen. Terms
        that `re_form` leaves out need no columns in `newdata`.
    se_fit : bool
        Also the standard error, and the confidence interval unless `interval` asks for another.
    interval : None, "confidence" or "prediction"
        ``"confidence"``: for the conditional mean ``x'beta + z'b`` (of the effects that `re_form`
        keeps; with ``"NA"`` for ``x'beta``). ``"prediction"``: for a new observation. It adds the
        residual's variance, and that of the random effects that `re_form` leaves out: those are
        then of a level drawn anew.
    level : float
        Coverage of the interval.
    ddf : {"residual", "satterthwaite", "asymptotic"}
        Degrees of freedom of the interval's quantiles: n - p of Student's t, exact if the
        covariance parameters theta were known; Satterthwaite's, for the estimation of variances
        (see Notes); or the normal distribution's.
    adjust : bool
        Whether the standard error has in it, to first order, that `fit` moves with the estimate of
        theta (see Notes).
    weights : number, array, Series or column name, optional
        Precision weights w of the new observations, whose residual variance is ``sigma**2 / w``.
        By default the model's own for its own rows; for `newdata` the column of that name, if the
        model's are a column; else one.

    Returns
    -------
    Series or DataFrame
        Under the index of `newdata`; NaN where a predictor is missing. With the offset, which
        `newdata` must have if the model has one. With `se_fit` or `interval` a frame
        ``fit std_error lower upper``; `std_error` is always that of `fit`, a standard deviation on
        the scale of the response, also beside a prediction interval.

    Raises
    ------
    InvalidArgumentError
        A missing column, an unseen level or category, a term that is not in the model; `level`
        outside (0, 1); another `interval`, `ddf` or `allow_new_levels`; weights that are not
        numbers, or given where no prediction interval is asked for, or that a weighted model needs
        for `newdata` and does not have.
    UnsupportedModelError
        A random slope that can't be made from its name; the message says what to pass to `MerMod`.

    Warns
    -----
    ApproximationWarning
        ``ddf="satterthwaite"`` or `adjust` at an estimate that is not an optimum.

    See Also
    --------
    merextras.predict_interval : Intervals from draws, with medians and parts.
    merextras.what_if : The same cases in other levels.

    Notes
    -----
    With C the covariance over :math:`\sigma^2` of :math:`(\hat\beta - \beta, \hat b - b)`, the
    inverse of Henderson's mixed-model equations (Henderson 1975 [1]_; Bates et al. 2015 [2]_,
    section 3.3), a = (x, z) of the effects that are kept and r the z of those that are not,

    .. math::

        \mathrm{se}^2 &= \hat\sigma^2 (a'Ca + z_{new}'\Lambda\Lambda'z_{new}), \\
        \text{prediction:}\quad & \mathrm{se}^2 + \hat\sigma^2 (r'\Lambda\Lambda'r + 1/w),

    where :math:`z_{new}` are the covariates of unseen levels under ``"draw"``. C holds theta at its
    estimate; the errors of fixed and random effects largely cancel in a known group. Weighted rows
    of weight zero are not observations: their prediction intervals are NaN.

    **Estimated theta.** With theta known the default is exact. With theta estimated, in 2000
    samples of random intercepts (2 to 20 rows a group, variance as the residual's) 95 % intervals
    covered so many %:

    ====================================  =========  =========  =========
    groups in the data                    10         20         50
    ====================================  =========  =========  =========
    mean of a known group                 92 to 94   94 to 95   95
    the same, satterthwaite and adjust    94 to 95
    mean of a new group (``"draw"``)      91         93         93 to 94
    the same, satterthwaite               95 to 96   95         94
    observation, known or new group       94 to 95   94 to 95   94 to 96
    ====================================  =========  =========  =========

    `adjust` adds d'Ad, d being the slope of `fit` in theta and A the asymptotic covariance of theta
    (Kass and Steffey 1989 [3]_), which matters for means of known groups with few rows.
    Satterthwaite's df matter where a variance estimated from few groups is most of the spread. Both
    need the information matrix, once per model, and two factorisations for each element of theta;
    slopes are central differences. At a boundary they see nothing of a variance that is zero.

    **R counterpart**: ``predict.merMod``. lme4 has had ``se.fit`` since 1.1-32, the same formula;
    with ``re.form = NA`` it is the uncertainty of the fixed effects alone, as here. It has no
    intervals and no variance for new levels, and leaves out of predictions for `newdata` an offset
    that was an argument of the fit and not a term of its formula (seen in 1.1-31).

    **Cost**: `fit` alone is linear in the rows. A standard error costs O((p + effects per row)**2)
    a row without crossed factors and O(q_tail**2) with (see `block_description`), in blocks of
    rows of 32 MB.

    References
    ----------
    .. [1] Henderson, C. R. (1975). Best linear unbiased estimation and prediction under a selection
       model. Biometrics 31, 423-447.
    .. [2] Bates, D., Maechler, M., Bolker, B. and Walker, S. (2015). Fitting linear mixed-effects
       models using lme4. J. Stat. Softw. 67(1).
    .. [3] Kass, R. E. and Steffey, D. (1989). Approximate Bayesian inference in conditionally
       independent hierarchical models (parametric empirical Bayes models). J. Am. Stat. Assoc. 84,
       717-726.

    Examples
    --------
    >>> from merextras.datasets import load_dataset
    >>> import merextras as mx, statsmodels.formula.api as smf
    >>> sleep = load_dataset("sleepstudy")
    >>> fit = smf.mixedlm("Reaction ~ Days", sleep, groups="Subject", re_formula="~Days").fit()
    >>> m = mx.MerMod(fit)
    >>> m.predict(sleep.head(2)).round(1).tolist()
    [253.7, 273.3]
    >>> m.predict(sleep.head(2), re_form="NA").round(1).tolist()
    [251.4, 261.9]
    >>> m.predict(sleep.head(2), interval="prediction").round(1)
         fit  std_error  lower  upper
    0  253.7       12.3  197.7  309.7
    1  273.3       10.5  218.7  328.0

    A new subject, whose own effects are in the interval:

    >>> new = sleep.head(1).assign(Subject=999)
    >>> m.predict(new, allow_new_levels="draw", se_fit=True, ddf="satterthwaite").round(1)
         fit  std_error  lower  upper
    0  251.4       25.7  193.7  309.1
    """
    kind = "confidence" if interval is None else check_choice(interval, _INTERVALS, "interval")
    level, ddf = check_level(level), check_method(ddf, _DDF)
    _check_weights(weights, kind)
    se_fit, adjust = check_flag(se_fit, "se_fit"), check_flag(adjust, "adjust")
    newdata = None if newdata is None else read_new(model.design, newdata)
    unseen = unseen_levels(allow_new_levels)
    kept = kept_effects(model.design, re_form)
    random_only = check_flag(random_only, "random_only")
    _check_random_only(random_only, kept, kind)
    unknown = "error" if unseen == "error" else "zero"
    target = target_rows(model, newdata, kept=kept, unknown=unknown)
    target = target.without_fixed() if random_only else target
    fit = target.rows.estimates(model.solution)
    fit = fit if target.offset is None else fit + target.offset
    if not se_fit and interval is None:
        return target.result(pd.Series(fit, index=target.index, name="fit"))
    known = target.complete()
    rows = target.rows.take(known)
    drawn, residual = [rows] if unseen == "draw" else [], np.zeros(len(known))
    near = None
    if adjust or ddf == "satterthwaite":
        near = ThetaNeighbourhood.of(model, stacklevel=3)
    error = relative_variances(model.solution, rows, drawn)
    if adjust and near is not None:
        error += near.of_theta(rows)
    variance = error
    if kind == "prediction":
        anew = left_out_rows(model, newdata, kept).take(known)
        residual = _residual(precisions(model.design, newdata, weights), known)
        drawn = [*drawn, anew]
        variance = error + anew.prior(model.solution.lams) + residual
    if ddf == "satterthwaite" and near is not None:
        groups = None
        if kind == "prediction" and model.design.residual is not None:
            groups = residual_groups(model.design, newdata)[known]
        df = near.df(rows, drawn, residual, groups)
    else:
        df = np.array(model.solution.sigma_df if ddf == "residual" else np.inf)
    std_error, half = np.full((2, len(target)), np.nan)
    std_error[known] = np.sqrt(model.solution.sigma2 * error)
    quantile = stats.t.isf((1.0 - level) / 2.0, df)
    half[known] = quantile * np.sqrt(model.solution.sigma2 * variance)
    columns = {"fit": fit, "std_error": std_error, "lower": fit - half, "upper": fit + half}
    return target.result(pd.DataFrame(columns, index=target.index))


def _check_weights(weights: object, kind: str) -> None:
    if weights is not None and kind != "prediction":
        raise InvalidArgumentError(
            "weights: only a prediction interval depends on them; say interval='prediction'"
        )


def _check_random_only(random_only: bool, kept: Kept, kind: str) -> None:
    if random_only and not kept:
        raise InvalidArgumentError("random_only=True and re_form='NA' leave nothing to predict")
    if random_only and kind == "prediction":
        raise InvalidArgumentError(
            "random_only=True: an observation has its fixed part, too; take interval='confidence'"
        )


def unseen_levels(allow_new_levels: object) -> str:
    """Read `allow_new_levels`: ``"error"``, ``"zero"`` or ``"draw"``."""
    if isinstance(allow_new_levels, (bool, np.bool_)):
        return "zero" if allow_new_levels else "error"
    if isinstance(allow_new_levels, str) and allow_new_levels in {"zero", "draw"}:
        return allow_new_levels
    raise InvalidArgumentError(
        f"allow_new_levels={allow_new_levels!r}: allowed: False (an error), True or 'zero' (an "
        "effect of zero), 'draw' (an effect with its variance)"
    )


def _residual(weights: Array | None, known: IntArray) -> Array:
    """Residual variances over sigma**2; NaN for a weight of zero, which is no observation."""
    if weights is None:
        return np.ones(len(known))
    kept = weights[known]
    return np.where(kept > 0.0, 1.0 / np.where(kept > 0.0, kept, 1.0), np.nan)
