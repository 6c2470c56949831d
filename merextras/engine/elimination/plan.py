"""In which order the terms are eliminated, and what can be prepared before theta is known.

A term is *leading* when eliminating it keeps the remaining terms' blocks as sparse as they were:
the largest term always is, and so is every further one that forms a chain with the leading terms
by nesting (each level of one shares rows with only one level of the next). The other terms form
the *tail*. A chain of nested factors has no tail; two crossed factors leave the smaller one in it.
The tail's Schur complement is dense where factors cross everywhere; where they cross locally and
it is large it is kept sparse, and the chain's coarse factors may then be better in the tail, where
a fill-reducing order puts them last (see `tail_choice`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import scipy.sparse as sp

from merextras.engine.elimination import tail_choice
from merextras.engine.elimination.tail import TailSystem
from merextras.engine.elimination.tail_choice import SparseChoice, between_terms
from merextras.engine.elimination.tail_dense import DenseTail
from merextras.engine.elimination.tail_sparse import sparse_tail
from merextras.engine.kernels.blocks import Array, IntArray, block_diagonal
from merextras.engine.products.crossprod import CrossProducts

TailKind = Literal["auto", "dense", "sparse"]

# Part of the entries of a tail that, stored as sparse, take a quarter of what all of them do.
_FEW = 0.08


@dataclass(frozen=True)
class Plan:
    """The order of elimination.

    Attributes
    ----------
    leading, tail : tuples of term numbers
    parents : mapping (t, s) -> (J_t,) integer array
        For leading t before s: the level of s that each level of t is nested in.
    sparse : SparseChoice, optional
        How the tail is eliminated if not as a dense matrix.
    """

    leading: tuple[int, ...]
    tail: tuple[int, ...]
    parents: Mapping[tuple[int, int], IntArray]
    sparse: SparseChoice | None = None


@dataclass(frozen=True)
class System:
    """Cross-products laid out for a plan; everything a factorisation starts from.

    Attributes
    ----------
    cp : CrossProducts
    plan : Plan
    nested : mapping (t, s) -> (J_t, k_s, k_t) array
        Blocks of Z_s'WZ_t between two leading terms, at each level of t and its parent in s.
    to_tail : mapping t -> sparse (q_tail, q_t)
        Z_tail'WZ_t of each leading term.
    tail : TailSystem
        Z_tail'WZ_tail.
    """

    cp: CrossProducts
    plan: Plan
    nested: Mapping[tuple[int, int], Array]
    to_tail: Mapping[int, sp.csc_array]
    tail: TailSystem

    @property
    def tail_shapes(self) -> tuple[tuple[int, int], ...]:
        """(levels, effects) of each term of the tail."""
        return tuple(self.cp.shapes[t] for t in self.plan.tail)


def prepare(cp: CrossProducts, plan: Plan | None = None) -> System:
    """Choose the order and lay the cross-products out; a dense tail takes q_tail**2 numbers."""
    plan = make_plan(cp) if plan is None else plan
    nested = {
        (t, s): _parent_blocks(between_terms(cp, s, t), parents, cp.shapes[s][1], cp.shapes[t][1])
        for (t, s), parents in plan.parents.items()
    }
    to_tail = {
        t: sp.csc_array(sp.vstack([between_terms(cp, s, t) for s in plan.tail]))
        for t in plan.leading
        if plan.tail
    }
    shapes = tuple(cp.shapes[t] for t in plan.tail)
    tail: TailSystem
    if plan.sparse is None:
        tail = DenseTail(plan.tail, shapes, _dense_tail(cp, plan))
    else:
        with_k = {t: (between, cp.shapes[t][1]) for t, between in to_tail.items()}
        graph, tree = plan.sparse.graph, plan.sparse.tree
        tail = sparse_tail(plan.tail, shapes, graph, tree, _sparse_tail(cp, plan), with_k)
    return System(cp, plan, nested, to_tail, tail)


def make_plan(cp: CrossProducts, tail: TailKind = "auto") -> Plan:
    """Take in the terms, largest first, that form a chain by nesting; leave the others to the tail.

    The chain is eliminated from its finest factor to its coarsest, whatever the terms' sizes.

    Parameters
    ----------
    cp : CrossProducts
    tail : {"auto", "dense", "sparse"}
        The kind of the tail; by default the faster.
    """
    chain, rest, found = _chain(cp)
    choice = None
    size = sum(cp.shapes[t][0] * cp.shapes[t][1] for t in rest)
    if tail == "sparse" or (tail == "auto" and size >= tail_choice.SMALL):
        candidates = [
            (tuple(chain[:n]), (*rest, *chain[n:]))
            for n in range(len(chain), 0, -1)
            # Terms on one factor stay together.
            if n == len(chain) or (chain[n], chain[n - 1]) not in found
        ]
        best = tail_choice.best_prefix(cp, candidates, always=tail == "sparse") if rest else None
        if best is not None:
            (leading, others), choice = candidates[best[0]], best[1]
            chain, rest = list(leading), list(others)
    order = [(t, s) for i, t in enumerate(chain) for s in chain[i + 1 :]]
    return Plan(tuple(chain), tuple(rest), {pair: found[pair] for pair in order}, choice)


def _chain(cp: CrossProducts) -> tuple[list[int], list[int], dict[tuple[int, int], IntArray]]:
    """The chain, the other terms, and in what levels those of each term of it are nested."""
    sizes = [levels * k for levels, k in cp.shapes]
    chain: list[int] = []
    rest: list[int] = []
    found: dict[tuple[int, int], IntArray] = {}
    for s in sorted(range(len(sizes)), key=lambda t: -sizes[t]):
        pairs = [pair for t in chain for pair in ((t, s), (s, t))]
        nested = {pair: levels for pair in pairs if (levels := _parents(cp, *pair)) is not None}
        if all((t, s) in nested or (s, t) in nested for t in chain):
            found.update(nested)
            chain.insert(sum((t, s) in nested for t in chain), s)
        else:
            rest.append(s)
    return chain, rest, found


def nested_in(inner: IntArray, outer: IntArray) -> bool:
    """Whether all rows of each level of `inner` are in one level of `outer`; both (n,) codes."""
    order = np.argsort(inner, kind="stable")
    same = inner[order][1:] == inner[order][:-1]
    return bool(np.all(outer[order][1:][same] == outer[order][:-1][same]))


def _parents(cp: CrossProducts, t: int, s: int) -> IntArray | None:
    """Return the one level of s that each level of t meets, or None if some level meets several."""
    block = between_terms(cp, s, t)
    levels = np.asarray(block.indices) // cp.shapes[s][1]
    indptr = np.asarray(block.indptr)[:: cp.shapes[t][1]]
    parents = np.zeros(len(indptr) - 1, dtype=np.intp)
    filled = np.flatnonzero(np.diff(indptr))
    if len(filled) == 0:
        return parents
    low = np.minimum.reduceat(levels, indptr[filled])
    high = np.maximum.reduceat(levels, indptr[filled])
    if np.any(low != high):
        return None
    parents[filled] = low
    return parents


def _parent_blocks(block: sp.csc_array, parents: IntArray, k_s: int, k_t: int) -> Array:
    n = len(parents)
    coo = block.tocoo()
    out = np.zeros((n, k_s, k_t))
    out[coo.col // k_t, coo.row % k_s, coo.col % k_t] = coo.data
    return out


def _dense_tail(cp: CrossProducts, plan: Plan) -> Array | sp.csc_array:
    """Lower triangle of Z_tail'WZ_tail, sparse where the tail's factors meet in few levels."""
    if not plan.tail:
        return np.zeros((0, 0))
    size = sum(cp.shapes[t][0] * cp.shapes[t][1] for t in plan.tail)
    met = [cp.cross[min(s, t), max(s, t)].nnz for s in plan.tail for t in plan.tail if s < t]
    if size >= tail_choice.SMALL and sum(met) < _FEW * size**2:
        return sp.csc_array(sp.tril(_sparse_tail(cp, plan)))
    sizes = [cp.shapes[t][0] * cp.shapes[t][1] for t in plan.tail]
    starts = np.concatenate([[0], np.cumsum(sizes)]).astype(np.intp)
    out = np.zeros((int(starts[-1]), int(starts[-1])))
    for a, s in enumerate(plan.tail):
        levels, k = cp.shapes[s]
        rows = starts[a] + np.arange(levels * k).reshape(levels, k)
        out[rows[:, :, None], rows[:, None, :]] = cp.own[s]
        for b in range(a):
            block = between_terms(cp, s, plan.tail[b]).toarray()
            out[starts[a] : starts[a + 1], starts[b] : starts[b + 1]] = block
    return out


def _sparse_tail(cp: CrossProducts, plan: Plan) -> sp.csc_array:
    """The lower triangle of Z_tail'WZ_tail."""
    n = len(plan.tail)
    grid: list[list[sp.sparray | None]] = [[None] * n for _ in range(n)]
    for a, s in enumerate(plan.tail):
        grid[a][a] = block_diagonal(cp.own[s])
        for b in range(a):
            grid[a][b] = between_terms(cp, s, plan.tail[b])
    return sp.csc_array(sp.block_array(grid, format="csc"))
