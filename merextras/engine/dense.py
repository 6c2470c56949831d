"""Cholesky factors and triangular solves of one dense matrix.

A matrix of a few columns goes through our own kernels: LAPACK's triangular solves wake all threads
of a multithreaded BLAS even for two columns, which costs more than the whole fit of a small model,
and far more on a busy machine.
"""

from __future__ import annotations

import numpy as np
import scipy.linalg as la

from merextras.engine import blocks
from merextras.engine.blocks import Array

_SMALL = 24


def cholesky(matrix: Array) -> Array:
    """Lower Cholesky factor; NaN everywhere if the matrix is not positive definite."""
    if len(matrix) <= _SMALL:
        low = blocks.cholesky(matrix[None])[0]
        return low if np.all(np.isfinite(low)) else np.full_like(matrix, np.nan)
    try:
        return np.asarray(la.cholesky(matrix, lower=True, check_finite=False))
    except la.LinAlgError:
        return np.full_like(matrix, np.nan)


def solve_lower(low: Array, rhs: Array) -> Array:
    """Solve ``L x = rhs``; `rhs` is (n, m)."""
    if len(low) <= _SMALL:
        return np.asarray(blocks.solve_lower(low[None], rhs[None])[0])
    return np.asarray(la.solve_triangular(low, rhs, lower=True, check_finite=False))


def solve_upper(low: Array, rhs: Array) -> Array:
    """Solve ``L' x = rhs``; `rhs` is (n, m)."""
    if len(low) <= _SMALL:
        return np.asarray(blocks.solve_upper(low[None], rhs[None])[0])
    return np.asarray(la.solve_triangular(low, rhs, lower=True, trans="T", check_finite=False))


def solve(low: Array, rhs: Array) -> Array:
    """Solve ``L L' x = rhs``; `rhs` is (n, m)."""
    return solve_upper(low, solve_lower(low, rhs))
