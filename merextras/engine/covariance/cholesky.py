"""Lower triangular factors of small covariance matrices, which may be singular."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from merextras.engine.kernels.blocks import Array, IntArray


@lru_cache(maxsize=64)
def lower_indices(k: int) -> tuple[IntArray, IntArray]:
    """(rows, columns) of the lower triangle of a k x k matrix, column by column."""
    cols, rows = np.triu_indices(k)
    return rows, cols


def factors_of(covariances: Array) -> Array:
    """Lower triangular factors of (m, k, k) covariances.

    The outer-product form of Cholesky; a pivot that is zero to rounding gives a zero column.
    """
    rest, low = covariances.copy(), np.zeros_like(covariances)
    # Relative to the same effect's own variance: effects come in units of any size.
    tiny = 1e-14 * np.einsum("mkk->mk", covariances)
    for j in range(covariances.shape[1]):
        pivot = rest[:, j, j]
        used = pivot > np.maximum(tiny[:, j], 0.0)
        root = np.sqrt(np.where(used, pivot, 1.0))
        low[:, j:, j] = np.where(used[:, None], rest[:, j:, j] / root[:, None], 0.0)
        rest -= low[:, :, j, None] * low[:, None, :, j]
    return low
