"""Laplace's criterion of rows that are read again for every sum over them.

The criterion and its gradient are those of `laplace`, whose rows are gone through part by part: a
pass for each step of the modes, and one for all derivatives at them. With ``c = Z'V^-1 s`` in the
working model and ``a = Lambda'c`` as there,

    Z'r = -2 Z'g + c,    X'r = -2 X'g + X's - X'WZ Lambda a,

so that no second pass is needed once a is known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from merextras.engine.elimination import columns
from merextras.engine.elimination.factor import Factor, factorise
from merextras.engine.elimination.plan import System
from merextras.engine.generalised.criterion.laplace import NOISE, ROUNDING, Laplace, LaplacePoint
from merextras.engine.generalised.criterion.modes import (
    MOST_STEPS,
    NEAR,
    RISE,
    SHORTEST,
    TOLERANCE,
    Modes,
)
from merextras.engine.generalised.families.family import Family
from merextras.engine.generalised.rows.passes import (
    Seen,
    Slopes,
    StreamedTable,
    expected_products,
    product,
    seen,
    slopes,
)
from merextras.engine.kernels.blocks import Array
from merextras.engine.products.basis import Basis
from merextras.engine.products.scale import Scale
from merextras.engine.solution.pls import Solution


@dataclass(frozen=True)
class StreamedModes(Modes):
    """The random effects at their mode; the attributes by row are empty.

    Attributes
    ----------
    score : tuple of (J, k, 1) arrays
        ``Z'g``.
    magnitude : float
        See `Family.magnitude`.
    """

    score: tuple[Array, ...] = ()
    magnitude: float = 0.0


class _State:
    """u and b at a v, with what the rows add up to there."""

    def __init__(self, search: _Search, v: Sequence[Array]) -> None:
        self.v = tuple(v)
        self.u = tuple(part @ lam for part, lam in zip(self.v, search.lams, strict=True))
        self.b = tuple(part @ lam.T for part, lam in zip(self.u, search.lams, strict=True))
        self.rows: Seen = seen(search.table, search.beta, search.phi, self.b)
        penalty = sum(float(np.vdot(part, part)) for part in self.u)
        self.h = -2.0 * self.rows.density + penalty


@dataclass(frozen=True)
class _Search:
    """The search of the modes, with a pass for each state."""

    table: StreamedTable
    family: Family
    lams: tuple[Array, ...]
    beta: Array
    phi: Array

    def start(self, v: Sequence[Array] | None) -> _State:
        """A start where h is finite, if there is one."""
        if v is not None:
            given = _State(self, v)
            if np.isfinite(given.h):
                return given
        return _State(self, [np.zeros(shape) for shape in self.table.template.cp.shapes])

    def factor(self, state: _State) -> tuple[Factor, bool, bool]:
        """The factor, whether its weights are the observed ones, and whether there is one."""
        system, observed = state.rows.system, True
        if system is None or not np.isfinite(state.h):
            return factorise(self.table.template, self.lams), True, False
        factor = factorise(system, self.lams)
        if not (self.family.concave or np.isfinite(factor.log_det)):
            again, observed = seen(self.table, self.beta, self.phi, state.b, expected=True), False
            if again.system is not None:
                factor = factorise(again.system, self.lams)
        return factor, observed, bool(np.isfinite(factor.log_det))

    def step(self, factor: Factor, state: _State) -> tuple[list[Array], float]:
        """The Newton step of v and its decrement."""
        pairs = zip(state.rows.score, state.v, strict=True)
        left = [part - v[:, :, None] for part, v in pairs]
        reduced = columns.reduce(factor, left, np.zeros((1, 1)))
        found = columns.projected(factor, reduced, columns.modes(factor, reduced))
        moves = [part[:, :, 0] for part in found]
        decrement = sum(
            float(np.vdot(move @ lam, rest[:, :, 0] @ lam))
            for move, rest, lam in zip(moves, left, self.lams, strict=True)
        )
        return moves, decrement

    def moved(self, state: _State, moves: Sequence[Array], near: bool) -> _State | None:
        """The whole step, or the first of ever shorter ones after which h is not higher."""
        length, most = 1.0, state.h + RISE * (abs(state.h) + self.table.n)
        while length > SHORTEST:
            pairs = zip(state.v, moves, strict=True)
            trial = _State(self, [v + length * move for v, move in pairs])
            if near:
                return trial if np.isfinite(trial.h) else None
            if trial.h <= most:
                return trial
            length *= 0.5
        return None


def streamed_modes(search: _Search, v: Sequence[Array] | None, *, settle: bool) -> StreamedModes:
    """Iterate to the mode, a pass for each step and one at the start; see `modes.find_modes`."""
    state, last, n_steps = search.start(v), not settle, 0
    while True:
        factor, observed, usable = search.factor(state)
        if last or not usable or n_steps == MOST_STEPS:
            break
        moves, decrement = search.step(factor, state)
        n_steps, last = n_steps + 1, decrement <= TOLERANCE
        found = search.moved(state, moves, observed and decrement <= NEAR)
        if found is None:
            # No shorter step lowers h: what is left of the decrement is rounding.
            last = True
            break
        state = found
    none = np.empty(0)
    return StreamedModes(
        search.lams, state.v, state.b, none, none, none, state.h, factor, factor.log_det, n_steps,
        usable and observed and last, state.rows.score, state.rows.magnitude,
    )  # fmt: skip


class StreamedPoint(LaplacePoint):
    """The criterion at one vector of parameters; see `LaplacePoint`."""

    criterion: StreamedLaplace
    modes: StreamedModes

    def __getstate__(self) -> dict[str, Any]:
        """Without what is made on demand of the sums: a pass is not made again."""
        kept = {"criterion", "x", "modes", "slopes"}
        return {name: value for name, value in vars(self).items() if name in kept}

    @cached_property
    def slopes(self) -> Slopes:
        """What derivatives need of the rows; one pass."""
        criterion, modes = self.criterion, self.modes
        _, beta, phi = criterion.split(self.x)
        with np.errstate(all="ignore"):
            return slopes(criterion.table, beta, phi, modes.b, self.selected)

    @cached_property
    def _moved(self) -> tuple[tuple[Array, ...], tuple[Array, ...]]:
        """``Lambda a`` and c by terms, (J, k, 1)."""
        factor = self.modes.factor
        reduced = columns.reduce(factor, self.slopes.z_s, np.zeros((1, 1)))
        effects = columns.modes(factor, reduced)
        return effects, columns.projected(factor, reduced, effects)

    def _products(self) -> list[Array]:
        modes, tilde = self.modes, self._moved[1]
        to_r = [c - 2.0 * g for g, c in zip(modes.score, tilde, strict=True)]
        each = zip(to_r, modes.v, modes.score, tilde, strict=True)
        return [r[:, :, 0].T @ v + g[:, :, 0].T @ c[:, :, 0] for r, v, g, c in each]

    @cached_property
    def noise(self) -> float:
        """What rounding may do to the deviance."""
        size = abs(self.deviance()) + self.criterion.table.n
        return float(NOISE * size + ROUNDING * self.modes.magnitude)

    @cached_property
    def _gradient(self) -> Array:
        criterion, found, effects = self.criterion, self.slopes, self._moved[0]
        theta = criterion.split(self.x)[0]
        through = np.zeros(criterion.table.p)
        for wx, a in zip(found.z_wx, effects, strict=True):
            through += np.einsum("jkp,jk->p", wx, a[:, :, 0])
        parts = [criterion.covariances.gradient(theta, self.factor_slopes())]
        parts.append(found.to_s - 2.0 * found.to_g - through)
        if criterion.family.n_phi:
            pairs = zip(effects, found.z_by_phi, strict=True)
            moved = sum(float(np.vdot(a, by)) for a, by in pairs)
            parts.append(np.array([found.by_phi + moved]))
        return np.concatenate(parts)

    @property
    def fixed_products(self) -> tuple[tuple[Array, ...], Array]:
        """``Z'WX`` by terms, (J, k, p), and ``X'WX``; of the pass for the derivatives."""
        return self.slopes.z_wx, self.slopes.gram

    @property
    def working(self) -> Solution:
        """The linear model of the working response at the mode, in the user's coordinates."""
        return self._working(self.modes.factor.system, self.slopes.gram, self.slopes.z_wx)

    @property
    def expected_working(self) -> Solution:
        """The same with expected weights, of a pass of its own."""
        _, beta, phi = self.criterion.split(self.x)
        return self._working(*expected_products(self.criterion.table, beta, phi, self.modes.b))

    def _working(self, system: System, gram: Array, z_wx: Sequence[Array]) -> Solution:
        table, p = self.criterion.table, self.criterion.table.p
        xy = np.zeros((p + 1, p + 1))
        xy[:p, :p] = gram
        made = replace(
            system.cp, xy=xy, to_xy=tuple(np.pad(wx, ((0, 0), (0, 0), (0, 1))) for wx in z_wx),
            basis=Basis(table.transform, np.zeros(p), table.effects), scale=Scale(1.0),
        )  # fmt: skip
        return Solution(factorise(replace(system, cp=made), self.modes.factor.lams), reml=False)

    def _change_of_modes(
        self, moved: Sequence[Array], shift: Array, by_phi: Array
    ) -> Sequence[Array]:
        factor = self.modes.factor
        change = product(factor.system, [part[:, :, None] for part in moved])
        if np.any(shift):
            pairs = zip(change, self.slopes.z_wx, strict=True)
            change = tuple(part + (wx @ shift)[:, :, None] for part, wx in pairs)
        if np.any(by_phi):
            pairs = zip(change, self.slopes.z_by_phi, strict=True)
            change = tuple(part - by_phi * by for part, by in pairs)
        reduced = columns.reduce(factor, change, np.zeros((1, 1)))
        found = columns.projected(factor, reduced, columns.modes(factor, reduced))
        return [part[:, :, 0] for part in found]


class StreamedLaplace(Laplace):
    """The criterion of rows that are read for each sum.

    Parameters
    ----------
    table : StreamedTable
    family : Family
        Of no rows: what does not depend on a response.
    """

    table: StreamedTable

    def _modes(
        self,
        lams: tuple[Array, ...],
        beta: Array,
        phi: Array,
        v: Sequence[Array] | None,
        *,
        settle: bool,
    ) -> Modes:
        search = _Search(self.table, self.family, lams, beta, phi)
        return streamed_modes(search, v, settle=settle)

    def point(self, x: Array, modes: Modes) -> StreamedPoint:
        """The criterion at parameters whose modes are known."""
        return StreamedPoint(self, x, modes)
