"""The interface of a distribution with its link: derivatives of the log-density of each row.

Everything is a function of the linear predictor eta, (n,), and of the dispersion parameters phi,
which are unconstrained (a logarithm); a family without any has a phi of length zero. Log-densities
have all their constants.

Of R responses of the same rows (`Family.many`) eta is (n, R) and phi (n_phi, R), and what is said
to be (n,) has a column for each.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from copy import copy
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import scipy.sparse as sp

from merextras.engine.kernels.blocks import Array, IntArray

F = TypeVar("F", bound="Family")


@dataclass(frozen=True)
class ByDispersion:
    """Derivatives in one dispersion parameter.

    Attributes
    ----------
    log_density : (n,) array
    first : (n,) array
        Of ``dl / deta``.
    weight : (n,) array
        Of ``-d2l / deta2``.
    """

    log_density: Array
    first: Array
    weight: Array


class Family(ABC):
    """The log-density of given responses.

    Attributes
    ----------
    y : (n,) array
        Responses.
    n_phi : int
        Dispersion parameters, 0 or 1.
    concave : bool
        Whether the log-density is concave in eta for every response.
    has_limit : bool
        Whether the dispersion parameter may go to infinity, to a family without it.
    canonical : bool
        Whether the link is the canonical one: the observed weight is then the expected one.
    """

    n_phi: int = 0
    concave: bool = True
    has_limit: bool = False
    canonical: bool = False
    # Attributes with a column for each of many responses.
    _by_response: tuple[str, ...] = ("y",)

    def __init__(self, y: Array) -> None:
        self.y = y

    def many(self: F, y: Array) -> F:
        """The same rows with other responses, (n, R), one a column."""
        return type(self)(y)

    def columns(self: F, which: IntArray) -> F:
        """Some of many responses."""
        out = copy(self)
        for name in self._by_response:
            setattr(out, name, getattr(self, name)[:, which])
        return out

    @abstractmethod
    def kernel(self, eta: Array, phi: Array) -> tuple[Array, Array, Array]:
        """The part of the log-density that eta is in, ``g = dl / deta`` and ``w = -d2l / deta2``.

        (n,) each; the part is minus infinity or NaN where eta is not allowed, w is the observed
        weight. One pass, in which the three share their exponentials.
        """

    @abstractmethod
    def constants(self, phi: Array) -> Array:
        """The part of the log-density that eta is not in, (n,)."""

    def log_density(self, eta: Array, phi: Array) -> Array:
        """The log-density of each row, (n,); minus infinity or NaN where eta is not allowed."""
        return np.asarray(self.constants(phi) + self.kernel(eta, phi)[0])

    def first(self, eta: Array, phi: Array) -> tuple[Array, Array]:
        """``g = dl / deta`` and the observed weight ``w = -d2l / deta2``, (n,) each."""
        return self.kernel(eta, phi)[1:]

    @abstractmethod
    def weight_slope(self, eta: Array, phi: Array) -> Array:
        """``dw / deta``, (n,)."""

    def expected(self, eta: Array, phi: Array) -> Array:
        """The expectation of w, (n,): ``(dmu / deta)**2`` over the variance, never negative.

        This is that of a canonical link, w itself; other links have their own.
        """
        if not self.canonical:
            raise NotImplementedError
        return self.first(eta, phi)[1]

    def by_dispersion(self, eta: Array, phi: Array) -> ByDispersion:
        """Derivatives in phi of a family with one dispersion parameter."""
        raise NotImplementedError

    def first_by_dispersion(self, eta: Array, phi: Array) -> Array:
        """That of ``dl / deta`` alone, (n,)."""
        return self.by_dispersion(eta, phi).first

    @abstractmethod
    def mean(self, eta: Array) -> Array:
        """The expectation of a response (of one trial), (n,)."""

    @abstractmethod
    def mean_slope(self, eta: Array) -> Array:
        """``dmu / deta``, (n,)."""

    @abstractmethod
    def variance(self, eta: Array, phi: Array) -> Array:
        """The variance of a response (of the number of successes), (n,)."""

    @abstractmethod
    def saturated(self, phi: Array) -> Array:
        """The log-density of each row where its expectation is its response, (n,)."""

    @abstractmethod
    def guess(self) -> Array:
        """A linear predictor near the responses that is finite everywhere, (n,)."""

    def phi_of(self, variance: float, eta: Array, counts: Array) -> Array:
        """A start for phi, (n_phi,).

        Parameters
        ----------
        variance : float
            The residual variance of the working response with weights at a phi of zero.
        eta : (n,) array
            A linear predictor near the optimum's.
        counts : (n,) array
            How often each row counts.
        """
        del variance, eta, counts
        return np.zeros(self.n_phi)

    def magnitude(self, eta: Array) -> float:
        """About the sum of the sizes of what log-densities are differences of; their rounding.

        Zero where they are no larger than the log-densities themselves.
        """
        del eta
        return 0.0

    @property
    def largest(self) -> Array | None:
        """The largest possible responses, (n,): trials; None if there is none."""
        return None

    @property
    def apart(self) -> tuple[Array, ...]:
        """What rows must have alike to be merged, besides the linear predictor."""
        return (self.y,)

    @property
    def told(self) -> tuple[Array, ...]:
        """What rows with the same linear predictor are told apart by."""
        return (self.y,)

    def taken(self: F, rows: IntArray) -> F:
        """Some of the rows."""
        out = copy(self)
        out.y = self.y[rows]
        return out

    def merged(self: F, of: IntArray, first: IntArray) -> tuple[F, Array | None]:
        """Rows with one linear predictor as one; how often each counts, (m,), None if once.

        Parameters
        ----------
        of : (n,) array
            The new row of each row.
        first : (m,) array
            A row of each new one.
        """
        return self.taken(first), np.bincount(of).astype(float)


def summed(of: IntArray, values: Array) -> Array:
    """Sums of the rows that become one, (m,) of (n,); of each column, (m, R) of (n, R)."""
    if values.ndim == 1:
        return np.bincount(of, values).astype(float)
    rows = np.arange(len(of))
    return np.asarray(sp.csr_array((np.ones(len(of)), (of, rows))) @ values)


class Repeated(Family):
    """A family whose rows count several times: all but means and variances are multiplied.

    Attributes
    ----------
    family : Family
    counts : (n,) array
    """

    def __init__(self, family: Family, counts: Array) -> None:
        super().__init__(family.y)
        self.family, self.counts = family, counts
        self.n_phi, self.concave, self.has_limit = family.n_phi, family.concave, family.has_limit
        self.canonical = family.canonical

    def many(self, y: Array) -> Repeated:
        """Rows that count as often."""
        return Repeated(self.family.many(y), self.counts[:, None])

    def columns(self, which: IntArray) -> Repeated:
        """Likewise."""
        return Repeated(self.family.columns(which), self.counts)

    @property
    def largest(self) -> Array | None:
        """Of one row."""
        return self.family.largest

    def kernel(self, eta: Array, phi: Array) -> tuple[Array, Array, Array]:
        """Times the counts."""
        part, g, w = self.family.kernel(eta, phi)
        return self.counts * part, self.counts * g, self.counts * w

    def constants(self, phi: Array) -> Array:
        """Times the counts."""
        return self.counts * self.family.constants(phi)

    def magnitude(self, eta: Array) -> float:
        """Times the largest of the counts."""
        return float(np.max(self.counts, initial=1.0)) * self.family.magnitude(eta)

    def weight_slope(self, eta: Array, phi: Array) -> Array:
        """Times the counts."""
        return self.counts * self.family.weight_slope(eta, phi)

    def expected(self, eta: Array, phi: Array) -> Array:
        """Times the counts."""
        return self.counts * self.family.expected(eta, phi)

    def by_dispersion(self, eta: Array, phi: Array) -> ByDispersion:
        """Times the counts."""
        by, c = self.family.by_dispersion(eta, phi), self.counts
        return ByDispersion(c * by.log_density, c * by.first, c * by.weight)

    def first_by_dispersion(self, eta: Array, phi: Array) -> Array:
        """Times the counts."""
        return self.counts * self.family.first_by_dispersion(eta, phi)

    def mean(self, eta: Array) -> Array:
        """Of one row."""
        return self.family.mean(eta)

    def mean_slope(self, eta: Array) -> Array:
        """Of one row."""
        return self.family.mean_slope(eta)

    def variance(self, eta: Array, phi: Array) -> Array:
        """Of one row."""
        return self.family.variance(eta, phi)

    def saturated(self, phi: Array) -> Array:
        """Times the counts."""
        return self.counts * self.family.saturated(phi)

    def guess(self) -> Array:
        """Of one row."""
        return self.family.guess()

    def phi_of(self, variance: float, eta: Array, counts: Array) -> Array:
        """Of one row."""
        return self.family.phi_of(variance, eta, counts)
