"""Sums over rows as products with matrices, mostly sparse: ``Z'r`` and the numbers of ``Z'WZ``.

Each number of Z'WZ is ``sum_i w_i z_ia z_ib`` of two effects a and b, one of ``P w``: P has a row
for each number and a column for each row of the table, with ``z_ia z_ib`` in it. The quadratic
forms ``z_i'W z_i`` of a symmetric W are P' times the same numbers of W.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import scipy.sparse as sp

from merextras.engine.elimination.conditional_variances import Selected
from merextras.engine.elimination.plan import System
from merextras.engine.kernels import sparse
from merextras.engine.kernels.blocks import Array, IntArray
from merextras.engine.products.crossprod import CrossProducts
from merextras.engine.products.term_rows import TermRows

# Numbers up to which an index has 32 bits, and up to which a product with all numbers of a matrix
# takes less time than scipy's way to one with those that are not zero.
_MOST, _FEW = 2**31, 2**13

#: A matrix with a column for each row of a table; of a small table with its zeros.
ByRow: TypeAlias = "sp.csr_array | sp.csc_array | Array"


def transposed(terms: Sequence[TermRows], n: int, *, often: bool) -> ByRow:
    """Z' of all terms, (q, n): the effects of one term after the other, level by level.

    Parameters
    ----------
    often : bool
        Whether it is for so many products that it is worth sorting.
    """
    pairs, size = _Pairs(n, sum(term.k for term in terms), often), 0
    for term in terms:
        for a in range(term.k):
            pairs.add(size + term.codes * term.k + a, term.values[:, a])
        size += term.q
    return pairs.matrix(size)


class _Pairs:
    """A matrix with the same number of entries for each row of a table, its columns."""

    def __init__(self, n: int, m: int, often: bool) -> None:
        self.often = often
        self.places = np.empty((n, m), dtype=np.int32 if n * m < _MOST else np.int64)
        self.values = np.empty((n, m))
        self.at = 0

    def add(self, places: IntArray, values: Array) -> None:
        """An entry of each row: in which row of the matrix, one of its own, and what."""
        self.places[:, self.at], self.values[:, self.at] = places, values
        self.at += 1

    def matrix(self, size: int) -> ByRow:
        """The matrix, (size, n)."""
        n, m = self.places.shape
        if size * n <= _FEW:
            out = np.zeros((size, n))
            out[self.places, np.arange(n)[:, None]] = self.values
            return out
        starts = np.arange(n + 1, dtype=self.places.dtype) * self.places.dtype.type(m)
        by_row = (self.values.reshape(-1), self.places.reshape(-1), starts)
        found = sp.csc_array(by_row, shape=(size, n))
        return found.tocsr() if self.often else found


@dataclass(frozen=True, eq=False)
class Sums:
    """The numbers of Z'WZ of a table's rows on a layout.

    Attributes
    ----------
    template : System
        The layout.
    own, nested, to_tail : mappings of slices
        The numbers of each block of the leading terms, as in `System`; of a symmetric block those
        of its lower triangle are sums.
    among : slice
        Those among the effects of the tail.
    places : array
        Where these are in the tail.
    products : (numbers, n) matrix
        P.
    by_row : (n, numbers) matrix
        Its transpose, which shares its numbers.
    often : (numbers,) array
        How often a number is in a quadratic form: twice, unless it is of one effect.
    """

    template: System
    own: Mapping[int, slice]
    nested: Mapping[tuple[int, int], slice]
    to_tail: Mapping[int, slice]
    among: slice
    places: IntArray
    products: ByRow
    by_row: ByRow
    often: Array

    @classmethod
    def of(cls, template: System, terms: Sequence[TermRows], n: int, *, often: bool) -> Sums:
        """Where each row goes in each block; see `transposed`."""
        return _Layout(template, terms, n, often).sums()

    def weighted(self, w: Array) -> System:
        """Z'WZ, laid out; cost O(n (sum k)**2)."""
        template, found = self.template, self.products @ w
        own = list(template.cp.own)
        for t, at in self.own.items():
            own[t] = _mirrored(found[at].reshape(own[t].shape))
        nested = {
            key: found[at].reshape(template.nested[key].shape) for key, at in self.nested.items()
        }
        to_tail = {
            t: sparse.with_data(template.to_tail[t], found[at]) for t, at in self.to_tail.items()
        }
        tail = template.tail
        if len(self.places):
            tail = tail.refilled(self.places, found[self.among])
        # Nothing of a factorisation reads the blocks between terms, which are in the layout.
        one = template.cp
        cp = CrossProducts(tuple(own), {}, one.to_xy, one.xy, one.n, one.sum_log_w, one.basis)
        return System(cp, template.plan, nested, to_tail, tail)

    def forms(self, selected: Selected) -> Array:
        """``z_i' W z_i`` with W the conditional covariance, (n,); of `to_tail`."""
        entries = [selected.own[t].reshape(-1) for t in self.own]
        entries += [selected.nested[key].reshape(-1) for key in self.nested]
        entries += [selected.to_tail[t].data for t in self.to_tail]
        if len(self.places):
            entries.append(selected.tail.at(self.places))
        if not entries:
            return np.zeros(self.by_row.shape[0])
        return np.asarray(self.by_row @ (self.often * np.concatenate(entries)))


