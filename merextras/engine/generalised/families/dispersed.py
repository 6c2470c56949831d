"""Continuous responses with a dispersion: gamma, inverse Gaussian, normal with a link.

All have the log-density ``c(y, phi) + k q(y, eta)`` with a concentration ``k = exp(phi)``, that is
``exp(phi)`` times a derivative of q for every derivative in eta, and the same again in phi.
"""

from __future__ import annotations

from abc import abstractmethod

import numpy as np
from scipy import special

from merextras.engine.generalised.families.family import ByDispersion, Family
from merextras.engine.kernels.blocks import Array

_LOG_2PI = np.log(2.0 * np.pi)


def _concentration(phi: Array) -> float | Array:
    """``k = exp(phi)``, of many responses one each, (R,)."""
    return np.exp(phi[0]) if phi.ndim > 1 else float(np.exp(phi[0]))


class Dispersed(Family):
    """A family with a concentration k, of which the dispersion is ``1 / k``."""

    n_phi = 1

    @abstractmethod
    def fit(self, eta: Array) -> tuple[Array, Array, Array]:
        """The function q of each row, its first derivative and minus its second."""

    @abstractmethod
    def third(self, eta: Array) -> Array:
        """Minus its third derivative."""

    @abstractmethod
    def constant(self, k: float | Array) -> Array:
        """The constant c of each row."""

    @abstractmethod
    def constant_slope(self, k: float | Array) -> Array:
        """``dc / dphi`` of each row."""

    def kernel(self, eta: Array, phi: Array) -> tuple[Array, Array, Array]:
        """By the concentration times q and its derivatives."""
        k = _concentration(phi)
        part, first, second = self.fit(eta)
        return k * part, k * first, k * second

    def constants(self, phi: Array) -> Array:
        """The constant c."""
        return self.constant(_concentration(phi))

    def weight_slope(self, eta: Array, phi: Array) -> Array:
        """Likewise."""
        return np.asarray(_concentration(phi) * self.third(eta))

    def first_by_dispersion(self, eta: Array, phi: Array) -> Array:
        """The first derivative again."""
        return self.kernel(eta, phi)[1]

    def by_dispersion(self, eta: Array, phi: Array) -> ByDispersion:
        """In the logarithm of the concentration: g and w again."""
        part, g, w = self.kernel(eta, phi)
        return ByDispersion(self.constant_slope(_concentration(phi)) + part, g, w)

    def phi_of(self, variance: float, eta: Array, counts: Array) -> Array:
        """From the squared residuals over their variances, by moments."""
        del variance
        spread = (self.y - self.mean(eta)) ** 2 / self.variance(eta, np.zeros(1))
        return np.log(np.sum(counts) / np.maximum([counts @ spread], 1e-300))


class _Gamma(Dispersed):
    """Gamma with shape k: variance ``mu**2 / k``; ``q = -(log mu + y / mu)``."""

    def constant(self, k: float | Array) -> Array:
        """``k log k - log G(k) + (k - 1) log y``."""
        return np.asarray(k * np.log(k) - special.gammaln(k) + (k - 1.0) * np.log(self.y))

    def constant_slope(self, k: float | Array) -> Array:
        """``k (log k + 1 - psi(k) + log y)``."""
        return np.asarray(k * (np.log(k) + 1.0 - special.digamma(k) + np.log(self.y)))

    def variance(self, eta: Array, phi: Array) -> Array:
        """``mu**2 / k``."""
        return np.asarray(self.mean(eta) ** 2 / np.exp(phi[0]))

    def saturated(self, phi: Array) -> Array:
        """At ``mu = y``."""
        k = _concentration(phi)
        return np.asarray(self.constant(k) - k * (np.log(self.y) + 1.0))


class GammaLog(_Gamma):
    """``mu = exp(eta)``."""

    def fit(self, eta: Array) -> tuple[Array, Array, Array]:
        """``-(eta + y / mu)``, ``y / mu - 1`` and ``y / mu``."""
        share = self.y * np.exp(-eta)
        return -(eta + share), share - 1.0, share

    def third(self, eta: Array) -> Array:
        """``-y / mu``."""
        return np.asarray(-self.y * np.exp(-eta))

    def expected(self, eta: Array, phi: Array) -> Array:
        """The concentration k."""
        return np.asarray(np.ones(eta.shape) * _concentration(phi))

    def mean(self, eta: Array) -> Array:
        """Positive."""
        return np.asarray(np.exp(eta))

    def mean_slope(self, eta: Array) -> Array:
        """The mean again."""
        return self.mean(eta)

    def guess(self) -> Array:
        """Logarithms."""
        return np.asarray(np.log(self.y))


class GammaInverse(_Gamma):
    """``mu = 1 / eta``, eta positive; the canonical link."""

    canonical = True

    def fit(self, eta: Array) -> tuple[Array, Array, Array]:
        """``log eta - y eta``, ``mu - y`` and ``mu**2``; NaN where eta is not positive."""
        mu = 1.0 / eta
        return np.log(eta) - self.y * eta, mu - self.y, mu * mu

    def third(self, eta: Array) -> Array:
        """``-2 mu**3``."""
        return np.asarray(-2.0 / eta**3)

    def mean(self, eta: Array) -> Array:
        """Positive."""
        return np.asarray(1.0 / eta)

    def mean_slope(self, eta: Array) -> Array:
        """``-mu**2``."""
        return np.asarray(-1.0 / eta**2)

    def guess(self) -> Array:
        """Reciprocals of responses drawn half-way to their mean."""
        return np.asarray(2.0 / (self.y + np.mean(self.y)))


