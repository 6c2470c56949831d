"""Prediction from a generalised model, on the scale of the link or of the response."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from merextras.exceptions import InvalidArgumentError, UnsupportedModelError
from merextras.foundation.aliases import Array
from merextras.foundation.arguments import check_choice, check_flag, check_level
from merextras.model.generalised.fitted import FittedGlmm
from merextras.model.generalised.responses.new_responses import NewResponses
from merextras.model.newdata.re_form import kept_effects
from merextras.model.newdata.rows import NewRows, read_new
from merextras.model.newdata.target import left_out_rows, target_rows
from merextras.model.newdata.trials import trials_of
from merextras.prediction.combinations import population
from merextras.prediction.combinations.parameter_slopes import variances_of_theta
from merextras.prediction.combinations.prediction_variance import relative_variances
from merextras.prediction.rows.predict import unseen_levels


def predict(
    model: FittedGlmm,
    newdata: Any = None,
    *,
    type: str = "response",  # noqa: A002 (R's name)
    re_form: str | float | None = None,
    random_only: bool = False,
    allow_new_levels: bool | str = False,
    se_fit: bool = False,
    interval: str | None = None,
    level: float = 0.95,
    ddf: str = "asymptotic",
    adjust: bool = False,
    weights: Any = None,
) -> pd.Series | pd.DataFrame:
    r"""Expected response or linear predictor, lme4's ``predict``, with standard errors.

    Parameters
    ----------
    newdata : DataFrame (pandas or polars), optional
        By default the data of the fit; after ``missing="keep"`` all of their rows, NaN in those
        that miss a value.
    type : {"response", "link"}
        ``"response"``: a probability, a rate, a mean: the inverse link of the linear predictor
        (lme4's default is ``"link"``). ``"link"``: the linear predictor itself.
    re_form : None, "NA", "population" or a formula
        None: all random effects at their conditional modes. ``"NA"``: all at zero, which is the
        median level and *not* the population's mean on the scale of the response. That mean, over
        the normal distribution of all random effects, is ``"population"``; `newdata` needs no
        grouping columns. A formula of bars such as ``"~ (1 | herd)"``: only these effects.
    random_only : bool
        The random part of the linear predictor alone, lme4's ``random.only``, for ``type="link"``:
        of the effects that `re_form` keeps.
    allow_new_levels : bool, "zero" or "draw"
        What a level that the model has not seen is. False: an error. ``"zero"`` (or True): its
        effects are taken for zero, and known to be. ``"draw"``: expected to be zero, with their
        variance, which then is in `std_error` and in the interval.
    se_fit : bool
        Also the standard error, and the interval.
    interval : None, "confidence" or "prediction"
        ``"confidence"``: for the conditional mean given the effects that `re_form` keeps.
        ``"prediction"``: for a new response, a count, a number, or a proportion of the row's
        trials. The effects that `re_form` leaves out are then of a level drawn anew.
    level : float
        Coverage of the interval; of whole numbers at least that.
    ddf : {"asymptotic"}
        The quantiles of the interval are the normal distribution's; degrees of freedom are defined
        for linear models alone.
    adjust : bool
        Whether the standard error has in it, to first order, that the conditional modes move with
        the estimates of the covariances and the dispersion (see Notes). The population's mean has
        it in any case.
    weights : number, array, Series or column name, optional
        Numbers of trials of the new responses of a binomial model, whose prediction interval
        depends on them; by default those that the data say.

    Returns
    -------
    Series or DataFrame
        Under the index of `newdata`; NaN where a predictor is missing. With the offset, which
        `newdata` must have if the model has one. With `se_fit` or `interval` a frame
        ``fit std_error lower upper``; on the scale of the response the ends are those of the linear
        predictor transformed, and `std_error` is that of `fit` by the delta method.

    Raises
    ------
    InvalidArgumentError
        A missing column, an unseen level or category, a term that is not in the model, another
        `type`; ``type="link"`` of the population, whose mean on that scale is ``re_form="NA"``, or
        with a prediction interval, as responses are on their own scale; `random_only` on the scale
        of the response; trials that are not known, or not asked for.
    UnsupportedModelError
        The population's mean with an inverse link, which does not exist; another `ddf`.

    Notes
    -----
    With W the covariance of the random effects b given the parameters, the inverse of
    ``Z'WZ + G^-1`` at the mode, J = db/dbeta and S the covariance of the fixed effects,

    .. math:: \mathrm{se}^2 = z'Wz + (x + J'z)' S (x + J'z) + z_{new}' G z_{new}.

    The covariance parameters are held at their estimates but in S, which is from the observed
    information of all parameters. R's lme4 has ``se.fit`` since 1.1-32, with S as if theta were
    known. With `adjust` it is

    .. math:: \mathrm{se}^2 = z'Wz + g' V g + z_{new}' G z_{new},
        \quad g = \frac{d (x'\beta + z'b)}{d (\theta, \beta, \phi)},

    with V the covariance of all estimates: the delta method of Kass and Steffey (1989 [1]_), and
    the standard errors of R's glmmTMB. Two evaluations for each parameter. For effects of few rows
    it matters: those of the rows of the model below are up to 8 % larger.

    The population's mean is ``E h(x beta + s Z)`` with h the inverse link, Z standard normal and
    ``s**2 = z'Gz``: one integral for any number of random effects, to rounding. Its standard error
    is by the delta method from exact derivatives in the fixed effects and the covariances. R's
    emmeans has a second-order approximation of it (``bias.adjust``), which is off where s is large.

    A prediction interval has the quantiles of the mixture of the family's distribution over a
    normal linear predictor, with the variance above and that of the effects that are left out: the
    least responses with probability ``(1 - level) / 2`` and ``(1 + level) / 2`` up to them. It is
    what `predict_interval` simulates, without a simulation's error; the dispersion is held at its
    estimate. `std_error` stays that of `fit`.

    References
    ----------
    .. [1] Kass, R. E. and Steffey, D. (1989). Approximate Bayesian inference in conditionally
       independent hierarchical models. J. Amer. Statist. Assoc. 84, 717-726.

    Examples
    --------
    >>> import merextras as mx
    >>> cbpp = mx.load_dataset("cbpp")
    >>> m = mx.glmer("cbind(incidence, size - incidence) ~ C(period) + (1 | herd)", cbpp)
    >>> m.predict(cbpp.head(2), se_fit=True).round(3)
         fit  std_error  lower  upper
    0  0.308      0.079  0.177  0.480
    1  0.142      0.051  0.068  0.272
    >>> m.predict(cbpp.head(2), re_form="population", se_fit=True).round(3)
         fit  std_error  lower  upper
    0  0.216      0.036  0.153  0.296
    1  0.097      0.027  0.056  0.164
    >>> m.predict(cbpp.head(2), interval="prediction").round(3)
         fit  std_error  lower  upper
    0  0.308      0.079  0.071  0.643
    1  0.142      0.051  0.000  0.417
    """
    type = check_choice(type, ("response", "link"), "type")  # noqa: A001
    if interval is not None:
        check_choice(interval, ("confidence", "prediction"), "interval")
    _check_new_responses(interval, type, weights)
    se_fit, level = check_flag(se_fit, "se_fit"), check_level(level)
    adjust = _check_errors(ddf, adjust)
    newdata = None if newdata is None else read_new(model.design, newdata)
    anew = interval == "prediction"
    if isinstance(re_form, str) and re_form == "population":
        _check_random_only(random_only, True, type)
        wanted = se_fit or interval is not None
        out = population.predict(model, newdata, scale=type, errors=wanted, level=level)
        return _of_population(model, newdata, out, weights, level) if anew else out
    unseen = unseen_levels(allow_new_levels)
    kept = kept_effects(model.design, re_form)
    _check_random_only(random_only, bool(kept), type)
    unknown = "error" if unseen == "error" else "zero"
    target = target_rows(model, newdata, kept=kept, unknown=unknown)
    target = target.without_fixed() if random_only else target
    eta = target.rows.x @ model.fixed_estimates + np.sum(target.rows.effects(model.modes), axis=0)
    eta = eta if target.offset is None else eta + target.offset
    mean = model.engine_family.mean if type == "response" else _same
    if not se_fit and interval is None:
        return target.result(pd.Series(mean(eta), index=target.index, name="fit"))
    known = target.complete()
    variance = np.full(len(target), np.nan)
    rows = target.rows.take(known)
    variance[known] = variances_of(model, rows, draw=unseen == "draw")
    if adjust:
        variance[known] += variances_of_theta(model, rows)
    error = np.sqrt(variance)
    if anew:
        variance += left_out_rows(model, newdata, kept).prior(model.lams)
        ends = _ends(model, eta, variance, trials_of(model, newdata, weights), level)
    else:
        half = stats.norm.isf((1.0 - level) / 2.0) * error
        ends = np.sort([mean(eta - half), mean(eta + half)], axis=0)
    if type == "response":
        error = error * np.abs(model.engine_family.mean_slope(eta))
    columns = {"fit": mean(eta), "std_error": error, "lower": ends[0], "upper": ends[1]}
    return target.result(pd.DataFrame(columns, index=target.index))


def variances_of(model: FittedGlmm, rows: NewRows, *, draw: bool) -> Array:
    """Variances of the errors of linear predictors, (m,); effects of new levels drawn or zero."""
    variance = relative_variances(model.joint, rows)
    return variance + rows.prior(model.lams) if draw else variance


def _of_population(
    model: FittedGlmm, newdata: pd.DataFrame | None, out: Any, weights: Any, level: float
) -> pd.DataFrame:
    """The population's means with prediction intervals, those of rows of new levels."""
    rows = predict(
        model, newdata, re_form="NA", interval="prediction", level=level, weights=weights
    )
    return out.assign(lower=rows["lower"], upper=rows["upper"])  # type: ignore[no-any-return]


