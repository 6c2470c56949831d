"""A tail whose Schur complement is one dense matrix: what factors that cross everywhere need."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import scipy.linalg as la
import scipy.sparse as sp

from merextras.engine.elimination.tail import TailSystem
from merextras.engine.kernels import dense, sparse
from merextras.engine.kernels.blocks import Array, IntArray

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
        Z_tail'WZ_tail.
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
        """Products of some rows with those up to them, half of the whole, and its mirror.

        Sparse ones, unless nearly every entry is stored.
        """
        del term
        parts = list(_parts(len(self)))
        if sparse.is_full(half):
            whole = half.toarray()
            for part in parts:
                entries[part, : part.stop] -= whole[part] @ whole[: part.stop].T
                entries[: part.start, part] = entries[part, : part.start].T
            return
        rows, columns = sp.csr_array(half), sp.csr_array(half.T)
        if len(parts) == 1:
            entries -= (rows @ columns).toarray()
            return
        for part in parts:
            entries[part, : part.stop] -= (rows[part] @ columns[:, : part.stop]).toarray()
            entries[: part.start, part] = entries[part, : part.start].T

    def factorise(self, entries: Array, lams: Sequence[Array]) -> DenseTailFactor:
        """O(q_tail**3)."""
        return DenseTailFactor(self, entries, tuple(lams[t] for t in self.terms))

    def whole(self) -> sp.csc_array:
        """Z_tail'WZ_tail."""
        return sp.csc_array(self.matrix)

    def places(self, rows: IntArray, cols: IntArray) -> IntArray:
        """Numbers of entries in the matrix, row by row."""
        return rows * len(self) + cols

    def refilled(self, places: IntArray, values: Array) -> DenseTail:
        """The same tail of other cross-products; O(q_tail**2 + values)."""
        size = len(self)
        flat: Array = np.bincount(places, values, size * size).astype(float)
        low = flat.reshape(size, size)
        whole = low + low.T
        whole[np.diag_indices(size)] = low.diagonal()
        return replace(self, matrix=whole)

    def plus(self, other: TailSystem) -> DenseTail:
        """The sum of the matrices."""
        assert isinstance(other, DenseTail)
        return replace(self, matrix=self.matrix + other.matrix)

    def product(self, rhs: Array) -> Array:
        """O(q_tail**2) a column."""
        return np.asarray(self.matrix @ rhs)


