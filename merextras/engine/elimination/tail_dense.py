"""A tail whose Schur complement is one dense matrix: what factors that cross everywhere need."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import scipy.linalg as la
import scipy.sparse as sp

from merextras.engine.kernels import dense, sparse
from merextras.engine.kernels.blocks import Array, IntArray


@dataclass(frozen=True)
class DenseTail:
    """The cross-products of the tail's terms.

    Attributes
    ----------
    terms : tuple of term numbers
    shapes : tuple of (levels, effects), one per term of the tail
    matrix : (q_tail, q_tail) array
        Z_tail'WZ_tail.
    """

    terms: tuple[int, ...]
    shapes: tuple[tuple[int, int], ...]
    matrix: Array
    kind: str = "dense"

    @property
    def numbers(self) -> int:
        """Stored numbers of its Cholesky factor."""
        return len(self) ** 2

    def __len__(self) -> int:
        return len(self.matrix)

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
        return self.matrix.copy()

    def subtract(self, entries: Array, term: int, half: sp.csc_array) -> None:
        """One sparse product."""
        del term
        entries -= (half @ half.T).toarray()

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
            inner = self.scale(self.matrix, transposed=True)
            inner = self.scale(inner.T, transposed=True)
            inner[np.diag_indices_from(inner)] += 1.0
            low = dense.cholesky(inner)
        object.__setattr__(self, "low", low)

    def __len__(self) -> int:
        return len(self.matrix)

    @property
    def log_det(self) -> float:
        """Return log |S|."""
        return 2.0 * float(np.sum(np.log(np.diag(self.low))))

    def scale(self, array: Array, *, transposed: bool = False) -> Array:
        """Lambda_tail times a (q_tail, m) array, or Lambda_tail' times it."""
        if all(k == 1 for _, k in self.system.shapes):
            return array * self._scale[:, None]
        out = np.empty_like(array)
        at = 0
        for lam, (levels, k) in zip(self.lams, self.system.shapes, strict=True):
            rows = slice(at, at + levels * k)
            part = array[rows].reshape(levels, k, -1)
            out[rows] = ((lam.T if transposed else lam) @ part).reshape(levels * k, -1)
            at += levels * k
        return out

    @cached_property
    def _scale(self) -> Array:
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
    """All of W.

    Attributes
    ----------
    factor : DenseTailFactor
    inverse : (q_tail, q_tail) array
        S^-1.
    matrix : (q_tail, q_tail) array
        W.
    """

    factor: DenseTailFactor
    inverse: Array = field(init=False)
    matrix: Array = field(init=False)

    def __post_init__(self) -> None:
        inverse = _inverse(self.factor.low)
        scaled = self.factor.scale(self.factor.scale(inverse).T) if len(inverse) else inverse
        object.__setattr__(self, "inverse", inverse)
        object.__setattr__(self, "matrix", scaled)

    def entries(self, rows: IntArray, cols: IntArray) -> Array:
        """W at some rows and columns."""
        return np.asarray(self.matrix[rows, cols])

    def at(self, places: IntArray) -> Array:
        """W at some places of the system."""
        return np.asarray(self.matrix.reshape(-1)[places])

    def own(self) -> dict[int, Array]:
        """The diagonal blocks of each term."""
        rows = self.factor.system.rows
        return {t: self.matrix[at[:, :, None], at[:, None, :]] for t, at in rows.items()}

    def met(self, term: int, between: sp.csc_array) -> Array:
        """``W C_tail,term`` on the pattern of `between`, C_tail,term."""
        del term
        return sparse.sampled_product(self.matrix, between)

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
        factor = self.factor
        found: dict[int, Array] = {}
        if len(factor) == 0:
            return found
        scaled = factor.scale(factor.matrix, transposed=True).T  # C Lambda
        for t, at in factor.system.rows.items():
            levels, k = at.shape
            out = np.zeros((k, k))
            for a in range(k if levels else 0):
                # Rows a of every level, as a view: a copy would cost more than the product.
                mine = scaled[at[0, a] : at[-1, a] + 1 : k]
                for b in range(k):
                    other = self.inverse[at[0, b] : at[-1, b] + 1 : k]
                    out[a, b] = np.einsum("ij,ij->", mine, other)
            found[t] = out
        return found


def _inverse(low: Array) -> Array:
    if len(low) == 0:
        return low
    # potri fills the upper triangle; below it stand the factor's zeros.
    upper, info = la.lapack.dpotri(low.T, lower=0)
    if info != 0:
        return np.full_like(low, np.nan)
    inverse = upper + upper.T
    inverse[np.diag_indices_from(inverse)] *= 0.5
    return np.asarray(inverse)
