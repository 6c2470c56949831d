"""What lme4's accessors return of a generalised model."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
from scipy import stats

from merextras.accessors.estimates import fixef, var_corr, vcov
from merextras.accessors.likelihood import ngrps
from merextras.exceptions import InvalidArgumentError
from merextras.foundation.aliases import Array, Rng
from merextras.foundation.arguments import check_choice, check_flag
from merextras.foundation.rng import as_generator
from merextras.model.design.user_rows import in_user_rows
from merextras.model.generalised.fitted import FittedGlmm
from merextras.model.generalised.probabilities import places_given, places_over_effects
from merextras.model.state.fitted import is_singular
from merextras.model.state.linear_only import linear_only
from merextras.results.base import format_numbers, to_html
from merextras.results.estimates.summary import Summary, quantiles5

_RESIDUALS = ("deviance", "pearson", "working", "response", "quantile")


def log_lik(model: FittedGlmm, *, reml: bool | None = None) -> float:
    """Log-likelihood, lme4's ``logLik``.

    By Laplace's approximation or quadrature as the fit, with all constants of the response's
    density: comparable with that of a model without random effects, and with other `n_agq`.
    ``reml=True`` is an error: there is no restricted one.
    """
    _check_ml(reml)
    return model.log_likelihood


def _check_ml(reml: bool | None) -> None:
    if reml:
        raise linear_only("reml_crit")


def deviance(model: FittedGlmm, *, reml: bool | None = None) -> float:
    """Minus twice the log-likelihood.

    R's ``deviance`` of a glmer fit is another number: the sum of the squared deviance residuals
    given the random effects, here ``(m.residuals() ** 2).sum()``.
    """
    _check_ml(reml)
    return -2.0 * model.log_likelihood


def aic(model: FittedGlmm) -> float:
    """Akaike's criterion, ``-2 log_lik + 2 npar``, npar with theta and an estimated dispersion."""
    return deviance(model) + 2.0 * model.n_parameters


def bic(model: FittedGlmm) -> float:
    """Schwarz's criterion, ``-2 log_lik + npar log(n)`` with n rows."""
    return float(deviance(model) + np.log(nobs(model)) * model.n_parameters)


def extract_aic(model: FittedGlmm) -> tuple[int, float]:
    """(npar, AIC), R's ``extractAIC``."""
    return model.n_parameters, aic(model)


def df_residual(model: FittedGlmm) -> int:
    """``n - npar``, lme4's ``df.residual``."""
    return nobs(model) - model.n_parameters


def nobs(model: FittedGlmm) -> int:
    """Rows of the fit; a row of several trials is one."""
    return model.design.n


def family(model: FittedGlmm) -> str:
    """The family with its link, such as ``binomial(logit)``."""
    return model.choice.text


def weights(model: FittedGlmm) -> pd.Series:
    """Prior weights by row: the trials of a binomial response, else ones.

    With ``missing="keep"`` by row of the data.
    """
    trials = model.response.trials
    values = np.ones(model.design.n) if trials is None else trials.copy()
    return _by_row(model, values, "weights")


def is_reml(model: FittedGlmm) -> bool:
    """False: a generalised model is fitted by maximum likelihood."""
    del model
    return False


def is_lmm(model: FittedGlmm) -> bool:
    """False: not a linear mixed model."""
    return not model.is_generalised


def is_glmm(model: FittedGlmm) -> bool:
    """True: a generalised linear mixed model."""
    return model.is_generalised


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
    given = set(options.columns) | ({"weights"} if design.weights is not None else set())
    given |= {"offset"} if options.offset is not None else set()
    for name in ("weights", "offset"):
        if name in given:
            column = options.columns.get(name)
            parts.append(f"{name}={name if column is None else json.dumps(column)}")
    parts += [f"contrasts={dict(options.contrasts)}"] if options.contrasts else []
    parts += [] if options.missing == "drop" else [f"missing={json.dumps(options.missing)}"]
    return f"glmer({', '.join(parts)})"


def fitted(model: FittedGlmm) -> pd.Series:
    """Fitted means given the conditional modes, lme4's ``fitted``: probabilities, rates, means.

    After ``missing="keep"`` by row of the data, NaN in those that miss a value.
    """
    return _by_row(model, model.mu.copy(), "fitted")


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
        return _by_row(model, law.residuals(as_generator(rng)), "residuals")
    values = residual_values(model, type)
    unit = unit_of(model) if scaled else 1.0
    return _by_row(model, values / np.sqrt(unit), "residuals")