@dataclass(frozen=True)
class DenseTailFactor:
    """The tail eliminated at one theta.

    Attributes
    ----------
    system : DenseTail
    matrix : (q_tail, q_tail) array
        C.
    lams : tuple of (k, k) arrays
        Lambda of the tail's terms.
    low : (q_tail, q_tail) array
        Cholesky factor of Lambda' C Lambda + I.
    """

    system: DenseTail
    matrix: Array
    lams: tuple[Array, ...]
    low: Array = field(init=False)

    def __post_init__(self) -> None:
        low = self.matrix
        if len(self):
            inner = self.scaled(self.matrix, transposed=True)
            inner[np.diag_indices_from(inner)] += 1.0
            low = dense.cholesky(inner, overwrite=True)
        object.__setattr__(self, "low", low)

    def __len__(self) -> int:
        return len(self.matrix)

    @property
    def log_det(self) -> float:
        """Return log |S|."""
        return 2.0 * float(np.sum(np.log(np.diag(self.low))))

    @property
    def is_scalar(self) -> bool:
        """Whether each term has one effect a level, so that Lambda is diagonal."""
        return all(k == 1 for _, k in self.system.shapes)

    def scaled(self, matrix: Array, *, transposed: bool = False) -> Array:
        """``Lambda M Lambda'`` of a symmetric matrix, or ``Lambda'M Lambda``."""
        out = self.scale(matrix, transposed=transposed)
        if not self.is_scalar:
            return self.scale(out.T, transposed=transposed)
        out *= self.diagonal
        return out

    def scale(self, array: Array, *, transposed: bool = False) -> Array:
        """Lambda_tail times a (q_tail, m) array, or Lambda_tail' times it."""
        if self.is_scalar:
            return array * self.diagonal[:, None]
        out = np.empty_like(array)
        at = 0
        for lam, (levels, k) in zip(self.lams, self.system.shapes, strict=True):
            rows = slice(at, at + levels * k)
            part = array[rows].reshape(levels, k, -1)
            out[rows] = ((lam.T if transposed else lam) @ part).reshape(levels * k, -1)
            at += levels * k
        return out

    @cached_property
    def diagonal(self) -> Array:
        """Lambda of each row of a tail of scalar terms."""
        scales = [lam[0, 0] for lam in self.lams]
        return np.repeat(scales, [levels for levels, _ in self.system.shapes])

    def whiten(self, rhs: Array) -> Array:
        """``L^-1 Lambda'`` times a (q_tail, m) array."""
        return dense.solve_lower(self.low, self.scale(rhs, transposed=True))

    def colour(self, rhs: Array) -> Array:
        """``Lambda L^-T`` times a (q_tail, m) array."""
        return self.scale(dense.solve_upper(self.low, rhs))

    def times(self, rhs: Array) -> Array:
        """C times a (q_tail, m) array."""
        return np.asarray(self.matrix @ rhs)

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
        object.__setattr__(self, "inverse", _inverse(self.factor.low))

    @cached_property
    def _matrix(self) -> Array:
        """W of terms with several effects."""
        return self.factor.scaled(self.inverse) if len(self.inverse) else self.inverse

    def entries(self, rows: IntArray, cols: IntArray) -> Array:
        """W at some rows and columns."""
        if not self.factor.is_scalar:
            return np.asarray(self._matrix[rows, cols])
        scale = self.factor.diagonal
        return np.asarray(self.inverse[rows, cols] * scale[rows] * scale[cols])

    def at(self, places: IntArray) -> Array:
        """W at some places of the system."""
        return self.entries(*np.divmod(places, max(len(self.inverse), 1)))

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
        found: dict[int, Array] = {}
        if len(factor) == 0:
            return found
        # C - C W C, written so that a large C W costs no digits.
        half = factor.whiten(factor.matrix)
        for t, at in factor.system.rows.items():
            mine = half[:, at]
            own = factor.matrix[at[:, :, None], at[:, None, :]].sum(axis=0)
            found[t] = own - np.einsum("ija,ijb->ab", mine, mine)
        return found

    def scaled_traces(self) -> Mapping[int, Array]:
        """The blocks of C Lambda S^-1, O(q_tail**2)."""
        factor, found = self.factor, {}
        for t, at in factor.system.rows.items():
            levels, k = at.shape
            out = np.zeros((k, k))
            for part in _parts(levels if len(factor) else 0):
                own = slice(at[part.start, 0], at[part.stop - 1, -1] + 1)
                scaled = factor.scale(factor.matrix[:, own], transposed=True).T  # C Lambda
                inverse = self.inverse[own]
                for a in range(k):
                    for b in range(k):
                        out[a, b] += np.einsum("ij,ij->", scaled[a::k], inverse[b::k])
            found[t] = out
        return found


def _parts(size: int) -> Iterator[slice]:
    """Parts of the rows of a matrix: so many numbers each, and of a large one eight at least."""
    step = max(1, min(_CHUNK // max(size, 1), max(-(-size // 8), _WHOLE)))
    for start in range(0, size, step):
        yield slice(start, min(start + step, size))


def _inverse(low: Array) -> Array:
    """From a Cholesky factor, without another matrix beside it."""
    if len(low) == 0:
        return low
    # potri fills the upper triangle; below it stand the factor's zeros.
    upper, info = la.lapack.dpotri(low.copy(order="C").T, lower=0, overwrite_c=1)
    if info != 0:
        return np.full_like(low, np.nan)
    for part in _parts(len(upper)):
        upper[part, : part.start] = upper[: part.start, part].T
        own = upper[part, part]
        own += np.triu(own, 1).T
    return np.asarray(upper.T)
