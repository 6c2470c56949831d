"""Blocks of cross-products with combinations of the effects, ``Z_t (I x C_t)`` in place of Z_t."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from merextras.engine.kernels.blocks import Array

# Elements of a block up to which a product with the Kronecker product of both sides is faster.
_SMALL = 32


def is_identity(c: Array) -> bool:
    """Whether C leaves the effects as they are."""
    return c.shape[0] == c.shape[1] and np.array_equal(c, np.eye(len(c)))


def times_both(blocks: Array, left: Array, right: Array) -> Array:
    """``A' B C`` of each block B."""
    if is_identity(left) and is_identity(right):
        return blocks
    size = len(left) * len(right)
    if size > _SMALL:
        return np.asarray(left.T @ blocks @ right)
    # One product for all blocks, each a row: numpy multiplies small matrices one by one.
    made = blocks.reshape(len(blocks), size) @ np.kron(left, right)
    return np.asarray(made.reshape(len(blocks), left.shape[1], right.shape[1]))


def sparse_times_both(block: sp.csc_array, left: Array, right: Array) -> sp.csc_array:
    """The same of the blocks of a sparse array.

    As a product of sparse matrices it would lose the zeros on its pattern.
    """
    if is_identity(left) and is_identity(right):
        return block
    return sp.csc_array(blocks_times_both(block, left, right).tocoo())


def blocks_times_both(block: sp.csc_array, left: Array, right: Array) -> sp.bsr_array:
    """The same, by blocks."""
    parts = sp.bsr_array(block, blocksize=(len(left), len(right)))
    shape = (
        block.shape[0] // len(left) * left.shape[1],
        block.shape[1] // len(right) * right.shape[1],
    )
    made = times_both(parts.data, left, right)
    return sp.bsr_array((made, parts.indices, parts.indptr), shape=shape)
