"""The rows of a table as sums by level, for many responses at once.

Terms on one grouping factor are one *stage* with all of their effects; the stages are nested, from
the finest to the coarsest. A sum over the rows of each level is a product with a sparse matrix that
all responses share.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from merextras.engine.covariance.covariances import Covariances
from merextras.engine.generalised.rows.table import Table
from merextras.engine.kernels.blocks import Array, IntArray


@dataclass(frozen=True, eq=False)
class Stage:
    """The effects on one grouping factor: J levels, k effects each.

    Attributes
    ----------
    effects : (k,) array
        Their places among the effects of all terms.
    n_levels : int
    z : sparse (k J, n)
        Z', an effect's levels together.
    pairs : tuple of two arrays
        Effects a >= b.
    squares : sparse (pairs J, n)
        ``z_a z_b`` of each pair.
    forms : sparse (n, pairs J)
        Their transpose, the pairs of two effects twice.
    parents : mapping s -> (J,) array
        The level of the later stage s that each level is in.
    sums : mapping s -> sparse (J_s, J)
        Sums over the levels in each level of s.
    between : mapping s -> sparse (k_s k J, n)
        ``z_a z_b`` with the effects of s.
    """

    effects: IntArray
    n_levels: int
    z: sp.csr_array
    pairs: tuple[IntArray, IntArray]
    squares: sp.csr_array
    forms: sp.csr_array
    parents: Mapping[int, IntArray]
    sums: Mapping[int, sp.csr_array]
    between: Mapping[int, sp.csr_array]

    @property
    def k(self) -> int:
        """Effects of a level."""
        return len(self.effects)


class Layout:
    """The stages of a table.

    Attributes
    ----------
    stages : tuple of Stage
        The finest first.
    parts : tuple of slices
        Of the effects of all levels, one stage after the other.
    q : int
        Effects of all levels.
    """

    def __init__(self, table: Table, covariances: Covariances) -> None:
        plan = table.template.plan
        self.groups: list[list[int]] = []
        for t in plan.leading:
            codes = table.terms[t].codes
            for group in self.groups:
                if np.array_equal(codes, table.terms[group[0]].codes):
                    group.append(t)
                    break
            else:
                self.groups.append([t])
        values = [
            np.concatenate([table.terms[t].values for t in group], axis=1) for group in self.groups
        ]
        self.stages = tuple(
            self._stage(table, covariances, values, i) for i in range(len(self.groups))
        )
        ends = np.cumsum([stage.k * stage.n_levels for stage in self.stages]).tolist()
        self.parts = tuple(slice(a, b) for a, b in zip([0, *ends], ends, strict=False))
        self.q = ends[-1] if ends else 0
        self.n = table.n

    def _stage(
        self, table: Table, covariances: Covariances, values: Sequence[Array], i: int
    ) -> Stage:
        group, plan = self.groups[i], table.template.plan
        first = table.terms[group[0]]
        effects = np.concatenate([np.arange(covariances.k)[covariances.spans[t]] for t in group])
        z, codes, n_levels = values[i], first.codes, first.n_levels
        rows, cols = np.tril_indices(z.shape[1])
        parents, sums, between = {}, {}, {}
        for s in range(i + 1, len(self.groups)):
            parents[s] = plan.parents[group[0], self.groups[s][0]]
            there = table.terms[self.groups[s][0]].n_levels
            sums[s] = _by_level(np.ones((n_levels, 1)), parents[s], there)
            both = [
                values[s][:, [a]] * z[:, [b]] for a, b in np.ndindex(values[s].shape[1], z.shape[1])
            ]
            between[s] = _by_level(np.concatenate(both, axis=1), codes, n_levels)
        squares = _by_level(z[:, rows] * z[:, cols], codes, n_levels)
        twice = np.repeat(np.where(rows == cols, 1.0, 2.0), n_levels)
        forms = sp.csr_array((sp.diags_array(twice) @ squares).T)
        return Stage(
            effects, n_levels, _by_level(z, codes, n_levels), (rows, cols), squares, forms,
            parents, sums, between,
        )  # fmt: skip

    def levels(self, v: Array) -> list[Array]:
        """Effects of all levels, (q, R), by stages: (k, J, R)."""
        return [
            v[part].reshape(stage.k, stage.n_levels, v.shape[1])
            for stage, part in zip(self.stages, self.parts, strict=True)
        ]

    def joined(self, parts: Sequence[Array]) -> Array:
        """By stages, (k, J, R), as one, (q, R)."""
        if not parts:
            return np.zeros((0, 1))
        return np.concatenate([part.reshape(-1, part.shape[-1]) for part in parts])

    def rows(self, b: Sequence[Array]) -> Array:
        """``Z b``, (n, R); of no stages zeros, (n, 1)."""
        if not self.stages:
            return np.zeros((self.n, 1))
        pairs = zip(self.stages, b, strict=True)
        found = [stage.z.T @ part.reshape(-1, part.shape[-1]) for stage, part in pairs]
        return np.asarray(sum(found[1:], found[0]))

    def to_levels(self, r: Array) -> list[Array]:
        """``Z'r`` by stages, (k, J, R)."""
        return [(stage.z @ r).reshape(stage.k, stage.n_levels, r.shape[1]) for stage in self.stages]

    def weighted(self, w: Array) -> tuple[list[Array], dict[tuple[int, int], Array]]:
        """``Z'WZ``: own blocks, (k, k, J, R), and those with later stages, (k_s, k, J, R)."""
        own, between = [], {}
        for t, stage in enumerate(self.stages):
            found = (stage.squares @ w).reshape(-1, stage.n_levels, w.shape[1])
            block = np.empty((stage.k, stage.k, *found.shape[1:]))
            for pair, a, b in zip(found, *stage.pairs, strict=True):
                block[a, b] = block[b, a] = pair
            own.append(block)
            for s, matrix in stage.between.items():
                shape = self.stages[s].k, stage.k, stage.n_levels, w.shape[1]
                between[t, s] = (matrix @ w).reshape(shape)
        return own, between

    def variances(
        self, own: Mapping[int, Array], between: Mapping[tuple[int, int], Array]
    ) -> Array:
        """``z_i' W z_i`` with these blocks of W, (n, R); of no stages zeros, (n, 1)."""
        out = np.zeros((self.n, 1))
        for t, stage in enumerate(self.stages):
            lower = own[t][stage.pairs]
            found = stage.forms @ lower.reshape(-1, lower.shape[-1])
            out = out + found
            for s, matrix in stage.between.items():
                inner = between[t, s]
                out += 2.0 * (matrix.T @ inner.reshape(-1, inner.shape[-1]))
        return out


def _by_level(values: Array, codes: IntArray, n_levels: int) -> sp.csr_array:
    """The sparse (m J, n) matrix of sums of columns, (n, m), over the rows of each level."""
    n, m = values.shape
    places = (codes[:, None] + n_levels * np.arange(m)).reshape(-1)
    rows = np.repeat(np.arange(n), m)
    return sp.csr_array((values.reshape(-1), (places, rows)), shape=(m * n_levels, n))
