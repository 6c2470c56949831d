"""Charts of a parameter that is one of its structure's own: a standard deviation, a correlation.

The coordinates of a structure (see `covariance.correlated`) are smooth up to the boundary and
unbounded as they are, so that the profiled one is held and the others are free.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from merextras.engine.covariance.covariances import Covariances
from merextras.engine.covariance.structure import Structure
from merextras.engine.kernels.blocks import Array
from merextras.engine.profile.charts import Target


@dataclass(frozen=True)
class Own(Target):
    """A parameter of a structure.

    Attributes
    ----------
    place : int
        Among those of its term.
    """

    place: int = 0

    @property
    def frames(self) -> tuple[Array, ...]:
        """Of the cross-products' own coordinates."""
        return tuple(np.eye(k) for k in self.model.ks)

    @property
    def covariances(self) -> Covariances:
        """The model's."""
        return self.model

    @property
    def structure(self) -> Structure:
        """Of the term."""
        return self.model.structures[self.term]

    @property
    def at(self) -> int:
        """Place in theta."""
        return int(self.model.parts[self.term].start) + self.place

    def inward(self, theta: Array, slope: Array, sizes: Array) -> tuple[Array, bool]:
        """A change of the other parameters."""
        change, found = self.structure.inward(theta, slope, sizes, (self.place,))
        return change, bool(found[0])


@dataclass(frozen=True)
class OwnDeviation(Own):
    """u is a standard deviation, or the root of one where theta has that.

    ``theta = u / (unit sigma**(1 / power))``.
    """

    @property
    def power(self) -> float:
        """The standard deviation is this power of u."""
        return float(self.structure.powers[self.place])

    @property
    def _unit(self) -> float:
        scale = np.ones(self.structure.k) if self.basis is None else self.basis.scale
        return float(self.structure.units(scale)[self.place])

    def chart(self, u: float, z: Array) -> tuple[Array, Array]:
        """All of w but the standard deviation is z."""
        at, m = self.at, len(z)
        scale = float(np.exp(-z[-1] / self.power)) / self._unit
        w = np.insert(z, at, u * scale)
        jacobian = np.insert(np.eye(m, m + 1, 1), at, 0.0, axis=0)
        jacobian[at, 0], jacobian[at, m] = scale, -w[at] / self.power
        return w, jacobian

    def second_derivatives(self, w: Array, gradient: Array) -> Array:
        """In log sigma."""
        m = len(w) - 1
        out = np.zeros((m + 1, m + 1))
        scale = float(np.exp(-w[-1] / self.power)) / self._unit
        out[m, m] = gradient[self.at] * w[self.at] / self.power**2
        out[0, m] = out[m, 0] = -gradient[self.at] * scale / self.power
        return out

    def coordinates(self, w: Array) -> tuple[float, Array]:
        """The standard deviation or its root, and the rest."""
        size = float(w[self.at] * np.exp(w[-1] / self.power) * self._unit)
        return size, np.delete(w, self.at)

    def away(self, u: float, z: Array, sizes: Sequence[Array]) -> Array:
        """At sigma in the unit of its covariate."""
        w = self.chart(u, z)[0]
        w[self.at] = 1.0 / self.structure.units(sizes[self.term])[self.place]
        return w


@dataclass(frozen=True)
class OwnCorrelation(Own):
    """u is the arc sine of a correlation, drawn out from the least one to one.

    With the ends l and 1 of its space, ``rho = (1 + l) / 2 + (1 - l) / 2 sin u``; theta is linear
    in u.
    """

    def chart(self, u: float, z: Array) -> tuple[Array, Array]:
        """All of w but the angle is z."""
        m, (start, rate) = len(z), self.structure.turn
        w = np.insert(z, self.at, start + rate * u)
        jacobian = np.insert(np.eye(m, m + 1, 1), self.at, 0.0, axis=0)
        jacobian[self.at, 0] = rate
        return w, jacobian

    def second_derivatives(self, w: Array, gradient: Array) -> Array:
        """The chart is linear."""
        del w
        return np.zeros((len(gradient), len(gradient)))

    def coordinates(self, w: Array) -> tuple[float, Array]:
        """The arc sine, and the rest."""
        start, rate = self.structure.turn
        return float((w[self.at] - start) / rate), np.delete(w, self.at)

    def away(self, u: float, z: Array, sizes: Sequence[Array]) -> Array:
        """In the middle."""
        del u, sizes
        return self.chart(0.0, z)[0]
