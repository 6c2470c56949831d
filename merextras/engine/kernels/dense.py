"""Cholesky factors and triangular solves of one dense matrix.

A matrix of a few columns goes straight to LAPACK's and BLAS' routines that stay on one thread then:
scipy's checks cost ten times the work itself, and its triangular solves wake all threads of some
multithreaded BLAS even for two columns, which costs far more on a busy machine.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import scipy.linalg as la

from merextras.engine.kernels.blocks import Array, BoolArray

_SMALL = 24
#: Digits (a factor) that may cancel in a product or a solution before it is made with twice as
#: many.
CANCELS = 1e4
# A column of which this share is new is well told from those before it by cross-products.
_CLEARLY = 1e-3
#: Numbers of rows that are worked on together (16 MB).
TOGETHER = 1 << 21
# Rows of them: a few columns of so many stay in a processor's cache with what is made of them.
_ROWS = 1 << 16
# Columns and rows of which the products are made pair by pair.
_FEW, _LONG = 4, 1 << 12
#: What `scaled_cholesky` tells of some columns.
Told = tuple[Array, Array]
Times = Callable[..., Array]
# Numbers whose squares have no digit.
_VANISHES = 1e-154
# Splits a double into halves of 26 bits (Dekker 1971).
_SPLIT = 134217729.0


def cholesky(matrix: Array, *, overwrite: bool = False) -> Array:
    """Lower Cholesky factor; NaN everywhere if the matrix is not positive definite.

    With `overwrite` a large matrix may become its own factor.
    """
    if len(matrix) == 0:
        return np.zeros_like(matrix)
    if len(matrix) <= _SMALL:
        low, failed = la.lapack.dpotrf(matrix, lower=1, clean=1)
        # What is not finite passes for positive; of any row it comes to the diagonal.
        failed = failed or not math.isfinite(low.trace())
        return np.full_like(matrix, np.nan) if failed else np.asarray(low)
    try:
        if overwrite and matrix.flags.c_contiguous:
            matrix = matrix.T  # the same, in LAPACK's order
        return np.asarray(
            la.cholesky(matrix, lower=True, overwrite_a=overwrite, check_finite=False)
        )
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
    if 0 < len(low) <= _SMALL and rhs.size:
        return np.asarray(la.lapack.dpotrs(low, rhs, lower=1)[0])
    return solve_upper(low, solve_lower(low, rhs))


def inverse_lower(low: Array) -> Array:
    """L^-1 of a lower triangular factor with a positive diagonal, or of NaN."""
    return np.asarray(la.lapack.dtrtri(low, lower=1)[0])


def solve_triangle(upper: Array, rhs: Array) -> Array:
    """Solve ``U x = rhs`` for an upper triangular U; `rhs` is (n,) or (n, m).

    Raises
    ------
    LinAlgError
        A zero on the diagonal.
    """
    if not 0 < len(upper) <= _SMALL or not rhs.size:
        return np.asarray(la.solve_triangular(upper, rhs, check_finite=False))
    if upper.flags.f_contiguous:
        found, zero = la.lapack.dtrtrs(upper, rhs)
    else:  # its transpose is, without a copy
        found, zero = la.lapack.dtrtrs(upper.T, rhs, lower=1, trans=1)
    if zero:
        raise la.LinAlgError(f"a triangular matrix with a zero in row {zero}")
    return np.asarray(found.reshape(rhs.shape))


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


def triangle(x: Array, told: Told | None = None) -> Array:
    """Upper triangular R with R'R = x'x, (min(n, p), p).

    By Cholesky of the cross-products where no column is nearly one of those before it, and by QR
    where one is. `told` is x's `scaled_cholesky`, if known.
    """
    if len(x) >= x.shape[1]:
        low, size = scaled_cholesky(x) if told is None else told
        if is_clear(low):
            return np.asarray(low.T * size)
    return np.asarray(np.linalg.qr(x, mode="r"))


def regression(
    x: Array, y: Array, told: Told | None = None, times: Times | None = None
) -> tuple[Array, Array]:
    """R of `triangle`, and c, (p,), with ``R b = c`` for the least squares fit b of y; n >= p.

    To the last digit the same however x lies in memory. `told` is x's `scaled_cholesky`, if known,
    `times` what makes ``x'y`` and ``x'(y - x b)`` of x, y and b.
    """
    times = _times if times is None else times
    low, size = scaled_cholesky(x) if told is None else told
    if is_clear(low):
        fitted = solve_lower(low, (times(x, y) / size)[:, None])
        # And what rounding has left; with that it is as good as QR's (Bjoerck 1987, LAA 88/89).
        left = times(x, y, solve_upper(low, fitted)[:, 0] / size)
        fitted += solve_lower(low, (left / size)[:, None])
        return np.asarray(low.T * size), fitted[:, 0]
    q, r = la.qr(np.asfortranarray(x), mode="economic", check_finite=False)
    return np.asarray(r), np.asarray(q.T @ y)


def _times(x: Array, y: Array, b: Array | None = None) -> Array:
    """``x'y``, or ``x'(y - x b)``, (p,)."""
    total = np.zeros(x.shape[1])
    for rows in row_blocks(len(x), x.shape[1]):
        part, own = by_columns(x[rows]), y[rows]
        total += part.T @ (own if b is None else own - part @ b)
    return total


def by_columns(x: Array) -> Array:
    """Rows as they are or copied, so that BLAS sees them in one way."""
    return x if x.strides[0] == x.itemsize else np.asfortranarray(x)


def row_blocks(n: int, width: int, least: int = 1) -> Iterator[slice]:
    """Rows in blocks of so many numbers that these stay in memory the process has.

    What is larger is mapped and unmapped by the system each time, which takes longer than the
    arithmetic. `least` are the rows of a block at least.
    """
    step = max(block_rows(n, width), least, 1)
    for at in range(0, n, step):
        yield slice(at, at + step)


def block_rows(n: int, width: int) -> int:
    """Rows of a block of `row_blocks`."""
    return min(TOGETHER // max(width, 1), _ROWS, n)


def scaled_cholesky(x: Array) -> Told:
    """Lower Cholesky factor of the cross-products of columns of length one, and their lengths.

    Its diagonal is what is new in each column beside those before it. NaN where cross-products do
    not tell.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        total = np.zeros((x.shape[1], x.shape[1]))
        for rows in row_blocks(*x.shape):
            total += gram(by_columns(x[rows]))
        return told_by(total)


