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
    tiny = np.maximum(1e-14 * covariances.diagonal(axis1=1, axis2=2), 0.0)
    for j in range(covariances.shape[1]):
        pivot = rest[:, j, j]
        used = pivot > tiny[:, j]
        root = np.sqrt(np.where(used, pivot, 1.0))
        column = np.where(used[:, None], rest[:, j:, j] / root[:, None], 0.0)
        low[:, j:, j] = column
        if column.shape[1] > 1:
            rest[:, j + 1 :, j + 1 :] -= column[:, 1:, None] * column[:, None, 1:]
    return low
