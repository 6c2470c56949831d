"""Independent effects: theta are their standard deviations over sigma, or one for all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from merextras.engine.covariance.structure import Freedom, Structure, all_of
from merextras.engine.covariance.unstructured import NO_SLOPE
from merextras.engine.kernels.blocks import Array, BoolArray, IntArray


@dataclass(frozen=True)
class Diagonal(Structure):
    """``G = diag(theta**2)``.

    Attributes
    ----------
    hom : bool
        One standard deviation for all effects.
    """

    hom: bool = False

    @property
    def n(self) -> int:
        """One for each effect, or one."""
        return 1 if self.hom else self.k

    @property
    def freedom(self) -> Freedom:
        """A unit for each effect, unless they share their standard deviation."""
        return Freedom.SCALE if self.hom else Freedom.SCALES

    @property
    def lower(self) -> Array:
        """Zero."""
        return np.zeros(self.n)

    @property
    def pairs(self) -> tuple[IntArray, IntArray]:
        """The variances."""
        return np.arange(self.n), np.arange(self.n)

    @property
    def covaries(self) -> bool:
        """There are no covariances."""
        return False

    def labels(self, names: Sequence[str]) -> list[tuple[str, ...]]:
        """The effects, or a star for all."""
        return [("*",)] if self.hom else [(name,) for name in names]

    def lines(self, names: Sequence[str]) -> list[tuple[str, int, list[int]]]:
        """One for each standard deviation."""
        shown = [all_of(names)] if self.hom else names
        return [(name, i, []) for i, name in enumerate(shown)]

    @property
    def elements(self) -> tuple[IntArray, IntArray, IntArray | None]:
        """The diagonal."""
        return np.arange(self.k), np.arange(self.k), self._of_effect

    @property
    def _of_effect(self) -> IntArray:
        """The parameter of each effect, (k,)."""
        return np.zeros(self.k, dtype=np.intp) if self.hom else np.arange(self.k)

    def factor(self, theta: Array) -> Array:
        """The standard deviations on the diagonal."""
        return np.asarray(np.eye(self.k) * theta[:, None, self._of_effect])

    def slopes(self, theta: Array) -> Array:
        """Ones on the diagonal."""
        every = np.arange(self.k)
        out = np.zeros((self.n, self.k, self.k))
        out[self._of_effect, every, every] = 1.0
        return np.broadcast_to(out, (len(theta), *out.shape))

    def from_covariance(self, g: Array) -> Array:
        """Roots of the variances, or of their mean."""
        variances = np.maximum(np.diagonal(g, axis1=1, axis2=2), 0.0)
        return np.sqrt(variances.mean(axis=1, keepdims=True) if self.hom else variances)

    def from_factor(self, lam: Array) -> Array:
        """The diagonal."""
        return np.diagonal(lam, axis1=1, axis2=2)[:, : self.n].copy()

    def units(self, sizes: Array) -> Array:
        """Those of the effects; of one for all the root of their mean square."""
        return np.array([np.sqrt(np.mean(sizes**2))]) if self.hom else sizes

    def directions(self, theta: Array) -> Array:
        """The variances, or all of them together."""
        del theta
        if self.hom:
            return np.eye(self.k)[None]
        every = np.arange(self.k)
        out = np.zeros((self.k, self.k, self.k))
        out[every, every, every] = 1.0
        return out

    def uneven(self) -> list[Array]:
        """Each effect alone."""
        eye = np.eye(self.k)
        return [] if self.hom else [np.outer(d, d) for d in eye]

    def zero_groups(self) -> tuple[list[IntArray], list[IntArray]]:
        """Each standard deviation."""
        return [np.array([i]) for i in range(self.n)], []

    def near_zero(self, theta: Array, sizes: Array, limit: float) -> BoolArray:
        """By the standard deviations."""
        return np.asarray((np.abs(theta) * self.units(sizes) < limit).any(axis=1))

    def inward(
        self, theta: Array, slope: Array, sizes: Array, held: Sequence[int] = ()
    ) -> tuple[Array, BoolArray]:
        """Variance for the effect whose score is most negative, or for all."""
        del theta
        score = np.diagonal(slope, axis1=1, axis2=2) / sizes**2
        usable = np.all(np.isfinite(score), axis=1)
        score = np.where(usable[:, None], score, 0.0)
        score[:, np.isin(self._of_effect, held)] = 0.0
        scale = np.max(np.abs(slope / np.outer(sizes, sizes)), axis=(1, 2), initial=0.0)
        if self.hom:
            total = score.mean(axis=1)
            change = np.broadcast_to(np.eye(self.k) * self.units(sizes) ** -2.0, slope.shape)
            return change, usable & (total < -NO_SLOPE * scale)
        least = np.argmin(score, axis=1)
        change = np.zeros_like(slope)
        each = np.arange(len(slope))
        change[each, least, least] = sizes[least] ** -2.0
        return change, usable & (score[each, least] < -NO_SLOPE * scale)

    def canonical(self, theta: Array) -> Array:
        """Not negative."""
        return np.abs(theta)
