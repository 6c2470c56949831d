"""Distribution functions of a generalised model's responses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import special, stats

from merextras.foundation.aliases import Array
from merextras.model.generalised.fitted import FittedGlmm

#: Families whose responses are whole numbers.
COUNTS = frozenset({"binomial", "poisson", "negative_binomial"})
# Beyond that the normal density has no digit; the longest step, the most of them, and numbers held
# at a time.
_FAR, _LONGEST, _MOST, _BLOCK = 8.5, 0.5, 4000, 1 << 20


def distribution(model: FittedGlmm, eta: Array, rows: slice = slice(None)) -> Any:
    """Scipy's distributions of successes, counts or numbers with these linear predictors, (n,).

    Or (k, n), several for each of some rows of the data.
    """
    trials = model.response.trials
    return law_at(model, eta, None if trials is None else trials[rows])


def law_at(model: FittedGlmm, eta: Array, trials: Array | None) -> Any:
    """The same of any rows, of so many trials each, (n,)."""
    mu, name, dispersion = model.engine_family.mean(eta), model.choice.name, model.dispersion
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


@dataclass(frozen=True)
class Places:
    """Where the responses are in their distributions, (n,) each.

    Attributes
    ----------
    below, above : (n,) arrays
        ``P(Y < y)`` and ``P(Y > y)``; of continuous responses they sum to one.
    at : (n,) array
        ``P(Y = y)``.
    """

    below: Array
    above: Array
    at: Array

    @property
    def two_sided(self) -> Array:
        """Twice the probability of as far out a response, at most one."""
        tail = np.minimum(self.below, self.above) + self.at
        return np.minimum(2.0 * tail, 1.0)

    def residuals(self, generator: np.random.Generator) -> Array:
        """Normal quantiles, of whole numbers drawn uniformly from the jump at the response."""
        if not np.any(self.at):
            return _normal(self.below, self.above)
        share = generator.random(len(self.at))
        return _normal(self.below + share * self.at, self.above + (1.0 - share) * self.at)


def places_given(model: FittedGlmm, eta: Array) -> Places:
    """Given linear predictors, (n,)."""
    return _places(model, eta[None], np.ones(1), slice(None))


def places_over_effects(model: FittedGlmm) -> Places:
    """Over the normal distribution of the random effects."""
    design = model.design
    eta = design.x @ model.fixed_estimates + (0.0 if design.offset is None else design.offset)
    s = np.sqrt(_variances(model))
    # The distribution function is a step as wide as a response tells of eta.
    weight = float(np.max(np.maximum(model.observed_weights, 0.0), initial=0.0))
    finest = 2.0 * _FAR / _MOST
    apart = 1.0 / max(float(np.max(s, initial=0.0)) * np.sqrt(1.0 + weight), 1e-8)
    apart = min(max(apart, finest), _LONGEST)
    count = int(np.ceil(_FAR / apart))
    z = apart * np.arange(-count, count + 1)
    share = np.exp(-0.5 * z**2)
    share /= share.sum()
    step = max(1, _BLOCK // len(z))
    parts = [
        _places(model, eta[at] + s[at] * z[:, None], share, at)
        for at in (slice(start, start + step) for start in range(0, design.n, step))
    ]
    return Places(
        np.concatenate([part.below for part in parts]),
        np.concatenate([part.above for part in parts]),
        np.concatenate([part.at for part in parts]),
    )


def _variances(model: FittedGlmm) -> Array:
    """Variances of the rows' random parts before any data, (n,)."""
    out = np.zeros(model.design.n)
    for term, g in zip(model.design.terms, model.covariances, strict=True):
        out += np.einsum("na,ab,nb->n", term.rows.values, g, term.rows.values)
    return out


def _places(model: FittedGlmm, eta: Array, share: Array, rows: slice) -> Places:
    """Weighted means over the first axis of eta, (k, rows)."""
    y, law = model.response.y[rows], distribution(model, eta, rows)
    if model.choice.name not in COUNTS:
        below = share @ law.cdf(y)
        return Places(below, share @ law.sf(y), np.zeros_like(below))
    return Places(share @ law.cdf(y - 1.0), share @ law.sf(y), share @ law.pmf(y))


def _normal(below: Array, above: Array) -> Array:
    """The quantile of a probability below, by that above where it has more digits."""
    return np.asarray(np.where(below <= 0.5, special.ndtri(below), -special.ndtri(above)))
