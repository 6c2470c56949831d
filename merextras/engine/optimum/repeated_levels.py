"""One random-effects term whose levels' Z'WZ repeat: an evaluation that does not see the levels.

Levels with the same block C = Z_j'WZ_j are exchangeable: the likelihood needs of them only how many
they are and the sum of the squares and products of their Z_j'W[X y]. A balanced design has one such
block, a random intercept as many as there are sizes of groups, and an evaluation costs what that
many levels would, whatever their number. With few levels it also is the quickest way when no two
blocks are equal.

The formulas are those of `pls`, `gradient` and `curvature` in the coordinates in which the levels'
covariates are orthonormal: with ``C = R R'``, ``t = R^-1 Z'W[X y]`` and ``M = I + R'G R``,

    [X y]'V^-1 [X y] = [X y]'W[X y] - t't + t'M^-1 t,    Z'V^-1 [X y] = R M^-1 t,
    Z'V^-1 Z = R M^-1 R'.

A Cholesky factor R leaves each covariate its own scale, and only t't is subtracted, so that a
level with covariates far from the others' costs no digits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from merextras.engine.covariance.cholesky import factors_of
from merextras.engine.kernels import dense
from merextras.engine.kernels.blocks import Array, IntArray
from merextras.engine.products.crossprod import CrossProducts
from merextras.engine.solution.profiled import Profiled

#: Numbers that may be kept: twice the cache of a small processor.
_LARGEST = 250_000


@dataclass(frozen=True, eq=False)
class Exchangeable:
    """The levels of the only term, summed up by their blocks.

    Attributes
    ----------
    cp : CrossProducts
    roots : (D, k, k) array
        R of the blocks that differ, lower triangular.
    counts : (D,) array
        How many levels have each.
    squares : (D k k, (p + 1)**2) array
        Sums of ``t_al t_bm`` over the levels: rows by block, a and b, columns by l and m.
    within : (p + 1, p + 1) array
        [X y]'W[X y] less the sum of t't: what no random effect can explain.
    """

    cp: CrossProducts
    roots: Array
    counts: Array
    squares: Array
    within: Array

    @classmethod
    def of(cls, cp: CrossProducts) -> Exchangeable | None:
        """Sum up the levels; None with several terms, or where it would not save anything."""
        if len(cp.own) != 1:
            return None
        own, (levels, k) = cp.own[0], cp.shapes[0]
        per_block = (k * (cp.p + 1)) ** 2
        if per_block > _LARGEST:
            return None
        most = _LARGEST // per_block
        some = own[: 4 * most].reshape(-1, k * k)  # often enough to tell that there are too many
        if len(some) < levels and len(_distinct(some)[0]) > most:
            return None
        first, which, counts = _distinct(own.reshape(levels, k * k))
        if len(first) > most:
            return None
        roots = factors_of(own[first])
        squares = _sums_of_squares(_coordinates(roots, which, cp.to_xy[0]), which, counts)
        explained = np.eye(k).reshape(-1) @ squares.reshape(len(first), k * k, -1).sum(axis=0)
        within = cp.xy - explained.reshape(cp.xy.shape)
        return cls(cp, roots, counts.astype(float), squares, within)

    def residual_variance(self, *, reml: bool) -> float:
        """sigma**2 from the residuals of y and X within the levels; NaN where there are none.

        What X leaves of its degrees of freedom within the levels is taken off under REML. Nearly
        that of a fit where the effects are large.
        """
        n_effects = self.counts @ np.count_nonzero(self.roots.diagonal(axis1=1, axis2=2), axis=1)
        left = self.within.diagonal()
        df = self.cp.n - float(n_effects) - (float(left[:-1].sum()) if reml else 0.0)
        return float(left[-1]) / df if df > 0.5 else np.nan

    def at(self, lams: tuple[Array, ...], *, reml: bool) -> ExchangeablePoint:
        """Evaluate at Lambda."""
        return ExchangeablePoint(self, lams[0], reml)


class ExchangeablePoint(Profiled):
    """The deviance and its derivatives at one theta."""

    def __init__(self, levels: Exchangeable, lam: Array, reml: bool) -> None:
        self.levels, self.lam, self.lams, self.reml = levels, lam, (lam,), reml
        spread = levels.roots.transpose(0, 2, 1) @ lam
        grown = spread @ spread.transpose(0, 2, 1)
        grown.reshape(len(grown), lam.size)[:, :: len(lam) + 1] += 1.0
        self._inverse, log_dets = _inverse(grown)
        self._log_det = float(levels.counts @ log_dets)
        p1 = levels.cp.p + 1
        self._gram = levels.within + (self._inverse.reshape(-1) @ levels.squares).reshape(p1, p1)

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

    @cached_property
    def keep(self) -> Array:
        """R M^-1 of a level of each block, (D, k, k)."""
        return self.levels.roots @ self._inverse

    def factor_slopes(self) -> tuple[Array, ...]:
        """2 D Lambda, as `gradient.factor_slopes`."""
        return (2.0 * self._slopes @ self.lams[0],)

    def deviance_slopes(self) -> tuple[Array, ...]:
        """D, as `gradient.deviance_slopes`."""
        return (self._slopes,)

    @cached_property
    def _slopes(self) -> Array:
        """``sum_j (Z'V^-1 Z)_j - H_j E H_j'`` with H = Z'V^-1 [X y]."""
        fit = self._projected(self.slope_weight)
        summed = self.levels.counts @ self._projected_blocks.reshape(len(fit), -1)
        slopes = summed.reshape(fit.shape[1:]) - fit.sum(axis=0)
        return np.asarray(0.5 * (slopes + slopes.T))

    @cached_property
    def _projected_blocks(self) -> Array:
        """Z'V^-1 Z of a level of each block, (D, k, k)."""
        return self.keep @ self.levels.roots.transpose(0, 2, 1)

    def _projected(self, weight: Array) -> Array:
        """Sums of ``H_j E H_j'`` over the levels of each block, (D, k, k)."""
        inner = (self.levels.squares @ weight.reshape(-1)).reshape(self.keep.shape)
        return self.keep @ inner @ self.keep.transpose(0, 2, 1)

    def average_information(self, covariance_slopes: Sequence[Array]) -> Array:
        """The first part of the Hessian in theta, as `average_information.average_information`."""
        k, p, blocks = len(self.lam), self.p, len(self.keep)
        moved = covariance_slopes[0].reshape(-1, k * k)
        scores = self._projected(self.contrast[:, None] * self.contrast)
        slopes = moved @ scores.sum(axis=0).reshape(-1)
        # tr(M_i S M_j T) summed over the blocks, with S and T side by side.
        pairs = self._projected_blocks.reshape(blocks, k * k).T @ scores.reshape(blocks, k * k)
        pairs = pairs.reshape(k, k, k, k).transpose(3, 0, 1, 2).reshape(k * k, k * k)
        quadratic = moved @ pairs @ moved.T
        if p:
            with_y = self.levels.squares.reshape(-1, p + 1, p + 1)[:, :p] @ self.contrast
            sums = with_y.reshape(blocks, k, k, p).transpose(0, 3, 1, 2)
            sums = self.keep[:, None] @ sums @ self.keep.transpose(0, 2, 1)[:, None]
            across = sums.sum(axis=0).reshape(p, k * k) @ moved.T
            half = dense.solve_lower(self.fixed_low, across)
            quadratic = quadratic - half.T @ half
        return self.cp.scale.information(quadratic, slopes, self.pwrss, self.df)


def _inverse(grown: Array) -> tuple[Array, Array]:
    """Inverses and logarithms of the determinants of (D, k, k) positive definite matrices.

    NaN if one is not finite: a step into numbers too large.
    """
    if grown.shape[1] == 1:
        return 1.0 / grown, np.asarray(np.log(grown[:, 0, 0]))
    if len(grown) == 1:
        low = dense.cholesky(grown[0])[None]
        back = dense.inverse_lower(low[0])[None]
    else:
        try:
            low = np.asarray(np.linalg.cholesky(grown))
        except np.linalg.LinAlgError:
            return np.full_like(grown, np.nan), np.full(len(grown), np.nan)
        back = np.asarray(np.linalg.inv(low))
    log_dets = 2.0 * np.log(low.diagonal(axis1=1, axis2=2)).sum(axis=1)
    return np.asarray(back.transpose(0, 2, 1) @ back), np.asarray(log_dets)


def _distinct(blocks: Array) -> tuple[IntArray, IntArray, IntArray]:
    """(first level of each distinct block, block of each level, levels of each block)."""
    order = np.lexsort(blocks.T)
    ordered = blocks[order]
    new = np.ones(len(order), dtype=bool)
    (ordered[1:] != ordered[:-1]).any(axis=1, out=new[1:])
    place = new.cumsum() - 1
    which = np.empty(len(order), dtype=np.intp)
    which[order] = place
    return order[new], which, np.bincount(place)


def _coordinates(roots: Array, which: IntArray, to_xy: Array) -> Array:
    """``t = R^-1 Z'W[X y]`` of each level, (J, k, p + 1); zero where R has no column."""
    diagonal = roots.diagonal(axis1=1, axis2=2)
    pivots = np.where(diagonal > 0.0, diagonal, np.inf)[which]
    out = np.empty_like(to_xy)
    for a in range(to_xy.shape[1]):
        rest = to_xy[:, a]
        if a > 0:
            rest = rest - np.einsum("jb,jbl->jl", roots[which, a, :a], out[:, :a])
        out[:, a] = rest / pivots[:, a, None]
    return out


def _sums_of_squares(coordinates: Array, which: IntArray, counts: IntArray) -> Array:
    """Sums of ``t_al t_bm`` over the levels of each block, (D k k, (p + 1)**2)."""
    levels, k, p1 = coordinates.shape
    flat = coordinates.reshape(levels, k * p1)
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
