"""Many responses to a design of few random effects, nested or crossed: P is one dense matrix.

G is linear in the elements of the terms' covariances, and so is ``R'G R``: a combination of fixed
matrices, one for each pair of effects of a term.
"""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from merextras.engine.elimination.factor import flat
from merextras.engine.elimination.plan import System
from merextras.engine.kernels import blocks
from merextras.engine.kernels.blocks import Array, IntArray
from merextras.engine.optimum.criterion import Criterion
from merextras.engine.replicates.problem import Problem
from merextras.engine.replicates.responses import Responses

# An eigenvalue of Z'WZ that is rounding, relative to the largest of the scaled matrix.
_DEPENDENT = 1e-13


class WholeProblem(Problem):
    """P is (m, r, r), coordinates are (m, r), for r independent columns in Z."""

    def __init__(self, criterion: Criterion, responses: Responses) -> None:
        cp = criterion.system.cp
        super().__init__(
            cp,
            criterion.covariances,
            len(responses),
            reml=criterion.reml,
            penalty=criterion.penalty,
        )
        root, inverse = _root(gram(criterion.system))
        to_x = np.concatenate([flat(block[:, :, : cp.p]) for block in cp.to_xy])
        to_y = np.concatenate([flat(block) for block in responses.to_y])
        self.x = inverse @ to_x  # (r, p)
        self.y = (inverse @ to_y).T
        self.x_within = cp.xy[: cp.p, : cp.p] - self.x.T @ self.x
        self.xy_within = responses.xy.T - self.y @ self.x
        self.yy_within = responses.yy - np.einsum("mr,mr->m", self.y, self.y)
        self.pairs: list[tuple[int, int]] = []
        parts, start = [], 0
        for (levels, k), span in zip(cp.shapes, self.covariances.spans, strict=True):
            mine = root[start : start + levels * k].reshape(levels, k, -1)
            parts += [mine[:, a].T @ mine[:, b] for a in range(k) for b in range(k)]
            self.pairs += [(span.start + a, span.start + b) for a in range(k) for b in range(k)]
            start += levels * k
        #: ``sum_j R_ja' R_jb`` of each pair (a, b), (pairs, r, r).
        self.parts = np.stack(parts)
        self.rank = root.shape[1]

    def _pairs_of(self, matrices: Array) -> Array:
        """The elements of (m, k, k) at the pairs, (m, pairs)."""
        rows, cols = np.array(self.pairs).T
        return np.asarray(matrices[:, rows, cols])

    def shrinkage(self, lams: Array) -> tuple[Array, Array]:
        """Invert ``I + R'G R`` of each replicate."""
        r = self.rank
        g = self._pairs_of(lams @ blocks.transpose(lams))
        inner = (g @ self.parts.reshape(-1, r * r)).reshape(-1, r, r)
        inner[:, np.arange(r), np.arange(r)] += 1.0
        low = blocks.cholesky(inner)
        log_det = 2.0 * np.log(np.diagonal(low, axis1=1, axis2=2)).sum(axis=1)
        bad = ~np.isfinite(log_det)
        inner[bad] = np.eye(r)
        shrink = np.linalg.inv(inner)
        shrink[bad] = np.nan
        return np.asarray(shrink), np.asarray(log_det)

    def responses(self, which: IntArray) -> Array:
        """(m, r)."""
        return np.asarray(self.y[which])

    def fitted(self, beta: Array) -> Array:
        """(m, r)."""
        return np.asarray(beta @ self.x.T)

    def times(self, shrink: Array, vector: Array) -> Array:
        """(m, r)."""
        return np.asarray((shrink @ vector[:, :, None])[:, :, 0])

    def dot(self, one: Array, other: Array) -> Array:
        """(m,)."""
        return np.asarray(np.einsum("mr,mr->m", one, other))

    def dot_x(self, vector: Array) -> Array:
        """(m, p)."""
        return np.asarray(vector @ self.x)

    def x_gram(self, shrink: Array) -> Array:
        """(m, p, p)."""
        return np.asarray(self.x.T @ (shrink @ self.x))

    def slopes(self, shrink: Array, score: Array, weight: Array, inverse: Array | None) -> Array:
        """(m, k, k), zero between the terms."""
        k, r = self.covariances.k, self.rank
        inner = shrink - score[:, :, None] * (score * weight[:, None])[:, None, :]
        if inverse is not None and self.cp.p:
            shrunk = shrink @ self.x
            inner -= shrunk @ inverse @ blocks.transpose(shrunk)
        out = np.zeros((len(score), k, k))
        rows, cols = np.array(self.pairs).T
        out[:, rows, cols] = inner.reshape(-1, r * r) @ self.parts.reshape(-1, r * r).T
        return out

    def working(self, covariance_slopes: Array, score: Array) -> list[Array]:
        """(m, r) each."""
        r = self.rank
        turned = (score @ np.swapaxes(self.parts, 1, 2).reshape(-1, r).T).reshape(
            len(score), -1, r
        )  # ``parts s`` of each pair
        return [
            np.einsum("mi,mir->mr", self._pairs_of(slope), turned)
            for slope in np.swapaxes(covariance_slopes, 0, 1)
        ]


def gram(system: System) -> Array:
    """Z'WZ, dense (q, q)."""
    cp = system.cp
    n = len(cp.own)
    grid: list[list[sp.sparray | None]] = [[None] * n for _ in range(n)]
    for t, own in enumerate(cp.own):
        grid[t][t] = blocks.block_diagonal(own)
    for (s, t), between in cp.cross.items():
        grid[s][t], grid[t][s] = between, between.T
    return np.asarray(sp.block_array(grid).toarray())


def _root(matrix: Array) -> tuple[Array, Array]:
    """R with ``R R' = matrix``, (q, r), and its left inverse, (r, q)."""
    size = np.sqrt(np.diag(matrix))
    size = np.where(size > 0.0, size, 1.0)
    values, vectors = np.linalg.eigh(matrix / np.outer(size, size))
    used = values > _DEPENDENT * max(float(values[-1]), 0.0)
    values, vectors = np.sqrt(values[used]), vectors[:, used]
    return size[:, None] * vectors * values, (vectors / values).T / size
