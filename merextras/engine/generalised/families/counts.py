"""Counts: Poisson and negative binomial with a log link."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from functools import cached_property
from typing import Any

import numpy as np
from scipy import special

from merextras.engine.generalised.families.family import ByDispersion, Family, summed
from merextras.engine.kernels.blocks import Array, IntArray

# Size from which on Stirling's series has all digits.
_LARGE = 50.0
# Sizes that a search starts from.
_SIZES = 0.1, 100.0


class Poisson(Family):
    """``mu = exp(eta)``, the canonical link."""

    canonical = True
    _by_response = ("y", "constant")

    def __init__(self, y: Array) -> None:
        super().__init__(y)
        self.constant = -special.gammaln(y + 1.0)

    def magnitude(self, eta: Array) -> float:
        """Counts times eta."""
        return _magnitude(self.y, eta)

    @property
    def apart(self) -> tuple[Array, ...]:
        """Nothing: the mean of counts with one mean is all that is needed of them."""
        return ()

    def taken(self, rows: IntArray) -> Poisson:
        """Some of the rows."""
        return self._of(self.y[rows], self.constant[rows])

    def merged(self, of: IntArray, first: IntArray) -> tuple[Poisson, Array | None]:
        """Means of the counts, and of all rows' constants."""
        del first
        n = np.bincount(of).astype(float)
        y = summed(of, self.y)
        shares = np.multiply.outer(np.ones(len(n)), np.mean(self.constant, axis=0))
        return self._of((y.T / n).T, shares), n

    def _of(self, y: Array, constant: Array) -> Poisson:
        out = copy(self)
        out.y, out.constant = y, constant
        return out

    def kernel(self, eta: Array, phi: Array) -> tuple[Array, Array, Array]:
        """``y eta - mu``, ``y - mu`` and mu."""
        del phi
        mu = np.exp(eta)
        return self.y * eta - mu, self.y - mu, mu

    def constants(self, phi: Array) -> Array:
        """``-log y!``."""
        del phi
        return np.asarray(self.constant)

    def weight_slope(self, eta: Array, phi: Array) -> Array:
        """The mean again."""
        del phi
        return self.mean(eta)

    def mean(self, eta: Array) -> Array:
        """A rate."""
        return np.asarray(np.exp(eta))

    def mean_slope(self, eta: Array) -> Array:
        """The mean again."""
        return self.mean(eta)

    def variance(self, eta: Array, phi: Array) -> Array:
        """The mean again."""
        del phi
        return self.mean(eta)

    def saturated(self, phi: Array) -> Array:
        """At ``mu = y``."""
        del phi
        return np.asarray(special.xlogy(self.y, self.y) - self.y + self.constant)

    def guess(self) -> Array:
        """Logarithms of the counts and a little."""
        return np.asarray(np.log(self.y + 0.1))


