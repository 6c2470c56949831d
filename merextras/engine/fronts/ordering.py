"""In which order the levels of a sparse system are eliminated so that few blocks fill in.

The order is that of minimum degree (George & Liu 1989, SIAM Review 31), which scipy has inside its
incomplete LU factorisation; of that nothing else is used.
"""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
import scipy.sparse.linalg as spla

from merextras.engine.kernels.blocks import IntArray

# A node that meets so many times the median number of others is left out of `reach`.
_HUB = 10.0


def fill_reducing(graph: sp.csc_array) -> IntArray:
    """Nodes of a symmetric graph in an order of elimination with little fill, (n,).

    Parameters
    ----------
    graph : sparse (n, n)
        A symmetric pattern with its diagonal.
    """
    n = graph.shape[0]
    if n < 3:
        return np.arange(n)
    cols = np.repeat(np.arange(n), np.diff(graph.indptr))
    # Everything off the diagonal is small enough to be dropped: the factorisation costs nothing.
    data = np.where(graph.indices == cols, 1.0, 0.01 / n)
    matrix = sp.csc_array((data, graph.indices, graph.indptr), shape=graph.shape)
    factor = spla.spilu(
        matrix,
        drop_tol=0.5,
        fill_factor=2.0,
        diag_pivot_thresh=0.0,
        permc_spec="MMD_AT_PLUS_A",
        options={"SymmetricMode": True},
    )
    return np.argsort(factor.perm_c).astype(np.intp)


def alike(graph: sp.csc_array) -> tuple[IntArray, IntArray]:
    """Groups of nodes with the same neighbours, themselves included.

    Returns
    -------
    groups : (n,) integer array
        The group of each node.
    kept : (n_groups,) integer array
        One node of each group.
    """
    # Nodes with the same sum of 64 random bits per neighbour have the same neighbours.
    bits = np.random.default_rng(0).integers(-(2**63), 2**63 - 1, graph.shape[0])
    ones = np.ones(graph.nnz, dtype=np.int64)
    pattern = sp.csr_array((ones, graph.indices, graph.indptr), shape=graph.shape)
    _, kept, groups = np.unique(pattern @ bits, return_index=True, return_inverse=True)
    return groups.reshape(-1).astype(np.intp), kept.astype(np.intp)


def ranges(starts: IntArray, counts: IntArray) -> IntArray:
    """``start, start + 1, ...``, each as many as its count, one after the other."""
    ends = np.cumsum(counts)
    total = int(ends[-1]) if len(ends) else 0
    return np.asarray(np.arange(total) + np.repeat(starts - (ends - counts), counts))


def reach(left: sp.csr_array, n_samples: int) -> float:
    """Part of the nodes that are within two steps of a node in the graph of ``left @ left.T``.

    From some of its nodes, and without the few that meet far more than the usual one: these are
    eliminated last. Where it is large a factor fills in, whatever the order.
    """
    degrees = np.diff(left.indptr)
    kept = degrees <= _HUB * max(float(np.median(degrees)), 1.0)
    left = sp.csr_array(left[np.flatnonzero(kept)])
    n = left.shape[0]
    some = left[np.unique(np.linspace(0, n - 1, n_samples).astype(np.intp))]
    near = some @ left.T
    reached = sp.csr_array((near @ left) @ left.T)
    return float(reached.nnz / max(near.shape[0] * n, 1))
