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
from merextras.engine.elimination.tail_pass import Found
from merextras.engine.elimination.tail_scale import TailScale
from merextras.engine.elimination.tail_shared import (
    Shared,
    parts_of,
    set_upper,
    symmetric_product,
)
from merextras.engine.kernels import sparse
from merextras.engine.kernels.blocks import Array, IntArray
from merextras.engine.kernels.dense import solve_lower, solve_upper


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
        parts = list(parts_of(len(self)))
        if sparse.is_full(half):
            whole = half.toarray()
            for part in parts:
                entries[part, : part.stop] -= whole[part] @ whole[: part.stop].T
            return
        rows, columns = sp.csr_array(half), sp.csr_array(half.T)
        if len(parts) == 1:
            entries -= (rows @ columns).toarray()
            return
        for part in reversed(parts):
            # Some columns too many cost less than leaving them out.
            if part.stop <= 0.9 * columns.shape[1]:
                columns = columns[:, : part.stop]
            entries[part, : columns.shape[1]] -= (rows[part] @ columns).toarray()

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
            return symmetric_product(self.matrix, self.matrix.diagonal(), rhs)
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
            inner = self.scale.both(self.shared.rows(part, stop), start, transposed=True)
            matrix[:start, part] = inner[:, :start].T
            set_upper(matrix[part, part], inner[:, start:])
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
    def shared(self) -> Shared:
        """C and L'."""
        return Shared(self.matrix, self.own)

    @cached_property
    def scale(self) -> TailScale:
        """Lambda_tail."""
        return TailScale(self.system.terms, self.lams, self.system.shapes)

    def parts(self) -> Iterator[slice]:
        """Rows of whole levels of one term, in parts."""
        most = max((part.stop - part.start for part in parts_of(len(self))), default=1)
        return self.scale.parts(most)

    def whiten(self, rhs: Array) -> Array:
        """``L^-1 Lambda'`` times a (q_tail, m) array."""
        return solve_lower(self.low, self.scale.times(rhs, transposed=True))

    def colour(self, rhs: Array) -> Array:
        """``Lambda L^-T`` times a (q_tail, m) array."""
        return self.scale.times(solve_upper(self.low, rhs))

    def times(self, rhs: Array) -> Array:
        """C times a (q_tail, m) array."""
        return self.shared.times(rhs)

    def inverse(
        self, between: Mapping[int, sp.csc_array], *, whole: bool = False
    ) -> DenseTailInverse:
        """About twice the cost of the factorisation."""
        return DenseTailInverse(self, between, whole)

    def cholesky(self) -> tuple[sp.csc_array, IntArray]:
        """L in the order of the tail."""
        return sp.csc_array(np.tril(self.low)), np.arange(len(self))


@dataclass(frozen=True)
class DenseTailInverse:
    """W, of which what is asked is found in one pass through the columns of S^-1.

    Attributes
    ----------
    factor : DenseTailFactor
    between : mapping t -> sparse (q_tail, q_t)
        C_tail,t of the terms that are asked of.
    keep : bool
        Whether entries between levels will be asked for, so that the pass keeps all of W; it is
        gone through again for them otherwise.
    """

    factor: DenseTailFactor
    between: Mapping[int, sp.csc_array]
    keep: bool

    @cached_property
    def _found(self) -> Found:
        factor = self.factor
        return Found.of(factor.shared, factor.scale, self.between, keep=self.keep)

    @cached_property
    def _whole(self) -> Array:
        """All of W."""
        kept, factor = self._found.whole, self.factor
        if kept is None:
            kept = Found.of(factor.shared, factor.scale, {}, keep=True).whole
        assert kept is not None
        return kept

    def entries(self, rows: IntArray, cols: IntArray) -> Array:
        """W at some rows and columns."""
        first = self.factor.scale.first
        if (first[rows] == first[cols]).all():
            return np.asarray(self._found.own[rows, cols - first[cols]])
        return np.asarray(self._whole[rows, cols])

    def at(self, places: IntArray) -> Array:
        """W at some places of the system."""
        return self.entries(*self.factor.system.at(places))

    def own(self) -> dict[int, Array]:
        """The diagonal blocks of each term."""
        rows = self.factor.system.rows
        return {t: self._found.own[at][:, :, : at.shape[1]] for t, at in rows.items()}

    def met(self, term: int) -> Array:
        """``W C_tail,term`` on the pattern of C_tail,term."""
        return self._found.met[term].entries

    def traces(self) -> Mapping[int, Array]:
        """O(q_tail**3)."""
        factor, found = self.factor, self.factor.scale.zeros()
        # C - C W C, written so that a large C W costs no digits.
        for part in factor.parts():
            rows, out = factor.shared.rows(part), found[factor.scale.term_at(part.start)]
            half = factor.whiten(rows.T).reshape(len(factor), -1, len(out))
            own = rows[:, part].reshape(-1, len(out), half.shape[1], len(out))
            out += np.einsum("jajb->ab", own) - np.einsum("ija,ijb->ab", half, half)
        return found

    def scaled_traces(self) -> Mapping[int, Array]:
        """The blocks of C Lambda S^-1."""
        return self._found.traces
