"""One random-effects term whose levels' Z'WZ repeat: an evaluation that does not see the levels.

Levels with the same block C = Z_j'WZ_j are exchangeable: the likelihood needs of them only how many
they are and the sum of the squares and products of their Z_j'W[X y]. A balanced design has one such
block, a random intercept as many as there are sizes of groups, and an evaluation costs what that
many levels would, whatever their number. With few levels it also is the quickest way when no two
blocks are equal.

The formulas are those of `pls`, `gradient` and `curvature`, written with
``K = (I + C G)^-1``: Z'V^-1 [X y] = K Z'W[X y], Z'V^-1 Z = K C and the modes' N = G K.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from merextras.engine import covpar, dense
from merextras.engine.blocks import Array, IntArray
from merextras.engine.crossprod import CrossProducts
from merextras.engine.profiled import Profiled

#: Numbers that may be kept: twice the cache of a small processor.
_LARGEST = 250_000


@dataclass(frozen=True, eq=False)
class Exchangeable:
    """The levels of the only term, summed up by their blocks.

    Attributes
    ----------
    cp : CrossProducts
    own : (D, k, k) array
        The blocks that differ, in units of the covariates' own size.
    counts : (D,) array
        How many levels have each.
    squares : (D k k, (p + 1)**2) array
        Sums of ``(Z_j'W[X y])_al (Z_j'W[X y])_bm``: rows by block, a and b, columns by l and m.
    units : (k,) array
        The units, powers of two: covariates in milliseconds cost no digits, nor does the change.
    """

    cp: CrossProducts
    own: Array
    counts: Array
    squares: Array
    units: Array

    @classmethod
    def of(cls, cp: CrossProducts) -> Exchangeable | None:
        """Sum up the levels; None with several terms, or where it would not save anything."""
        if len(cp.own) != 1:
            return None
        own, (levels, k) = cp.own[0], cp.shapes[0]
        per_block = (k * (cp.p + 1)) ** 2
        if per_block > _LARGEST:
            return None
        first, which, counts = _distinct(own.reshape(levels, k * k))
        if len(first) * per_block > _LARGEST:
            return None
        units = _units(own, cp.n)
        squares = _sums_of_squares(cp.to_xy[0] / units[:, None], which, counts)
        return cls(cp, own[first] / np.outer(units, units), counts.astype(float), squares, units)

    def at(self, lams: tuple[Array, ...], *, reml: bool) -> ExchangeablePoint:
        """Evaluate at Lambda."""
        return ExchangeablePoint(self, lams[0], reml)


class ExchangeablePoint(Profiled):
    """The deviance and its derivatives at one theta."""

    def __init__(self, levels: Exchangeable, lam: Array, reml: bool) -> None:
        self.levels, self.lams, self.reml = levels, (lam,), reml
        self.lam = lam * levels.units[:, None]
        g = self.lam @ self.lam.T
        own = levels.own
        grown = np.eye(len(lam)) + own @ g
        if len(lam) == 1:
            self.keep = np.asarray(1.0 / grown)
            log_dets = np.log(grown[:, 0, 0])
        else:
            self.keep = np.asarray(np.linalg.inv(grown))
            log_dets = np.linalg.slogdet(grown)[1]
        self._log_det = float(levels.counts @ log_dets)
        taken = (g @ self.keep).reshape(-1) @ levels.squares
        p1 = levels.cp.p + 1
        self._gram = levels.cp.xy - taken.reshape(p1, p1)

    @property
    def cp(self) -> CrossProducts:
        """What the model is fitted to."""
        return self.levels.cp

    @property
    def gram(self) -> Array:
        """[X y]'V^-1 [X y] in the basis."""
        return self._gram

    @property
    def log_det(self) -> float:
        """The logarithm log |L|**2."""
        return self._log_det

    def factor_slopes(self) -> tuple[Array, ...]:
        """2 D Lambda, as `gradient.factor_slopes`."""
        return (2.0 * self._slopes @ self.lams[0],)

    def covariance_slopes(self) -> tuple[Array, ...]:
        """D, as `gradient.covariance_slopes`."""
        return (self._slopes,)

    @cached_property
    def _slopes(self) -> Array:
        """``sum_j (Z'V^-1 Z)_j - H_j E H_j'`` with H = Z'V^-1 [X y]."""
        fit = self._projected(self.slope_weight)
        slopes = np.tensordot(self.levels.counts, self._reach, 1) - fit.sum(axis=0)
        units = self.levels.units
        return np.asarray(0.5 * (slopes + slopes.T) * np.outer(units, units))

    @cached_property
    def _reach(self) -> Array:
        """Z'V^-1 Z of a level of each block, (D, k, k)."""
        return self.keep @ self.levels.own

    def _projected(self, weight: Array) -> Array:
        """Sums of ``H_j E H_j'`` over the levels of each block, (D, k, k)."""
        inner = (self.levels.squares @ weight.reshape(-1)).reshape(self.keep.shape)
        return self.keep @ inner @ self.keep.transpose(0, 2, 1)

    def average_information(self) -> Array:
        """The first part of the Hessian in theta, as `curvature.average_information`."""
        k, p, blocks = len(self.lam), self.p, len(self.keep)
        moves = _moves(self.lam, self.levels.units)
        scores = self._projected(np.outer(self.contrast, self.contrast))
        slopes = moves @ scores.sum(axis=0).reshape(-1)
        # tr(M_i S M_j T) summed over the blocks, with S and T side by side.
        pairs = self._reach.reshape(blocks, k * k).T @ scores.reshape(blocks, k * k)
        pairs = pairs.reshape(k, k, k, k).transpose(3, 0, 1, 2).reshape(k * k, k * k)
        quadratic = moves @ pairs @ moves.T
        if p:
            with_y = self.levels.squares.reshape(-1, p + 1, p + 1)[:, :p] @ self.contrast
            sums = with_y.reshape(blocks, k, k, p).transpose(0, 3, 1, 2)
            sums = self.keep[:, None] @ sums @ self.keep.transpose(0, 2, 1)[:, None]
            across = sums.sum(axis=0).reshape(p, k * k) @ moves.T
            half = dense.solve_lower(self.fixed_low, across)
            quadratic = quadratic - half.T @ half
        r2 = self.pwrss
        return np.asarray(self.df * (quadratic / r2 - np.outer(slopes / r2, slopes / r2)))


