"""R's calls that answer on another scale than ours where the model is a generalised one."""

from __future__ import annotations

from typing import Any

import pandas as pd

from merextras.accessors import generalised, likelihood
from merextras.exceptions import InvalidArgumentError
from merextras.foundation.aliases import Rng
from merextras.foundation.arguments import check_choice
from merextras.model.generalised.fitted import FittedGlmm
from merextras.model.statsmodels.mixedlm import as_fitted
from merextras.prediction.rows.predict import predict as predict_linear
from merextras.prediction.rows.predict_generalised import predict as predict_generalised
from merextras.simulation.predict_interval import predict_interval

__all__ = ["deviance", "predict", "predict_interval_of"]

_SCALES = ("link", "response")
#: merTools' words for the scales.
_LINEAR, _PROBABILITY = "linear.prediction", "probability"


def predict(
    m: object,
    newdata: Any = None,
    *,
    type: str | None = None,  # noqa: A002 (R's name)
    **options: Any,
) -> pd.Series | pd.DataFrame:
    """Predict: `MerMod.predict` with R's default scale, that of the link.

    Parameters
    ----------
    m : MerMod or MixedLMResults
    newdata : DataFrame, optional
    type : {"link", "response"}
        Of a model of `glmer`; ``m.predict`` itself has ``"response"`` by default. The scales of a
        linear model are one. Means over the population (``re_form="population"``) are on that of
        the response.
    **options
        As in `MerMod.predict`: `re_form`, `allow_new_levels`, `se_fit`, ...

    Returns
    -------
    Series or DataFrame

    Raises
    ------
    InvalidArgumentError
        Another `type`, and what `MerMod.predict` raises.
    """
    scale = None if type is None else check_choice(type, _SCALES, "type")
    model = as_fitted(m, generalised=True)
    if not isinstance(model, FittedGlmm):
        return predict_linear(model, newdata, **options)
    if scale is None:
        scale = "response" if options.get("re_form") == "population" else "link"
    return predict_generalised(model, newdata, type=scale, **options)


def deviance(m: object, *, reml: bool | None = None) -> float:
    """Deviance: of a generalised model R's, the sum of its squared deviance residuals.

    That is given the random effects, and no likelihood: minus twice that is ``m.deviance()``.

    Parameters
    ----------
    m : MerMod or MixedLMResults
    reml : bool, optional
        As in `MerMod.deviance`.

    Returns
    -------
    float
    """
    model = as_fitted(m, generalised=True)
    minus_two_log_lik = likelihood.deviance(model, reml=reml)  # refuses what is not there
    if not isinstance(model, FittedGlmm):
        return minus_two_log_lik
    return float((generalised.residuals(model) ** 2).sum())


def predict_interval_of(
    m: object,
    newdata: Any = None,
    *,
    type: str | None = None,  # noqa: A002 (merTools' name)
    return_sims: bool = False,
    rng: Rng = None,
    **options: Any,
) -> Any:
    """Simulate prediction intervals: `merextras.predict_interval` with merTools' ``type``.

    Parameters
    ----------
    m : MerMod or MixedLMResults
    newdata : DataFrame, optional
    type : {"linear.prediction", "probability"}, optional
        The scale of a model of `glmer`: by default the response's, ``"probability"``; a linear
        model has one, ``"linear.prediction"``. merTools takes a linear model's probabilities with a
        warning. Of a generalised one it adds by default noise of variance 1 on the scale of the
        link, which here needs ``joint=False`` as well; ``include_resid_var=False`` is without.
    return_sims, rng, **options
        As in `merextras.predict_interval`.

    Returns
    -------
    DataFrame, or PredictIntervalResult

    Raises
    ------
    InvalidArgumentError
        Another `type`; and what `merextras.predict_interval` raises.
    """
    if type is not None:
        type = check_choice(type, (_LINEAR, _PROBABILITY), "type")  # noqa: A001
    is_generalised = isinstance(as_fitted(m, generalised=True), FittedGlmm)
    if type == _PROBABILITY and not is_generalised:
        raise InvalidArgumentError(
            f"type={type!r}: a linear mixed model predicts on one scale, {_LINEAR!r}"
        )
    if type is not None and is_generalised:
        options["type"] = "link" if type == _LINEAR else "response"
    return predict_interval(m, newdata, return_sims=return_sims, rng=rng, **options)
