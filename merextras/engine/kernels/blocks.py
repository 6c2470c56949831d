"""Small dense blocks, one per level, in batches: the kernels everything else is built on.

A random-effects term with J levels and k effects per level has J blocks of k x k. They are kept as
one ``(J, k, k)`` array, and every kernel loops over the k rows of a block, never over the levels,
so that the cost is k**2 vector operations of length J.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import scipy.linalg as la
import scipy.sparse as sp
from numpy.typing import NDArray

Array = NDArray[np.float64]
IntArray = NDArray[np.intp]
BoolArray = NDArray[np.bool_]

# Above this size of block LAPACK's and BLAS' loops over the levels are faster than ours over the
# rows.
_LOOP_LIMIT = 12
# Of the cofactors of a matrix of two rows.
_SIGNS = np.array([[1.0, -1.0], [-1.0, 1.0]])


def cholesky(blocks: Array) -> Array:
    """Lower Cholesky factors of ``(J, k, k)`` positive definite blocks; cost O(J k**3).

    A block that is not positive definite gives NaN in its factor: the caller's deviance is then
    NaN, which the optimiser treats as a rejected step.
    """
    k = blocks.shape[-1]
    if k > _LOOP_LIMIT:
        return _lapack(np.linalg.cholesky, blocks)
    with np.errstate(invalid="ignore", divide="ignore"):
        if k <= 1:
            return np.asarray(np.sqrt(blocks))
        low = np.zeros_like(blocks)
        low[:, 0, 0] = np.sqrt(blocks[:, 0, 0])
        low[:, 1:, 0] = blocks[:, 1:, 0] / low[:, 0, 0, None]
        for j in range(1, k):
            row = low[:, j, :j]
            low[:, j, j] = np.sqrt(blocks[:, j, j] - _dot(row, row))
            if j + 1 < k:
                dot = np.einsum("jai,ji->ja", low[:, j + 1 :, :j], row)
                low[:, j + 1 :, j] = (blocks[:, j + 1 :, j] - dot) / low[:, j, j, None]
    return low


def _dot(left: Array, right: Array) -> Array:
    """Products of vectors by levels, (J,) of (J, k) each."""
    if left.shape[1] == 1:
        return np.asarray(left[:, 0] * right[:, 0])
    return np.asarray(np.einsum("ji,ji->j", left, right))


def _lapack(function: Callable[..., Array], blocks: Array, *rhs: Array) -> Array:
    """What numpy makes of all blocks; NaN for one that it refuses."""
    try:
        return np.asarray(function(blocks, *rhs))
    except np.linalg.LinAlgError:
        # It does not say which block it was.
        if len(blocks) == 1:
            return np.full_like((blocks, *rhs)[-1], np.nan)
        each = zip(blocks[:, None], *(r[:, None] for r in rhs), strict=True)
        return np.concatenate([_lapack(function, *one) for one in each])


def solve_lower(low: Array, rhs: Array) -> Array:
    """Solve ``L x = rhs`` by levels; `low` is (J, k, k), `rhs` is (J, k, m)."""
    k = low.shape[-1]
    if k > _LOOP_LIMIT:
        first, rest = slice(0, k // 2), slice(k // 2, k)
        top = solve_lower(low[:, first, first], rhs[:, first])
        below = rhs[:, rest] - low[:, rest, first] @ top
        return np.concatenate([top, solve_lower(low[:, rest, rest], below)], axis=1)
    if k == 1:
        return np.asarray(rhs / low)
    out = np.empty(np.broadcast_shapes(rhs.shape, (low.shape[0], 1, 1)))
    if k:
        out[:, 0, :] = rhs[:, 0, :] / low[:, 0, 0, None]
    for i in range(1, k):
        acc = rhs[:, i, :] - _applied(low[:, i, :i], out[:, :i, :])
        out[:, i, :] = acc / low[:, i, i, None]
    return out


def solve_upper(low: Array, rhs: Array) -> Array:
    """Solve ``L' x = rhs`` by levels; `low` is (J, k, k), `rhs` is (J, k, m)."""
    k = low.shape[-1]
    if k > _LOOP_LIMIT:
        first, rest = slice(0, k // 2), slice(k // 2, k)
        below = solve_upper(low[:, rest, rest], rhs[:, rest])
        top = rhs[:, first] - transpose(low[:, rest, first]) @ below
        return np.concatenate([solve_upper(low[:, first, first], top), below], axis=1)
    if k == 1:
        return np.asarray(rhs / low)
    out = np.empty(np.broadcast_shapes(rhs.shape, (low.shape[0], 1, 1)))
    if k:
        out[:, -1, :] = rhs[:, -1, :] / low[:, -1, -1, None]
    for i in range(k - 2, -1, -1):
        acc = rhs[:, i, :] - _applied(low[:, i + 1 :, i], out[:, i + 1 :, :])
        out[:, i, :] = acc / low[:, i, i, None]
    return out


def _applied(rows: Array, known: Array) -> Array:
    """Products of vectors with matrices by levels, (J, m) of (J, k) and (J, k, m)."""
    if rows.shape[1] == 1:
        return np.asarray(rows * known[:, 0])
    return np.asarray(np.einsum("ji,jim->jm", rows, known))


def inverse(blocks: Array) -> Array:
    """Inverses of general ``(J, k, k)`` blocks; closed forms for k = 1 and 2.

    A block that is singular to the last digit gives NaN, as in `cholesky`.
    """
    k = blocks.shape[-1]
    if k > 2:
        return _lapack(np.linalg.inv, blocks)
    if k <= 1:
        return 1.0 / np.where(blocks == 0.0, np.nan, blocks)
    det = blocks[:, 0, 0] * blocks[:, 1, 1] - blocks[:, 0, 1] * blocks[:, 1, 0]
    det[det == 0.0] = np.nan
    adjugates = transpose(blocks[:, ::-1, ::-1]) * _SIGNS
    return np.asarray(adjugates / det[:, None, None])


def eigh(matrices: Array) -> tuple[Array, Array]:
    """Eigenvalues, ascending, and eigenvectors of (m, k, k) symmetric matrices.

    One small matrix goes straight to LAPACK: what numpy does around that takes longer.

    Raises
    ------
    LinAlgError
        Numbers of a size that LAPACK gives up on.
    """
    if len(matrices) != 1 or not 0 < matrices.shape[1] <= _LOOP_LIMIT:
        values, vectors = np.linalg.eigh(matrices)
        return values, vectors
    values, vectors, failed = la.lapack.dsyevd(matrices[0], lower=1)
    if failed:
        raise np.linalg.LinAlgError("Eigenvalues did not converge")
    return values[None], vectors[None]


def sweep(rows: Array) -> Array:
    """Invert many matrices in place by sweeps, (k, k, m, J); sum their log-determinants over J.

    Returns
    -------
    (m,) array
        NaN with a matrix that is not positive definite.
    """
    k, log_det = len(rows), np.zeros(rows.shape[2])
    for u in range(k):
        pivot = rows[u, u].copy()
        log_det += np.log(pivot).sum(axis=1)
        rows[u, u] = 1.0
        rows[u] /= pivot
        for v in range(k):
            if v != u:
                factor = rows[v, u].copy()
                rows[v, u] = 0.0
                rows[v] -= factor * rows[u]
    return log_det


def divided(blocks: Array, rhs: Array) -> Array:
    """``B^-1 rhs`` of general ``(J, k, k)`` blocks; `rhs` is (J, k, m)."""
    if blocks.shape[-1] > 2:
        return _lapack(np.linalg.solve, blocks, rhs)
    return times(inverse(blocks), rhs)


def times(left: Array, right: Array) -> Array:
    """Products ``L_j R_j`` by levels, of (J, a, b) and (J, b, c).

    With b = 1 an outer product and with c = 1 a sum, quicker than a loop over small matrices.
    """
    if left.shape[-1] == 1:
        return np.asarray(left * right)
    if right.shape[-1] == 1 and len(left) == len(right):
        return np.asarray(np.einsum("jab,jb->ja", left, right[:, :, 0])[:, :, None])
    return np.asarray(left @ right)


def transpose(blocks: Array) -> Array:
    """Return the transposed blocks, as a view."""
    return blocks.swapaxes(-1, -2)


def diagonals(blocks: Array) -> Array:
    """The diagonals of the blocks, (J, k), as a view."""
    return np.asarray(np.einsum("jaa->ja", blocks))


def plus_identity(blocks: Array) -> Array:
    """The blocks with an identity matrix added to each, in place."""
    for a in range(blocks.shape[-1]):
        blocks[:, a, a] += 1.0
    return blocks


def outer_sum(left: Array, right: Array) -> Array:
    """Sum over levels of ``left_j' right_j``: one BLAS product of (J k, m) matrices."""
    m, r = left.shape[-1], right.shape[-1]
    rows = left.shape[0] * left.shape[1]
    return left.reshape(rows, m).T @ right.reshape(rows, r)


def sum_by(values: Array, codes: IntArray, n_levels: int) -> Array:
    """Sum the rows of `values` (n, ...) within each code: (n_levels, ...); cost O(n)."""
    width = math.prod(values.shape[1:])
    flat = values.reshape(len(values), width)
    if width == 0:
        return np.zeros((n_levels, *values.shape[1:]))
    if width == 1:
        sums = np.bincount(codes, weights=flat[:, 0], minlength=n_levels)
        return sums.reshape((n_levels, *values.shape[1:]))
    cols = [np.bincount(codes, weights=col, minlength=n_levels) for col in flat.T]
    return np.stack(cols, axis=1).reshape((n_levels, *values.shape[1:]))


def block_diagonal(blocks: Array) -> sp.csr_array:
    """Sparse block-diagonal matrix (J k, J m) of the ``(J, k, m)`` blocks."""
    return block_columns(blocks, np.arange(len(blocks)), len(blocks))


def block_columns(blocks: Array, columns: IntArray, n_columns: int) -> sp.csr_array:
    """Sparse matrix with one ``(k, m)`` block per block row, at the given block column."""
    n, k, m = blocks.shape
    cols = np.repeat(columns[:, None] * m + np.arange(m), k, axis=0)
    indptr = np.arange(n * k + 1) * m
    shape = (n * k, n_columns * m)
    return sp.csr_array((blocks.reshape(-1), cols.reshape(-1), indptr), shape=shape)
