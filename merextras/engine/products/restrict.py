"""Cross-products of a smaller model: some of the terms, with combinations of their effects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import scipy.sparse as sp

from merextras.engine.kernels.blocks import Array, block_diagonal
from merextras.engine.products.crossprod import CrossProducts

#: Number of a term, and the (k, r) combinations of its effects that take their place.
Kept = Sequence[tuple[int, Array]]


def restricted(cp: CrossProducts, kept: Kept) -> CrossProducts:
    """The cross-products with ``Z_t (I x C_t)`` in place of Z_t, other terms left out.

    Parameters
    ----------
    cp : CrossProducts
    kept : sequence of (t, (k, r) array)
        In the new order; the identity leaves a term as it is. Parts of one term without their
        covariances are several terms of the same t.

    Notes
    -----
    O(numbers in the blocks times k). The pattern of the levels that share a row stays.
    """
    cross = {
        (i, j): _between(_block(cp, s, t), left, right)
        for j, (t, right) in enumerate(kept)
        for i, (s, left) in enumerate(kept[:j])
    }
    return replace(
        cp,
        own=tuple(_times(cp.own[t], c, c) for t, c in kept),
        to_xy=tuple(cp.to_xy[t] if _is_identity(c) else c.T @ cp.to_xy[t] for t, c in kept),
        cross=cross,
    )


def _block(cp: CrossProducts, s: int, t: int) -> sp.csc_array:
    if s == t:
        return sp.csc_array(block_diagonal(cp.own[s]))
    return cp.cross[s, t] if s < t else sp.csc_array(cp.cross[t, s].T)


def _is_identity(c: Array) -> bool:
    return c.shape[0] == c.shape[1] and np.array_equal(c, np.eye(len(c)))


def _times(blocks: Array, left: Array, right: Array) -> Array:
    if _is_identity(left) and _is_identity(right):
        return blocks
    return np.asarray(left.T @ blocks @ right)


def _between(block: sp.csc_array, left: Array, right: Array) -> sp.csc_array:
    """One sparse block; as a product of sparse matrices it would lose the zeros on its pattern."""
    if _is_identity(left) and _is_identity(right):
        return block
    parts = sp.bsr_array(block, blocksize=(len(left), len(right)))
    shape = (
        block.shape[0] // len(left) * left.shape[1],
        block.shape[1] // len(right) * right.shape[1],
    )
    made = sp.bsr_array((_times(parts.data, left, right), parts.indices, parts.indptr), shape=shape)
    return sp.csc_array(made.tocoo())
