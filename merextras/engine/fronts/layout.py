"""The place of each number of a sparse matrix in the fronts, worked out once for all theta."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from merextras.engine.fronts.elimination_tree import Tree
from merextras.engine.fronts.ordering import ranges
from merextras.engine.kernels.blocks import Array, IntArray

# Numbers of the fronts of a batch (32 MB).
_BATCH = 1 << 22
# Sizes are rounded up to a multiple of half the power of two below, at most this.
_COARSEST = 16


@dataclass(frozen=True)
class Family:
    """Children in one batch of fronts in another, of each parent one.

    Attributes
    ----------
    batch : int
        The children's.
    children, parents : (n,) integer arrays
        Places in their batches.
    local : (n, u) integer array
        Where a child's rows stand in its parent, whose size is that of no row.
    """

    batch: int
    children: IntArray
    parents: IntArray
    local: IntArray


@dataclass(frozen=True)
class Batch:
    """Fronts of p pivots and u rows each; the numbers of no pivot and of no row are q.

    Attributes
    ----------
    p, u : int
    pivots : (B, p) integer array
        Rows of the matrix.
    rows : (B, u) integer array
    sources, places : integer arrays
        Stored entries of the matrix, and where they stand in (B, p, p + u).
    families : tuple of Family
    frees : tuple of int
        Batches of which no later one has a child.
    targets : integer array
        The rows, each once.
    scatter : sparse (len(targets), B u)
        Sums what goes to the same row.
    """

    p: int
    u: int
    pivots: IntArray
    rows: IntArray
    sources: IntArray
    places: IntArray
    families: tuple[Family, ...]
    frees: tuple[int, ...]
    targets: IntArray
    scatter: sp.csr_array


@dataclass(frozen=True)
class Scales:
    """The block diagonal Lambda of w rows of each of B fronts.

    Attributes
    ----------
    at : (B, w, k) integer array, optional
        Places of all effects of each row's node; None if every node is one row.
    straight, turned : (B, w, k) arrays
        The row's column and row of Lambda.
    """

    at: IntArray | None
    straight: Array
    turned: Array

    def times(self, array: Array) -> Array:
        """A (B, r, w) array times Lambda."""
        return self._times(array, self.straight)

    def times_turned(self, array: Array) -> Array:
        """A (B, r, w) array times Lambda'."""
        return self._times(array, self.turned)

    def around(self, array: Array) -> Array:
        """``Lambda' A Lambda`` of symmetric (B, w, w) arrays."""
        out = self.times(array)
        if self.at is None:
            out *= self.straight
            return out
        return self.times(out.swapaxes(1, 2))

    def _times(self, array: Array, weights: Array) -> Array:
        if self.at is None:
            return array * weights[:, None, :, 0]
        out = np.zeros(array.shape)
        for b in range(weights.shape[2]):
            taken = np.take_along_axis(array, self.at[:, None, :, b], axis=2)
            out += taken * weights[:, None, :, b]
        return out


@dataclass(frozen=True)
class Layout:
    """All batches, children before their parents.

    Attributes
    ----------
    batches : tuple of Batch
    node, effect, term : (q + 1,) integer arrays
        Of each row of the matrix: its node, its place in it and what term it is of.
    scalar : bool
        Whether every node is one row.
    """

    batches: tuple[Batch, ...]
    node: IntArray
    effect: IntArray
    term: IntArray
    scalar: bool

    def scales(self, numbers: IntArray, lams: Sequence[Array]) -> Scales:
        """Lambda of some rows of the matrix, (B, w), in which nodes are whole.

        `lams` are those of the terms, in the order of `term`.
        """
        k = max(len(lam) for lam in lams)
        table = np.zeros((len(lams) + 1, k, k))
        for t, lam in enumerate(lams):
            table[t, : len(lam), : len(lam)] = lam
        term = self.term[numbers]
        if self.scalar:
            straight = table[term, 0]
            return Scales(None, straight, straight)
        effect = self.effect[numbers]
        at = np.arange(numbers.shape[1])[:, None] - effect[:, :, None] + np.arange(k)
        # Beyond a node's own effects Lambda is zero.
        at = np.clip(at, 0, max(numbers.shape[1] - 1, 0))
        return Scales(at, table.swapaxes(1, 2)[term, effect], table[term, effect])


