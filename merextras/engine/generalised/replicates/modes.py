"""The conditional modes of many replicates, each at its own parameters: `criterion.modes` for many.

The same iteration, with the same rules: replicates whose modes are found leave it, each with the
factor at its own mode.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from merextras.engine.generalised.criterion.modes import (
    MOST_STEPS,
    NEAR,
    RISE,
    SHORTEST,
    TOLERANCE,
)
from merextras.engine.generalised.families.family import Family
from merextras.engine.generalised.replicates.elimination import ManyFactors
from merextras.engine.generalised.replicates.layout import Layout
from merextras.engine.kernels.blocks import Array, BoolArray, IntArray
from merextras.engine.kernels.leading import applied, transpose


@dataclass
class ManyModes:
    """Where some replicates stand; the last axis is theirs.

    Attributes
    ----------
    which : (m,) array
        Which they are.
    family : Family
        With the columns of these.
    lams : list of (k, k, 1, m) arrays
    fixed, phi : (n, m) and (n_phi, m) arrays
    constant : (m,) array
        The part of the log-density that eta is not in.
    v : (q, m) array
        ``Z'g`` at the mode, see `Layout.levels`.
    eta, g, w : (n, m) arrays
    h : (m,) array
    """

    which: IntArray
    family: Family
    lams: list[Array]
    fixed: Array
    phi: Array
    constant: Array
    v: Array
    eta: Array
    g: Array
    w: Array
    h: Array

    @classmethod
    def at(
        cls, layout: Layout, family: Family, lams: list[Array], fixed: Array, phi: Array, v: Array
    ) -> ManyModes:
        """The state at given v."""
        constants = family.constants(phi)
        constant = np.broadcast_to(constants, fixed.shape).sum(axis=0)
        nothing = np.empty(0)
        which = np.arange(fixed.shape[1])
        out = cls(which, family, lams, fixed, phi, constant, v, *[nothing] * 4)
        out.eta, out.g, out.w, out.h = out.seen(layout, slice(None), v)
        return out

    def seen(
        self, layout: Layout, some: IntArray | slice, v: Array
    ) -> tuple[Array, Array, Array, Array]:
        """Eta, g, w and h of some of them at other v."""
        u, b = self._effects(layout, some, v)
        eta = self.fixed[:, some] + layout.rows(b)
        family = self.family if isinstance(some, slice) else self.family.columns(some)
        part, g, w = family.kernel(eta, self.phi[:, some])
        h = -2.0 * (self.constant[some] + part.sum(axis=0))
        for one in u:
            h += np.einsum("kjr,kjr->r", one, one)
        return eta, g, w, h

    def _effects(
        self, layout: Layout, some: IntArray | slice, v: Array
    ) -> tuple[list[Array], list[Array]]:
        lams = [lam[..., some] for lam in self.lams]
        pairs = list(zip(layout.levels(v), lams, strict=True))
        u = [applied(transpose(lam), part) for part, lam in pairs]
        return u, [applied(lam, part) for part, lam in zip(u, lams, strict=True)]

    def taken(self, some: IntArray) -> ManyModes:
        """Some of these."""
        if len(some) == len(self.which):
            return self
        return ManyModes(
            self.which[some], self.family.columns(some), [lam[..., some] for lam in self.lams],
            self.fixed[:, some], self.phi[:, some], self.constant[some], self.v[:, some],
            self.eta[:, some], self.g[:, some], self.w[:, some], self.h[some],
        )  # fmt: skip

    def put(self, some: IntArray, v: Array, found: tuple[Array, Array, Array, Array]) -> None:
        """Move some of these."""
        if len(some) == len(self.which):
            self.v, (self.eta, self.g, self.w, self.h) = v, found
            return
        eta, g, w, h = found
        self.v[:, some], self.h[some] = v, h
        self.eta[:, some], self.g[:, some], self.w[:, some] = eta, g, w


def find_modes(
    layout: Layout,
    state: ManyModes,
    finish: Callable[[ManyModes, ManyFactors, BoolArray], None],
) -> None:
    """Iterate to the modes.

    Parameters
    ----------
    layout : Layout
    state : ManyModes
        The start.
    finish : callable
        Called with replicates that have ended, their factors, and which of them are at a mode.
    """
    last = np.zeros(len(state.which), dtype=bool)
    for n_steps in range(MOST_STEPS + 1):
        factors, observed = _factors(layout, state)
        usable = np.isfinite(state.h) & np.isfinite(factors.log_det)
        done = last | ~usable | (n_steps == MOST_STEPS)
        if done.any():
            some = np.flatnonzero(done)
            ended = factors if done.all() else factors.taken(some)
            finish(state.taken(some), ended, (usable & observed & last)[some])
            some = np.flatnonzero(~done)
            if len(some) == 0:
                return
            state, factors = state.taken(some), factors.taken(some)
            last, observed = last[some], observed[some]
        moves, decrement = _step(layout, state, factors)
        last = decrement <= TOLERANCE
        stuck = _along(layout, state, moves, observed & (decrement <= NEAR))
        # No shorter step lowers h: what is left of the decrement is rounding.
        last[stuck] = True


def _factors(layout: Layout, state: ManyModes) -> tuple[ManyFactors, BoolArray]:
    """The factors, and whether their weights are the observed ones."""
    factors = ManyFactors(layout, state.lams, state.w)
    observed = np.ones(len(state.which), dtype=bool)
    if state.family.concave or np.isfinite(factors.log_det).all():
        return factors, observed
    observed = np.isfinite(factors.log_det)
    expected = state.family.expected(state.eta, state.phi)
    return ManyFactors(layout, state.lams, np.where(observed, state.w, expected)), observed


def _step(layout: Layout, state: ManyModes, factors: ManyFactors) -> tuple[Array, Array]:
    """Newton's step of v, (q, m), and its decrement."""
    score = layout.to_levels(state.g)
    left = [z_g - v for z_g, v in zip(score, layout.levels(state.v), strict=True)]
    moves = factors.solved(left)[1]
    decrement = np.zeros(len(state.which))
    for move, rest, lam in zip(moves, left, state.lams, strict=True):
        turned = transpose(lam)
        decrement += np.einsum("kjr,kjr->r", applied(turned, move), applied(turned, rest))
    return layout.joined(moves), decrement


