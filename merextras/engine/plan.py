"""In which order the terms are eliminated, and what can be prepared before theta is known.

A term is *leading* when eliminating it keeps the remaining terms' blocks as sparse as they were:
the largest term always is, and so is every further one that forms a chain with the leading terms
by nesting (each level of one shares rows with only one level of the next). The other terms form
the *tail*, whose Schur complement is dense. A chain of nested factors has no tail; two crossed
factors leave the smaller one in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from merextras.engine.blocks import Array, IntArray
from merextras.engine.crossprod import CrossProducts


@dataclass(frozen=True)
class Plan:
    """The order of elimination.

    Attributes
    ----------
    leading, tail : tuples of term numbers
    parents : mapping (t, s) -> (J_t,) integer array
        For leading t before s: the level of s that each level of t is nested in.
    """

    leading: tuple[int, ...]
    tail: tuple[int, ...]
    parents: Mapping[tuple[int, int], IntArray]


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
    tail : (q_tail, q_tail) array
        Z_tail'WZ_tail, dense.
    """

    cp: CrossProducts
    plan: Plan
    nested: Mapping[tuple[int, int], Array]
    to_tail: Mapping[int, sp.csc_array]
    tail: Array

    @property
    def tail_shapes(self) -> tuple[tuple[int, int], ...]:
        """(levels, effects) of each term of the tail."""
        return tuple(self.cp.shapes[t] for t in self.plan.tail)


def prepare(cp: CrossProducts, plan: Plan | None = None) -> System:
    """Choose the order and lay the cross-products out for it; the tail takes q_tail**2 numbers."""
    plan = make_plan(cp) if plan is None else plan
    nested = {
        (t, s): _parent_blocks(_oriented(cp, s, t), parents, cp.shapes[s][1], cp.shapes[t][1])
        for (t, s), parents in plan.parents.items()
    }
    to_tail = {
        t: sp.csc_array(sp.vstack([_oriented(cp, s, t) for s in plan.tail]))
        for t in plan.leading
        if plan.tail
    }
    return System(cp, plan, nested, to_tail, _dense_tail(cp, plan))


def make_plan(cp: CrossProducts) -> Plan:
    """Take in the terms, largest first, that form a chain by nesting; leave the others to the tail.

    The chain is eliminated from its finest factor to its coarsest, whatever the terms' sizes.
    """
    sizes = [levels * k for levels, k in cp.shapes]
    chain: list[int] = []
    tail: list[int] = []
    found: dict[tuple[int, int], IntArray] = {}
    for s in sorted(range(len(sizes)), key=lambda t: -sizes[t]):
        pairs = [pair for t in chain for pair in ((t, s), (s, t))]
        nested = {pair: levels for pair in pairs if (levels := _parents(cp, *pair)) is not None}
        if all((t, s) in nested or (s, t) in nested for t in chain):
            found.update(nested)
            chain.insert(sum((t, s) in nested for t in chain), s)
        else:
            tail.append(s)
    order = [(t, s) for i, t in enumerate(chain) for s in chain[i + 1 :]]
    return Plan(tuple(chain), tuple(tail), {pair: found[pair] for pair in order})


def nested_in(inner: IntArray, outer: IntArray) -> bool:
    """Whether all rows of each level of `inner` are in one level of `outer`; both (n,) codes."""
    order = np.argsort(inner, kind="stable")
    same = inner[order][1:] == inner[order][:-1]
    return bool(np.all(outer[order][1:][same] == outer[order][:-1][same]))


def _oriented(cp: CrossProducts, s: int, t: int) -> sp.csc_array:
    """Z_s'WZ_t, (q_s, q_t)."""
    return cp.cross[s, t] if s < t else sp.csc_array(cp.cross[t, s].T)


def _parents(cp: CrossProducts, t: int, s: int) -> IntArray | None:
    """Return the one level of s that each level of t meets, or None if some level meets several."""
    block = _oriented(cp, s, t)
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


def _dense_tail(cp: CrossProducts, plan: Plan) -> Array:
    sizes = [cp.shapes[t][0] * cp.shapes[t][1] for t in plan.tail]
    starts = np.concatenate([[0], np.cumsum(sizes)]).astype(np.intp)
    out = np.zeros((int(starts[-1]), int(starts[-1])))
    for a, s in enumerate(plan.tail):
        levels, k = cp.shapes[s]
        rows = starts[a] + np.arange(levels * k).reshape(levels, k)
        out[rows[:, :, None], rows[:, None, :]] = cp.own[s]
        for b in range(a):
            block = _oriented(cp, s, plan.tail[b]).toarray()
            out[starts[a] : starts[a + 1], starts[b] : starts[b + 1]] = block
            out[starts[b] : starts[b + 1], starts[a] : starts[a + 1]] = block.T
    return out
