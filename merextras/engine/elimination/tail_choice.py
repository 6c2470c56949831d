"""The choice between a dense and a sparse Schur complement of the tail, made before either exists.

Sparse is worth its bookkeeping where the tail is large and its factors cross locally. What decides
is a rough count of seconds a factorisation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from merextras.engine.fronts.elimination_tree import Tree, analyse
from merextras.engine.fronts.ordering import reach
from merextras.engine.products.crossprod import CrossProducts

# A dense tail of fewer random effects takes a few milliseconds.
SMALL = 512
# Where a level reaches more than this part of the others in two steps, a factor fills in.
_FULL = 0.5
_SAMPLES = 8
# Operations a second of large matrices and of the fronts, seconds for a batch of fronts and for a
# pair of entries that a column of a leading term has.
_DENSE_RATE, _SPARSE_RATE, _BATCH, _PAIR = 2e10, 4e9, 3e-4, 3e-8
# Numbers at the peak of a fit for each of the fronts' pivots and rows: their entries and their
# factor are kept, by each point that is; the rest is what is passed on from front to front.
_FRONTS, _KEPT = 1.4, 2.0
# Pairs for whose places there is room (2 GB), and entries of a Schur complement (1.6 GB).
_MOST_PAIRS, _MOST_ENTRIES = 1 << 28, 1 << 27


@dataclass(frozen=True)
class SparseChoice:
    """What a sparse tail is laid out from.

    Attributes
    ----------
    graph : sparse (levels of the tail, levels of the tail)
        Which of them meet in the Schur complement, with the diagonal.
    tree : Tree
    n_pairs : int
        Pairs of entries in the columns of the leading terms.
    """

    graph: sp.csc_array
    tree: Tree
    n_pairs: int

    def megabytes(self, points: int = 1) -> float:
        """The peak of a fit, roughly: fronts and what their inverse takes, places of pairs.

        `points` are those whose factors are kept at once.
        """
        p, u = self.tree.sizes.T.astype(float)
        fronts = (_FRONTS + _KEPT * points) * float(np.sum(p**2 + p * u))
        return float(8e-6 * (fronts + self.n_pairs + 6.0 * self.graph.nnz))

    @property
    def seconds(self) -> float:
        """Of a step of the optimiser: a factorisation and a selected inverse."""
        batches = 8.0 * (int(self.tree.heights.max(initial=0)) + 1)
        return self.tree.operations / _SPARSE_RATE + _PAIR * self.n_pairs + _BATCH * batches


def dense_seconds(size: int) -> float:
    """Of a step of the optimiser with a dense tail."""
    return float(size) ** 3 / _DENSE_RATE


def best_prefix(
    cp: CrossProducts,
    candidates: Sequence[tuple[tuple[int, ...], tuple[int, ...]]],
    *,
    always: bool = False,
) -> tuple[int, SparseChoice] | None:
    """The (leading, tail) of some whose sparse tail is best, with that; None if dense is better.

    The candidates' tails grow: a coarse factor of a chain connects all levels that it has rows in
    common with, and is then better eliminated last.
    """
    found: list[tuple[int, int, sp.csc_array]] = []
    for i, (leading, tail) in enumerate(candidates):
        graph = _graph(cp, leading, tail, always=always)
        if graph is not None:
            found.append((int(graph.nnz), i, graph))
    if not found:
        return None
    _, i, graph = min(found, key=lambda three: three[:2])
    leading, tail = candidates[i]
    choice = _analysed(cp, leading, tail, graph)
    size = sum(cp.shapes[t][0] * cp.shapes[t][1] for t in candidates[0][1])
    better = choice.seconds < dense_seconds(size)
    return (i, choice) if better or always else None


def _analysed(
    cp: CrossProducts,
    leading: Sequence[int],
    tail: Sequence[int],
    graph: sp.csc_array,
) -> SparseChoice:
    """Order and analyse a tail."""
    weights = np.concatenate([np.full(cp.shapes[t][0], cp.shapes[t][1]) for t in tail])
    pairs = sum(_n_pairs(cp, t, tail) for t in leading)
    return SparseChoice(graph, analyse(graph, weights.astype(np.intp)), pairs)


def _graph(
    cp: CrossProducts, leading: Sequence[int], tail: Sequence[int], *, always: bool
) -> sp.csc_array | None:
    """Which levels of the tail meet, unless nearly all do or there are too many to tell."""
    if always:
        return _pattern(cp, tail, _meeting(cp, leading, tail))
    if sum(_n_pairs(cp, t, tail) for t in leading) > _MOST_PAIRS:
        return None
    meeting = _meeting(cp, leading, tail)
    part = reach(meeting, _SAMPLES)
    if part > _FULL or part * meeting.shape[0] ** 2 > _MOST_ENTRIES:
        return None
    return _pattern(cp, tail, meeting)


def _n_pairs(cp: CrossProducts, t: int, tail: Sequence[int]) -> int:
    """Pairs of random effects of the tail that a level of t has in common."""
    k = cp.shapes[t][1]
    lengths = sum((np.diff(between_terms(cp, s, t).indptr)[::k] for s in tail), start=np.zeros(1))
    lengths = np.asarray(lengths, dtype=float)
    return int(np.sum(lengths * (lengths + 1.0)) / 2.0)


def _meeting(cp: CrossProducts, leading: Sequence[int], tail: Sequence[int]) -> sp.csr_array:
    """Levels of the tail by levels of the last leading term, in whose all before it are nested."""
    parts = [_levels(cp, s, leading[-1]) for s in tail]
    return sp.csr_array(sp.vstack(parts))


def _pattern(cp: CrossProducts, tail: Sequence[int], meeting: sp.csr_array) -> sp.csc_array:
    n = len(tail)
    grid: list[list[sp.sparray | None]] = [[None] * n for _ in range(n)]
    for a, s in enumerate(tail):
        grid[a][a] = sp.eye_array(cp.shapes[s][0], dtype=np.float32)
        for b in range(a):
            grid[a][b] = _levels(cp, s, tail[b])
            grid[b][a] = sp.csc_array(_levels(cp, s, tail[b]).T)
    out = sp.csc_array(sp.csc_array(meeting @ meeting.T) + sp.block_array(grid, format="csc"))
    out.sort_indices()
    return out


def _levels(cp: CrossProducts, s: int, t: int) -> sp.csc_array:
    """Ones where a level of s and one of t share a row."""
    entries = between_terms(cp, s, t).tocoo()
    k_s, k_t = cp.shapes[s][1], cp.shapes[t][1]
    first = (entries.row % k_s == 0) & (entries.col % k_t == 0)
    at = (entries.row[first] // k_s, entries.col[first] // k_t)
    ones = np.ones(len(at[0]), dtype=np.float32)
    return sp.csc_array(sp.coo_array((ones, at), shape=(cp.shapes[s][0], cp.shapes[t][0])))


def between_terms(cp: CrossProducts, s: int, t: int) -> sp.csc_array:
    """Z_s'WZ_t, (q_s, q_t)."""
    return cp.cross[s, t] if s < t else sp.csc_array(cp.cross[t, s].T)
