"""Binomial responses: successes of a number of trials, with three links."""

from __future__ import annotations

from copy import copy
from typing import TypeVar

import numpy as np
from scipy import special

from merextras.engine.generalised.families.family import Family, summed
from merextras.engine.kernels.blocks import Array, IntArray

# exp(eta) beyond which a success is certain to all digits, and below which a series is exact.
_CERTAIN, _RARE = 700.0, 0.02
# Eta is taken for this where it is larger: its exponential, 1e300, is still a number.
_HIGHEST = 690.0
_LOG_ROOT_2PI = 0.5 * np.log(2.0 * np.pi)


B = TypeVar("B", bound="_Binomial")


class _Binomial(Family):
    """Successes `y` of `trials`; the mean is a probability."""

    _by_response = ("y", "failures", "constant")

    def __init__(self, y: Array, trials: Array) -> None:
        super().__init__(y)
        self.trials = trials
        self.failures: Array = trials - y
        self.constant = np.zeros(y.shape)
        # Of single trials it is zero.
        if (trials != 1.0).any():
            gamma = special.gammaln
            self.constant = gamma(trials + 1.0) - gamma(y + 1.0) - gamma(self.failures + 1.0)

    def many(self: B, y: Array) -> B:
        """Successes of the same trials."""
        return type(self)(y, self.trials[:, None])

    def constants(self, phi: Array) -> Array:
        """Logarithms of the binomial coefficients."""
        del phi
        return self.constant

    def magnitude(self, eta: Array) -> float:
        """Successes and failures times eta."""
        size = np.abs(eta)
        return float((self.trials * np.minimum(size, 1.0) + self.y * size).sum())

    @property
    def largest(self) -> Array:
        """The trials."""
        return self.trials

    @property
    def apart(self) -> tuple[Array, ...]:
        """Nothing: successes and trials have sums."""
        return ()

    @property
    def told(self) -> tuple[Array, ...]:
        """Successes, trials and their part of the constant."""
        return self.y, self.trials, self.constant

    def taken(self: B, rows: IntArray) -> B:
        """Some of the rows."""
        return self._of(self.y[rows], self.trials[rows], self.constant[rows])

    def merged(self: B, of: IntArray, first: IntArray) -> tuple[B, Array | None]:
        """Sums of successes and of trials; of the constant each has a part by its rows."""
        del first
        n = np.bincount(of).astype(float)
        shares = np.multiply.outer(n, np.mean(self.constant, axis=0))
        return self._of(summed(of, self.y), summed(of, self.trials), shares), None

    def _of(self: B, y: Array, trials: Array, constant: Array) -> B:
        out = copy(self)
        out.y, out.trials, out.failures, out.constant = y, trials, trials - y, constant
        return out

    def variance(self, eta: Array, phi: Array) -> Array:
        """``m mu (1 - mu)``, that of the number of successes."""
        del phi
        mu = self.mean(eta)
        return np.asarray(self.trials * mu * (1.0 - mu))

    def saturated(self, phi: Array) -> Array:
        """At the observed proportions."""
        del phi
        share = self.y / self.trials
        return np.asarray(
            self.constant + special.xlogy(self.y, share) + special.xlogy(self.failures, 1.0 - share)
        )

    def _share(self) -> Array:
        """Observed proportions, away from zero and one."""
        return np.asarray((self.y + 0.5) / (self.trials + 1.0))


class Logit(_Binomial):
    """``mu = 1 / (1 + exp(-eta))``, the canonical link."""

    canonical = True

    def kernel(self, eta: Array, phi: Array) -> tuple[Array, Array, Array]:
        """``y eta - m log(1 + exp(eta))``, ``y - m mu`` and ``m mu (1 - mu)``.

        Less what is certain: m from an eta of zero on, nothing below it.
        """
        del phi
        small, likely = _logistic(eta)
        rare = self.trials * (small * likely)
        left = self.y - self.trials * (eta >= 0.0)
        part = left * eta - self.trials * np.log1p(small)
        return part, left + np.copysign(rare, eta), rare * likely

    def weight_slope(self, eta: Array, phi: Array) -> Array:
        """``w (1 - 2 mu)``."""
        del phi
        small, likely = _logistic(eta)
        size = self.trials * (small * (1.0 - small)) * (likely * likely * likely)
        return np.copysign(size, -eta)

    def mean(self, eta: Array) -> Array:
        """A probability."""
        return np.asarray(special.expit(eta))

    def mean_slope(self, eta: Array) -> Array:
        """``mu (1 - mu)``."""
        return np.asarray(special.expit(eta) * special.expit(-eta))

    def guess(self) -> Array:
        """The logits of shrunken proportions."""
        return np.asarray(special.logit(self._share()))


