"""The symbolic part of a sparse Cholesky factorisation: which nodes are eliminated together.

Nodes that meet nearly the same later nodes form a *front*: a dense matrix of the nodes that are
eliminated in it, its pivots, and those they meet, its rows. What is left of the rows is passed on
to the parent, the front in which the first of them is eliminated (Duff & Reid 1983, ACM Trans.
Math. Softw. 9; Liu 1992, SIAM Review 34).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import scipy.sparse as sp

from merextras.engine.fronts.ordering import alike, fill_reducing, ranges
from merextras.engine.kernels.blocks import IntArray

# A front takes up its child if at most this part of its entries is then zero, by its pivots.
_ZEROS = ((16, 0.5), (64, 0.2), (1 << 62, 0.05))


@dataclass(frozen=True)
class Tree:
    """Fronts, children before their parents.

    Attributes
    ----------
    pivots, rows : tuples of integer arrays
        Nodes of each front, in the order of elimination.
    parents : (F,) integer array
        -1 of a root.
    heights : (F,) integer array
        Of a leaf 0; of another front one more than the highest of its children.
    sizes : (F, 2) integer array
        Random effects of the pivots and of the rows.
    """

    pivots: tuple[IntArray, ...]
    rows: tuple[IntArray, ...]
    parents: IntArray
    heights: IntArray
    sizes: IntArray

    @property
    def operations(self) -> float:
        """Multiplications and additions of one factorisation."""
        p, u = self.sizes.T.astype(float)
        return float(np.sum(p**3 + 3.0 * p**2 * u + 2.0 * p * u**2))

    @property
    def numbers(self) -> int:
        """Of the factor: the pivots' triangles and their rows."""
        p, u = self.sizes.T
        return int(np.sum(p * (p + 1) // 2 + p * u))


@dataclass
class _Front:
    pivots: list[int]
    rows: IntArray
    p: int
    u: int
    zeros: float = 0.0
    children: list[_Front] = field(default_factory=list)

    def take_up(self, child: _Front) -> bool:
        """Eliminate the child's pivots here, if few enough zeros are stored for it."""
        p = self.p + child.p
        zeros = self.zeros + child.zeros + child.p * (self.p + self.u - child.u)
        entries = 0.5 * p * (p + 1) + p * self.u
        allowed = next(part for most, part in _ZEROS if p <= most)
        if zeros > allowed * entries:
            return False
        self.pivots = child.pivots + self.pivots
        self.children += child.children
        self.p, self.zeros = p, zeros
        return True


def analyse(graph: sp.csc_array, weights: IntArray) -> Tree:
    """Order the nodes and find the fronts; a few microseconds a node and its entries in L.

    Parameters
    ----------
    graph : sparse (n, n)
        A symmetric pattern with its diagonal.
    weights : (n,) integer array
        Random effects of each node.
    """
    groups, kept = alike(graph)
    order = fill_reducing(sp.csc_array(graph[kept][:, kept]))
    kept = kept[order]
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    groups = place[groups]
    counts = np.bincount(groups, minlength=len(order))
    nodes, starts = np.argsort(groups, kind="stable"), np.cumsum(counts) - counts
    size = np.bincount(groups, weights, minlength=len(order)).astype(np.intp)
    fronts = _in_order(_roots(sp.csc_array(graph[kept][:, kept]), size))

    def members(of: IntArray) -> IntArray:
        return nodes[ranges(starts[of], counts[of])]

    at = {id(front): i for i, front in enumerate(fronts)}
    parents = np.full(len(fronts), -1, dtype=np.intp)
    heights = np.zeros(len(fronts), dtype=np.intp)
    for i, front in enumerate(fronts):
        for child in front.children:
            parents[at[id(child)]] = i
            heights[i] = max(heights[i], heights[at[id(child)]] + 1)
    return Tree(
        tuple(members(np.array(front.pivots)) for front in fronts),
        tuple(members(front.rows) for front in fronts),
        parents,
        heights,
        np.array([[front.p, front.u] for front in fronts], dtype=np.intp).reshape(-1, 2),
    )


def _roots(graph: sp.csc_array, size: IntArray) -> list[_Front]:
    """Fronts of a graph whose nodes are in the order of elimination, as the roots of their tree."""
    graph.sort_indices()
    indptr, indices = graph.indptr, graph.indices.astype(np.intp)
    waiting: dict[int, list[_Front]] = {}
    roots = []
    for j in range(graph.shape[0]):
        near = indices[indptr[j] : indptr[j + 1]]
        children = waiting.pop(j, [])
        rows = near[np.searchsorted(near, j, side="right") :]
        if children:
            rows = np.sort(np.concatenate([rows, *(child.rows for child in children)]))
            new = np.append(True, rows[1:] > rows[:-1])
            rows = rows[new & (rows > j)]
        front = _Front([j], rows, int(size[j]), int(size[rows].sum()))
        # Those with the most rows fit best.
        for child in sorted(children, key=lambda child: -child.u):
            if not front.take_up(child):
                front.children.append(child)
        if len(rows):
            waiting.setdefault(int(rows[0]), []).append(front)
        else:
            roots.append(front)
    return roots


def _in_order(roots: list[_Front]) -> list[_Front]:
    """All fronts, children before their parents."""
    found, stack = [], list(roots)
    while stack:
        front = stack.pop()
        found.append(front)
        stack += front.children
    return found[::-1]
