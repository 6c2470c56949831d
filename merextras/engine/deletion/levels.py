"""Deletions where all terms share their levels: every refit is a sum over the same levels.

What a deletion takes out changes the cross-products of some levels only. A level that is left
empty drops out of the sums; one that loses some of its rows is replaced by what is left of it, a
level of the deletion's own beside the shared ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from merextras.engine.covariance.cholesky import factors_of
from merextras.engine.deletion.remaining import cancelled, shortened
from merextras.engine.deletion.tables import BoolArray, Deletions, Whole, counted
from merextras.engine.kernels import blocks
from merextras.engine.kernels.blocks import Array, IntArray
from merextras.engine.replicates.by_levels import coordinates, joint_blocks


@dataclass(frozen=True)
class Levels:
    """All rows by levels, all terms side by side (k effects a level).

    Attributes
    ----------
    own : (J, k, k) array
    to_xy : (J, k, p + 1) array
    counts : (J,) array
        Observations.
    """

    own: Array
    to_xy: Array
    counts: Array

    @classmethod
    def of(cls, whole: Whole) -> Levels | None:
        """The levels that all terms share; None if they do not."""
        joint = joint_blocks(whole.solution.factor.system)
        if joint is None:
            return None
        return cls(joint[0], np.concatenate(whole.cp.to_xy, axis=1), whole.level_counts[0])

    @cached_property
    def root(self) -> Array:
        """Factors of `own`, (k, k, J)."""
        return np.ascontiguousarray(np.moveaxis(factors_of(self.own), 0, 2))

    @cached_property
    def xy(self) -> Array:
        """The columns in the coordinates of `root`, (k, J, p + 1)."""
        return coordinates(np.moveaxis(self.root, 2, 0), self.to_xy)

    @cached_property
    def within(self) -> Array:
        """``[X y]'W[X y]`` in those coordinates, a level each, (J, p + 1, p + 1)."""
        return np.asarray(np.einsum("kjc,kjd->jcd", self.xy, self.xy))

    @cached_property
    def root_pairs(self) -> Array:
        """Products ``R_au R_bv``, (u, v, J, a b)."""
        k, _, levels = self.root.shape
        pairs = np.einsum("auj,bvj->uvjab", self.root, self.root)
        return np.ascontiguousarray(pairs.reshape(k, k, levels, k * k))

    @cached_property
    def x_pairs(self) -> Array:
        """``x_u x_v'``, (u, v, J, p p)."""
        x = self.xy[:, :, :-1]
        k, levels, p = x.shape
        pairs = np.einsum("ujp,vjr->uvjpr", x, x)
        return np.ascontiguousarray(pairs.reshape(k, k, levels, p * p))


@dataclass(frozen=True)
class Pieces:
    """What some deletions take out.

    Attributes
    ----------
    place, level : (P,) integer arrays
        Pairs of a deletion and a level that it takes observations out of.
    slot : (P,) integer array
        Which of the deletion's own levels the rest of it is; -1 if nothing is left.
    own, to_xy : (P, k, k) and (P, k, p + 1) arrays
        What is left of the level, zero if nothing is.
    gram : (m, p + 1, p + 1) array
        [X y]'W[X y] of the rows that are left.
    n : (m,) array
        Observations that are left.
    log_w : (m,) array
        Sum of the logarithms of their weights.
    levels : (m,) array
        Levels that are left.
    lost : (m,) boolean array
        Whether a difference has too few digits, so that it must be made again from the rows.
    """

    place: IntArray
    level: IntArray
    slot: IntArray
    own: Array
    to_xy: Array
    gram: Array
    n: Array
    log_w: Array
    levels: Array
    lost: BoolArray

    @property
    def width(self) -> int:
        """The most own levels of a deletion."""
        return int(np.max(self.slot, initial=-1)) + 1

    def padded(self, values: Array) -> Array:
        """Values of the partly deleted levels, (m, width, ...), zero where a slot is free."""
        out = np.zeros((len(self.n), self.width, *values.shape[1:]))
        part = self.slot >= 0
        out[self.place[part], self.slot[part]] = values[part]
        return out

    def summed(self, values: Array) -> Array:
        """Sums over the pairs of each deletion, (m, ...)."""
        return blocks.sum_by(values, self.place, len(self.n))


