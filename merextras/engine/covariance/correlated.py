"""Covariances with one correlation parameter: compound symmetry, first-order autoregression.

``G = D R(rho) D`` with D the standard deviations over sigma, one for all effects or one each. The
search is in coordinates in which Lambda is smooth up to the boundary and the criterion is even at
it, as it is for the unstructured covariance, so that theta needs no bounds:

- an angle a for rho, ``R = C(a) C(a)'``, with a as its arc sine (autoregression) or such that its
  sine and cosine are the roots of R's two eigenvalues (compound symmetry);
- the standard deviation itself if there is one, and the roots of several: a covariance changes
  sign with one of several standard deviations, not with its root.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from merextras.engine.covariance.structure import Freedom, NearLinear, Structure, all_of
from merextras.engine.covariance.unstructured import NO_SLOPE
from merextras.engine.kernels.blocks import Array, BoolArray, IntArray


@dataclass(frozen=True)
class Correlated(Structure):
    """``G = D R(rho) D``.

    Attributes
    ----------
    hom : bool
        One standard deviation for all effects.
    """

    hom: bool = False

    @abstractmethod
    def root(self, angle: Array) -> tuple[Array, Array, Array]:
        """C(a) and its first and second derivative, (m, k, k) each, for (m,)."""

    @abstractmethod
    def angle_of_root(self, root: Array) -> Array:
        """The angle of a root C, (m,), with signs of its cosine and sine as in C."""

    @abstractmethod
    def rho(self, angle: Array) -> Array:
        """The correlation of an angle."""

    @abstractmethod
    def rho_turned(self, angle: Array) -> Array:
        """``drho / da``."""

    @abstractmethod
    def angle(self, rho: Array) -> Array:
        """The angle of a correlation."""

    @abstractmethod
    def rho_slope(self, rho: Array) -> Array:
        """``dR / drho``, (m, k, k)."""

    @abstractmethod
    def rho_bend(self, rho: Array) -> Array:
        """``d2R / drho2``, (m, k, k)."""

    @abstractmethod
    def least_rho(self) -> float:
        """The least correlation; the largest is one."""

    @abstractmethod
    def _correlation(self, r: Array, seen: BoolArray) -> Array:
        """The correlation of a matrix R that may be of another structure, (m,).

        `seen`, (m, k, k), are the pairs of different effects that both vary.
        """

    @property
    def sds(self) -> int:
        """How many standard deviations there are."""
        return 1 if self.hom else self.k

    @property
    def n(self) -> int:
        """The standard deviations and the correlation."""
        return self.sds + 1

    @property
    def freedom(self) -> Freedom:
        """A unit for each effect, unless they share their standard deviation."""
        return Freedom.SCALE if self.hom else Freedom.SCALES

    @property
    def lower(self) -> Array:
        """Zero for the standard deviations; the angle has no bounds."""
        return np.append(np.zeros(self.sds), -np.inf)

    @property
    def natural_lower(self) -> Array:
        """Zero for the standard deviations, and the least correlation."""
        return np.append(np.zeros(self.sds), self.least_rho())

    @property
    def pairs(self) -> tuple[IntArray, IntArray]:
        """The variances, and the covariance of the first two effects."""
        return np.append(np.arange(self.sds), 1), np.append(np.arange(self.sds), 0)

    @property
    def covaries(self) -> bool:
        """The correlation is the parameter."""
        return False

    def reported(self, g: Array) -> Array:
        """NaN for the correlation where less than two effects vary."""
        out = self.natural(self.from_covariance(g))
        varying = np.sum(np.diagonal(g, axis1=1, axis2=2) > 0.0, axis=1)
        out[varying < 2, -1] = np.nan
        return out

    def labels(self, names: Sequence[str]) -> list[tuple[str, ...]]:
        """The effects, or a star for all, and ``rho``."""
        return [(name,) for name in (*(["*"] if self.hom else names), "rho")]

    def lines(self, names: Sequence[str]) -> list[tuple[str, int, list[int]]]:
        """One for each standard deviation, the correlation beside the first."""
        shown = [all_of(names)] if self.hom else names
        return [(name, i, [self.n - 1] if i == 0 else []) for i, name in enumerate(shown)]

    def natural(self, theta: Array) -> Array:
        """The standard deviations over sigma, and rho."""
        sds = theta[:, :-1] if self.hom else theta[:, :-1] ** 2
        return np.column_stack([np.abs(sds), self.rho(theta[:, -1])])

    def from_natural(self, parameters: Array) -> Array:
        """Theta of standard deviations over sigma and rho."""
        sds, rho = parameters[:, :-1], np.clip(parameters[:, -1], self.least_rho(), 1.0)
        return np.column_stack([sds if self.hom else np.sqrt(sds), self.angle(rho)])

    def natural_gradient(self, theta: Array, gradient: Array) -> Array:
        """NaN for a standard deviation of several at zero and for rho at its end."""
        size = theta[:-1]
        by_sd = np.ones_like(size) if self.hom else 2.0 * size
        rate = np.append(by_sd, self.rho_turned(theta[-1:]))
        moving = np.abs(rate) > _STILL
        return np.where(moving, gradient / np.where(moving, rate, 1.0), np.nan)

    def _sds(self, theta: Array) -> Array:
        """The standard deviation of each effect over sigma, (m, k)."""
        if self.hom:
            return np.broadcast_to(theta[:, :1], (len(theta), self.k))
        return theta[:, :-1] ** 2

    def factor(self, theta: Array) -> Array:
        """D C(a)."""
        return np.asarray(self._sds(theta)[:, :, None] * self.root(theta[:, -1])[0])

    def slopes(self, theta: Array) -> Array:
        """In the standard deviations and the angle."""
        root, turned, _ = self.root(theta[:, -1])
        out = np.zeros((len(theta), self.n, self.k, self.k))
        if self.hom:
            out[:, 0] = root
        else:
            every = np.arange(self.k)
            out[:, every, every] = 2.0 * theta[:, :-1, None] * root
        out[:, -1] = self._sds(theta)[:, :, None] * turned
        return out

    def second(self, theta: Array, weight: Array) -> Array:
        """In the standard deviations and the angle."""
        root, turned, bent = (np.einsum("mab,mab->ma", weight, c) for c in self.root(theta[:, -1]))
        out = np.zeros((len(theta), self.n, self.n))
        if self.hom:
            out[:, 0, 1] = out[:, 1, 0] = turned.sum(axis=1)
        else:
            every = np.arange(self.k)
            out[:, every, every] = 2.0 * root
            out[:, -1, :-1] = out[:, :-1, -1] = 2.0 * theta[:, :-1] * turned
        out[:, -1, -1] = (self._sds(theta) * bent).sum(axis=1)
        return out

    def from_covariance(self, g: Array) -> Array:
        """The standard deviations (the root of the mean variance), and the mean correlation."""
        variances = np.maximum(np.diagonal(g, axis1=1, axis2=2), 0.0)
        if self.hom:
            variances = variances.mean(axis=1, keepdims=True)
        sds = np.sqrt(np.broadcast_to(variances, (len(g), self.k)))
        size = sds[:, :, None] * sds[:, None, :]
        seen = (size > 0.0) & ~np.eye(self.k, dtype=bool)
        r = np.where(seen, g / np.where(seen, size, 1.0), 0.0)
        return self.from_natural(np.column_stack([np.sqrt(variances), self._correlation(r, seen)]))

    def from_factor(self, lam: Array) -> Array:
        """The lengths of the rows, and the angle of what is left."""
        size = np.linalg.norm(lam, axis=2)
        root = lam / np.where(size > 0.0, size, 1.0)[:, :, None]
        known = np.all(size > 0.0, axis=1)
        out = self.from_covariance(lam @ np.swapaxes(lam, 1, 2))
        out[known, -1] = self.angle_of_root(root[known])
        return out

    def units(self, sizes: Array) -> Array:
        """Those of the effects, their roots for roots; an angle has none."""
        own = [np.sqrt(np.mean(sizes**2))] if self.hom else np.sqrt(sizes)
        return np.append(own, 1.0)

    @property
    def powers(self) -> Array:
        """Roots of several standard deviations; an angle is none."""
        return np.append(np.full(self.sds, 1.0 if self.hom else 2.0), 0.0)

    def directions(self, theta: Array) -> Array:
        """In the standard deviations and rho, a little inside where one is at its end."""
        own = self.natural(theta[None])
        size = np.max(own[0, :-1], initial=0.0)
        least = _INSIDE * size if size > 0.0 else 1.0
        low = self.least_rho()
        sds = np.broadcast_to(np.maximum(own[:, :-1], least), (1, self.k))
        rho = np.clip(own[:, -1], low + _INSIDE * (1.0 - low), 1.0 - _INSIDE * (1.0 - low))
        root = self.root(self.angle(rho))[0][0]
        half = (root @ root.T) * sds
        out = np.zeros((self.n, self.k, self.k))
        if self.hom:
            out[0] = half * sds.T
        else:
            every = np.arange(self.k)
            out[every, every] = half
            out[:-1] += np.swapaxes(out[:-1], 1, 2)
        out[-1] = self.rho_slope(rho)[0] * sds * sds.T
        return out

    def uneven(self) -> list[Array]:
        """Correlations near their ends, and each effect alone."""
        ends = np.array([1.0 - _INSIDE, (1.0 - _INSIDE) * self.least_rho()])
        root = self.root(self.angle(ends))[0]
        eye = np.eye(self.k)
        return [*(root @ np.swapaxes(root, 1, 2)), *(() if self.hom else map(np.outer, eye, eye))]

    def near_linear(self, theta: Array) -> NearLinear:
        """In the variances and rho; not finite where one of several variances is zero."""
        own, every, last = self.natural(theta[None])[0], np.arange(self.k), self.n - 1
        sds = np.broadcast_to(own[:-1], (self.k,))
        root = self.root(theta[-1:])[0][0]
        turned, bent = self.rho_slope(own[-1:])[0], self.rho_bend(own[-1:])[0]
        if not self.hom and not np.all(sds > 0.0):
            nothing = np.full((self.n, self.k, self.k), np.nan)
            return NearLinear(nothing, np.zeros((self.n, *nothing.shape)), np.zeros(self.n))
        size, half = np.outer(sds, sds), 0.5 / sds if not self.hom else sds
        r = root @ root.T
        slopes = np.zeros((self.n, self.k, self.k))
        second = np.zeros((self.n, *slopes.shape))
        slopes[last], second[last, last] = size * turned, size * bent
        if self.hom:
            slopes[0], second[0, last] = r, turned
            second[last, 0] = turned
            return NearLinear(slopes, second, np.append(own[:-1] ** 2, 0.0))
        rate = np.outer(half, sds)  # dG_ab / dv_a = R_ab s_b / (2 s_a), off the diagonal
        slopes[every, every] = r * rate
        slopes[:last] += np.swapaxes(slopes[:last], 1, 2)
        for a in every:
            second[a, last, a] = second[last, a, a] = turned[a] * rate[a]
            second[a, last, :, a] = second[last, a, :, a] = turned[a] * rate[a]
            off = np.where(every == a, 0.0, r[a])
            second[a, a, a] = second[a, a, :, a] = -off * rate[a] * half[a] / sds[a]
            for b in every[every != a]:
                second[a, b, a, b] = second[a, b, b, a] = r[a, b] * half[a] * half[b]
        return NearLinear(slopes, second, np.append(sds**2, 0.0))

    def zero_groups(self) -> tuple[list[IntArray], list[IntArray]]:
        """Each standard deviation."""
        return [np.array([i]) for i in range(self.sds)], []

    def near_zero(self, theta: Array, sizes: Array, limit: float) -> BoolArray:
        """By the standard deviations and the distance of rho from its ends."""
        small = (self._sds(theta) * sizes < limit).any(axis=1)
        rho = self.rho(theta[:, -1])
        gap = np.minimum(1.0 - rho, rho - self.least_rho())
        return np.asarray(small | (np.sqrt(np.maximum(gap, 0.0)) < limit))

    @property
    def ends(self) -> tuple[float, float]:
        """The least and the largest correlation."""
        return self.least_rho(), 1.0

    def inward(
        self, theta: Array, slope: Array, sizes: Array, held: Sequence[int] = ()
    ) -> tuple[Array, BoolArray]:
        """A standard deviation off zero, or rho off its end; as a step in natural parameters.

        `change` is (m, n): the parameter that is to move, by how much of its unit.
        """
        scaled = slope / np.outer(sizes, sizes)
        usable = np.all(np.isfinite(scaled), axis=(1, 2))
        slope = np.where(usable[:, None, None], slope, 0.0)
        sds, rho = self._sds(theta), self.rho(theta[:, -1])
        root = self.root(theta[:, -1])[0]
        r = root @ np.swapaxes(root, 1, 2)
        scale = np.max(np.abs(np.where(usable[:, None, None], scaled, 0.0)), axis=(1, 2))
        change = np.zeros((len(theta), self.n))
        found = np.zeros(len(theta), dtype=bool)
        # d/dd_a of tr(D G): of first order in the other effects', of second in its own.
        first = 2.0 * np.einsum("mab,mab,mb->ma", slope, r, sds)
        own = np.einsum("maa->ma", slope)
        if self.hom:
            first = np.einsum("mab,mab->m", slope, r)[:, None] / np.mean(sizes**2)
            low = np.abs(sds[:, :1]) * np.sqrt(np.mean(sizes**2)) < _NEAR
            down = low & (first < -NO_SLOPE * scale[:, None])
        else:
            low = sds * sizes < _NEAR
            rest = (first - 2.0 * own * sds) / sizes
            down = low & (np.where(np.abs(rest) > NO_SLOPE * scale[:, None], rest, own) < 0.0)
        kept = np.setdiff1d(held, [self.n - 1])
        down[:, kept.astype(int)] = False
        each = np.argmax(down, axis=1)
        rows = np.flatnonzero(down.any(axis=1))
        change[rows, each[rows]] = 1.0
        found[rows] = True
        along = np.einsum("mab,mab,ma,mb->m", slope, self.rho_slope(rho), sds, sds)
        top, bottom = 1.0 - rho < _NEAR**2, rho - self.least_rho() < _NEAR**2
        turn = ~found & ((top & (along > 0.0)) | (bottom & (along < 0.0)))
        turn &= (np.abs(along) > NO_SLOPE * scale) & (self.n - 1 not in held)
        change[turn, -1] = np.where(top, -1.0, 1.0)[turn]
        return change, usable & (found | turn)

    def grown(self, theta: Array, change: Array, size: Array | float, sizes: Array) -> Array:
        """A standard deviation of ``sqrt(size)`` in its unit, or rho that far from its end."""
        own = self.natural(theta)
        moved = np.sqrt(size) * np.ones(len(theta))
        one = np.mean(sizes**2) ** -0.5 if self.hom else 1.0 / sizes
        own[:, :-1] += (change[:, :-1] > 0.0) * moved[:, None] * one
        own[:, -1] += change[:, -1] * np.minimum(moved**2, 0.5)
        return self.from_natural(own)

    def canonical(self, theta: Array) -> Array:
        """Standard deviations are not negative, the angle is that of rho."""
        return np.column_stack([np.abs(theta[:, :-1]), self.angle(self.rho(theta[:, -1]))])


#: A derivative of a parameter in theta that is zero but for rounding.
_STILL = 1e-7
#: How far inside derivatives are taken that vanish at an end, as a share.
_INSIDE = 0.1
#: What counts as at the boundary where the way off it is looked for, as in the search.
_NEAR = 1e-3
