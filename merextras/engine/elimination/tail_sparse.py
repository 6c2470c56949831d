"""A tail whose Schur complement is sparse: factors that cross locally.

Its pattern is that of the tail's levels that share a row, or a level of a leading term. Stored is
the lower triangle by columns, with all effects of two levels that meet and with zeros where numbers
happen to be zero; an index into it is called a slot.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sp

from merextras.engine.elimination.tail import TailSystem
from merextras.engine.fronts import eliminate, inverse
from merextras.engine.fronts.eliminate import Eliminated
from merextras.engine.fronts.elimination_tree import Tree
from merextras.engine.fronts.layout import Layout, lay_out
from merextras.engine.fronts.ordering import ranges
from merextras.engine.kernels import blocks
from merextras.engine.kernels.blocks import Array, IntArray

# Numbers of one block of products of a leading term's columns (32 MB).
_CHUNK = 1 << 22


@dataclass(frozen=True)
class Meeting:
    """Levels of a leading term that meet equally many random effects of the tail.

    Attributes
    ----------
    entries : (n, k, length) integer array
        Stored entries of C_tail,t: those of each of a level's k columns.
    slots : (n, length (length + 1) / 2) integer array
        The pairs of their rows, the lower triangle by rows.
    """

    entries: IntArray
    slots: IntArray


@dataclass(frozen=True)
class SparseTail:
    """The cross-products of the tail's terms.

    Attributes
    ----------
    terms : tuple of term numbers
    shapes : tuple of (levels, effects), one per term of the tail
    matrix : sparse (q_tail, q_tail)
        Lower triangle of Z_tail'WZ_tail on the pattern of the Schur complement.
    meetings : mapping t -> tuple of Meeting
        Of each leading term.
    layout : Layout
    numbers : int
        Stored numbers of the Cholesky factor.
    """

    terms: tuple[int, ...]
    shapes: tuple[tuple[int, int], ...]
    matrix: sp.csc_array
    meetings: Mapping[int, tuple[Meeting, ...]]
    layout: Layout
    numbers: int
    kind: str = "sparse"

    def __len__(self) -> int:
        return int(self.matrix.shape[0])

    def start(self) -> Array:
        """A copy of the stored entries."""
        return np.array(self.matrix.data)

    def subtract(self, entries: Array, term: int, half: sp.csc_array) -> None:
        """The outer products of the columns, added up by slots."""
        for meeting in self.meetings[term]:
            length = meeting.entries.shape[2]
            rows, cols = np.tril_indices(length)
            step = max(1, _CHUNK // length**2)
            for at in range(0, len(meeting.entries), step):
                part = half.data[meeting.entries[at : at + step]]
                products = (blocks.transpose(part) @ part)[:, rows, cols]
                slots = meeting.slots[at : at + step]
                if len(slots) == 1:
                    entries[slots[0]] -= products[0]
                else:
                    _subtract_at(entries, slots.reshape(-1), products.reshape(-1))

    def factorise(self, entries: Array, lams: Sequence[Array]) -> SparseTailFactor:
        """By fronts, in the fill-reducing order."""
        mine = tuple(lams[t] for t in self.terms)
        return SparseTailFactor(
            self, entries, mine, eliminate.eliminate(self.layout, entries, mine)
        )

    def whole(self) -> sp.csc_array:
        """Z_tail'WZ_tail."""
        return self.symmetric(self.matrix.data)

    def lower(self, entries: Array) -> sp.csc_array:
        """The lower triangle with these entries."""
        pattern = self.matrix
        return sp.csc_array((entries, pattern.indices, pattern.indptr), shape=pattern.shape)

    def symmetric(self, entries: Array) -> sp.csc_array:
        """The whole matrix with these entries of its lower triangle."""
        low = self.lower(entries)
        return sp.csc_array(low + sp.tril(low, -1).T)

    def slots(self, rows: IntArray, cols: IntArray) -> IntArray:
        """Slots of some entries, arrays of one shape; -1 where there is none."""
        return slots_in(self.matrix, rows, cols)

    def places(self, rows: IntArray, cols: IntArray) -> IntArray:
        """Slots of stored entries."""
        return _all_slots(self.matrix, rows, cols)

    def refilled(self, places: IntArray, values: Array) -> SparseTail:
        """The same tail of other cross-products; O(stored entries + values)."""
        data: Array = np.bincount(places, values, minlength=self.matrix.nnz).astype(float)
        return replace(self, matrix=self.lower(data))

    def plus(self, other: TailSystem) -> SparseTail:
        """The sum of the entries."""
        assert isinstance(other, SparseTail)
        return replace(self, matrix=self.lower(self.matrix.data + other.matrix.data))

    def product(self, rhs: Array) -> Array:
        """O(stored entries) a column."""
        return np.asarray(self.whole() @ rhs)

    def by_term(self, entries: Array) -> dict[int, Array]:
        """The diagonal blocks of each term, (J, k, k)."""
        found, at = {}, 0
        for t, (levels, k) in zip(self.terms, self.shapes, strict=True):
            rows = at + np.arange(levels * k).reshape(levels, k)
            # The diagonal is the first entry of a column, and the level's further effects follow.
            out = np.empty((levels, k, k))
            for a in range(k):
                for b in range(a + 1):
                    out[:, a, b] = entries[self.matrix.indptr[rows[:, b]] + a - b]
                    out[:, b, a] = out[:, a, b]
            found[t] = out
            at += levels * k
        return found


