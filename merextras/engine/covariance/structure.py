"""What the engine asks of the covariance of one random-effects term.

``b_j ~ N(0, sigma**2 G)`` for each level j of the term, and ``G = Lambda Lambda'`` is a function of
the term's parameters theta. The engine needs some square root Lambda, its derivatives, and the way
back from a covariance; that is a structure. All arrays lead with an axis of m models, one for a
single fit.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np

from merextras.engine.covariance.cholesky import lower_indices
from merextras.engine.kernels.blocks import Array, BoolArray, IntArray


@dataclass(frozen=True)
class Structure(ABC):
    """The covariance of one term as a function of its parameters.

    Attributes
    ----------
    k : int
        Effects per level.
    """

    k: int

    @property
    @abstractmethod
    def n(self) -> int:
        """Parameters."""

    @property
    @abstractmethod
    def lower(self) -> Array:
        """Lower bounds of the parameters, (n,)."""

    @abstractmethod
    def factor(self, theta: Array) -> Array:
        """Lambda, a root of G: (m, n) -> (m, k, k)."""

    @abstractmethod
    def slopes(self, theta: Array) -> Array:
        """``dLambda / dtheta_i``, (m, n, k, k)."""

    @abstractmethod
    def from_covariance(self, g: Array) -> Array:
        """The parameters whose G is nearest to given ones: (m, k, k) -> (m, n)."""

    @abstractmethod
    def units(self, sizes: Array) -> Array:
        """The unit of each parameter, (n,), where the effects' covariates have these sizes, (k,).

        A parameter times its unit is a pure number.
        """

    @abstractmethod
    def zero_groups(self) -> tuple[list[IntArray], list[IntArray]]:
        """Places of parameters that may be zero together: whole effects, then parts of them."""

    @abstractmethod
    def near_zero(self, theta: Array, sizes: Array, limit: float) -> BoolArray:
        """Whether a model is within `limit` of a covariance that has lost rank, (m,)."""

    @abstractmethod
    def inward(self, theta: Array, slope: Array, sizes: Array) -> tuple[Array, BoolArray]:
        """A change that lowers the criterion, for a model on the boundary.

        Parameters
        ----------
        slope : (m, k, k) array
            D, the derivative of the criterion in G.
        sizes : (k,) array
            Of the effects' covariates.

        Returns
        -------
        change : (m, ...) array
            What `grown` takes: where the structure allows it a positive semidefinite (m, k, k)
            that any multiple of may be added to G.
        found : (m,) boolean array
            Whether there is one with a slope that is not rounding.
        """

    def grown(self, theta: Array, change: Array, size: float, sizes: Array) -> Array:
        """Theta after a change of `inward` of some size, (m, n)."""
        del sizes
        lam = self.factor(theta)
        return self.from_covariance(lam @ np.swapaxes(lam, 1, 2) + size * change)

    def from_factor(self, lam: Array) -> Array:
        """The parameters of a root of G that `factor` gave: (m, k, k) -> (m, n)."""
        return self.from_covariance(lam @ np.swapaxes(lam, 1, 2))

    @property
    def pairs(self) -> tuple[IntArray, IntArray]:
        """(rows, columns) of G's elements that are reported, as many as parameters.

        A standard deviation for each on the diagonal, a correlation for each off it.
        """
        return lower_indices(self.k)

    def canonical(self, theta: Array) -> Array:
        """The one theta of those with the same G that is reported, (m, n)."""
        return theta

    def second(self, theta: Array, weight: Array) -> Array:
        """``sum_ab w_ab d2Lambda_ab / dtheta_i dtheta_j``, (m, n, n); zero if Lambda is linear."""
        del weight
        return np.zeros((len(theta), self.n, self.n))

    def pull(self, theta: Array, weight: Array) -> Array:
        """``sum_ab w_ab dLambda_ab / dtheta_i``: (m, k, k) -> (m, n)."""
        return np.asarray(np.einsum("miab,mab->mi", self.slopes(theta), weight))

    def covariance_slopes(self, theta: Array) -> Array:
        """``dG / dtheta_i = S_i Lambda' + Lambda S_i'`` with S the slopes, (m, n, k, k)."""
        half = self.slopes(theta) @ np.swapaxes(self.factor(theta), -1, -2)[:, None]
        return np.asarray(half + np.swapaxes(half, -1, -2))

    def curvature(self, theta: Array, slope: Array) -> Array:
        """``tr(D d2G / dtheta_i dtheta_j)``, (m, n, n), for D = `slope`, (m, k, k)."""
        s = self.slopes(theta)
        turned = np.einsum("mab,mibc->miac", slope, s)
        inner = 2.0 * np.einsum("miac,mjac->mij", turned, s, optimize=True)
        return np.asarray(inner + self.second(theta, 2.0 * slope @ self.factor(theta)))
