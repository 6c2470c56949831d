"""Small blocks whose elements lead: (k, l, ...), each element an array of its own.

Of many levels and many models a product of blocks is k l m products of long arrays, which is
several times as fast as blocks that lie together; of single effects it is one.
"""

from __future__ import annotations

import numpy as np

from merextras.engine.kernels import blocks
from merextras.engine.kernels.blocks import Array

# Blocks whose inverse is written out.
_WRITTEN_OUT = 2


def product(left: Array, right: Array) -> Array:
    """Products of blocks; what follows the elements is broadcast."""
    if left.shape[:2] == right.shape[:2] == (1, 1):
        return np.asarray(left * right)
    return np.asarray(np.einsum("ab...,bc...->ac...", left, right))


def applied(block: Array, vector: Array) -> Array:
    """Products of blocks with vectors, (l, ...)."""
    if block.shape[:2] == (1, 1):
        return np.asarray(block[0] * vector)
    return np.asarray(np.einsum("ab...,b...->a...", block, vector))


def transpose(block: Array) -> Array:
    """The transposed blocks, as a view."""
    return block.swapaxes(0, 1)


def cholesky(block: Array) -> Array:
    """Lower Cholesky factors; NaN in those of blocks that are not positive definite."""
    k = len(block)
    if k == 1:
        return np.asarray(np.sqrt(block))
    low = np.zeros_like(block)
    for j in range(k):
        row = low[j, :j]
        low[j, j] = np.sqrt(block[j, j] - np.sum(row * row, axis=0))
        for i in range(j + 1, k):
            low[i, j] = (block[i, j] - np.sum(low[i, :j] * row, axis=0)) / low[j, j]
    return low


def solve_lower(low: Array, rhs: Array) -> Array:
    """``L^-1 rhs`` of (k, m, ...) right-hand sides."""
    if len(low) == 1:
        return np.asarray(rhs / low)
    shape = np.broadcast_shapes(low.shape[2:], rhs.shape[2:])
    out = np.empty((len(low), rhs.shape[1], *shape))
    for i in range(len(low)):
        known = np.einsum("b...,bm...->m...", low[i, :i], out[:i]) if i else 0.0
        out[i] = (rhs[i] - known) / low[i, i]
    return out


def inverse(block: Array) -> Array:
    """Inverses of general blocks."""
    k = len(block)
    if k == 1:
        return 1.0 / block
    if k > _WRITTEN_OUT:
        return np.moveaxis(_inverse(np.moveaxis(block, (0, 1), (-2, -1))), (-2, -1), (0, 1))
    det = block[0, 0] * block[1, 1] - block[0, 1] * block[1, 0]
    out = np.empty_like(block)
    out[0, 0], out[1, 1] = block[1, 1] / det, block[0, 0] / det
    out[0, 1], out[1, 0] = -block[0, 1] / det, -block[1, 0] / det
    return out


def _inverse(block: Array) -> Array:
    """Of blocks that lie together; NaN for those that are singular, or not finite."""
    usable = np.isfinite(block).all(axis=(-2, -1), keepdims=True)
    found = np.where(usable, block, np.eye(block.shape[-1]))
    found = blocks.inverse(found.reshape(-1, *block.shape[-2:])).reshape(block.shape)
    return np.where(usable, found, np.nan)