def _units(own: Array, n: int) -> Array:
    """Root mean squares of the covariates to the next power of two, (k,)."""
    square = own.diagonal(axis1=1, axis2=2).sum(axis=0) / max(n, 1)
    return np.asarray(2.0 ** np.round(0.5 * np.log2(np.where(square > 0.0, square, 1.0))))


def _moves(lam: Array, units: Array) -> Array:
    """``dG / d theta_i = E_i Lambda' + Lambda E_i'`` in the units, (n_theta, k k)."""
    k = len(lam)
    rows, cols = covpar.triangle(k)
    out = np.zeros((len(rows), k, k))
    each = np.arange(len(rows))
    out[each, rows] = lam.T[cols] * units[rows, None]
    out += out.transpose(0, 2, 1)
    return out.reshape(len(rows), k * k)


def _distinct(blocks: Array) -> tuple[IntArray, IntArray, IntArray]:
    """(first level of each distinct block, block of each level, levels of each block)."""
    if blocks.shape[1] == 1:
        _, first, which, counts = np.unique(
            blocks[:, 0], return_index=True, return_inverse=True, return_counts=True
        )
        return first, which, counts
    order = np.lexsort(blocks.T)
    ordered = blocks[order]
    new = np.ones(len(order), dtype=bool)
    np.any(ordered[1:] != ordered[:-1], axis=1, out=new[1:])
    starts = np.flatnonzero(new)
    which = np.empty(len(order), dtype=np.intp)
    which[order] = np.cumsum(new) - 1
    return order[starts], which, np.diff(starts, append=len(order))


def _sums_of_squares(to_xy: Array, which: IntArray, counts: IntArray) -> Array:
    """Sums of ``r_al r_bm`` over the levels of each block, (D k k, (p + 1)**2)."""
    levels, k, p1 = to_xy.shape
    flat = to_xy.reshape(levels, k * p1)
    blocks = len(counts)
    if blocks == 1:
        sums = (flat.T @ flat)[None]
    elif blocks == levels:
        sums = np.empty((levels, k * p1, k * p1))
        sums[which] = flat[:, :, None] * flat[:, None, :]
    else:
        sums = np.empty((blocks, k * p1, k * p1))
        for a in range(k * p1):
            for b in range(a + 1):
                sums[:, a, b] = np.bincount(which, flat[:, a] * flat[:, b], minlength=blocks)
                sums[:, b, a] = sums[:, a, b]
    by_pairs = sums.reshape(blocks, k, p1, k, p1).transpose(0, 1, 3, 2, 4)
    return np.ascontiguousarray(by_pairs).reshape(blocks * k * k, p1 * p1)
