"""Cross-products of what a deletion leaves.

Cross-products are sums over rows, so that those of what is left are theirs less those of what is
taken out. Where that would cancel the digits (what is taken out is nearly all there was of a
column or a level) they are made again from the rows that are left.
"""

from __future__ import annotations

import numpy as np
import scipy.linalg as la
import scipy.sparse as sp

from merextras.engine.deletion.tables import (
    NO_LEVELS,
    NO_RANK,
    NO_ROWS,
    BoolArray,
    Deletions,
    Whole,
    counted,
)
from merextras.engine.kernels import sparse
from merextras.engine.kernels.blocks import Array, IntArray
from merextras.engine.products.crossprod import CrossProducts

# What must be left of a sum of squares after a subtraction, as a share: ten digits are then good.
CANCELLED = 1e-6
# lme4's tolerance: a column is dependent if less than this share of it is new.
_DEPENDENT = 1e-7


def products_without(
    whole: Whole, deletions: Deletions, rows: IntArray, *, full: bool = True
) -> CrossProducts | str:
    """Cross-products of what is left, or why there is no fit to it.

    One step is taken in the coordinates of all rows' effects.
    """
    taken = np.where(whole.rows.precision[rows] > 0.0, deletions.taken[rows], 0.0)
    left = [
        counts - counted(t.codes[rows], taken, t.n_levels)
        for counts, t in zip(whole.level_counts, whole.rows.terms, strict=True)
    ]
    if whole.cp.n - round(float(np.sum(taken))) <= whole.cp.p:
        return NO_ROWS
    if any(np.sum(counts > 0.5) < 2 for counts in left):
        return NO_LEVELS
    found = _without(whole, deletions, rows, left) or _made_again(whole, deletions, rows)
    if isinstance(found, str):
        return found
    found = found.at_sigma2(whole.cp.scale.given)
    if full:
        return found
    return found.in_basis(found.basis.with_effects(whole.cp.basis.effects))


def _without(
    whole: Whole, deletions: Deletions, rows: IntArray, left: list[Array]
) -> CrossProducts | None:
    """Cross-products less those of some rows; None where a difference would have no digits."""
    cp = whole.cp
    part = whole.rows.products(rows, deletions.taken[rows], cp.basis)
    kept = [counts > 0.5 for counts in left]
    own, to_xy = [], []
    for t, keep in enumerate(kept):
        own.append((cp.own[t] - part.own[t]) * keep[:, None, None])
        to_xy.append((cp.to_xy[t] - part.to_xy[t]) * keep[:, None, None])
        if np.any(shortened(cp.own[t], own[t])):
            return None
    xy = cp.xy - part.xy
    if cancelled(cp.xy, xy[None])[0]:
        return None
    cross = {
        (s, t): _less(block, part.cross[s, t], kept[s], kept[t])
        for (s, t), block in cp.cross.items()
    }
    log_w = cp.sum_log_w - part.sum_log_w
    return CrossProducts(tuple(own), cross, tuple(to_xy), xy, cp.n - part.n, log_w, cp.basis)


def shortened(before: Array, after: Array) -> BoolArray:
    """Where what is left of a level's block is too little for a difference, (J,)."""
    one, other = np.einsum("jkk->jk", before), np.einsum("jkk->jk", after)
    # An exact zero is one: nothing was rounded.
    return np.asarray(np.any((other < CANCELLED * one) & (other != 0.0), axis=1))


def cancelled(before: Array, after: Array) -> BoolArray:
    """Where what is left of [X y]'W[X y] is too little for a difference, (m,)."""
    p = len(before) - 1
    size = np.sqrt(np.maximum(np.diag(before)[:p], np.finfo(float).tiny))
    lowest = np.ones(len(after))
    if p:
        lowest = np.linalg.eigvalsh(after[:, :p, :p] / np.outer(size, size))[:, 0]
    return np.asarray((lowest < CANCELLED) | (after[:, p, p] < CANCELLED * before[p, p]))


def _less(
    block: sp.csc_array, part: sp.csc_array, rows: BoolArray, cols: BoolArray
) -> sp.csc_array:
    """The difference on the pattern of `block`, without the levels that are no longer there."""
    found = sparse.subtract_on_pattern(block, part)
    k_s, k_t = block.shape[0] // len(rows), block.shape[1] // len(cols)
    kept = rows[found.indices // k_s] & cols[sparse.columns_of(found) // k_t]
    return sparse.with_data(found, found.data * kept)


def _made_again(whole: Whole, deletions: Deletions, rows: IntArray) -> CrossProducts | str:
    """Cross-products of what is left, from the rows; X must have full rank there."""
    frequencies = whole.rows.frequencies.copy()
    frequencies[rows] -= deletions.taken[rows]
    kept = np.flatnonzero((frequencies > 0.5) & (whole.rows.precision > 0.0))
    root = np.sqrt(whole.rows.precision[kept] * frequencies[kept])
    x = whole.rows.x[kept] * root[:, None]
    if x.shape[1]:
        size = np.linalg.norm(x, axis=0)
        if not np.all(size > 0.0):
            return NO_RANK
        new = np.abs(np.diag(la.qr(x / size, mode="r", check_finite=False)[0]))
        if np.min(new) <= _DEPENDENT:
            return NO_RANK
    return whole.rows.products(kept, frequencies[kept])
