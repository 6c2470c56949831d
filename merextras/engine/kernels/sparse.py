"""Sparse matrices by columns (CSC) whose pattern is kept, zeros included.

The blocks between the tail and a leading term keep the pattern of the data: an entry for each pair
of levels that share a row, also where it happens to be zero, because the inverse is not zero there.
Within a level of k columns all columns have the same rows.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from merextras.engine.kernels.blocks import Array, IntArray

# scipy keeps indices in 32 bits where they fit.
IndexArray = NDArray[np.signedinteger[Any]]

# Numbers of dense copies that are made at a time, to bound memory (32 MB), and of those gathered
# from a dense matrix, which stay in a processor's cache.
_CHUNK, _TOGETHER = 1 << 22, 1 << 18
# Columns of up to so many entries are taken together only where they have equally many.
_EXACT = 16
# The share of stored entries from which on products are quicker without the pattern.
_FULL = 0.3


def columns_of(matrix: sp.csc_array) -> IntArray:
    """Return the column of each stored entry."""
    return np.repeat(np.arange(matrix.shape[1], dtype=np.intp), np.diff(matrix.indptr))


def entries_at(matrix: sp.csc_array, rows: IndexArray, cols: IntArray) -> Array:
    """Return the entries at (rows, cols), zero where none is stored; O(log nnz) each."""
    if matrix.nnz == 0:
        return np.zeros(len(rows))
    height = matrix.shape[0]
    stored = columns_of(matrix) * height + matrix.indices
    wanted = cols.astype(np.int64) * height + rows
    at = np.minimum(np.searchsorted(stored, wanted), len(stored) - 1)
    return np.where(stored[at] == wanted, matrix.data[at], 0.0)


def with_data(pattern: sp.csc_array, data: Array) -> sp.csc_array:
    """Make a matrix of the same pattern with other entries."""
    made = copy.copy(pattern)  # scipy would check the pattern again
    made.data = data
    return made


def is_full(matrix: sp.csc_array) -> bool:
    """Whether so many entries are stored that a product of a dense copy is quicker."""
    return bool(matrix.nnz >= _FULL * matrix.shape[0] * matrix.shape[1] > 0.0)


def subtract_on_pattern(matrix: sp.csc_array, change: sp.csc_array) -> sp.csc_array:
    """``matrix - change`` on the pattern of `matrix`, which has that of `change` in it."""
    change.sum_duplicates()
    entries = entries_at(change, matrix.indices, columns_of(matrix))
    return with_data(matrix, matrix.data - entries)


def sampled_product(dense: Array, matrix: sp.csc_array) -> Array:
    """Return the entries of ``dense @ matrix`` on its pattern, for a symmetric dense matrix."""
    found = SampledProduct(matrix)
    found.add(dense, 0)
    return found.entries


class SampledProduct:
    """The entries of ``W C`` on the pattern of C, of a symmetric W given some columns at a time.

    Cost: the sum of (column nnz)**2, or O(q**2 n) as a dense product where nearly all of C is
    stored.

    Parameters
    ----------
    matrix : sparse (q, n)
        C, with its rows in order.

    Attributes
    ----------
    entries : array
        What is there of W C so far.
    """

    def __init__(self, matrix: sp.csc_array) -> None:
        if not matrix.has_sorted_indices:
            raise ValueError("the rows of each column are to be in order")
        self.matrix, self.entries = matrix, np.zeros(matrix.nnz)
        indptr = np.asarray(matrix.indptr).astype(np.intp)
        self._starts, self._ends = indptr[:-1], indptr[1:]

    def add(self, columns: Array, start: int) -> None:
        """Add what the next columns of W are in, from `start` on; of them the rows from there on.

        What is above is in the columns before them.
        """
        if is_full(self.matrix):
            self._add_full(columns, start)
            return
        width = columns.shape[1]
        stops = self._ends if width == len(columns) else self._up_to(start + width)
        for levels, n, m in self._alike(self._ends - self._starts, stops - self._starts):
            step = max(1, _TOGETHER // (n * m))
            for at in range(0, len(levels), step):
                self._add_levels(columns, start, levels[at : at + step], stops, n, m)
        self._starts = stops

    def _up_to(self, row: int) -> IntArray:
        """For each column of C the place after its last entry before a row."""
        indptr = self.matrix.indptr
        before = np.zeros(self.matrix.nnz + 1, dtype=indptr.dtype)
        np.cumsum(self.matrix.indices < row, out=before[1:])
        stops = indptr[:-1] + before[indptr[1:]] - before[indptr[:-1]]
        return np.asarray(stops, dtype=np.intp)

    def _alike(self, n: IntArray, m: IntArray) -> Iterator[tuple[IntArray, int, int]]:
        """Columns of C with nearly equally many entries left, and of them in the next columns."""
        some = np.flatnonzero(m)
        n, m = _rounded(n[some]), _rounded(m[some])
        keys = n * (int(m.max(initial=0)) + 1) + m
        order = np.argsort(keys, kind="stable")
        for same in np.split(order, np.flatnonzero(np.diff(keys[order])) + 1):
            if len(same):
                yield some[same], int(n[same[0]]), int(m[same[0]])

    def _add_levels(
        self, columns: Array, start: int, levels: IntArray, stops: IntArray, n: int, m: int
    ) -> None:
        """Of columns of C that have up to n entries left, and up to m of them next."""
        first, last = self._starts[levels, None], self._ends[levels, None] - 1
        where = first + np.arange(n)
        if stops is self._ends and n <= _EXACT:  # all of them have n, and all these are next
            rows = self.matrix.indices[where].astype(np.intp) - start
            parts = np.take(columns, rows[:, :, None] * columns.shape[1] + rows[:, None, :])
            self.entries[where] += np.einsum("cij,cj->ci", parts, self.matrix.data[where])
            return
        kept, new = where <= last, where < stops[levels, None]
        where = np.minimum(where, last)
        rows = self.matrix.indices[where].astype(np.intp) - start
        values = np.where(kept, self.matrix.data[where], 0.0)
        next_ = np.where(new, rows, 0)[:, :m]
        parts = np.take(columns, rows[:, :, None] * columns.shape[1] + next_[:, None, :])
        found = np.einsum("cij,cj->ci", parts, np.where(new, values, 0.0)[:, :m])
        if not (stops[levels] == self._ends[levels]).all():
            later = np.einsum("cij,ci->cj", parts, np.where(new, 0.0, values))
            found[:, :m] += np.where(new[:, :m], later, 0.0)
        self.entries[where[kept]] += found[kept]

    def _add_full(self, columns: Array, start: int) -> None:
        """By whole columns of C."""
        matrix, (height, n) = self.matrix, self.matrix.shape
        step = max(1, _CHUNK // max(height, 1))
        for at in range(0, n, step):
            part = matrix if step >= n else matrix[:, at : at + step]
            stored = slice(matrix.indptr[at], matrix.indptr[min(at + step, n)])
            found = _symmetric_part(columns, start, part.toarray())
            self.entries[stored] += found[part.indices, columns_of(part)]


def _symmetric_part(columns: Array, start: int, given: Array) -> Array:
    """What some columns of a symmetric matrix, from their diagonal on, add to its product."""
    width = columns.shape[1]
    if len(columns) == width == len(given):
        return np.asarray(columns @ given)
    out = np.zeros_like(given)
    out[start : start + width] = columns.T @ given[start:]
    out[start + width :] = columns[width:] @ given[start : start + width]
    return out


def _rounded(n: IntArray) -> IntArray:
    """Numbers as they are up to `_EXACT`, and up to an eighth larger from there on."""
    unit = np.maximum(1 << np.floor(np.log2(np.maximum(n, 1))).astype(np.intp), 8) // 8
    return np.asarray(-(-n // unit) * unit)


def times_blocks(pattern: sp.csc_array, data: Array, right: Array) -> Array:
    """Entries, on the same pattern, of the matrix with `data` times the block diagonal `right`."""
    k = right.shape[1]
    if k == 1:
        return data * np.repeat(right[:, 0, 0], np.diff(pattern.indptr))
    cols = columns_of(pattern)
    members = [np.flatnonzero(cols % k == a) for a in range(k)]
    out = np.zeros_like(data)
    for b in range(k):
        levels = cols[members[b]] // k
        for a in range(k):
            out[members[b]] += data[members[a]] * right[levels, a, b]
    return out


def level_products(left: sp.csc_array, right: Array, k: int) -> Array:
    """``sum_i left[i, (j, a)] right[i, (j, b)]`` for every level j: (J, k, k).

    `right` holds entries on the pattern of `left`, whose columns are J levels of k each.
    """
    cols = columns_of(left)
    n_levels = left.shape[1] // k
    if k == 1:
        sums = np.bincount(cols, left.data * right, minlength=n_levels)
        return np.asarray(sums, dtype=np.float64).reshape(-1, 1, 1)
    out = np.empty((n_levels, k, k))
    members = [np.flatnonzero(cols % k == a) for a in range(k)]
    for a in range(k):
        for b in range(k):
            product = left.data[members[a]] * right[members[b]]
            out[:, a, b] = np.bincount(cols[members[a]] // k, product, minlength=n_levels)
    return out