def lay_out(tree: Tree, pattern: sp.csc_array, shapes: Sequence[tuple[int, int]]) -> Layout:
    """Put the fronts into batches and find every number's place.

    Parameters
    ----------
    tree : Tree
        Of the nodes, the levels of all terms one after the other.
    pattern : sparse (q, q)
        The lower triangle of the matrix.
    shapes : sequence of (levels, effects), one per term
    """
    ks = np.concatenate([np.full(levels, k) for levels, k in shapes]).astype(np.intp)
    starts = np.cumsum(ks) - ks
    batches = _Numbering(tree, starts, ks, pattern).batches()
    node = np.append(np.repeat(np.arange(len(ks)), ks), -1)
    term = np.append(np.repeat(np.arange(len(shapes)), [n * k for n, k in shapes]), len(shapes))
    effect = np.append(ranges(np.zeros(len(ks), dtype=np.intp), ks), 0)
    return Layout(batches, node, effect, term, bool(np.all(ks == 1)))


class _Numbering:
    """The places of everything while the layout is made."""

    def __init__(self, tree: Tree, starts: IntArray, ks: IntArray, pattern: sp.csc_array) -> None:
        self.tree, self.q = tree, int(ks.sum())
        self.pivots = [ranges(starts[nodes], ks[nodes]) for nodes in tree.pivots]
        self.rows = [ranges(starts[nodes], ks[nodes]) for nodes in tree.rows]
        self.size = np.array([[_rounded(p), _rounded(u)] for p, u in tree.sizes.tolist()])
        self.size = self.size.astype(np.intp).reshape(-1, 2)
        self._assign()
        self._locate(pattern)

    def _assign(self) -> None:
        """A batch and a place in it for each front."""
        n_fronts = len(self.size)
        order = np.lexsort((self.size[:, 1], self.size[:, 0], self.tree.heights))
        self.members: list[IntArray] = []
        keys = np.column_stack([self.tree.heights, self.size])[order]
        new = np.flatnonzero(np.any(keys[1:] != keys[:-1], axis=1)) + 1
        for group in np.split(order, new) if n_fronts else []:
            step = max(1, _BATCH // int(self.size[group[0]].sum() + 1) ** 2)
            self.members += [group[at : at + step] for at in range(0, len(group), step)]
        self.batch_of = np.empty(n_fronts, dtype=np.intp)
        self.slot_of = np.empty(n_fronts, dtype=np.intp)
        for number, group in enumerate(self.members):
            self.batch_of[group], self.slot_of[group] = number, np.arange(len(group))

    def _locate(self, pattern: sp.csc_array) -> None:
        """Where each stored entry and each child's row stands in its front."""
        n_fronts = len(self.size)
        turn = np.empty(self.q, dtype=np.intp)  # of elimination
        front = np.empty(self.q, dtype=np.intp)
        everything = np.concatenate([np.empty(0, dtype=np.intp), *self.pivots])
        turn[everything] = np.arange(self.q)
        counts = np.array([len(p) for p in self.pivots], dtype=np.intp)
        front[everything] = np.repeat(np.arange(n_fronts), counts)
        cols = np.repeat(np.arange(self.q), np.diff(pattern.indptr))
        rows = pattern.indices.astype(np.intp)
        first = np.where(turn[rows] <= turn[cols], rows, cols)
        self.source = np.argsort(front[first], kind="stable")
        first = first[self.source]
        other = (rows + cols)[self.source] - first
        self.begin = np.searchsorted(front[first], np.arange(n_fronts + 1))
        self.first, self.other = np.empty_like(first), np.empty_like(first)
        children: list[list[int]] = [[] for _ in range(n_fronts)]
        for child, parent in enumerate(self.tree.parents.tolist()):
            if parent >= 0:
                children[parent].append(child)
        self.local: dict[int, IntArray] = {}
        local = np.empty(self.q, dtype=np.intp)
        for f in range(n_fronts):
            pivots, below = self.pivots[f], self.rows[f]
            local[pivots] = np.arange(len(pivots))
            local[below] = self.size[f, 0] + np.arange(len(below))
            mine = slice(self.begin[f], self.begin[f + 1])
            self.first[mine], self.other[mine] = local[first[mine]], local[other[mine]]
            for child in children[f]:
                self.local[child] = local[self.rows[child]]

    def batches(self) -> tuple[Batch, ...]:
        """All of them."""
        families: list[list[Family]] = [[] for _ in self.members]
        last: dict[int, int] = {}
        for number, family in self._families():
            families[number].append(family)
            last[family.batch] = max(number, last.get(family.batch, 0))
        frees: list[list[int]] = [[] for _ in self.members]
        for number, at in last.items():
            frees[at].append(number)
        return tuple(
            self._batch(group, tuple(families[number]), tuple(frees[number]))
            for number, group in enumerate(self.members)
        )

    def _families(self) -> list[tuple[int, Family]]:
        """Families with their parents' batch."""
        child = np.flatnonzero(self.tree.parents >= 0)
        parent = self.tree.parents[child]
        order = np.lexsort((parent, self.batch_of[child], self.batch_of[parent]))
        child, parent = child[order], parent[order]
        key = np.column_stack([self.batch_of[parent], self.batch_of[child], parent])
        same = np.append(False, np.all(key[1:] == key[:-1], axis=1)) if len(key) else key[:, 0] > 0
        at = np.arange(len(key))
        rank = at - np.maximum.accumulate(np.where(same, 0, at))
        order = np.lexsort((rank, key[:, 1], key[:, 0]))
        child, parent, rank = child[order], parent[order], rank[order]
        key = np.column_stack([key[order][:, :2], rank])
        new = np.flatnonzero(np.any(key[1:] != key[:-1], axis=1)) + 1
        found = []
        for group in np.split(np.arange(len(child)), new) if len(child) else []:
            mine, theirs = child[group], parent[group]
            u, none = self.size[mine[0], 1], int(self.size[theirs[0]].sum())
            local = _table([self.local[c] for c in mine.tolist()], int(u), none)
            number = int(self.batch_of[mine[0]])
            family = Family(number, self.slot_of[mine], self.slot_of[theirs], local)
            found.append((int(self.batch_of[theirs[0]]), family))
        return found

    def _batch(
        self, group: IntArray, families: tuple[Family, ...], frees: tuple[int, ...]
    ) -> Batch:
        p, u = self.size[group[0]].tolist()
        pivots = _table([self.pivots[f] for f in group.tolist()], p, self.q)
        rows = _table([self.rows[f] for f in group.tolist()], u, self.q)
        counts = self.begin[group + 1] - self.begin[group]
        mine = ranges(self.begin[group], counts)
        slot = np.repeat(np.arange(len(group)), counts)
        source, a, b = self.source[mine], self.first[mine], self.other[mine]
        turned = slot * p * (p + u) + b * (p + u) + a
        mirrored = (b < p) & (a != b)
        targets, where = np.unique(rows, return_inverse=True)
        flat = (where.reshape(-1), np.arange(rows.size))
        scatter = sp.csr_array(
            sp.coo_array((np.ones(rows.size), flat), shape=(len(targets), rows.size))
        )
        return Batch(
            p, u, pivots, rows,
            np.concatenate([source, source[mirrored]]),
            np.concatenate([slot * p * (p + u) + a * (p + u) + b, turned[mirrored]]),
            families, frees, targets, scatter,
        )  # fmt: skip


def _rounded(size: int) -> int:
    """The size of the batch that a front of this size is put in."""
    step = min(max(1 << max(size - 1, 1).bit_length() >> 2, 1), _COARSEST)
    return -(-size // step) * step


def _table(parts: list[IntArray], width: int, none: int) -> IntArray:
    """One row each, filled up."""
    out = np.full((len(parts), width), none, dtype=np.intp)
    counts = np.array([len(part) for part in parts], dtype=np.intp)
    rows = np.repeat(np.arange(len(parts)), counts)
    cols = ranges(np.zeros(len(parts), dtype=np.intp), counts)
    out[rows, cols] = np.concatenate([np.empty(0, dtype=np.intp), *parts])
    return out
