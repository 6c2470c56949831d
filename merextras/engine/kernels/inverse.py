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
#: Columns of a larger one that are worked on together, and rows of a step of their solution.
WIDTH, _STEP = 512, 256


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
    size, first = len(matrix), part.start
    out = np.zeros((size - first, part.stop - first))
    np.fill_diagonal(out, 1.0)
    cuts = [slice(at, min(at + _STEP, size)) for at in range(first, size, _STEP)]
    for rows in cuts:
        own = out[rows.start - first : rows.stop - first]
        if rows.start > first:
            own -= matrix[first : rows.start, rows].T @ out[: rows.start - first]
        _solve(matrix[rows, rows], own, transposed=False)
    for rows in reversed(cuts):
        own = out[rows.start - first : rows.stop - first]
        if rows.stop < size:
            own -= matrix[rows, rows.stop :] @ out[rows.stop - first :]
        _solve(matrix[rows, rows], own, transposed=True)
    return out


def _solve(upper: Array, rhs: Array, *, transposed: bool) -> None:
    """Solve ``L x = rhs``, or with L', in place; L' is on the diagonal and above."""
    low = np.ascontiguousarray(upper).T
    found = la.blas.dtrsm(
        1.0, low, rhs.T, side=1, lower=1, trans_a=int(not transposed), overwrite_b=1
    )
    if not np.shares_memory(found, rhs):  # whatever BLAS is given, it may have made a copy
        rhs[:] = found.T
