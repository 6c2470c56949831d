"""Responses drawn from a fitted generalised model."""

from __future__ import annotations

import numpy as np

from merextras.foundation.aliases import Array
from merextras.model.generalised.fitted import FittedGlmm


def response_given(model: FittedGlmm, eta: Array, generator: np.random.Generator) -> Array:
    """One response of the model's rows with these linear predictors: successes, counts, numbers."""
    return of_means(model, model.engine_family.mean(eta), model.response.trials, generator)


def of_means(
    model: FittedGlmm, mu: Array, trials: Array | None, generator: np.random.Generator
) -> Array:
    """Responses with these means, of a binomial family successes of so many trials."""
    name, dispersion = model.choice.name, model.dispersion
    if trials is not None:
        return generator.binomial(trials.astype(np.int64), mu).astype(float)
    if name == "poisson" or model.is_poisson:
        return generator.poisson(mu).astype(float)
    assert dispersion is not None
    if name == "negative_binomial":
        # A Poisson count whose rate is gamma distributed: exact for any size.
        return generator.poisson(generator.gamma(dispersion, mu / dispersion)).astype(float)
    if name == "gamma":
        return np.asarray(generator.gamma(1.0 / dispersion, mu * dispersion))
    if name == "inverse_gaussian":
        return np.asarray(generator.wald(mu, 1.0 / dispersion))
    return np.asarray(generator.normal(mu, np.sqrt(dispersion)))


def effects_anew(
    model: FittedGlmm, t: int, generator: np.random.Generator, n_levels: int | None = None
) -> Array:
    """Effects of all (or so many) levels of a term drawn from their normal distribution, (J, k)."""
    term = model.design.terms[t]
    count = len(term.levels) if n_levels is None else n_levels
    own = model.laplace.criterion.table.effects[t]
    lam = own.to_user(model.laplace.modes.lams[t])
    return np.asarray(generator.standard_normal((count, term.k)) @ lam.T)
