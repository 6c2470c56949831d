"""What is asked of a distribution with its link: derivatives of the log-density of each row.

Everything is a function of the linear predictor eta, (n,), and of the dispersion parameters phi,
which are unconstrained (a logarithm); a family without any has a phi of length zero. Log-densities
have all their constants.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np

from merextras.engine.kernels.blocks import Array


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
    """

    n_phi: int = 0
    concave: bool = True
    has_limit: bool = False

    def __init__(self, y: Array) -> None:
        self.y = y

    @abstractmethod
    def log_density(self, eta: Array, phi: Array) -> Array:
        """The log-density of each row, (n,); minus infinity or NaN where eta is not allowed."""

    @abstractmethod
    def first(self, eta: Array, phi: Array) -> tuple[Array, Array]:
        """``g = dl / deta`` and the observed weight ``w = -d2l / deta2``, (n,) each."""

    @abstractmethod
    def weight_slope(self, eta: Array, phi: Array) -> Array:
        """``dw / deta``, (n,)."""

    def expected(self, eta: Array, phi: Array) -> Array:
        """The expectation of w, (n,): never negative. Asked for only where w may be."""
        return self.first(eta, phi)[1]

    def by_dispersion(self, eta: Array, phi: Array) -> ByDispersion:
        """Derivatives in phi of a family with one dispersion parameter."""
        raise NotImplementedError

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

    def phi_of(self, variance: float) -> Array:
        """The phi of a residual variance of the working response, (n_phi,); a start."""
        del variance
        return np.zeros(self.n_phi)