def told_by(total: Array) -> Told:
    """The same, of the columns' cross-products."""
    size = np.sqrt(total.diagonal())
    size[size == 0.0] = 1.0
    return cholesky(total / size[:, None] / size), size


def gram(x: Array, weighted: Array | None = None) -> Array:
    """``x'x``, or ``x'(W x)``, (p, p); x by columns."""
    other = x if weighted is None else weighted
    if x.shape[1] > _FEW or len(x) < _LONG:
        return np.asarray(x.T @ other)
    # BLAS' product of matrices takes its time to arrange a few long columns.
    out = np.empty((x.shape[1], x.shape[1]))
    for i in range(x.shape[1]):
        for j in range(i + 1):
            out[i, j] = out[j, i] = np.dot(x[:, i], other[:, j])
    return out


def is_clear(low: Array) -> bool:
    """Whether cross-products tell all columns apart, to ten digits; of a `scaled_cholesky`."""
    return bool(low.diagonal().min(initial=1.0) > _CLEARLY)


def orthonormal_coordinates(
    x: Array, weights: Array | None = None, told: Told | None = None
) -> Array:
    """Upper triangular T, (p, p), with a positive diagonal and the columns of X T orthonormal.

    A column that these rows cannot tell from those before it is freed of what those explain, and
    keeps its size. `told` is the `scaled_cholesky` of x, if it is known and there are no weights.
    """
    p, missing = x.shape[1], max(x.shape[1] - len(x), 0)
    rows = x if weights is None else x * np.sqrt(weights)[:, None]
    rows = np.pad(rows, ((0, missing), (0, 0))) if missing else rows
    r = triangle(rows, told)
    if not dependent(r).any():
        return np.asarray(la.lapack.dtrtri(r)[0] * np.sign(r.diagonal()))
    transform = np.zeros((p, p))
    columns = np.zeros((len(r), 0))
    kept: list[int] = []
    for j in range(p):
        size = float(np.linalg.norm(r[:, j])) or 1.0
        own = np.zeros(p)
        own[j] = 1.0
        own[:j] -= transform[:j, kept] @ (columns.T @ r[:, j])
        rest = r @ own
        left = float(np.linalg.norm(rest))
        if left > 1e-13 * size:
            size = left
            kept.append(j)
            columns = np.column_stack([columns, rest / left])
        transform[:, j] = own / size
    return transform


