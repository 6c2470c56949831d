"""The distribution of responses whose linear predictors are not known but for a normal law.

A response's distribution is a mixture over ``eta + s z``, z standard normal. Integrals over z are
sums over evenly spaced points, as in `probabilities`: closer where s is large beside what a
response tells of its predictor. The dispersion is held at its estimate.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from scipy import special

from merextras.engine.generalised.criterion.marginal import WITHOUT_MEAN, over_normal
from merextras.foundation.aliases import Array
from merextras.model.generalised.fitted import FittedGlmm
from merextras.model.generalised.responses.probabilities import COUNTS, law_at, variance_at

# Beyond that the normal density has no digit; the longest step, the most of them, and numbers held
# at a time.
_FAR, _LONGEST, _MOST, _BLOCK = 8.5, 0.5, 4000, 1 << 19
# A step as a share of what the density of a response is as wide as, and where of the distribution
# of eta that is looked at.
_SHARE, _LOOKED_AT = 0.6, (-3.0, -1.5, 0.0, 1.5, 3.0)
# Halvings of a bracket, and doublings to find one.
_HALVINGS, _DOUBLINGS = 60, 1100


@dataclass(frozen=True)
class NewResponses:
    """Responses of rows with normal linear predictors.

    Attributes
    ----------
    model : FittedGlmm
        Whose family and dispersion they have.
    eta, variance : (m,) arrays
        Mean and variance of the linear predictors.
    trials : (m,) array or None
        Of a binomial response.
    """

    model: FittedGlmm
    eta: Array
    variance: Array
    trials: Array | None

    def __len__(self) -> int:
        return len(self.eta)

    @cached_property
    def _sd(self) -> Array:
        return np.sqrt(np.maximum(self.variance, 0.0))

    @cached_property
    def _points(self) -> tuple[Array, Array]:
        """z, (k,), and the shares of the points, (k,)."""
        sd, most = self._sd, 0.0
        for t in _LOOKED_AT:
            tells = np.max(sd * np.sqrt(1.0 + self._weights(t)), initial=0.0)
            most = max(most, float(tells))
        apart = _SHARE / max(most, 1e-8)
        apart = min(max(apart, 2.0 * _FAR / _MOST), _LONGEST)
        count = int(np.ceil(_FAR / apart))
        z = apart * np.arange(-count, count + 1)
        share = np.exp(-0.5 * z**2)
        return np.asarray(z, dtype=float), np.asarray(share / share.sum())

    def _weights(self, t: float) -> Array:
        """What a response would tell of its predictor t standard deviations from its mean, (m,)."""
        eta, family = self.eta + t * self._sd, self.model.engine_family
        with np.errstate(all="ignore"):
            found = family.mean_slope(eta) ** 2 / variance_at(self.model, family.mean(eta))
        found = found if self.trials is None else found * self.trials
        return np.where(np.isfinite(found), found, 0.0)

    def _in_blocks(self, ask: Callable[[NewResponses, slice], Array]) -> Array:
        """Something of each row, asked of blocks of them."""
        step = max(1, _BLOCK // len(self._points[0]))
        if len(self) <= step:
            return ask(self, slice(None))
        parts = [slice(at, at + step) for at in range(0, len(self), step)]
        return np.concatenate([ask(self._part(part), part) for part in parts])

    def _part(self, rows: slice) -> NewResponses:
        trials = None if self.trials is None else self.trials[rows]
        return replace(self, eta=self.eta[rows], variance=self.variance[rows], trials=trials)

    @cached_property
    def _law(self) -> tuple[Any, Array]:
        """Distributions at all points, (k, m), and their shares, zero where there is none."""
        z, share = self._points
        eta = self.eta + self._sd * z[:, None]
        with np.errstate(all="ignore"):
            mu = self.model.engine_family.mean(eta)
            bad = ~np.isfinite(mu)
            if self.model.choice.link in WITHOUT_MEAN and self.model.choice.name != "gaussian":
                bad |= mu <= 0.0
        weights = np.where(bad, 0.0, share[:, None])
        eta = np.where(bad, self.eta, eta)
        return law_at(self.model, eta, self.trials), weights / weights.sum(axis=0)

    @cached_property
    def mean(self) -> Array:
        """Expected responses (of successes their number), (m,); given eta for an inverse link."""
        family, link = self.model.engine_family, self.model.choice.link
        if link in WITHOUT_MEAN:
            mean = family.mean(self.eta)
        else:
            mean = over_normal(family, link, self.eta, self._sd**2).mean
        return np.asarray(mean if self.trials is None else mean * self.trials)

    @cached_property
    def variances(self) -> Array:
        """Variances of the responses, (m,), that of their means among them."""
        return self._in_blocks(lambda part, _: part._variances())

    def _variances(self) -> Array:
        if self.model.choice.link == "log":
            return self._of_log_normal()
        law, share = self._law
        means, own = law.mean(), law.var()
        middle = np.sum(share * means, axis=0)
        return np.asarray(np.sum(share * (own + (means - middle) ** 2), axis=0))

    def _of_log_normal(self) -> Array:
        """Of means whose logarithms are normal, of which a power's mean has a closed form."""

        def power(k: int) -> Array:
            return np.asarray(np.exp(k * self.eta + 0.5 * k**2 * self.variance))

        dispersion, between = self.model.dispersion, power(2) - power(1) ** 2
        if self.model.choice.name == "poisson" or self.model.is_poisson:
            return between + power(1)
        assert dispersion is not None
        if self.model.choice.name == "negative_binomial":
            return between + power(1) + power(2) / dispersion
        k = {"gamma": 2, "inverse_gaussian": 3, "gaussian": 0}[self.model.choice.name]
        return between + dispersion * power(k)

    def log_density(self, y: Array) -> Array:
        """The logarithms of the probabilities (of numbers densities) of responses, (m,)."""
        return self._in_blocks(lambda part, rows: part._log_density(y[rows]))

    def _log_density(self, y: Array) -> Array:
        law, share = self._law
        logs = law.logpmf(y) if self.model.choice.name in COUNTS else law.logpdf(y)
        with np.errstate(divide="ignore"):
            return np.asarray(special.logsumexp(logs + np.log(share), axis=0))

    def below(self, y: Array) -> Array:
        """``P(Y <= y)``, (m,)."""
        return self._in_blocks(lambda part, rows: part._below(y[rows]))

    def _below(self, y: Array) -> Array:
        law, share = self._law
        return np.asarray(np.sum(share * law.cdf(y), axis=0))

    def quantiles(self, p: float) -> Array:
        """The least responses with at least this probability up to them, (m,)."""
        return self._in_blocks(lambda part, _: part._quantiles(p)) if len(self) else np.empty(0)

    def _quantiles(self, p: float) -> Array:
        counts = self.model.choice.name in COUNTS
        low, high = self._bracket(p)
        for _ in range(_DOUBLINGS if counts else _HALVINGS):
            wide = high - low
            if counts and np.all(wide <= 1.0):
                break
            middle = low + (np.floor(0.5 * wide) if counts else 0.5 * wide)
            enough = self._below(middle) >= p
            low, high = np.where(enough, low, middle), np.where(enough, middle, high)
        return high

    def _bracket(self, p: float) -> tuple[Array, Array]:
        """Values below (of whole numbers minus one, at least) and above the quantile."""
        unit = np.maximum(np.sqrt(self._variances()), 1e-300)
        middle = np.asarray(self.mean, dtype=float)
        counts = self.model.choice.name in COUNTS
        if counts:
            unit, middle = np.ceil(unit), np.floor(middle)
        low, high = middle - unit, middle + unit
        for _ in range(_DOUBLINGS):
            short = self._below(high) < p
            if not np.any(short):
                break
            high = np.where(short, high + unit * 2.0, high)
            unit = np.where(short, unit * 2.0, unit)
        if counts or self.model.choice.name in {"gamma", "inverse_gaussian"}:
            return np.full(len(self), -1.0 if counts else 0.0), high
        unit = np.maximum(np.sqrt(self._variances()), 1e-300)
        for _ in range(_DOUBLINGS):
            far = self._below(low) >= p
            if not np.any(far):
                break
            low = np.where(far, low - unit * 2.0, low)
            unit = np.where(far, unit * 2.0, unit)
        return low, high