class InverseGaussianLog(Dispersed):
    """Variance ``mu**3 / k``, ``mu = exp(eta)``; ``q = -(y - mu)**2 / (2 mu**2 y)``."""

    concave = False

    def constant(self, k: float | Array) -> Array:
        """``log(k / (2 pi y**3)) / 2``."""
        return np.asarray(0.5 * (np.log(k) - _LOG_2PI - 3.0 * np.log(self.y)))

    def constant_slope(self, k: float | Array) -> Array:
        """One half."""
        del k
        return np.full(self.y.shape, 0.5)

    def fit(self, eta: Array) -> tuple[Array, Array, Array]:
        """``-(y e - 1)**2 / (2 y)`` with ``e = 1 / mu``, ``y e**2 - e`` and ``2 y e**2 - e``."""
        e = np.exp(-eta)
        square = self.y * e**2
        return -0.5 * (self.y * e - 1.0) ** 2 / self.y, square - e, 2.0 * square - e

    def third(self, eta: Array) -> Array:
        """``e - 4 y e**2``."""
        e = np.exp(-eta)
        return np.asarray(e - 4.0 * self.y * e**2)

    def expected(self, eta: Array, phi: Array) -> Array:
        """``k / mu``."""
        return np.asarray(np.exp(phi[0] - eta))

    def mean(self, eta: Array) -> Array:
        """Positive."""
        return np.asarray(np.exp(eta))

    def mean_slope(self, eta: Array) -> Array:
        """The mean again."""
        return self.mean(eta)

    def variance(self, eta: Array, phi: Array) -> Array:
        """``mu**3 / k``."""
        return np.asarray(self.mean(eta) ** 3 / np.exp(phi[0]))

    def saturated(self, phi: Array) -> Array:
        """At ``mu = y``."""
        return self.constant(_concentration(phi))

    def guess(self) -> Array:
        """Logarithms."""
        return np.asarray(np.log(self.y))


class _Normal(Dispersed):
    """Normal with variance ``1 / k``; ``q = -(y - mu)**2 / 2``."""

    concave = False

    def constant(self, k: float | Array) -> Array:
        """``log(k / 2 pi) / 2``."""
        return np.full(self.y.shape, 0.5 * (np.log(k) - _LOG_2PI))

    def constant_slope(self, k: float | Array) -> Array:
        """One half."""
        del k
        return np.full(self.y.shape, 0.5)

    @abstractmethod
    def curvatures(self, eta: Array) -> tuple[Array, Array]:
        """The second and third derivatives of mu."""

    def fit(self, eta: Array) -> tuple[Array, Array, Array]:
        """Half the squared residual, and by the chain rule."""
        rest, first = self.y - self.mean(eta), self.mean_slope(eta)
        second = self.curvatures(eta)[0]
        return -0.5 * rest**2, rest * first, first**2 - rest * second

    def third(self, eta: Array) -> Array:
        """By the chain rule."""
        rest, first = self.y - self.mean(eta), self.mean_slope(eta)
        second, third = self.curvatures(eta)
        return np.asarray(3.0 * first * second - rest * third)

    def expected(self, eta: Array, phi: Array) -> Array:
        """``k (dmu / deta)**2``."""
        return np.asarray(np.exp(phi[0]) * self.mean_slope(eta) ** 2)

    def variance(self, eta: Array, phi: Array) -> Array:
        """One over k."""
        return np.full(len(eta), np.exp(-phi[0]))

    def saturated(self, phi: Array) -> Array:
        """At ``mu = y``."""
        return self.constant(_concentration(phi))


class NormalIdentity(_Normal):
    """``mu = eta``: the linear mixed model, by maximum likelihood."""

    concave = canonical = True

    def mean(self, eta: Array) -> Array:
        """Eta itself."""
        return eta

    def mean_slope(self, eta: Array) -> Array:
        """One."""
        return np.ones(eta.shape)

    def curvatures(self, eta: Array) -> tuple[Array, Array]:
        """None."""
        return np.zeros(eta.shape), np.zeros(eta.shape)

    def guess(self) -> Array:
        """The responses."""
        return self.y.copy()


class NormalLog(_Normal):
    """``mu = exp(eta)``."""

    def mean(self, eta: Array) -> Array:
        """Positive."""
        return np.asarray(np.exp(eta))

    def mean_slope(self, eta: Array) -> Array:
        """The mean again."""
        return self.mean(eta)

    def curvatures(self, eta: Array) -> tuple[Array, Array]:
        """The mean again."""
        return self.mean(eta), self.mean(eta)

    def guess(self) -> Array:
        """Logarithms of the responses, at least a tenth of their mean."""
        return np.asarray(np.log(np.maximum(self.y, 0.1 * np.mean(self.y))))


class NormalInverse(_Normal):
    """``mu = 1 / eta``."""

    def mean(self, eta: Array) -> Array:
        """Any number but zero."""
        return np.asarray(1.0 / eta)

    def mean_slope(self, eta: Array) -> Array:
        """``-mu**2``."""
        return np.asarray(-1.0 / eta**2)

    def curvatures(self, eta: Array) -> tuple[Array, Array]:
        """``2 mu**3`` and ``-6 mu**4``."""
        return 2.0 / eta**3, -6.0 / eta**4

    def guess(self) -> Array:
        """Reciprocals of responses drawn half-way to their mean."""
        mean = float(np.mean(self.y))
        return np.asarray(2.0 / np.maximum(self.y + mean, 0.2 * mean))
