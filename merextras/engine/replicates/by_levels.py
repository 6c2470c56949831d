"""Many responses where all terms share their levels: P is a small block for each level.

Arrays have the small axes first and then (replicates, levels), so that every operation runs over
all replicates and levels, and sums over levels are matrix products.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np

from merextras.engine.covariance.cholesky import factors_of
from merextras.engine.covariance.covariances import Covariances
from merextras.engine.elimination.plan import System
from merextras.engine.kernels import blocks
from merextras.engine.kernels.blocks import Array, IntArray
from merextras.engine.optimum.criterion import Criterion
from merextras.engine.replicates.problem import Problem
from merextras.engine.replicates.responses import Responses


def joint_blocks(system: System) -> tuple[Array, Array] | None:
    """Z_j'WZ_j and Z_j'WX of each level, all terms side by side; None if they differ in levels.

    Returns
    -------
    own : (J, k, k) array
    to_x : (J, k, p) array
    """
    plan, cp = system.plan, system.cp
    levels = cp.shapes[0][0] if cp.shapes else 0
    same = all(np.array_equal(at, np.arange(levels)) for at in plan.parents.values())
    if not cp.shapes or plan.tail or not same or any(n != levels for n, _ in cp.shapes):
        return None
    ks = [k for _, k in cp.shapes]
    spans = Covariances.unstructured(ks).spans
    own = np.zeros((levels, sum(ks), sum(ks)))
    for t, block in enumerate(cp.own):
        own[:, spans[t], spans[t]] = block
    for (t, s), block in system.nested.items():
        own[:, spans[s], spans[t]] = block
        own[:, spans[t], spans[s]] = blocks.transpose(block)
    return own, np.concatenate([to_xy[:, :, : cp.p] for to_xy in cp.to_xy], axis=1)


class ByLevels(Problem):
    """P is (k, k, m, J), coordinates are (k, m, J)."""

    def times(self, shrink: Array, vector: Array) -> Array:
        """(k, m, J)."""
        return np.asarray(np.einsum("uvmj,vmj->umj", shrink, vector))

    def dot(self, one: Array, other: Array) -> Array:
        """(m,)."""
        return np.asarray(np.einsum("umj,umj->m", one, other))


class LevelProblem(ByLevels):
    """Responses of all levels."""

    def __init__(
        self, criterion: Criterion, joint: tuple[Array, Array], responses: Responses
    ) -> None:
        cp = criterion.system.cp
        super().__init__(
            cp,
            criterion.covariances,
            len(responses),
            reml=criterion.reml,
            penalty=criterion.penalty,
        )
        own, to_x = joint
        root = factors_of(own)
        self.root = np.ascontiguousarray(np.moveaxis(root, 0, 2))
        self.x = coordinates(root, to_x)  # (k, J, p)
        to_y = np.concatenate(responses.to_y, axis=1)
        self.y = np.ascontiguousarray(np.swapaxes(coordinates(root, to_y), 1, 2))
        self.x_within = cp.xy[: cp.p, : cp.p] - np.einsum("ujp,ujr->pr", self.x, self.x)
        self.xy_within = (responses.xy - np.einsum("ujp,umj->pm", self.x, self.y)).T
        self.yy_within = responses.yy - np.einsum("umj,umj->m", self.y, self.y)

    @cached_property
    def root_pairs(self) -> Array:
        """Products ``R_au R_bv``, (u, v, J, a b)."""
        k, _, levels = self.root.shape
        pairs = np.einsum("auj,bvj->uvjab", self.root, self.root)
        return np.asarray(pairs).reshape(k, k, levels, k * k)

    @cached_property
    def x_pairs(self) -> Array:
        """``x_u x_v'``, (u, v, J, p p)."""
        k, levels, p = self.x.shape
        pairs = np.einsum("ujp,vjr->uvjpr", self.x, self.x)
        return np.asarray(pairs).reshape(k, k, levels, p * p)

    def shrinkage(self, lams: Array) -> tuple[Array, Array]:
        """Invert ``I + R_j'G R_j`` of each level and replicate by sweeps."""
        k, _, levels = self.root.shape
        g = (lams @ blocks.transpose(lams)).reshape(len(lams), k * k)
        out = np.empty((k, k, len(lams), levels))
        for u in range(k):
            for v in range(k):
                out[u, v] = g @ self.root_pairs[u, v].T
            out[u, u] += 1.0
        return out, blocks.sweep(out)

    def responses(self, which: IntArray) -> Array:
        """(k, m, J)."""
        return self.y[:, which]

    def fitted(self, beta: Array) -> Array:
        """(k, m, J)."""
        return np.stack([beta @ x.T for x in self.x])

    def dot_x(self, vector: Array) -> Array:
        """(m, p)."""
        return np.asarray(sum(part @ x for part, x in zip(vector, self.x, strict=True)))

    def x_gram(self, shrink: Array) -> Array:
        """(m, p, p)."""
        k, p = len(self.x), self.cp.p
        total = sum(shrink[u, v] @ self.x_pairs[u, v] for u in range(k) for v in range(k))
        return np.asarray(total).reshape(shrink.shape[2], p, p)

    def slopes(self, shrink: Array, score: Array, weight: Array, inverse: Array | None) -> Array:
        """(m, k, k)."""
        k, m, _ = score.shape
        inner = shrink - np.einsum("umj,vmj->uvmj", score, score * weight[:, None])
        if inverse is not None and self.cp.p:
            flat = inverse.reshape(m, -1)
            spread = np.empty_like(shrink)
            for u in range(k):
                for v in range(k):
                    spread[u, v] = flat @ self.x_pairs[u, v].T
            half = np.einsum("uamj,abmj->ubmj", shrink, spread)
            inner -= np.einsum("ubmj,bvmj->uvmj", half, shrink)
        total = sum(inner[u, v] @ self.root_pairs[u, v] for u in range(k) for v in range(k))
        return np.asarray(total).reshape(m, k, k)

    def working(self, covariance_slopes: Array, score: Array) -> list[Array]:
        """(k, m, J) each."""
        projected = np.einsum("auj,umj->amj", self.root, score)
        found = []
        for slope in np.swapaxes(covariance_slopes, 0, 1):
            column = np.einsum("mab,bmj->amj", slope, projected)
            found.append(np.einsum("auj,amj->umj", self.root, column))
        return found


def coordinates(root: Array, columns: Array) -> Array:
    """The k numbers that `root` turns into the (J, k, m) cross-products; (k, J, m)."""
    k = root.shape[1]
    out = np.zeros((k, len(root), columns.shape[2]))
    for i in range(k):
        rest = columns[:, i] - np.einsum("jv,vjm->jm", root[:, i, :i], out[:i])
        pivot = root[:, i, i, None]
        out[i] = np.where(pivot > 0.0, rest / np.where(pivot > 0.0, pivot, 1.0), 0.0)
    return out
