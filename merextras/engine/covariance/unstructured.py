"""A covariance without structure: theta is the lower triangle of Lambda, column by column.

Bates et al. (2015), section 2.2. The criterion is even in every column of Lambda, so that theta can
be searched without bounds; the one with no negative diagonal element is reported.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from merextras.engine.covariance.cholesky import factors_of, lower_indices
from merextras.engine.covariance.structure import Freedom, Structure
from merextras.engine.kernels.blocks import Array, BoolArray, IntArray

# A slope in the covariance that is zero but for rounding, relative to the steepest direction's.
NO_SLOPE = 1e-7


@dataclass(frozen=True)
class Unstructured(Structure):
    """All variances and covariances are free.

    Attributes
    ----------
    order : tuple of int, optional
        Lambda is triangular with its rows in this order; by default in their own.
    """

    order: tuple[int, ...] | None = None

    @cached_property
    def places(self) -> tuple[IntArray, IntArray]:
        """(rows, columns) of theta in Lambda."""
        rows, cols = lower_indices(self.k)
        return (rows, cols) if self.order is None else (np.array(self.order)[rows], cols)

    @cached_property
    def diagonal(self) -> IntArray:
        """Places in theta of the elements on the triangle's diagonal, (k,)."""
        rows, cols = lower_indices(self.k)
        return np.flatnonzero(rows == cols)

    @property
    def n(self) -> int:
        """The size of the triangle."""
        return self.k * (self.k + 1) // 2

    @property
    def lower(self) -> Array:
        """Zero for the diagonal elements, minus infinity for the others."""
        out = np.full(self.n, -np.inf)
        out[self.diagonal] = 0.0
        return out

    @property
    def freedom(self) -> Freedom:
        """All combinations of the effects."""
        return Freedom.ANY

    @property
    def elements(self) -> tuple[IntArray, IntArray, IntArray | None]:
        """The triangle."""
        rows, cols = self.places
        return rows, cols, np.arange(self.n)

    def factor(self, theta: Array) -> Array:
        """The triangle in its place."""
        out = np.zeros((len(theta), self.k, self.k))
        rows, cols = self.places
        out[:, rows, cols] = theta
        return out

    def slopes(self, theta: Array) -> Array:
        """One element each."""
        return np.broadcast_to(self._one_hot, (len(theta), *self._one_hot.shape))

    @cached_property
    def _one_hot(self) -> Array:
        out = np.zeros((self.n, self.k, self.k))
        rows, cols = self.places
        out[np.arange(self.n), rows, cols] = 1.0
        return out

    def from_covariance(self, g: Array) -> Array:
        """By Cholesky; zero columns where G is singular."""
        rows, cols = lower_indices(self.k)
        if self.order is not None:
            g = g[:, np.array(self.order)[:, None], np.array(self.order)]
        return np.asarray(factors_of(g)[:, rows, cols])

    def from_factor(self, lam: Array) -> Array:
        """The elements of the triangle."""
        rows, cols = self.places
        return np.asarray(lam[:, rows, cols])

    def mapped(self, theta: Array, change: Callable[[Array], Array], scale: Array) -> Array:
        """By the roots of G; NaN stays NaN."""
        del scale
        out = np.full(theta.shape, np.nan)
        known = np.all(np.isfinite(theta), axis=1)
        out[known] = self.from_factor(change(self.factor(theta[known])))
        return out

    def units(self, sizes: Array) -> Array:
        """A row of Lambda has the unit of its effect."""
        return np.asarray(sizes[self.places[0]])

    def released(self, g: Array, none: float) -> list[Array]:
        """Each direction without variance."""
        values, vectors = np.linalg.eigh(g)
        return [np.outer(d, d) for d in vectors[:, values < none**2].T]

    def uneven(self) -> list[Array]:
        """Each effect alone, each sum and difference of two."""
        eye = np.eye(self.k)
        pairs = [(i, j) for i in range(self.k) for j in range(i)]
        mixed = [(eye[i] + sign * eye[j]) / np.sqrt(2.0) for i, j in pairs for sign in (1.0, -1.0)]
        return [np.outer(d, d) for d in [*eye, *mixed]]

    def zero_groups(self) -> tuple[list[IntArray], list[IntArray]]:
        """Each effect's row, then what the effects before it leave of it, the diagonal element."""
        rows, _ = lower_indices(self.k)
        effects = [np.flatnonzero(rows == a) for a in range(self.k)]
        return effects, [place[None] for place in self.diagonal]

    def near_zero(self, theta: Array, sizes: Array, limit: float) -> BoolArray:
        """By the diagonal."""
        order = slice(None) if self.order is None else np.array(self.order)
        scaled = np.abs(theta[:, self.diagonal]) * sizes[order]
        return np.asarray((scaled < limit).any(axis=1))

    def inward(
        self, theta: Array, slope: Array, sizes: Array, held: Sequence[int] = ()
    ) -> tuple[Array, BoolArray]:
        """Variance in the direction in which D is most negative."""
        del theta, held
        scaled = slope / np.outer(sizes, sizes)
        usable = np.all(np.isfinite(scaled), axis=(1, 2))
        values, directions = np.linalg.eigh(np.where(usable[:, None, None], scaled, 0.0))
        down = values[:, 0] < -NO_SLOPE * np.max(np.abs(values), axis=1, initial=0.0)
        along = directions[:, :, 0] / sizes
        return along[:, :, None] * along[:, None, :], usable & down

    def canonical(self, theta: Array) -> Array:
        """Columns of Lambda change sign together."""
        _, cols = lower_indices(self.k)
        negative = theta[:, self.diagonal] < 0.0
        return np.where(negative[:, cols], -theta, theta)

    def pull(self, theta: Array, weight: Array) -> Array:
        """The elements of the triangle."""
        del theta
        return self.from_factor(weight)

    def covariance_slopes(self, theta: Array) -> Array:
        """``e_a lambda_b' + lambda_b e_a'`` of the element (a, b)."""
        half = self._one_hot @ self.factor(theta).transpose(0, 2, 1)[:, None]
        return np.asarray(half + half.transpose(0, 1, 3, 2))

    def curvature(self, theta: Array, slope: Array) -> Array:
        """``2 D_ac`` for two elements (a, b) and (c, b) of a column."""
        del theta
        rows, cols = self.places
        twice = 2.0 * (cols[:, None] == cols)
        return np.asarray(slope[:, rows[:, None], rows] * twice)
