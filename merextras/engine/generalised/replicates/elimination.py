"""The random effects of many replicates eliminated at once, each with its own Lambda.

The recursions of `engine.elimination` (`factor`, `columns`, `conditional_variances`) along a chain
of nested stages, for blocks whose elements lead and whose last axis is the replicates'.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import scipy.sparse as sp

from merextras.engine.generalised.replicates.layout import Layout
from merextras.engine.kernels.blocks import Array, IntArray
from merextras.engine.kernels.leading import (
    applied,
    cholesky,
    inverse,
    product,
    solve_lower,
    transpose,
)


@dataclass(frozen=True)
class EliminatedStage:
    """A stage at the moment it is eliminated; see `factor.EliminatedTerm`.

    Attributes
    ----------
    lam : (k, k, 1, R) array
    own, half : (k, k, J, R) arrays
        ``C_tt`` and ``low^-1 Lambda'``.
    between : mapping s -> (k_s, k, J, R) array
        ``C_st`` at each level's parent.
    """

    lam: Array
    own: Array
    half: Array
    between: Mapping[int, Array]

    @cached_property
    def gain(self) -> Array:
        """``N = half' half``."""
        return product(transpose(self.half), self.half)


@dataclass(frozen=True)
class Inverse:
    """Blocks of ``(Z'WZ + G^-1)^-1``; see `conditional_variances.Selected`."""

    own: dict[int, Array] = field(default_factory=dict)
    between: dict[tuple[int, int], Array] = field(default_factory=dict)
    carry: dict[int, Array] = field(default_factory=dict)


class ManyFactors:
    """All stages eliminated, for all replicates.

    Attributes
    ----------
    stages : tuple of EliminatedStage
    log_det : (R,) array
        ``log |H|``; NaN where some block is not positive definite.
    """

    def __init__(self, layout: Layout, lams: Sequence[Array], w: Array) -> None:
        self.layout = layout
        own, between = layout.weighted(w)
        stages, log_det = [], np.zeros(w.shape[1])
        for t, stage in enumerate(layout.stages):
            lam, later = lams[t], list(stage.parents)
            inner = product(transpose(lam), product(own[t], lam))
            for a in range(stage.k):
                inner[a, a] += 1.0
            low = cholesky(inner)
            for a in range(stage.k):
                log_det += 2.0 * np.log(low[a, a]).sum(axis=0)
            half = solve_lower(low, np.broadcast_to(transpose(lam), low.shape))
            stages.append(EliminatedStage(lam, own[t], half, {s: between[t, s] for s in later}))
            for i, s in enumerate(later):
                up = product(half, transpose(between[t, s]))
                own[s] = own[s] - _summed(stage.sums[s], product(transpose(up), up))
                for r in later[i + 1 :]:
                    change = product(product(between[t, r], transpose(half)), up)
                    between[s, r] = between[s, r] - _summed(stage.sums[s], change)
        self.stages, self.log_det = tuple(stages), log_det

    def taken(self, which: IntArray) -> ManyFactors:
        """Of some replicates."""
        out = object.__new__(ManyFactors)
        out.layout, out.log_det = self.layout, self.log_det[which]
        out.stages = tuple(
            EliminatedStage(
                one.lam[..., which], one.own[..., which], one.half[..., which],
                {s: block[..., which] for s, block in one.between.items()},
            )
            for one in self.stages
        )  # fmt: skip
        return out

    def solved(self, columns: Sequence[Array]) -> tuple[list[Array], list[Array]]:
        """``G Z'V^-1 a`` and ``Z'V^-1 a`` by stages, (k, J, R), of columns by their ``Z'Wa``."""
        current, layout = list(columns), self.layout
        for t, one in enumerate(self.stages):
            if not one.between:
                continue
            moved = applied(transpose(one.half), applied(one.half, current[t]))
            for s, block in one.between.items():
                change = applied(block, moved)
                current[s] = current[s] - _summed(layout.stages[t].sums[s], change)
        found: list[Array] = [np.empty(0)] * len(current)
        left: list[Array] = [np.empty(0)] * len(current)
        for t in reversed(range(len(current))):
            one, rest = self.stages[t], current[t]
            for s, block in one.between.items():
                there = found[s][:, layout.stages[t].parents[s]]
                rest = rest - applied(transpose(block), there)
            found[t] = applied(transpose(one.half), applied(one.half, rest))
            left[t] = rest - applied(one.own, found[t])
        return found, left

    def inverse(self) -> Inverse:
        """The diagonal blocks, and those between a level and those that it is in."""
        known = Inverse()
        for t in reversed(range(len(self.stages))):
            one, gain = self.stages[t], self.stages[t].gain
            if not one.between:
                known.own[t] = gain
                continue
            carry = np.zeros_like(one.own)
            for s, block in one.between.items():
                met = self._met(known, t, s)
                carry += product(transpose(block), met)
                known.between[t, s] = -product(met, gain)
            known.own[t] = gain + product(gain, product(carry, gain))
            known.carry[t] = carry
        return known

    def _met(self, known: Inverse, t: int, s: int) -> Array:
        """``sum_b W_sb C_bt`` at each level of t and its parent in s, (k_s, k, J, R)."""
        one, parents = self.stages[t], self.layout.stages[t].parents
        out = product(known.own[s][:, :, parents[s]], one.between[s])
        for r, block in one.between.items():
            if (s, r) in known.between:
                out += product(transpose(known.between[s, r])[:, :, parents[s]], block)
            elif (r, s) in known.between:
                out += product(known.between[r, s][:, :, parents[r]], block)
        return out

    def projected(self, known: Inverse) -> list[Array]:
        """``sum_j (Z'V^-1 Z)_jj`` of each stage, (k, k, R)."""
        out = []
        for t, one in enumerate(self.stages):
            grown = product(one.own, product(one.lam, transpose(one.lam)))
            for a in range(len(grown)):
                grown[a, a] += 1.0
            keep = inverse(grown)
            block = product(keep, one.own)
            if t in known.carry:
                block = block - product(keep, product(known.carry[t], transpose(keep)))
            out.append(block.sum(axis=2))
        return out


def _summed(sums: sp.csr_array, blocks: Array) -> Array:
    """Sums over the levels in each level of a later stage: (..., J, R) to (..., J_s, R)."""
    shape = blocks.shape
    each = blocks.reshape(-1, *shape[-2:])
    return np.stack([sums @ block for block in each]).reshape(*shape[:-2], -1, shape[-1])
