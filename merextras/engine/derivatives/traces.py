"""Traces of products with the derivatives of V, from ``B = Z'V^-1 Z`` (see `information`).

B is made in columns, those of different connected sets of levels together in one (levels that
share no row, directly or through others, have nothing in common in B): a single factor with k
effects takes k columns, whatever its levels; a chain of nested factors as many as its largest unit
has; crossed factors q. Each column costs one pass through the factor.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import scipy.sparse as sp
from scipy.sparse import csgraph

from merextras.engine.covariance.cholesky import lower_indices
from merextras.engine.elimination import columns
from merextras.engine.elimination.factor import flat
from merextras.engine.kernels.blocks import Array, IntArray
from merextras.engine.products.crossprod import CrossProducts
from merextras.engine.solution.pls import Solution

# Numbers of one block of columns of B (64 MB); a handful of such blocks exist at a time.
_CHUNK = 1 << 23


def z_products(cp: CrossProducts, t: int, part: Array) -> list[Array]:
    """``Z'W Z_t part`` by terms; `part` is (J_t, k_t, c)."""
    width = part.shape[2]
    out = [np.zeros((*own.shape[:2], width)) for own in cp.own]
    out[t] = cp.own[t] @ part
    rows = flat(part)
    for (r, s), between in cp.cross.items():
        if s == t:
            out[r] = (between @ rows).reshape(out[r].shape)
        elif r == t:
            out[s] = (between.T @ rows).reshape(out[s].shape)
    return out


def z_projected(solution: Solution, by_term: list[Array]) -> tuple[Array, ...]:
    """``Z'V^-1 A`` by terms for columns with the cross-products ``Z'WA``."""
    return columns.solved(solution.factor, by_term)[1]


def traces_of(solution: Solution) -> tuple[Array, Array]:
    """``tr(V^-1 V_i)`` and ``tr(V^-1 V_i V^-1 V_j)`` from the columns of B."""
    ks = [k for _, k in solution.factor.system.cp.shapes]
    single = [np.zeros((k, k)) for k in ks]
    double = {(s, t): np.zeros((ks[s], ks[t]) * 2) for t in range(len(ks)) for s in range(t + 1)}
    turns = _turns(solution.factor.system.cp)
    for t, turn in enumerate(turns):
        for part, own in _columns_of_b(solution, t, turn):
            # Every level in its own column.
            levels = np.flatnonzero(own >= 0)
            single[t] += part[t][levels, :, own[levels], :].sum(axis=0)
            for s in range(t + 1):
                block = np.moveaxis(part[s], (1, 3), (0, 1)).reshape(ks[s] * ks[t], -1)
                gram = (block @ block.T).reshape(ks[s], ks[t], ks[s], ks[t])
                double[s, t] += gram
    sizes = [k * (k + 1) // 2 for k in ks]
    starts = np.concatenate([[0], np.cumsum(sizes)]).astype(int)
    traces, trace_products = np.empty(starts[-1]), np.empty((starts[-1], starts[-1]))
    for t, k in enumerate(ks):
        rows, cols = lower_indices(k)
        mine = slice(starts[t], starts[t + 1])
        traces[mine] = single[t][rows, cols] * np.where(rows == cols, 1.0, 2.0)
        for s in range(t + 1):
            theirs = slice(starts[s], starts[s + 1])
            trace_products[theirs, mine] = _by_element(double[s, t])
            trace_products[mine, theirs] = trace_products[theirs, mine].T
    return traces, trace_products


def _by_element(sums: Array) -> Array:
    """``tr(E_i B F_j B')`` from ``sums[a, c, b, d] = sum B_ac B_bd``, elements by elements."""
    (a, b), (c, d) = (lower_indices(sums.shape[i]) for i in (0, 1))
    straight = sums[a[:, None], c, b[:, None], d]
    crossed = sums[a[:, None], d, b[:, None], c]
    # Both orders of (a, b) and of (c, d) occur in E and F unless they are the same.
    times = np.where(a != b, 2.0, 1.0)[:, None] * np.where(c != d, 2.0, 1.0)
    return np.asarray(0.5 * times * (straight + crossed))


def _turns(cp: CrossProducts) -> list[IntArray]:
    """When each level has its turn: its rank among the levels of its term that it is tied to."""
    sizes = [levels for levels, _ in cp.shapes]
    starts = np.concatenate([[0], np.cumsum(sizes)]).astype(int)
    rows, cols = [np.empty(0, dtype=int)], [np.empty(0, dtype=int)]
    for (s, t), between in cp.cross.items():
        entries = between.tocoo()
        rows.append(starts[s] + entries.row // cp.shapes[s][1])
        cols.append(starts[t] + entries.col // cp.shapes[t][1])
    row, col = np.concatenate(rows), np.concatenate(cols)
    graph = sp.coo_array((np.ones(len(row)), (row, col)), shape=(starts[-1], starts[-1]))
    labels = csgraph.connected_components(graph, directed=False)[1]
    turns = []
    for t, size in enumerate(sizes):
        mine = labels[starts[t] : starts[t + 1]]
        order = np.argsort(mine, kind="stable")
        begin = np.searchsorted(mine[order], mine[order])
        turn = np.empty(size, dtype=np.intp)
        turn[order] = np.arange(size) - begin
        turns.append(turn)
    return turns


def _columns_of_b(
    solution: Solution, t: int, turn: IntArray
) -> Iterator[tuple[list[Array], IntArray]]:
    """Columns of B of term t by blocks: (J_s, k_s, c, k_t) by terms, and each level's column."""
    cp = solution.factor.system.cp
    levels, k = cp.shapes[t]
    q = sum(n * width for n, width in cp.shapes)
    n_turns = int(turn.max()) + 1 if levels else 0
    step = max(1, _CHUNK // (q * k))
    for at in range(0, n_turns, step):
        count = min(step, n_turns - at)
        own = np.where((turn >= at) & (turn < at + count), turn - at, -1)
        mine = np.flatnonzero(own >= 0)
        part = np.zeros((levels, k, count, k))
        for c in range(k):
            part[mine, c, own[mine], c] = 1.0
        found = z_projected(solution, z_products(cp, t, part.reshape(levels, k, count * k)))
        yield [block.reshape(*block.shape[:2], count, k) for block in found], own
