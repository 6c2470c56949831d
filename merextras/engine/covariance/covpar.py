"""theta: the free elements of the relative covariance factors, one lower triangle per term.

``b_t ~ N(0, sigma**2 Lambda_t Lambda_t')`` for each level of term t, and theta holds the lower
triangles of the Lambda_t column by column, a term after the other, as in Bates et al. (2015),
section 2.2.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from merextras.engine.kernels.blocks import Array, IntArray


def n_theta(ks: Sequence[int]) -> int:
    """Return the number of elements of theta for terms with `ks` effects per level."""
    return sum(k * (k + 1) // 2 for k in ks)


@lru_cache(maxsize=64)
def triangle(k: int) -> tuple[IntArray, IntArray]:
    """(rows, columns) of the lower triangle of a k x k matrix, column by column."""
    cols, rows = np.triu_indices(k)
    return rows, cols


def unpack(theta: Array, ks: Sequence[int]) -> tuple[Array, ...]:
    """Return the factors Lambda_t, (k_t, k_t) lower triangular."""
    lams, at = [], 0
    for k in ks:
        lam = np.zeros((k, k))
        rows, cols = triangle(k)
        lam[rows, cols] = theta[at : at + len(rows)]
        lams.append(lam)
        at += len(rows)
    return tuple(lams)


def pack(lams: Sequence[Array]) -> Array:
    """Return theta of the factors; only their lower triangles are read."""
    parts = [lam[triangle(len(lam))] for lam in lams]
    return np.concatenate(parts) if parts else np.empty(0)


def lower_bounds(ks: Sequence[int]) -> Array:
    """0 for the diagonal elements, minus infinity for the others (lme4's ``lower``)."""
    lams = [np.where(np.eye(k, dtype=bool), 0.0, -np.inf) for k in ks]
    return pack(lams)


def start(ks: Sequence[int]) -> Array:
    """Return theta with every Lambda the identity."""
    return pack([np.eye(k) for k in ks])


def normalise(theta: Array, ks: Sequence[int]) -> Array:
    """Return theta of the same covariance with no negative diagonal element.

    Columns of Lambda change sign together.
    """
    lams = []
    for lam in unpack(theta, ks):
        signs = np.where(np.diag(lam) < 0, -1.0, 1.0)
        lams.append(lam * signs)
    return pack(lams)


def factor_of(covariance: Array) -> Array:
    """Lower triangular L with L L' = covariance, which may be singular."""
    return np.asarray(factors_of(np.asarray(covariance, dtype=float)[None])[0])


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
