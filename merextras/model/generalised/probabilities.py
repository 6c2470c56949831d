"""Distribution functions of a generalised model's responses."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import special, stats

from merextras._typing import Array
from merextras.model.generalised.fitted import FittedGlmm

#: Families whose responses are whole numbers.
_COUNTS = frozenset({"binomial", "poisson", "negative_binomial"})


def distribution(model: FittedGlmm, eta: Array) -> Any:
    """Scipy's distributions of successes, counts or numbers with these linear predictors, (n,)."""
    mu, trials = model.engine_family.mean(eta), model.response.trials
    name, dispersion = model.choice.name, model.dispersion
    if trials is not None:
        return stats.binom(trials, mu)
    if name == "poisson" or model.is_poisson:
        return stats.poisson(mu)
    assert dispersion is not None
    if name == "negative_binomial":
        return stats.nbinom(dispersion, dispersion / (dispersion + mu))
    if name == "gamma":
        return stats.gamma(1.0 / dispersion, scale=mu * dispersion)
    if name == "inverse_gaussian":
        return stats.invgauss(mu * dispersion, scale=1.0 / dispersion)
    return stats.norm(mu, np.sqrt(dispersion))


def variance_at(model: FittedGlmm, mu: Array) -> Array:
    """Variances of responses (of one trial) with these means, of any shape."""
    name, dispersion = model.choice.name, model.dispersion
    if name == "binomial":
        return mu * (1.0 - mu)
    if name == "poisson" or model.is_poisson:
        return mu
    assert dispersion is not None
    if name == "negative_binomial":
        return mu + mu**2 / dispersion
    power = {"gamma": 2.0, "inverse_gaussian": 3.0, "gaussian": 0.0}[name]
    return np.asarray(dispersion * mu**power)


def quantile_residuals(model: FittedGlmm, eta: Array, generator: np.random.Generator) -> Array:
    """Normal quantiles of the responses' places in their distributions, (n,).

    Of whole numbers the place is drawn uniformly from the jump at the response (Dunn & Smyth 1996).
    """
    y, law = model.response.y, distribution(model, eta)
    if model.choice.name not in _COUNTS:
        return _normal(law.cdf(y), law.sf(y))
    share = generator.random(len(y))
    low, high = law.cdf(y - 1.0), law.cdf(y)
    above, rest = law.sf(y - 1.0), law.sf(y)
    return _normal(low + share * (high - low), above - share * (above - rest))


def _normal(below: Array, above: Array) -> Array:
    """The quantile of a probability below, by that above where it has more digits."""
    return np.asarray(np.where(below <= 0.5, special.ndtri(below), -special.ndtri(above)))
