"""The summary of a fit, linear or generalised, as lme4 prints it."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import stats

from merextras.accessors import generalised, likelihood
from merextras.accessors.estimates import fixef, var_corr, vcov
from merextras.accessors.rows import residual_values
from merextras.foundation.aliases import Array
from merextras.model.design.questions import bar_text
from merextras.model.generalised.fitted import FittedGlmm
from merextras.model.generalised.separated import without_maximum
from merextras.model.state.fitted import FittedModel, is_singular
from merextras.model.state.penalised import is_penalised
from merextras.results.base import format_numbers, to_html
from merextras.results.estimates.summary import Summary, quantiles5


def summary(model: FittedModel) -> Summary:
    """The fit at a glance, lme4's ``summary``.

    Returns
    -------
    Summary
        Prints as text and in notebooks; its parts are attributes: `coefficients` (``estimate
        std_error statistic``, of a generalised model with ``p_value``), `var_corr`,
        `scaled_residuals`, `correlation`, ... No standard errors are shown for variances:
        statsmodels' are off by a factor of about sqrt(scale).
    """
    covariance = vcov(model)
    se = np.sqrt(np.diag(covariance))
    estimate = fixef(model)
    coefficients = pd.DataFrame(
        {"estimate": estimate, "std_error": se, "statistic": estimate / se}, index=estimate.index
    )
    if model.is_generalised:
        coefficients["p_value"] = 2.0 * stats.norm.sf(np.abs(coefficients["statistic"]))
    return Summary(
        title=_title(model),
        formula=model.design.formula,
        criteria=_criteria(model),
        scaled_residuals=_scaled_residuals(model),
        var_corr=var_corr(model),
        nobs=likelihood.nobs(model),
        ngrps=likelihood.ngrps(model),
        coefficients=coefficients,
        correlation=covariance.div(se, axis=0).div(se, axis=1),
        notes=_notes(model),
        tested="z" if model.is_generalised else "t",
    )


def _scaled_residuals(model: FittedModel) -> Array:
    """Their quartiles; NaN for a model that keeps no rows."""
    if not model.design.keeps_rows:
        return np.full(5, np.nan)
    if isinstance(model, FittedGlmm):
        unit = np.sqrt(generalised.unit_of(model))
        return quantiles5(generalised.residual_values(model, "pearson") / unit)
    return quantiles5(residual_values(model, "pearson", scaled=True))


def _criteria(model: FittedModel) -> pd.DataFrame:
    if model.reml:
        return pd.DataFrame({"reml_crit": [likelihood.reml_crit(model)]})
    if is_penalised(model):  # no maximum, which AIC and BIC are made of
        return pd.DataFrame(
            {
                "log_lik": [likelihood.log_lik(model)],
                "deviance": [likelihood.deviance(model)],
                "df_residual": [likelihood.df_residual(model)],
            }
        )
    return pd.DataFrame(
        {
            "aic": [likelihood.aic(model)],
            "bic": [likelihood.bic(model)],
            "log_lik": [likelihood.log_lik(model)],
            "deviance": [likelihood.deviance(model)],
            "df_residual": [likelihood.df_residual(model)],
        }
    )


def _notes(model: FittedModel) -> tuple[str, ...]:
    notes = _notes_on_family(model) if isinstance(model, FittedGlmm) else _notes_on_options(model)
    if model.n_dropped:
        notes.append(f"{model.n_dropped} row(s) with missing values were left out.")
    if dropped := model.design.fixed.dropped:
        notes.append(f"Rank deficient: dropped {len(dropped)} column(s), {', '.join(dropped)}.")
    if not model.design.keeps_rows:
        notes.append("No scaled residuals: the model keeps no rows; see stream_rows.")
    notes += _notes_on_prior(model)
    if is_singular(model):
        notes.append("Singular fit: a variance is zero or a correlation at its bound.")
    endless = without_maximum(model) if isinstance(model, FittedGlmm) else None
    if endless:
        notes.append(f"No maximum: {endless}.")
    elif model.opt_summary is not None and not model.opt_summary.converged:
        notes.append(f"Optimiser: {model.opt_summary.message}.")
    return tuple(notes)


def _notes_on_prior(model: FittedModel) -> list[str]:
    """The prior of each term, and what it adds to the criterion."""
    if not is_penalised(model):
        return []
    rows = zip(model.design.terms, model.design.cov_priors, strict=True)
    each = [f"{bar_text(t)} ~ {p.label(t.k)}" for t, p in rows if p is not None]
    return [
        f"Penalised fit, with a prior of covariances over sigma**2: {'; '.join(each)}; "
        f"-2 log prior: {model.point.penalty():.4f}."
    ]


def _notes_on_family(model: FittedGlmm) -> list[str]:
    """The dispersion, if the family has one."""
    if model.dispersion is None:
        return []
    what = "Size" if model.choice.name == "negative_binomial" else "Dispersion"
    given = " (given)" if model.choice.size is not None else ""
    return [f"{what}: {model.dispersion:.6g}{given}."]


def _notes_on_options(model: FittedModel) -> list[str]:
    """Weights and a given sigma: what lme4 says in a line of its own."""
    design, notes = model.design, []
    for name in ("weights", "freq_weights"):
        column = design.options.columns.get(name)
        if column is not None:
            notes.append(f"With {name} {column!r}.")
        elif name in design.by_row:
            notes.append(f"With {name}.")
    if design.options.sigma is not None:
        notes.append(f"The residual standard deviation is given, {design.options.sigma:g}.")
    return notes


def short(model: FittedModel) -> str:
    """The fit in a few lines, what lme4 prints for a model."""
    head, counts = _head(model), _counts(model)
    effects = ["Random effects:", var_corr(model).to_text(), counts, "Fixed effects:"]
    return "\n".join([head, *effects, fixef(model).to_string(), *_notes(model)])


def short_html(model: FittedModel) -> str:
    """The same for a notebook, variances and fixed effects as tables."""
    fixed = fixef(model)
    table = pd.DataFrame({"Estimate": format_numbers(fixed.to_numpy())}, index=fixed.index)
    parts: list[str | pd.DataFrame] = [_head(model), "Random effects:", var_corr(model).table()]
    parts += [_counts(model), "Fixed effects:", table, "\n".join(_notes(model))]
    return to_html(parts)


def _head(model: FittedModel) -> str:
    """What was fitted, and the criterion."""
    criteria = _criteria(model).round(4).iloc[0]
    first = (
        f"REML criterion at convergence: {criteria['reml_crit']:.4f}"
        if model.reml
        else "  ".join(f"{name}: {value:.4f}" for name, value in criteria.items())
    )
    return f"{_title(model)}\nFormula: {model.design.formula}\n{first}"


def _counts(model: FittedModel) -> str:
    groups = "; ".join(f"{name}, {count}" for name, count in likelihood.ngrps(model).items())
    return f"Number of obs: {likelihood.nobs(model)}, groups: {groups}"


def _title(model: FittedModel) -> str:
    if not isinstance(model, FittedGlmm):
        return f"Linear mixed model fit by {'REML' if model.reml else 'maximum likelihood'}"
    how = "Laplace's approximation" if model.n_agq == 1 else f"quadrature, n_agq={model.n_agq}"
    return (
        f"Generalised linear mixed model fit by maximum likelihood ({how})\n"
        f"Family: {model.choice.text}"
    )
