"""A tail whose Schur complement is one dense matrix: what factors that cross everywhere need.

Of symmetric matrices one triangle is kept, so that the Schur complement C and its Cholesky factor L
share one array: C below the diagonal, L' from the diagonal on, C's own diagonal beside it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import scipy.linalg as la
import scipy.sparse as sp

from merextras.engine.elimination.tail import TailSystem
from merextras.engine.kernels import sparse
from merextras.engine.kernels.blocks import Array, IntArray
from merextras.engine.kernels.dense import solve_lower, solve_upper

# Numbers of a part of a matrix (32 MB), and rows that are not parted.
_CHUNK, _WHOLE = 1 << 22, 128


@dataclass(frozen=True)
class DenseTail:
    """The cross-products of the tail's terms.

    Attributes
    ----------
    terms : tuple of term numbers
    shapes : tuple of (levels, effects), one per term of the tail
    matrix : (q_tail, q_tail) array, sparse or not
        Lower triangle of Z_tail'WZ_tail; of an array what is above it stands for nothing.
    """

    terms: tuple[int, ...]
    shapes: tuple[tuple[int, int], ...]
    matrix: Array | sp.csc_array
    kind: str = "dense"

    @property
    def numbers(self) -> int:
        """Stored numbers of its Cholesky factor."""
        return len(self) ** 2

    def __len__(self) -> int:
        return int(self.matrix.shape[0])

    @property
    def rows(self) -> dict[int, IntArray]:
        """Rows of the tail of each term, (J, k)."""
        found, at = {}, 0
        for t, (levels, k) in zip(self.terms, self.shapes, strict=True):
            found[t] = at + np.arange(levels * k).reshape(levels, k)
            at += levels * k
        return found

    def start(self) -> Array:
        """A copy of the matrix."""
        if isinstance(self.matrix, np.ndarray):
            return self.matrix.copy()
        return np.asarray(self.matrix.toarray(order="C"))

    def subtract(self, entries: Array, term: int, half: sp.csc_array) -> None:
        """Products of some rows with those up to them, half of the whole.

        Sparse ones, unless nearly every entry is stored.
        """
        del term
        parts = list(_parts(len(self)))
        if sparse.is_full(half):
            whole = half.toarray()
            for part in parts:
                entries[part, : part.stop] -= whole[part] @ whole[: part.stop].T
            return
        rows, columns = sp.csr_array(half), sp.csr_array(half.T)
        if len(parts) == 1:
            entries -= (rows @ columns).toarray()
            return
        for part in parts:
            entries[part, : part.stop] -= (rows[part] @ columns[:, : part.stop]).toarray()

    def factorise(self, entries: Array, lams: Sequence[Array]) -> DenseTailFactor:
        """O(q_tail**3), in place."""
        return DenseTailFactor(self, entries, tuple(lams[t] for t in self.terms))

    def whole(self) -> sp.csc_array:
        """Z_tail'WZ_tail."""
        given = self.matrix
        low = sp.csc_array(np.tril(given) if isinstance(given, np.ndarray) else sp.tril(given))
        return sp.csc_array(low + sp.tril(low, -1).T)

    def places(self, rows: IntArray, cols: IntArray) -> IntArray:
        """Numbers of entries of the lower triangle: of an array row by row, else as stored."""
        if isinstance(self.matrix, np.ndarray):
            return rows * len(self) + cols
        stored = sparse.columns_of(self.matrix) * len(self) + self.matrix.indices
        return np.searchsorted(stored, cols * len(self) + rows)

    def at(self, places: IntArray) -> tuple[IntArray, IntArray]:
        """Rows and columns of some places."""
        if isinstance(self.matrix, np.ndarray):
            return np.divmod(places, max(len(self), 1))
        return self.matrix.indices[places], sparse.columns_of(self.matrix)[places]

    def refilled(self, places: IntArray, values: Array) -> DenseTail:
        """The same tail of other cross-products; O(numbers of the matrix + values)."""
        size, matrix = len(self), self.matrix
        if not isinstance(matrix, np.ndarray):
            data = np.bincount(places, values, matrix.nnz).astype(float, copy=False)
            return replace(self, matrix=sparse.with_data(matrix, data))
        flat: Array = np.bincount(places, values, size * size).astype(float, copy=False)
        return replace(self, matrix=flat.reshape(size, size))

    def plus(self, other: TailSystem) -> DenseTail:
        """The sum of the matrices."""
        assert isinstance(other, DenseTail)
        if isinstance(self.matrix, np.ndarray):
            return replace(self, matrix=self.matrix + other.matrix)
        # A sum of sparse matrices would leave out the entries that are zero.
        data = self.matrix.data + other.matrix.data
        return replace(self, matrix=sparse.with_data(self.matrix, data))

    def product(self, rhs: Array) -> Array:
        """O(numbers of the matrix) a column."""
        if isinstance(self.matrix, np.ndarray):
            return _symmetric_product(self.matrix, self.matrix.diagonal(), rhs)
        low = self.matrix
        return np.asarray(low @ rhs + low.T @ rhs - low.diagonal()[:, None] * rhs)


