"""lme4's accessors for generalised models: family, weights, call, residuals."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd

from merextras.accessors.rows import by_row
from merextras.exceptions import InvalidArgumentError
from merextras.foundation.aliases import Array, Rng
from merextras.foundation.arguments import check_choice, check_flag
from merextras.foundation.rng import as_generator
from merextras.model.generalised.fitted import FittedGlmm
from merextras.model.generalised.responses.probabilities import places_given, places_over_effects

_RESIDUALS = ("deviance", "pearson", "working", "response", "quantile")


def family(model: FittedGlmm) -> str:
    """The family with its link, such as ``binomial(logit)``."""
    return model.choice.text


def weights(model: FittedGlmm) -> pd.Series:
    """Prior weights by row: the trials of a binomial response, else ones.

    With ``missing="keep"`` by row of the data.
    """
    trials = model.response.trials
    values = np.ones(model.design.n) if trials is None else trials.copy()
    return by_row(model, values, "weights")


def call(model: FittedGlmm) -> str:
    """The call that makes the fit, R's ``getCall``: `glmer`'s or statsmodels'."""
    if model.origin is not None:
        return model.origin.call
    design, options = model.design, model.design.options
    parts = [
        json.dumps(design.formula, ensure_ascii=False),
        "data",
        f'family="{model.choice.text}"',
    ]
    if model.n_agq != 1:
        parts.append(f"n_agq={model.n_agq}")
    if model.choice.size is not None:
        parts.append(f"dispersion={model.choice.size:g}")
    given = set(options.columns) | (design.by_row & {"weights"})
    given |= {"offset"} if options.offset is not None else set()
    for name in ("weights", "offset"):
        if name in given:
            column = options.columns.get(name)
            parts.append(f"{name}={name if column is None else json.dumps(column)}")
    parts += [f"contrasts={dict(options.contrasts)}"] if options.contrasts else []
    parts += [] if options.missing == "drop" else [f"missing={json.dumps(options.missing)}"]
    return f"glmer({', '.join(parts)})"


def residuals(
    model: FittedGlmm,
    type: str = "deviance",  # noqa: A002 (R's name)
    *,
    scaled: bool = False,
    re_form: str | None = None,
    rng: Rng = None,
) -> pd.Series:
    """Residuals given the conditional modes, lme4's ``residuals``.

    Parameters
    ----------
    type : {"deviance", "pearson", "working", "response", "quantile"}
        ``"response"``: ``y - mu``, of a binomial response the proportion less the probability.
        ``"pearson"``: that over the root of the variance function, of m trials
        ``sqrt(m) (y - mu) / sqrt(mu (1 - mu))``; a negative binomial's is ``mu + mu**2 / t``.
        ``"working"``: ``(y - mu) / (dmu / deta)``. ``"deviance"``: the signed root of twice what
        the log-density lacks of its largest, without the dispersion. ``"quantile"``: the normal
        quantile of the response's place in its distribution given the modes, standard normal where
        the model is right but for the shrinkage of the modes; of whole numbers drawn from the jump
        at the response (Dunn & Smyth 1996, J. Comput. Graph. Stat. 5).
    scaled : bool
        Divided by the root of the dispersion, for gamma, inverse Gaussian and normal responses.
    re_form : None or "population"
        Of quantile residuals: the distribution given the modes, or, by one integral, over the
        random effects; the latter are standard normal where the model is right, and alike within a
        group.
    rng : int, numpy.random.Generator or None
        Of the draws of quantile residuals.

    Returns
    -------
    Series, (n,)
        By row as `fitted`.
    """
    type = check_choice(type, _RESIDUALS, "type")  # noqa: A001
    scaled = check_flag(scaled, "scaled")
    if re_form not in {None, "population"} or (re_form and type != "quantile"):
        raise InvalidArgumentError(
            f"re_form={re_form!r}: None, or 'population' for type='quantile'"
        )
    if type == "quantile":
        law = places_given(model, model.eta) if re_form is None else places_over_effects(model)
        return by_row(model, law.residuals(as_generator(rng)), "residuals")
    values = residual_values(model, type)
    unit = unit_of(model) if scaled else 1.0
    return by_row(model, values / np.sqrt(unit), "residuals")


def unit_of(model: FittedGlmm) -> float:
    """The dispersion that a variance is proportional to; one for the families without."""
    name, dispersion = model.choice.name, model.dispersion
    if name in {"binomial", "poisson", "negative_binomial"} or dispersion is None:
        return 1.0
    return dispersion


def residual_values(model: FittedGlmm, kind: str) -> Array:
    """Residuals of the rows of the fit, (n,), without the division by the dispersion."""
    family, phi = model.engine_family, model.phi
    raw = model.response.observed - model.mu
    if kind == "response":
        return raw
    if kind == "working":
        return _over(raw, family.mean_slope(model.eta))
    if kind == "pearson":
        trials = 1.0 if model.response.trials is None else model.response.trials
        variance = family.variance(model.eta, phi) / unit_of(model)
        return _over(raw * trials, np.sqrt(variance))
    lacking = family.saturated(phi) - family.log_density(model.eta, phi)
    return np.asarray(np.sign(raw) * np.sqrt(2.0 * unit_of(model) * np.maximum(lacking, 0.0)))


def _over(raw: Array, size: Array) -> Array:
    """The quotient; zero where there is no difference, if only because a mean is at its bound."""
    return np.divide(raw, size, out=np.zeros(len(raw)), where=raw != 0.0)