def _along(layout: Layout, state: ManyModes, moves: Array, near: BoolArray) -> IntArray:
    """Go along each step, shorter where h rises; return those for which no step is short enough.

    Near the mode whole steps are taken.
    """
    limit = state.h + RISE * (np.abs(state.h) + layout.n)
    trying, length = np.arange(len(state.which)), 1.0
    stuck: list[IntArray] = []
    while len(trying) and length > SHORTEST:
        every = len(trying) == len(state.which)
        some: IntArray | slice = slice(None) if every else trying
        v = state.v[:, some] + length * moves[:, some]
        found = state.seen(layout, some, v)
        h = found[3]
        fine = np.where(near[trying], np.isfinite(h), h <= limit[trying])
        if fine.all():
            state.put(trying, v, found)
            trying = trying[:0]
            break
        kept = np.flatnonzero(fine)
        eta, g, w, h = (part[..., kept] for part in found)
        state.put(trying[kept], v[:, kept], (eta, g, w, h))
        stuck.append(trying[~fine & near[trying]])
        trying = trying[~fine & ~near[trying]]
        length *= 0.5
    return np.concatenate([*stuck, trying])


def lams_of(layout: Layout, joint: Array) -> list[Array]:
    """Lambda of each stage, (k, k, 1, R), of those of all terms, (R, K, K)."""
    moved = np.moveaxis(joint, 0, -1)[:, :, None]
    return [
        np.ascontiguousarray(moved[np.ix_(stage.effects, stage.effects)]) for stage in layout.stages
    ]


def put_blocks(layout: Layout, blocks: Sequence[Array], size: int, n_replicates: int) -> Array:
    """Blocks of the stages, (k, k, R), among those of all terms: (R, K, K)."""
    out = np.zeros((size, size, n_replicates))
    for stage, block in zip(layout.stages, blocks, strict=True):
        out[np.ix_(stage.effects, stage.effects)] = block
    return np.ascontiguousarray(np.moveaxis(out, -1, 0))
