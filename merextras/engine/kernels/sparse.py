"""Sparse matrices by columns (CSC) whose pattern is kept, zeros included.

The blocks between the tail and a leading term keep the pattern of the data: an entry for each pair
of levels that share a row, also where it happens to be zero, because the inverse is not zero there.
Within a level of k columns all columns have the same rows.
"""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from merextras.engine.kernels.blocks import Array, IntArray

# scipy keeps indices in 32 bits where they fit.
IndexArray = NDArray[np.signedinteger[Any]]

# Numbers gathered from a dense matrix at a time, to bound memory (32 MB).
_CHUNK = 1 << 22
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
    """Return the entries of ``dense @ matrix`` on its pattern; cost sum of (column nnz)**2.

    Columns of equal length are taken together, so that there is no loop over columns; of a small
    matrix that has nearly all entries the whole product is made.
    """
    if is_full(matrix) and matrix.shape[0] * matrix.shape[1] <= _CHUNK:
        return np.asarray((dense @ matrix.toarray())[matrix.indices, columns_of(matrix)])
    out = np.empty(matrix.nnz)
    lengths = np.diff(matrix.indptr)
    for length in np.unique(lengths[lengths > 0]):
        starts = np.asarray(matrix.indptr)[:-1][lengths == length]
        step = max(1, _CHUNK // int(length) ** 2)
        for at in range(0, len(starts), step):
            where = starts[at : at + step, None] + np.arange(length)
            rows = matrix.indices[where]
            parts = dense[rows[:, :, None], rows[:, None, :]]
            out[where] = np.einsum("cij,cj->ci", parts, matrix.data[where])
    return out


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