@dataclass(frozen=True)
class DenseTailFactor:
    """The tail eliminated at one theta.

    Attributes
    ----------
    system : DenseTail
    matrix : (q_tail, q_tail) array
        C below the diagonal, and from the diagonal on L', the Cholesky factor of
        ``Lambda' C Lambda + I``; it is given as C with its diagonal.
    lams : tuple of (k, k) arrays
        Lambda of the tail's terms.
    own : (q_tail,) array
        The diagonal of C.
    """

    system: DenseTail
    matrix: Array
    lams: tuple[Array, ...]
    own: Array = field(init=False)

    def __post_init__(self) -> None:
        matrix = self.matrix
        object.__setattr__(self, "own", matrix.diagonal().copy())
        if not len(self):
            return
        for part in self.parts():
            start, stop = part.start, part.stop
            inner = self.scaled_rows(part, self.rows(part, stop), transposed=True)
            matrix[:start, part] = inner[:, :start].T
            _set_upper(matrix[part, part], inner[:, start:])
        matrix.reshape(-1)[:: len(self) + 1] += 1.0
        failed = la.lapack.dpotrf(matrix.T, lower=1, clean=0, overwrite_a=1)[1]
        # What is not finite may pass for positive.
        if failed or not np.isfinite(matrix.diagonal()).all():
            matrix[:] = np.nan

    def __len__(self) -> int:
        return len(self.matrix)

    @property
    def low(self) -> Array:
        """L on and below the diagonal, as LAPACK takes it; what is above stands for nothing."""
        return self.matrix.T

    @property
    def log_det(self) -> float:
        """Return log |S|."""
        return 2.0 * float(np.sum(np.log(self.low.diagonal())))

    @property
    def is_scalar(self) -> bool:
        """Whether each term has one effect a level, so that Lambda is diagonal."""
        return all(k == 1 for _, k in self.system.shapes)

    def parts(self) -> Iterator[slice]:
        """Rows of whole levels of one term, in parts."""
        most, first = max((part.stop - part.start for part in _parts(len(self))), default=0), 0
        for levels, k in self.system.shapes:
            step, end = max(most - most % k, k), first + levels * k
            for start in range(first, end, step):
                yield slice(start, min(start + step, end))
            first = end

    def rows(self, part: slice, stop: int | None = None) -> Array:
        """Rows of C up to a column, a copy."""
        matrix, start = self.matrix, part.start
        stop = len(self) if stop is None else stop
        out = np.empty((part.stop - start, stop))
        out[:, :start] = matrix[part, :start]
        own = out[:, start : part.stop]
        own[:] = np.tril(matrix[part, part], -1)
        own += own.T
        own[np.diag_indices_from(own)] = self.own[part]
        out[:, part.stop :] = matrix[part.stop : stop, part].T
        return out

    def scaled_rows(self, part: slice, rows: Array, *, transposed: bool = False) -> Array:
        """Some rows, of whole levels, of ``Lambda M Lambda'``, or of ``Lambda'M Lambda``.

        `rows` are those of M, up to a column where a level ends; they may be overwritten.
        """
        if self.is_scalar:
            rows *= self.diagonal[part, None]
            rows *= self.diagonal[: rows.shape[1]]
            return rows
        right = self.scale(rows.T, transposed=transposed).T
        return self.scale(right, transposed=transposed, at=part.start)

    def scale(self, array: Array, *, transposed: bool = False, at: int = 0) -> Array:
        """Lambda_tail, or its transpose, times an array of rows of whole levels from `at` on."""
        end = at + len(array)
        if self.is_scalar:
            return array * self.diagonal[at:end, None]
        out, first = np.empty(array.shape), 0
        for lam, (levels, k) in zip(self.lams, self.system.shapes, strict=True):
            rows = slice(max(first, at) - at, min(first + levels * k, end) - at)
            if rows.start < rows.stop:
                part = array[rows].reshape((rows.stop - rows.start) // k, k, array.shape[1])
                out[rows] = ((lam.T if transposed else lam) @ part).reshape(out[rows].shape)
            first += levels * k
        return out

    @cached_property
    def diagonal(self) -> Array:
        """Lambda of each row of a tail of scalar terms."""
        scales = [lam[0, 0] for lam in self.lams]
        return np.repeat(scales, [levels for levels, _ in self.system.shapes])

    def whiten(self, rhs: Array) -> Array:
        """``L^-1 Lambda'`` times a (q_tail, m) array."""
        return solve_lower(self.low, self.scale(rhs, transposed=True))

    def colour(self, rhs: Array) -> Array:
        """``Lambda L^-T`` times a (q_tail, m) array."""
        return self.scale(solve_upper(self.low, rhs))

    def times(self, rhs: Array) -> Array:
        """C times a (q_tail, m) array."""
        return _symmetric_product(self.matrix, self.own, rhs)

    def inverse(self) -> DenseTailInverse:
        """About twice the cost of the factorisation."""
        return DenseTailInverse(self)

    def cholesky(self) -> tuple[sp.csc_array, IntArray]:
        """L in the order of the tail."""
        return sp.csc_array(np.tril(self.low)), np.arange(len(self))


@dataclass(frozen=True)
class DenseTailInverse:
    """All of W; of scalar terms as S^-1 and Lambda, so that there is one matrix.

    Attributes
    ----------
    factor : DenseTailFactor
    inverse : (q_tail, q_tail) array
        S^-1.
    """

    factor: DenseTailFactor
    inverse: Array = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "inverse", _inverse(self.factor.matrix))

    @cached_property
    def _matrix(self) -> Array:
        """W of terms with several effects."""
        out = np.empty_like(self.inverse)
        for part in self.factor.parts():
            out[part] = self.factor.scaled_rows(part, self.inverse[part].copy())
        return out

    def entries(self, rows: IntArray, cols: IntArray) -> Array:
        """W at some rows and columns."""
        if not self.factor.is_scalar:
            return np.asarray(self._matrix[rows, cols])
        scale = self.factor.diagonal
        return np.asarray(self.inverse[rows, cols] * scale[rows] * scale[cols])

    def at(self, places: IntArray) -> Array:
        """W at some places of the system."""
        return self.entries(*self.factor.system.at(places))

    def own(self) -> dict[int, Array]:
        """The diagonal blocks of each term."""
        rows = self.factor.system.rows
        return {t: self.entries(at[:, :, None], at[:, None, :]) for t, at in rows.items()}

    def met(self, term: int, between: sp.csc_array) -> Array:
        """``W C_tail,term`` on the pattern of `between`, C_tail,term."""
        del term
        if not self.factor.is_scalar:
            return sparse.sampled_product(self._matrix, between)
        scale = self.factor.diagonal[between.indices]
        scaled = sparse.with_data(between, scale * between.data)
        return np.asarray(scale * sparse.sampled_product(self.inverse, scaled))

    def traces(self) -> Mapping[int, Array]:
        """O(q_tail**3)."""
        factor = self.factor
        found = {
            t: np.zeros_like(lam) for t, lam in zip(factor.system.terms, factor.lams, strict=True)
        }
        # C - C W C, written so that a large C W costs no digits.
        for t, part, rows in self._rows():
            k = len(found[t])
            half = factor.whiten(rows.T).reshape(len(factor), -1, k)
            own = rows[:, part].reshape(-1, k, half.shape[1], k)
            found[t] += np.einsum("jajb->ab", own) - np.einsum("ija,ijb->ab", half, half)
        return found

    def scaled_traces(self) -> Mapping[int, Array]:
        """The blocks of C Lambda S^-1, O(q_tail**2)."""
        factor = self.factor
        found = {
            t: np.zeros_like(lam) for t, lam in zip(factor.system.terms, factor.lams, strict=True)
        }
        for t, part, rows in self._rows():
            out, k = found[t], len(found[t])
            scaled, inverse = factor.scale(rows.T, transposed=True).T, self.inverse[part]
            for a in range(k):
                for b in range(k):
                    out[a, b] += np.einsum("ij,ij->", scaled[a::k], inverse[b::k])
        return found

    def _rows(self) -> Iterator[tuple[int, slice, Array]]:
        """Rows of C in parts, with their term."""
        system = self.factor.system
        ends = np.cumsum([levels * k for levels, k in system.shapes])
        for part in self.factor.parts():
            t = int(np.searchsorted(ends, part.start, side="right"))
            yield system.terms[t], part, self.factor.rows(part)


