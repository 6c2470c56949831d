"""The inverse of a large symmetric matrix from its Cholesky factor, without room for it.

With ``S = L L'`` the columns P of S^-1 from the row s on in which P begins are those of
``L_ss'^-1 L_ss^-1``, L_ss the part of L from s on: two triangular solves. As many operations as
LAPACK needs for the whole inverse, 2/3 q**3, and the factor stays as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import scipy.linalg as la

from merextras.engine.kernels.blocks import Array

#: Numbers of an inverse that is made at once (32 MB).
AT_ONCE = 1 << 22
#: Columns of a larger one that are worked on together, and rows that are solved for as they are.
WIDTH, _LEAF = 384, 96


def inverse(matrix: Array) -> Array:
    """S^-1 from L' on the diagonal and above, without another matrix beside it; NaN from NaN."""
    if len(matrix) == 0:
        return matrix
    upper, info = la.lapack.dpotri(np.array(matrix, order="F"), lower=0, overwrite_c=1)
    if info != 0:
        return np.full_like(matrix, np.nan)
    for start in range(0, len(upper), WIDTH):
        part = slice(start, start + WIDTH)
        upper[part, :start] = upper[:start, part].T
        own = upper[part, part]
        own[:] = np.triu(own) + np.triu(own, 1).T
    return np.asarray(upper.T)


def inverse_columns(matrix: Array, parts: Iterable[slice]) -> Iterator[tuple[slice, Array]]:
    """Columns of S^-1 from their diagonal block on, from L' on the diagonal and above.

    Parameters
    ----------
    matrix : (q, q) array
    parts : iterable of slices
        All columns in order, which are worked on so many at a time.

    Yields
    ------
    part : slice
        All columns at once of a matrix that is not large.
    columns : (q - part.start, part.stop - part.start) array
        The caller's to change.
    """
    if matrix.size <= AT_ONCE:
        if len(matrix):
            yield slice(0, len(matrix)), inverse(matrix)
        return
    for part in parts:
        yield part, _columns(matrix, part)


def _columns(matrix: Array, part: slice) -> Array:
    out = np.zeros((len(matrix) - part.start, part.stop - part.start))
    np.fill_diagonal(out, 1.0)
    upper = matrix[part.start :, part.start :]
    _forward(upper, out)
    _backward(upper, out)
    return out


# By halves, so that nearly all is done by products of large matrices, which take views of the
# factor as they are; BLAS' own solution would have a copy of it made.
def _forward(upper: Array, rhs: Array) -> None:
    """Solve ``L x = rhs`` in place, from L' on the diagonal and above."""
    if len(upper) <= _LEAF:
        _solve(upper, rhs, transposed=False)
        return
    half = len(upper) // 2
    _forward(upper[:half, :half], rhs[:half])
    rhs[half:] -= upper[:half, half:].T @ rhs[:half]
    _forward(upper[half:, half:], rhs[half:])


def _backward(upper: Array, rhs: Array) -> None:
    """Solve ``L' x = rhs`` likewise."""
    if len(upper) <= _LEAF:
        _solve(upper, rhs, transposed=True)
        return
    half = len(upper) // 2
    _backward(upper[half:, half:], rhs[half:])
    rhs[:half] -= upper[:half, half:] @ rhs[half:]
    _backward(upper[:half, :half], rhs[:half])


def _solve(upper: Array, rhs: Array, *, transposed: bool) -> None:
    """Solve with a small L, or with its transpose, in place."""
    low = np.ascontiguousarray(upper).T
    found = la.blas.dtrsm(
        1.0, low, rhs.T, side=1, lower=1, trans_a=int(not transposed), overwrite_b=1
    )
    if not np.may_share_memory(found, rhs):  # BLAS was given a copy
        rhs[:] = found.T