class Probit(_Binomial):
    """``mu = Phi(eta)``. With ``m(v) = phi(v) / Phi(v)`` a success has ``g = m(eta)``."""

    def kernel(self, eta: Array, phi: Array) -> tuple[Array, Array, Array]:
        """Both tails' logarithms, ``q m`` and ``m (v + m)``.

        ``v = q eta`` with q = 1 of a success and -1 of a failure.
        """
        del phi
        (low, up), (high, down) = _tail(eta), _tail(-eta)
        part = self.y * low + self.failures * high
        g = self.y * up - self.failures * down
        return part, g, self.y * up * (eta + up) + self.failures * down * (down - eta)

    def weight_slope(self, eta: Array, phi: Array) -> Array:
        """``q m [1 - (v + m)(v + 2 m)]``."""
        del phi
        up, down = _tail(eta)[1], _tail(-eta)[1]
        success = up * (1.0 - (eta + up) * (eta + 2.0 * up))
        failure = down * (1.0 - (down - eta) * (2.0 * down - eta))
        return np.asarray(self.y * success - self.failures * failure)

    def expected(self, eta: Array, phi: Array) -> Array:
        """``m phi(eta)**2 / (mu (1 - mu))``, by both tails."""
        del phi
        return np.asarray(self.trials * _tail(eta)[1] * _tail(-eta)[1])

    def mean(self, eta: Array) -> Array:
        """A probability."""
        return np.asarray(special.ndtr(eta))

    def mean_slope(self, eta: Array) -> Array:
        """The normal density."""
        return np.asarray(np.exp(-0.5 * eta**2 - _LOG_ROOT_2PI))

    def guess(self) -> Array:
        """Normal quantiles of shrunken proportions."""
        return np.asarray(special.ndtri(self._share()))


class Cloglog(_Binomial):
    """``mu = 1 - exp(-E)``, ``E = exp(eta)``. A success has ``g = a = E / (exp(E) - 1)``."""

    def kernel(self, eta: Array, phi: Array) -> tuple[Array, Array, Array]:
        """``y log(1 - exp(-E)) - (m - y) E``; a and ``a (E + a - 1)`` of a success.

        Of a failure ``-E`` and E.
        """
        del phi
        e, a, t = self._parts(eta)
        # log(1 - exp(-E)) = eta + log((1 - exp(-E)) / E), which keeps the digits of a rare success.
        small = np.clip(e, 1e-300, 1.0)
        share = -np.expm1(-small) / small
        logs = np.where(e > 1.0, np.log(-np.expm1(-np.maximum(e, 1.0))), eta + np.log(share))
        lost = self.failures * e
        return self.y * logs - lost, self.y * a - lost, self.y * a * t + lost

    def weight_slope(self, eta: Array, phi: Array) -> Array:
        """``-a t**2 + a (E - a t)`` with ``t = E + a - 1`` of a success, E of a failure."""
        del phi
        e, a, t = self._parts(eta)
        return np.asarray(self.y * a * (e - a * t - t * t) + self.failures * e)

    def expected(self, eta: Array, phi: Array) -> Array:
        """``m E a``."""
        del phi
        e, a, _ = self._parts(eta)
        return np.asarray(self.trials * e * a)

    @staticmethod
    def _parts(eta: Array) -> tuple[Array, Array, Array]:
        """E, a and E + a - 1."""
        e = np.exp(np.minimum(eta, _HIGHEST))
        usual = np.clip(e, _RARE, _CERTAIN)
        a = usual / np.expm1(usual)
        small = np.minimum(e, _RARE)
        even = small**2 / 12.0 - small**4 / 720.0
        series, rest = 1.0 - small / 2.0 + even, small / 2.0 + even
        rare, certain = e < _RARE, e >= _CERTAIN
        a = np.where(rare, series, np.where(certain, 0.0, a))
        t = np.where(rare, rest, np.where(certain, 0.0, e + a - 1.0))
        return e, a, t

    def mean(self, eta: Array) -> Array:
        """A probability."""
        return np.asarray(-np.expm1(-np.exp(eta)))

    def mean_slope(self, eta: Array) -> Array:
        """``exp(eta - E)``."""
        return np.asarray(np.exp(eta - np.exp(eta)))

    def guess(self) -> Array:
        """From shrunken proportions."""
        return np.asarray(np.log(-np.log1p(-self._share())))


def _tail(v: Array) -> tuple[Array, Array]:
    """``log Phi(v)`` and ``phi(v) / Phi(v)``, which is about -v far below zero."""
    low = special.log_ndtr(v)
    return low, np.exp(-0.5 * v**2 - _LOG_ROOT_2PI - low)


def _logistic(eta: Array) -> tuple[Array, Array]:
    """``exp(-|eta|)``, and the larger of mu and ``1 - mu``; the product is the smaller one."""
    small = np.exp(-np.abs(eta))
    return small, 1.0 / (1.0 + small)