class NegativeBinomial(Family):
    """``mu = exp(eta)``, variance ``mu + mu**2 / t`` with the size ``t = exp(phi)`` (NB2).

    With a given size there is no phi.
    """

    has_limit = True
    _by_response = ("y", "constant")

    def __init__(self, y: Array, size: float | None = None) -> None:
        super().__init__(y)
        self.n_phi = 1 if size is None else 0
        self._log_size = None if size is None else float(np.log(size))
        self.constant = -special.gammaln(y + 1.0)

    def many(self, y: Array) -> NegativeBinomial:
        """Counts of the same size, if that is given."""
        out = NegativeBinomial(y)
        out.n_phi, out._log_size = self.n_phi, self._log_size
        return out

    def magnitude(self, eta: Array) -> float:
        """Counts times eta."""
        return _magnitude(self.y, eta)

    def taken(self, rows: IntArray) -> NegativeBinomial:
        """Some of the rows."""
        # A copy is made of the state, without what belongs to all rows.
        out = copy(self)
        out.y, out.constant = self.y[rows], self.constant[rows]
        return out

    def columns(self, which: IntArray) -> NegativeBinomial:
        """Some of many responses."""
        out = super().columns(which)
        found = vars(self).get("_counts")
        if found is not None:
            out.__dict__["_counts"] = found[0], found[1][:, which]
        return out

    def size(self, phi: Array) -> float | Array:
        """The size t; of many responses one each, (R,), unless it is given."""
        if self._log_size is not None:
            return float(np.exp(self._log_size))
        return np.exp(phi[0]) if phi.ndim > 1 else float(np.exp(phi[0]))

    def kernel(self, eta: Array, phi: Array) -> tuple[Array, Array, Array]:
        """``y eta - (y + t) log(1 + mu / t)``, ``y - (y + t) r`` and ``(y + t) r (1 - r)``.

        With the share ``r = mu / (mu + t)``.
        """
        y, t = self.y, self.size(phi)
        ratio, r, rest = self._share(eta, t)
        both = y + t
        return y * eta - both * np.log1p(ratio), y * rest - t * r, both * r * rest

    def constants(self, phi: Array) -> Array:
        """``log G(y + t) / (G(t) t**y y!)``."""
        return np.asarray(self._by_count(_rising, self.size(phi)) + self.constant)

    def _by_count(self, of: Callable[[Array, float | Array], Array], t: float | Array) -> Array:
        """A function of the responses and the size, once for each count that there is."""
        different, where = self._counts
        if np.ndim(t) == 0:
            return np.asarray(of(different, t)[where])
        if len(different) * np.size(t) >= self.y.size:
            return of(self.y, t)
        return np.take_along_axis(of(different[:, None], t), where, axis=0)

    @cached_property
    def _counts(self) -> tuple[Array, IntArray]:
        """The counts that there are, and which of them each row has."""
        different, where = np.unique(self.y, return_inverse=True)
        return different, where.reshape(self.y.shape)

    def __getstate__(self) -> dict[str, Any]:
        """Without what is made on demand."""
        return {name: value for name, value in vars(self).items() if name != "_counts"}

    def weight_slope(self, eta: Array, phi: Array) -> Array:
        """``w (1 - 2 r)``."""
        t = self.size(phi)
        _, r, rest = self._share(eta, t)
        return np.asarray((self.y + t) * r * rest * (rest - r))

    def expected(self, eta: Array, phi: Array) -> Array:
        """``t r``."""
        t = self.size(phi)
        return np.asarray(t * self._share(eta, t)[1])

    @staticmethod
    def _share(eta: Array, t: float | Array) -> tuple[Array, Array, Array]:
        """``mu / t``, the share r and its rest, ``1 - r``."""
        ratio = np.exp(eta) / t
        rest = 1.0 / (1.0 + ratio)
        # Where the ratio has no number the share is one.
        return ratio, np.where(ratio < np.inf, ratio * rest, 1.0), rest

    def by_dispersion(self, eta: Array, phi: Array) -> ByDispersion:
        """In the logarithm of the size."""
        t, y = self.size(phi), self.y
        ratio, r, rest = self._share(eta, t)
        turn = -r * rest
        slope = self._by_count(_rising_slope, t) - np.log1p(ratio) + (y + t) * r / t
        first = -t * r - (y + t) * turn
        weight = t * r * rest + (y + t) * (rest - r) * turn
        return ByDispersion(np.asarray(t * slope), np.asarray(first), np.asarray(weight))

    def first_by_dispersion(self, eta: Array, phi: Array) -> Array:
        """``-t r + (y + t) r (1 - r)``."""
        t = self.size(phi)
        _, r, rest = self._share(eta, t)
        return np.asarray(r * ((self.y + t) * rest - t))

    def phi_of(self, variance: float, eta: Array, counts: Array) -> Array:
        """From what the squared residuals are more than ``mu``, by moments."""
        del variance
        mu = self.mean(eta)
        beyond = float(counts @ ((self.y - mu) ** 2 - mu))
        size = float(counts @ mu**2) / max(beyond, 1e-300)
        return np.asarray(np.log(np.clip([size], *_SIZES)))[: self.n_phi]

    def mean(self, eta: Array) -> Array:
        """A rate."""
        return np.asarray(np.exp(eta))

    def mean_slope(self, eta: Array) -> Array:
        """The mean again."""
        return self.mean(eta)

    def variance(self, eta: Array, phi: Array) -> Array:
        """``mu + mu**2 / t``."""
        mu = self.mean(eta)
        return np.asarray(mu + mu**2 / self.size(phi))

    def saturated(self, phi: Array) -> Array:
        """At ``mu = y``."""
        y, t = self.y, self.size(phi)
        spread = (y + t) * np.log1p(y / t)
        return np.asarray(self.constants(phi) + special.xlogy(y, y) - spread)

    def guess(self) -> Array:
        """Logarithms of the counts and a little."""
        return np.asarray(np.log(self.y + 0.1))


def _magnitude(y: Array, eta: Array) -> float:
    return float((y * (1.0 + np.abs(eta))).sum())


def _rising(y: Array, t: float | Array) -> Array:
    """``log G(y + t) / (G(t) t**y)``, zero for t to infinity, without losing its digits."""
    return _by_size(_rising_small, _rising_large, y, t)


def _by_size(
    small: Callable[[Array, Array], Array],
    large: Callable[[Array, Array], Array],
    y: Array,
    t: float | Array,
) -> Array:
    """Two ways for small and for large sizes, each where it is the right one."""
    t = np.asarray(t, dtype=float)
    if (t < _LARGE).all():
        return small(y, t)
    if (t >= _LARGE).all():
        return large(y, t)
    return np.where(t < _LARGE, small(y, t), large(y, t))


def _rising_small(y: Array, t: Array) -> Array:
    return np.asarray(special.gammaln(y + t) - special.gammaln(t) - y * np.log(t))


def _rising_large(y: Array, t: Array) -> Array:
    main = (y + t - 0.5) * np.log1p(y / t) - y
    return np.asarray(main + _stirling(y + t) - _stirling(t))


def _stirling(z: Array) -> Array:
    return np.asarray(1.0 / (12.0 * z) - 1.0 / (360.0 * z**3) + 1.0 / (1260.0 * z**5))


def _rising_slope(y: Array, t: float | Array) -> Array:
    """The derivative of `_rising` in t."""
    return _by_size(_rising_slope_small, _rising_slope_large, y, t)


def _rising_slope_small(y: Array, t: Array) -> Array:
    return np.asarray(special.digamma(y + t) - special.digamma(t) - y / t)


def _rising_slope_large(y: Array, t: Array) -> Array:
    main = np.log1p(y / t) - y / t + 0.5 * y / (t * (y + t))
    return np.asarray(main + _stirling_slope(y + t) - _stirling_slope(t))


def _stirling_slope(z: Array) -> Array:
    return np.asarray(-1.0 / (12.0 * z**2) + 1.0 / (120.0 * z**4) - 1.0 / (252.0 * z**6))
