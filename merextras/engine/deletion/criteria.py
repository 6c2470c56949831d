"""The `Problem` whose replicates are case-deletion refits."""

from __future__ import annotations

import numpy as np

from merextras.engine.covariance.cholesky import factors_of
from merextras.engine.deletion.levels import Levels, Pieces
from merextras.engine.kernels import blocks
from merextras.engine.kernels.blocks import Array, IntArray
from merextras.engine.optimum.criterion import Criterion
from merextras.engine.replicates.by_levels import ByLevels, coordinates
from merextras.engine.replicates.problem import Point


class DeletionProblem(ByLevels):
    """P is (k, k, m, J + E), coordinates are (k, m, J + E).

    The J shared levels come first, zero for a deletion that takes observations out of one, then up
    to E of the deletion's own. Which deletions are meant is set by `at` and `local_model`.
    """

    def __init__(self, criterion: Criterion, shared: Levels, found: Pieces) -> None:
        cp, reml = criterion.system.cp, criterion.reml
        super().__init__(
            cp, criterion.covariances, len(found.n), reml=reml, penalty=criterion.penalty
        )
        self.shared, self.found, self.J = shared, found, len(shared.own)
        self.all_df = found.n - self.cp.p if reml else found.n
        m, p = len(found.n), self.cp.p
        width, k = found.width, self.covariances.k
        root = factors_of(found.padded(found.own).reshape(m * width, k, k))
        xy = coordinates(root, found.padded(found.to_xy).reshape(m * width, k, p + 1))
        self.all_root = np.moveaxis(root, 0, 2).reshape(k, k, m, width)
        self.all_xy = xy.reshape(k, m, width, p + 1)
        within = found.gram - shared.within.sum(axis=0) + found.summed(shared.within[found.level])
        within -= np.einsum("kmec,kmed->mcd", self.all_xy, self.all_xy)
        self.all_within = within[:, :p, :p]
        self.xy_within, self.yy_within = within[:, :p, p], within[:, p, p]
        self._which: IntArray | None = None

    def _choose(self, which: IntArray) -> None:
        if self._which is not None and np.array_equal(which, self._which):
            return
        self._which, self._last = which.copy(), None
        self.x_within, self.df = self.all_within[which], self.all_df[which]
        self.log_w = self.found.log_w[which]
        self.root, self.xy = self.all_root[:, :, which], self.all_xy[:, which]
        new = np.full(self.n_responses, -1)
        new[which] = np.arange(len(which))
        place = new[self.found.place]
        self.gone = place[place >= 0], self.found.level[place >= 0]

    def at(self, which: IntArray, theta: Array) -> Point:
        """The deviance and what belongs to it, of some deletions at their thetas."""
        self._choose(which)
        return super().at(which, theta)

    def local_model(self, which: IntArray, point: Point) -> tuple[Array, Array, Array]:
        """Gradient, approximate Hessian and D of some deletions."""
        self._choose(which)
        return super().local_model(which, point)

    def shrinkage(self, lams: Array) -> tuple[Array, Array]:
        """Invert ``I + R'GR`` of each level by sweeps; zero for the levels that are gone."""
        k, m = self.covariances.k, len(lams)
        g = lams @ blocks.transpose(lams)
        flat = g.reshape(m, k * k)
        out = np.empty((k, k, m, self.J + self.root.shape[3]))
        for u in range(k):
            for v in range(k):
                out[u, v, :, : self.J] = flat @ self.shared.root_pairs[u, v].T
        out[..., self.J :] = np.einsum("aume,mab,bvme->uvme", self.root, g, self.root)
        out[:, :, self.gone[0], self.gone[1]] = 0.0
        out[np.arange(k), np.arange(k)] += 1.0
        log_det = blocks.sweep(out)
        out[:, :, self.gone[0], self.gone[1]] = 0.0
        return out, log_det

    def responses(self, which: IntArray) -> Array:
        """(k, m, J + E)."""
        y = self.shared.xy[:, None, :, -1]
        every = np.broadcast_to(y, (len(y), len(which), self.J))
        return np.concatenate([every, self.xy[..., -1]], axis=2)

    def fitted(self, beta: Array) -> Array:
        """(k, m, J + E)."""
        every = np.stack([beta @ xy[:, :-1].T for xy in self.shared.xy])
        return np.concatenate([every, np.einsum("kmep,mp->kme", self.xy[..., :-1], beta)], axis=2)

    def dot_x(self, vector: Array) -> Array:
        """(m, p)."""
        out = np.einsum("kme,kmep->mp", vector[..., self.J :], self.xy[..., :-1])
        for part, xy in zip(vector, self.shared.xy, strict=True):
            out += part[:, : self.J] @ xy[:, :-1]
        return np.asarray(out)

    def x_gram(self, shrink: Array) -> Array:
        """(m, p, p)."""
        k, p, x = self.covariances.k, self.cp.p, self.xy[..., :-1]
        out = np.einsum("uvme,umep,vmer->mpr", shrink[..., self.J :], x, x, optimize=True)
        for u in range(k):
            for v in range(k):
                part = shrink[u, v, :, : self.J] @ self.shared.x_pairs[u, v]
                out += part.reshape(len(part), p, p)
        return np.asarray(out)

    def slopes(self, shrink: Array, score: Array, weight: Array, inverse: Array | None) -> Array:
        """(m, k, k)."""
        k, m, _ = score.shape
        inner = shrink - np.einsum("umj,vmj->uvmj", score, score * weight[:, None])
        if inverse is not None and self.cp.p:
            flat, x = inverse.reshape(m, -1), self.xy[..., :-1]
            spread = np.empty_like(shrink)
            for u in range(k):
                for v in range(k):
                    spread[u, v, :, : self.J] = flat @ self.shared.x_pairs[u, v].T
            spread[..., self.J :] = np.einsum("umep,mpr,vmer->uvme", x, inverse, x, optimize=True)
            half = np.einsum("uamj,abmj->ubmj", shrink, spread)
            inner -= np.einsum("ubmj,bvmj->uvmj", half, shrink)
        own = inner[..., self.J :]
        total = np.einsum("aume,uvme,bvme->mab", self.root, own, self.root, optimize=True)
        for u in range(k):
            for v in range(k):
                part = inner[u, v, :, : self.J] @ self.shared.root_pairs[u, v]
                total += part.reshape(m, k, k)
        return np.asarray(total)

    def working(self, covariance_slopes: Array, score: Array) -> list[Array]:
        """(k, m, J + E) each."""
        projected = self._from_root(score)
        columns = [
            np.einsum("mab,bmj->amj", slope, projected)
            for slope in np.swapaxes(covariance_slopes, 0, 1)
        ]
        return [self._to_root(column) for column in columns]

    def _from_root(self, vector: Array) -> Array:
        """R times coordinates."""
        every = np.einsum("auj,umj->amj", self.shared.root, vector[..., : self.J])
        own = np.einsum("aume,ume->ame", self.root, vector[..., self.J :])
        return np.concatenate([every, own], axis=2)

    def _to_root(self, vector: Array) -> Array:
        """R' times effects."""
        every = np.einsum("auj,amj->umj", self.shared.root, vector[..., : self.J])
        own = np.einsum("aume,ame->ume", self.root, vector[..., self.J :])
        return np.concatenate([every, own], axis=2)