def _ends(
    model: FittedGlmm, eta: Array, variance: Array, trials: Array | None, level: float
) -> Array:
    """The ends of prediction intervals, (2, m), NaN where something is missing."""
    out = np.full((2, len(eta)), np.nan)
    known = np.flatnonzero(np.isfinite(eta) & np.isfinite(variance))
    own = None if trials is None else trials[known]
    law = NewResponses(model, eta[known], variance[known], own)
    for i, p in enumerate(((1.0 - level) / 2.0, (1.0 + level) / 2.0)):
        found = law.quantiles(p)
        out[i, known] = found if own is None else found / own
    return out


def _check_new_responses(interval: str | None, scale: str, weights: Any) -> None:
    if weights is not None and interval != "prediction":
        raise InvalidArgumentError(
            "weights: only a prediction interval depends on the trials; say interval='prediction'"
        )
    if interval == "prediction" and scale == "link":
        raise InvalidArgumentError(
            "type='link' with interval='prediction': a new response is on its own scale; say "
            "type='response', or interval='confidence' for the linear predictor"
        )


def _check_errors(ddf: object, adjust: object) -> bool:
    """Refuse degrees of freedom; whether standard errors are adjusted."""
    if check_choice(ddf, ("residual", "satterthwaite", "asymptotic"), "ddf") != "asymptotic":
        raise UnsupportedModelError(
            f"ddf={ddf!r}: degrees of freedom are defined for linear models alone; "
            "ddf='asymptotic' is the normal distribution"
        )
    return check_flag(adjust, "adjust")


def _check_random_only(random_only: object, kept: bool, scale: str) -> None:
    if not check_flag(random_only, "random_only"):
        return
    if scale != "link":
        raise InvalidArgumentError(
            "random_only=True: the parts of a generalised model add up on the scale of the linear "
            "predictor alone; say type='link'"
        )
    if not kept:
        raise InvalidArgumentError("random_only=True and re_form='NA' leave nothing to predict")


def _same(eta: Array) -> Array:
    return eta
