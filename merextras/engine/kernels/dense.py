"""Cholesky factors and triangular solves of one dense matrix.

A matrix of a few columns goes straight to LAPACK's and BLAS' routines that stay on one thread then:
scipy's checks cost ten times the work itself, and its triangular solves wake all threads of some
multithreaded BLAS even for two columns, which costs far more on a busy machine.
"""

from __future__ import annotations

import numpy as np
import scipy.linalg as la

from merextras._typing import Array

_SMALL = 24


def cholesky(matrix: Array) -> Array:
    """Lower Cholesky factor; NaN everywhere if the matrix is not positive definite."""
    if len(matrix) == 0:
        return np.zeros_like(matrix)
    if len(matrix) <= _SMALL:
        low, failed = la.lapack.dpotrf(matrix, lower=1, clean=1)
        # What is not finite passes for positive.
        failed = failed or not np.isfinite(low).all()
        return np.full_like(matrix, np.nan) if failed else np.asarray(low)
    try:
        return np.asarray(la.cholesky(matrix, lower=True, check_finite=False))
    except la.LinAlgError:
        return np.full_like(matrix, np.nan)


def solve_lower(low: Array, rhs: Array) -> Array:
    """Solve ``L x = rhs``; `rhs` is (n, m)."""
    return _solve(low, rhs, transposed=False)


def solve_upper(low: Array, rhs: Array) -> Array:
    """Solve ``L' x = rhs``; `rhs` is (n, m)."""
    return _solve(low, rhs, transposed=True)


def solve(low: Array, rhs: Array) -> Array:
    """Solve ``L L' x = rhs``; `rhs` is (n, m)."""
    return solve_upper(low, solve_lower(low, rhs))


def _solve(low: Array, rhs: Array, *, transposed: bool) -> Array:
    if rhs.size == 0:
        return np.zeros_like(rhs)
    if len(low) <= _SMALL:
        return np.asarray(la.blas.dtrsm(1.0, low, rhs, lower=1, trans_a=int(transposed)))
    trans = "T" if transposed else "N"
    return np.asarray(la.solve_triangular(low, rhs, lower=True, trans=trans, check_finite=False))


def orthonormal(x: Array) -> Array:
    """Find an orthonormal basis of the span of x, (n, rank); by pivoted QR, O(n p**2)."""
    size = np.linalg.norm(x, axis=0)
    if not np.any(size > 0.0):
        return np.empty((len(x), 0))
    q, r, _ = la.qr(x / np.where(size > 0.0, size, 1.0), mode="economic", pivoting=True)
    diagonal = np.abs(np.diag(r))
    return np.asarray(q[:, : int(np.sum(diagonal > 1e-10 * diagonal[0]))])