def _set_upper(block: Array, values: Array) -> None:
    """Put symmetric values on the diagonal and above, in place."""
    np.copyto(block, values, where=~np.tri(len(block), k=-1, dtype=bool))


def _symmetric_product(low: Array, own: Array, rhs: Array) -> Array:
    """A symmetric matrix, given below its diagonal and on it, times a (q, m) array."""
    out = own[:, None] * rhs
    for part in _parts(len(low)):
        below = low[part, : part.start]
        out[part] += below @ rhs[: part.start]
        out[: part.start] += below.T @ rhs[part]
        inner = np.tril(low[part, part], -1)
        out[part] += inner @ rhs[part] + inner.T @ rhs[part]
    return np.asarray(out)


def _parts(size: int) -> Iterator[slice]:
    """Parts of the rows of a matrix: so many numbers each, and of a large one eight at least."""
    step = max(1, min(_CHUNK // max(size, 1), max(-(-size // 8), _WHOLE)))
    for start in range(0, size, step):
        yield slice(start, min(start + step, size))


def _inverse(matrix: Array) -> Array:
    """From L' on the diagonal and above, without another matrix beside it."""
    if len(matrix) == 0:
        return matrix
    upper, info = la.lapack.dpotri(np.array(matrix, order="F"), lower=0, overwrite_c=1)
    if info != 0:
        return np.full_like(matrix, np.nan)
    for part in _parts(len(upper)):
        upper[part, : part.start] = upper[: part.start, part].T
        own = upper[part, part]
        own[:] = np.triu(own) + np.triu(own, 1).T
    return np.asarray(upper.T)