class _Layout:
    """What is found of `Sums`, block by block."""

    def __init__(self, template: System, terms: Sequence[TermRows], n: int, often: bool) -> None:
        self.template, self.terms = template, terms
        plan = template.plan
        ks = [term.k for term in terms]
        met = [(s, t) for t in plan.leading for s in plan.tail]
        among = self._pairs_of_tail()
        self.pairs = _Pairs(
            n,
            sum(ks[t] * (ks[t] + 1) // 2 for t in plan.leading)
            + sum(ks[t] * ks[s] for t, s in [*plan.parents, *met])
            + len(among),
            often,
        )
        self.often: list[Array] = []
        self.size = 0
        self.starts, at = {}, 0
        for t in plan.tail:
            self.starts[t] = at
            at += terms[t].q
        self.own = {t: self._own(t) for t in plan.leading}
        self.nested = {(t, s): self._nested(t, s) for t, s in plan.parents}
        self.to_tail = {t: self._to_tail(t) for t in plan.leading if plan.tail}
        self.among, self.places = self._among_tail(among)

    def sums(self) -> Sums:
        products = self.pairs.matrix(self.size)
        often = np.concatenate(self.often) if self.often else np.empty(0)
        return Sums(
            self.template, self.own, self.nested, self.to_tail, self.among, self.places,
            products, products.T, often,
        )  # fmt: skip

    def _taken(self, often: Array) -> slice:
        """The numbers of a block."""
        start, self.size = self.size, self.size + len(often)
        self.often.append(often)
        return slice(start, self.size)

    def _own(self, t: int) -> slice:
        """The lower triangles of blocks (k, k)."""
        term, k, start = self.terms[t], self.terms[t].k, self.size
        for a in range(k):
            for b in range(a + 1):
                places = start + term.codes * (k * k) + (a * k + b)
                self.pairs.add(places, term.values[:, a] * term.values[:, b])
        # What is above the diagonal is no sum, and in no form.
        often = 2.0 * np.tri(k) - np.eye(k)
        return self._taken(np.tile(often.reshape(-1), term.n_levels))

    def _nested(self, t: int, s: int) -> slice:
        """Blocks (k_s, k_t) at each level of the inner term t, with its parent in s."""
        inner, outer, start = self.terms[t], self.terms[s], self.size
        size = outer.k * inner.k
        for a in range(outer.k):
            for b in range(inner.k):
                places = start + inner.codes * size + (a * inner.k + b)
                self.pairs.add(places, outer.values[:, a] * inner.values[:, b])
        return self._taken(np.full(inner.n_levels * size, 2.0))

    def _to_tail(self, t: int) -> slice:
        """The stored entries of the block."""
        block, lead, start = self.template.to_tail[t], self.terms[t], self.size
        stored = sparse.columns_of(block) * block.shape[0] + block.indices
        for s in self.template.plan.tail:
            other = self.terms[s]
            for a in range(other.k):
                for b in range(lead.k):
                    rows = self.starts[s] + other.codes * other.k + a
                    cols = lead.codes * lead.k + b
                    found = np.searchsorted(stored, cols * block.shape[0] + rows)
                    self.pairs.add(start + found, other.values[:, a] * lead.values[:, b])
        return self._taken(np.full(block.nnz, 2.0))

    def _pairs_of_tail(self) -> list[tuple[int, int, int, int]]:
        """Terms and effects of the lower triangle of the tail; the pairs of two terms once."""
        order, terms = self.template.plan.tail, self.terms
        return [
            (s, t, a, b)
            for i, s in enumerate(order)
            for t in order[: i + 1]
            for a in range(terms[s].k)
            for b in range(a + 1 if s == t else terms[t].k)
        ]

    def _among_tail(self, pairs: Sequence[tuple[int, int, int, int]]) -> tuple[slice, IntArray]:
        """The places that some row has, and numbers for them."""
        if not pairs:
            return self._taken(np.empty(0)), np.empty(0, dtype=np.intp)
        tail, terms, start = self.template.tail, self.terms, self.size
        found = []
        for s, t, a, b in pairs:
            rows = self.starts[s] + terms[s].codes * terms[s].k + a
            cols = self.starts[t] + terms[t].codes * terms[t].k + b
            found.append(tail.places(rows, cols))
        used = np.zeros(max(int(np.max(part, initial=-1)) for part in found) + 1, dtype=bool)
        for part in found:
            used[part] = True
        places = np.flatnonzero(used)
        number = np.cumsum(used, dtype=self.pairs.places.dtype) - 1
        often = np.full(len(places), 2.0)
        for (s, t, a, b), part in zip(pairs, found, strict=True):
            self.pairs.add(start + number[part], terms[s].values[:, a] * terms[t].values[:, b])
            if (s, a) == (t, b):
                often[number[part]] = 1.0
        return self._taken(often), places


def _mirrored(low: Array) -> Array:
    """Symmetric blocks, (J, k, k), of their lower triangles."""
    for a in range(1, low.shape[1]):
        low[:, :a, a] = low[:, a, :a]
    return low