def unit_of(model: FittedGlmm) -> float:
    """The dispersion that a variance is proportional to; one for the families without."""
    name, dispersion = model.choice.name, model.dispersion
    if name in {"binomial", "poisson", "negative_binomial"} or dispersion is None:
        return 1.0
    return dispersion


def _by_row(model: FittedGlmm, values: Array, name: str) -> pd.Series:
    made = pd.Series(values, index=model.design.index, name=name)
    return in_user_rows(made, model.design.user_rows)


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


def summary(model: FittedGlmm) -> Summary:
    """The fit at a glance, with z tests by the observed information."""
    covariance = vcov(model)
    se = np.sqrt(np.diag(covariance))
    estimate = fixef(model)
    z: pd.Series = estimate / se
    coefficients = pd.DataFrame(
        {
            "estimate": estimate,
            "std_error": se,
            "statistic": z,
            "p_value": 2.0 * stats.norm.sf(np.abs(z)),
        },
        index=estimate.index,
    )
    return Summary(
        title=_title(model),
        formula=model.design.formula,
        criteria=_criteria(model),
        scaled_residuals=quantiles5(residual_values(model, "pearson") / np.sqrt(unit_of(model))),
        var_corr=var_corr(model),
        nobs=nobs(model),
        ngrps=ngrps(model),
        coefficients=coefficients,
        correlation=covariance.div(se, axis=0).div(se, axis=1),
        notes=_notes(model),
        tested="z",
    )


def _title(model: FittedGlmm) -> str:
    how = "Laplace's approximation" if model.n_agq == 1 else f"quadrature, n_agq={model.n_agq}"
    return (
        f"Generalised linear mixed model fit by maximum likelihood ({how})\n"
        f"Family: {model.choice.text}"
    )


def _criteria(model: FittedGlmm) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "aic": [aic(model)],
            "bic": [bic(model)],
            "log_lik": [log_lik(model)],
            "deviance": [deviance(model)],
            "df_residual": [df_residual(model)],
        }
    )


def _notes(model: FittedGlmm) -> tuple[str, ...]:
    notes = []
    if model.dispersion is not None:
        what = "Size" if model.choice.name == "negative_binomial" else "Dispersion"
        given = " (given)" if model.choice.size is not None else ""
        notes.append(f"{what}: {model.dispersion:.6g}{given}.")
    if model.n_dropped:
        notes.append(f"{model.n_dropped} row(s) with missing values were left out.")
    if dropped := model.design.fixed.dropped:
        notes.append(f"Rank deficient: dropped {len(dropped)} column(s), {', '.join(dropped)}.")
    if is_singular(model):
        notes.append("Singular fit: a variance is zero or a correlation at its bound.")
    if not model.opt_summary.converged:
        notes.append(f"Optimiser: {model.opt_summary.message}.")
    return tuple(notes)


def short(model: FittedGlmm) -> str:
    """The fit in a few lines, what lme4 prints for a model."""
    effects = ["Random effects:", var_corr(model).to_text(), _counts(model), "Fixed effects:"]
    return "\n".join([_head(model), *effects, fixef(model).to_string(), *_notes(model)])


def short_html(model: FittedGlmm) -> str:
    """The same for a notebook, variances and fixed effects as tables."""
    fixed = fixef(model)
    table = pd.DataFrame({"Estimate": format_numbers(fixed.to_numpy())}, index=fixed.index)
    parts: list[str | pd.DataFrame] = [_head(model), "Random effects:", var_corr(model).table()]
    parts += [_counts(model), "Fixed effects:", table, "\n".join(_notes(model))]
    return to_html(parts)


def _head(model: FittedGlmm) -> str:
    criteria = _criteria(model).round(4).iloc[0]
    first = "  ".join(f"{name}: {value:.4f}" for name, value in criteria.items())
    return f"{_title(model)}\nFormula: {model.design.formula}\n{first}"


def _counts(model: FittedGlmm) -> str:
    groups = "; ".join(f"{name}, {count}" for name, count in ngrps(model).items())
    return f"Number of obs: {nobs(model)}, groups: {groups}"