@dataclass(frozen=True)
class SparseTailFactor:
    """The tail eliminated at one theta.

    Attributes
    ----------
    system : SparseTail
    entries : array
        C at the slots.
    lams : tuple of (k, k) arrays
        Lambda of the tail's terms.
    fronts : list of Eliminated
    """

    system: SparseTail
    entries: Array
    lams: tuple[Array, ...]
    fronts: list[Eliminated]

    def __len__(self) -> int:
        return len(self.system)

    @property
    def log_det(self) -> float:
        """Return log |S|."""
        return eliminate.log_det(self.fronts)

    def whiten(self, rhs: Array) -> Array:
        """``L^-1 Lambda'`` times a (q_tail, m) array."""
        return eliminate.whiten(self.system.layout, self.fronts, rhs)

    def colour(self, rhs: Array) -> Array:
        """``Lambda L^-T`` times a (q_tail, m) array."""
        return eliminate.colour(self.system.layout, self.fronts, rhs)

    def times(self, rhs: Array) -> Array:
        """C times a (q_tail, m) array."""
        low = self.system.lower(self.entries)
        return np.asarray(low @ rhs + low.T @ rhs - low.diagonal()[:, None] * rhs)

    def inverse(
        self, between: Mapping[int, sp.csc_array], *, whole: bool = False
    ) -> SparseTailInverse:
        """W where C has entries; two or three times the cost of the fronts' elimination."""
        del whole
        found, scaled = inverse.invert(self.system.layout, self.fronts, len(self.entries))
        if scaled is None:
            own, pattern = self.scale().diagonal(), self.system.matrix
            cols = np.repeat(own, np.diff(pattern.indptr))
            scaled = found * own[pattern.indices] * cols
        return SparseTailInverse(self, between, found, scaled)

    def cholesky(self) -> tuple[sp.csc_array, IntArray]:
        """L in the order of elimination."""
        own, below, order = eliminate.cholesky(self.system.layout, self.fronts)
        low = sp.csc_array(own + self.scale().T @ below)
        return sp.csc_array(low[order][:, order]), order

    def scale(self) -> sp.csr_array:
        """Lambda_tail, sparse."""
        pairs = zip(self.lams, self.system.shapes, strict=True)
        parts = [sp.kron(sp.eye_array(levels), lam) for lam, (levels, _) in pairs]
        return sp.csr_array(sp.block_diag(parts, format="csr"))