def pieces(whole: Whole, shared: Levels, deletions: Deletions, which: IntArray) -> Pieces:
    """Sum up what some deletions take out; O(rows (k + p)**2)."""
    rows, place = deletions.rows_of(which)
    table, cp, m = whole.rows, whole.cp, len(which)
    taken = deletions.taken[rows]
    w = table.precision[rows] * taken
    seen = np.where(table.precision[rows] > 0.0, taken, 0.0)
    xy = cp.basis.apply(table.x[rows], table.y[rows])
    pairs_of = zip(table.terms, cp.basis.effects, strict=True)
    z = np.concatenate([own.rows(t.values[rows]) for t, own in pairs_of], axis=1)
    key = place * len(shared.own) + table.terms[0].codes[rows]
    pairs, inverse = np.unique(key, return_inverse=True)
    at, level = np.divmod(pairs, len(shared.own))
    count = len(pairs)
    wz = z * w[:, None]
    empty = counted(inverse, seen, count) > shared.counts[level] - 0.5
    own = shared.own[level] - blocks.sum_by(wz[:, :, None] * z[:, None, :], inverse, count)
    to_xy = shared.to_xy[level] - blocks.sum_by(wz[:, :, None] * xy[:, None, :], inverse, count)
    own[empty], to_xy[empty] = 0.0, 0.0
    gram = cp.xy - blocks.sum_by((w[:, None] * xy)[:, :, None] * xy[:, None, :], place, m)
    short = shortened(shared.own[level], own)
    logs = np.log(np.where(table.precision[rows] > 0.0, table.precision[rows], 1.0))
    return Pieces(
        at,
        level,
        _slots(at, empty),
        own,
        to_xy,
        gram,
        cp.n - np.round(counted(place, seen, m)),
        cp.sum_log_w - counted(place, seen * logs, m),
        float(np.sum(shared.counts > 0.5)) - counted(at, empty, m),
        cancelled(cp.xy, gram) | (counted(at, short, m) > 0),
    )


def _slots(place: IntArray, empty: BoolArray) -> IntArray:
    """Number the pairs of each deletion that are not empty; `place` ascends."""
    part = ~empty
    before: IntArray = np.cumsum(part) - part
    first = np.searchsorted(place, place)
    return np.asarray(np.where(part, before - before[first], -1), dtype=np.intp)


def level_slopes(
    own: Array, to_xy: Array, lam: Array, covariance_slopes: Array
) -> tuple[Array, ...]:
    """What some levels add to a criterion and its derivatives at one Lambda.

    Parameters
    ----------
    own, to_xy : (B, k, k) and (B, k, p + 1) arrays
    lam : (k, k) array
        Of all terms.
    covariance_slopes : (n_theta, k, k) array
        dG_i.

    Returns
    -------
    drop : (B, p + 1, p + 1) array
        What the elimination takes off [X y]'W[X y].
    inner : (B, k, k) array
        Z'V^-1 Z.
    spread : (B, k, k, p + 1, p + 1) array
        H_a' H_b of the rows of H = Z'V^-1 [X y].
    turned : (B, n_theta, n_theta, p + 1, p + 1) array
        ``H' dG_i Z'V^-1 Z dG_l H``.
    """
    g = lam @ lam.T
    keep = blocks.inverse(np.eye(len(lam)) + own @ g)
    h, inner = keep @ to_xy, keep @ own
    drop = np.swapaxes(to_xy, 1, 2) @ (g @ h)
    spread = h[:, :, None, :, None] * h[:, None, :, None, :]
    moved = np.einsum("iab,jbc->jiac", covariance_slopes, h)
    b, size, k, c = moved.shape
    left = np.swapaxes(moved, 2, 3).reshape(b, size * c, k)
    right = np.einsum("jab,jibc->jaic", inner, moved).reshape(b, k, size * c)
    turned = np.moveaxis((left @ right).reshape(b, size, c, size, c), 2, 3)
    return drop, inner, spread, turned