def dependent(r: Array) -> BoolArray:
    """Columns of a triangular factor that those before them determine, or whose squares vanish."""
    return np.asarray(np.abs(r.diagonal()) <= np.maximum(1e-13 * lengths(r), _VANISHES))


def lengths(x: Array, weights: Array | None = None) -> Array:
    """Euclidean lengths of the columns, (p,)."""
    return np.asarray(
        np.sqrt(np.einsum("np,np->p", x, x if weights is None else x * weights[:, None]))
    )


def times_triangle(columns: Sequence[Array], upper: Array) -> Array:
    """``A U`` for an upper triangular U, A the columns of all (n, p_i) and (n,) arrays.

    To full precision relative to the columns of the result, where these cancel: with twice the
    working precision (Ogita, Rump & Oishi 2005, SIAM J. Sci. Comput. 26) if the terms of a
    column's sums are larger than the sums by more than four digits. The result lies by columns.
    """
    a = side_by_side(columns, len(upper))
    if a.size == 0:
        return a
    terms = lengths(a) @ np.abs(upper)
    out = times_upper(a, upper)
    if (terms > CANCELS * lengths(out)).any():
        return exact_product(side_by_side(columns, len(upper)), upper)
    return out


def times_upper(a: Array, upper: Array) -> Array:
    """``A U`` for an upper triangular U, in the place of A, which lies by columns."""
    return np.asarray(la.blas.dtrmm(1.0, upper, a, side=1, overwrite_b=1))


def side_by_side(columns: Sequence[Array], width: int) -> Array:
    """A matrix of its own, by columns in memory."""
    out = np.empty((len(columns[0]), width), order="F")
    at = 0
    for part in columns:
        wide = part if part.ndim == 2 else part[:, None]
        out[:, at : at + wide.shape[1]] = wide
        at += wide.shape[1]
    return out


def divided(upper: Array, b: Array) -> Array:
    """``U^-1 b`` for an upper triangular U, (..., k, m), refined where digits cancel."""
    k = len(upper)
    if b.size == 0:
        return b.copy()
    if k == 1:
        return np.asarray(b / upper[0, 0])
    columns = np.moveaxis(np.reshape(b, (-1, k, b.shape[-1])), 1, 0).reshape(k, -1)
    out = solve_triangle(upper, columns)
    inverse = solve_triangle(upper, np.eye(k))
    if (np.abs(inverse) @ np.abs(upper)).max() > CANCELS:
        for _ in range(3):
            rest = exact_product(np.hstack([upper, np.eye(k)]), np.vstack([-out, columns]))
            out = out + solve_triangle(upper, rest)
    out = np.moveaxis(out.reshape(k, -1, b.shape[-1]), 0, 1)
    return np.asarray(out.reshape(b.shape))


def exact_product(a: Array, b: Array) -> Array:
    """``a b``, every sum with twice the working precision."""
    high, low = np.zeros((len(a), b.shape[1])), np.zeros((len(a), b.shape[1]))
    for j in range(a.shape[1]):
        term, error = _exact_terms(a[:, j, None], b[j])
        total = high + term
        part = total - high
        low += error + ((high - (total - part)) + (term - part))
        high = total
    return high + low


def _exact_terms(x: Array, y: Array) -> tuple[Array, Array]:
    """``x y`` and its rounding error."""
    term = x * y
    x_high, y_high = _SPLIT * x, _SPLIT * y
    x_high, y_high = x_high - (x_high - x), y_high - (y_high - y)
    x_low, y_low = x - x_high, y - y_high
    error = x_low * y_low - (((term - x_high * y_high) - x_low * y_high) - x_high * y_low)
    return term, error
