"""The summary of a fit, as lme4 prints it."""

from __future__ import annotations

import numpy as np
import pandas as pd

from merextras.accessors import likelihood
from merextras.accessors.estimates import fixef, var_corr, vcov
from merextras.accessors.rows import residual_values
from merextras.foundation.aliases import Array
from merextras.model.design.questions import bar_text
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
        std_error statistic``), `var_corr`, `scaled_residuals`, `correlation`, ... No standard
        errors are shown for variances: statsmodels' are off by a factor of about sqrt(scale).
    """
    covariance = vcov(model)
    se = np.sqrt(np.diag(covariance))
    estimate = fixef(model)
    coefficients = pd.DataFrame(
        {"estimate": estimate, "std_error": se, "statistic": estimate / se}, index=estimate.index
    )
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
    )


def _scaled_residuals(model: FittedModel) -> Array:
    """Their quartiles; NaN for a model that keeps no rows."""
    if not model.design.keeps_rows:
        return np.full(5, np.nan)
    return quantiles5(residual_values(model, "pearson", scaled=True))


def _criteria(model: FittedModel) -> pd.DataFrame:
    if model.solution.reml:
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
    notes = _notes_on_data(model)
    if not model.design.keeps_rows:
        notes.append("No scaled residuals: the model keeps no rows; see stream_rows.")
    notes += _notes_on_prior(model)
    if is_singular(model):
        notes.append("Singular fit: a variance is zero or a correlation at its bound.")
    if model.opt_summary is not None and not model.opt_summary.converged:
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


def _notes_on_data(model: FittedModel) -> list[str]:
    """Weights, rows and columns: what lme4 says in a line of its own, or in a warning."""
    design, notes = model.design, []
    for name in ("weights", "freq_weights"):
        column = design.options.columns.get(name)
        if column is not None:
            notes.append(f"With {name} {column!r}.")
        elif name in design.by_row:
            notes.append(f"With {name}.")
    if design.options.sigma is not None:
        notes.append(f"The residual standard deviation is given, {design.options.sigma:g}.")
    if model.n_dropped:
        notes.append(f"{model.n_dropped} row(s) with missing values were left out.")
    if dropped := design.fixed.dropped:
        notes.append(f"Rank deficient: dropped {len(dropped)} column(s), {', '.join(dropped)}.")
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
        if model.solution.reml
        else "  ".join(f"{name}: {value:.4f}" for name, value in criteria.items())
    )
    return f"{_title(model)}\nFormula: {model.design.formula}\n{first}"


def _counts(model: FittedModel) -> str:
    groups = "; ".join(f"{name}, {count}" for name, count in likelihood.ngrps(model).items())
    return f"Number of obs: {likelihood.nobs(model)}, groups: {groups}"


def _title(model: FittedModel) -> str:
    return f"Linear mixed model fit by {'REML' if model.solution.reml else 'maximum likelihood'}"