@dataclass(frozen=True)
class SparseTailInverse:
    """W at the slots.

    Attributes
    ----------
    factor : SparseTailFactor
    between : mapping t -> sparse (q_tail, q_t)
        C_tail,t of each leading term.
    inverse, covariance : arrays
        S^-1 and W at the slots.
    """

    factor: SparseTailFactor
    between: Mapping[int, sp.csc_array]
    inverse: Array
    covariance: Array

    @property
    def system(self) -> SparseTail:
        """What was known before theta."""
        return self.factor.system

    def entries(self, rows: IntArray, cols: IntArray) -> Array:
        """W at some rows and columns; zero where C has no entry."""
        slots = self.system.slots(rows, cols)
        return np.where(slots >= 0, self.covariance[slots], 0.0)

    def at(self, places: IntArray) -> Array:
        """W at some slots."""
        return np.asarray(self.covariance[places])

    def own(self) -> dict[int, Array]:
        """The diagonal blocks of each term."""
        return self.system.by_term(self.covariance)

    def met(self, term: int) -> Array:
        """``W C_tail,term`` on the pattern of C_tail,term."""
        between = self.between[term]
        out = np.empty(between.nnz)
        for meeting in self.system.meetings[term]:
            length = meeting.entries.shape[2]
            rows, cols = np.tril_indices(length)
            step = max(1, _CHUNK // length**2)
            for at in range(0, len(meeting.entries), step):
                where = meeting.entries[at : at + step]
                found = self.covariance[meeting.slots[at : at + step]]
                part = np.empty((len(where), length, length))
                part[:, rows, cols] = part[:, cols, rows] = found
                out[where] = between.data[where] @ part
        return out

    def traces(self) -> Mapping[int, Array]:
        """``sum_j (Z'V^-1 Z)_jj`` of each term, (k, k)."""
        system, factor = self.system, self.factor
        found = inverse.projected(system.layout, factor.fronts, len(factor.entries))
        return {t: part.sum(axis=0) for t, part in system.by_term(found).items()}

    def scaled_traces(self) -> Mapping[int, Array]:
        """The blocks of C Lambda S^-1, O(stored entries)."""
        system, factor = self.system, self.factor
        lams = dict(zip(system.terms, factor.lams, strict=True))
        scaled = sp.csr_array(system.symmetric(factor.entries) @ factor.scale())
        inverse, found, at = sp.csr_array(system.symmetric(self.inverse)), {}, 0
        for t, (levels, k) in zip(system.terms, system.shapes, strict=True):
            out = np.empty(lams[t].shape)
            for a in range(k):
                mine = scaled[at + a : at + levels * k : k]
                for b in range(k):
                    out[a, b] = mine.multiply(inverse[at + b : at + levels * k : k]).sum()
            found[t] = out
            at += levels * k
        return found


def sparse_tail(
    terms: tuple[int, ...],
    shapes: tuple[tuple[int, int], ...],
    graph: sp.csc_array,
    tree: Tree,
    whole: sp.csc_array,
    to_tail: Mapping[int, tuple[sp.csc_array, int]],
) -> SparseTail:
    """Lay out a tail.

    Parameters
    ----------
    terms, shapes : tuples
    graph : sparse
        Which levels of the tail meet, with the diagonal.
    tree : Tree
        Of the graph.
    whole : sparse (q_tail, q_tail)
        Z_tail'WZ_tail.
    to_tail : mapping t -> (sparse (q_tail, q_t), k)
        C_tail,t of each leading term and its effects.
    """
    pattern = _expanded(graph, shapes)
    low = sp.tril(whole).tocoo()
    rows, cols = low.row.astype(np.intp), low.col.astype(np.intp)
    pattern.data[_all_slots(pattern, rows, cols)] = low.data
    meetings = {t: _meetings(pattern, between, k) for t, (between, k) in to_tail.items()}
    layout = lay_out(tree, pattern, shapes)
    return SparseTail(terms, shapes, pattern, meetings, layout, tree.numbers)


def slots_in(pattern: sp.csc_array, rows: IntArray, cols: IntArray) -> IntArray:
    """Which stored entries of a lower triangle stand at some places; -1 where none does."""
    rows, cols = np.broadcast_arrays(rows, cols)
    shape, high, low = rows.shape, np.maximum(rows, cols), np.minimum(rows, cols)
    # 0 is what scipy returns where nothing is stored.
    numbers = np.arange(1, pattern.nnz + 1)
    table = sp.csc_array((numbers, pattern.indices, pattern.indptr), shape=pattern.shape)
    found = np.asarray(sp.csc_matrix(table)[high.reshape(-1), low.reshape(-1)]).reshape(-1)
    return (found.astype(np.intp) - 1).reshape(shape)


def _all_slots(pattern: sp.csc_array, rows: IntArray, cols: IntArray) -> IntArray:
    """`slots_in` of entries that are stored."""
    slots = slots_in(pattern, rows, cols)
    if np.any(slots < 0):
        raise ValueError("levels share a row that do not in the data that the plan was made for")
    return slots


def _expanded(graph: sp.csc_array, shapes: Sequence[tuple[int, int]]) -> sp.csc_array:
    """The lower triangle of the random effects' pattern, of zeros, from that of the levels."""
    ks = np.concatenate([np.full(levels, k) for levels, k in shapes]).astype(np.intp)
    starts = np.cumsum(ks) - ks
    low = sp.tril(graph).tocoo()
    row, col = low.row.astype(np.intp), low.col.astype(np.intp)
    counts = ks[row] * ks[col]
    at = ranges(np.zeros(len(row), dtype=np.intp), counts)
    width = np.repeat(ks[col], counts)
    rows = np.repeat(starts[row], counts) + at // width
    cols = np.repeat(starts[col], counts) + at % width
    kept = rows >= cols
    rows, cols = rows[kept], cols[kept]
    q = int(ks.sum())
    # Sorted by columns, then rows.
    order = np.argsort(cols * q + rows)
    indptr = np.concatenate([[0], np.cumsum(np.bincount(cols, minlength=q))])
    return sp.csc_array((np.zeros(len(order)), rows[order], indptr), shape=(q, q))


def _meetings(pattern: sp.csc_array, between: sp.csc_array, k: int) -> tuple[Meeting, ...]:
    """The columns of C_tail,t by levels and by how many entries they have."""
    indptr = np.asarray(between.indptr).astype(np.intp)
    starts, lengths = indptr[:-1:k], np.diff(indptr)[::k]
    found = []
    for length in np.unique(lengths[lengths > 0]).tolist():
        first = starts[lengths == length]
        entries = first[:, None, None] + np.arange(k)[:, None] * length + np.arange(length)
        rows = np.asarray(between.indices).astype(np.intp)[entries[:, 0]]
        high, low = np.tril_indices(length)
        found.append(Meeting(entries, _all_slots(pattern, rows[:, high], rows[:, low])))
    return tuple(found)


def _subtract_at(entries: Array, slots: IntArray, values: Array) -> None:
    """Subtract values at slots that may occur more than once."""
    if len(slots) * 16 < len(entries):
        np.subtract.at(entries, slots, values)
    else:
        entries -= np.bincount(slots, values, minlength=len(entries))
