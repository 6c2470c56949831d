"""The conditional modes of the random effects at given parameters.

With ``H = Lambda'Z'WZ Lambda + I``, W the observed weights, the modes u minimise

    h(u) = -2 sum_i l_i(eta_i) + u'u,     eta = offset + X beta + Z Lambda u,

by Newton steps ``delta = H^-1 (Lambda'Z'g - u)``, halved until h falls: penalised iteratively
reweighted least squares with observed instead of expected weights. A mode is kept as ``v = Z'g`` by
levels, of which ``u = Lambda'v`` and ``b = Lambda Lambda'v`` follow whatever the rank of Lambda.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite

import numpy as np

from merextras.engine.elimination import columns
from merextras.engine.elimination.factor import Factor, factorise
from merextras.engine.generalised.families.family import Family
from merextras.engine.generalised.rows.table import Table
from merextras.engine.kernels.blocks import Array

# A decrement after which one more step is the last: its error is of the order of this.
TOLERANCE = 1e-9
# A decrement from which on whole steps are taken: no digit of h may be left that tells of them.
NEAR = 1e-6
MOST_STEPS, SHORTEST = 100, 1e-9
# A rise of h that rounding can make, relative to its size.
RISE = 1e-13


@dataclass(frozen=True)
class Modes:
    """The random effects at their mode.

    Attributes
    ----------
    lams : tuple of (k, k) arrays
    v, b : tuples of (J, k) arrays
        ``Z'V^-1 (working residual)`` and the effects, in the table's coordinates.
    eta : (n,) array
    g, w : (n,) arrays
        First derivative and observed weight.
    h : float
    factor : Factor
        At the weights w.
    log_det : float
        ``log |H|``.
    steps : int
    found : bool
        Whether there is a mode: h is finite, and H positive definite.
    """

    lams: tuple[Array, ...]
    v: tuple[Array, ...]
    b: tuple[Array, ...]
    eta: Array
    g: Array
    w: Array
    h: float
    factor: Factor
    log_det: float
    steps: int
    found: bool

    def deviance(self) -> float:
        """``h + log |H|``: minus twice the log-likelihood by Laplace's approximation."""
        return self.h + self.log_det if self.found else np.inf


class _State:
    """u, b and eta at a v, with what the rows give there."""

    def __init__(self, search: _Search, v: Sequence[Array]) -> None:
        lams = search.lams
        self.v = tuple(v)
        self.u = tuple(part @ lam for part, lam in zip(self.v, lams, strict=True))
        self.b = tuple(part @ lam.T for part, lam in zip(self.u, lams, strict=True))
        self.eta = search.fixed + search.table.rows(self.b)
        part, self.g, self.w = search.family.kernel(self.eta, search.phi)
        penalty = sum(float(np.vdot(part, part)) for part in self.u)
        self.h = -2.0 * (search.constant + float(part.sum())) + penalty


@dataclass(frozen=True)
class _Search:
    table: Table
    family: Family
    lams: tuple[Array, ...]
    fixed: Array
    phi: Array
    constant: float

    def start(self, v: Sequence[Array] | None) -> _State:
        """A start where h is finite, if there is one."""
        if v is not None:
            given = _State(self, v)
            if isfinite(given.h):
                return given
        return _State(self, [np.zeros((term.n_levels, term.k)) for term in self.table.terms])

    def factor(self, state: _State, w: Array) -> tuple[Factor, bool]:
        """The factor, and whether its weights are the observed ones."""
        factor = factorise(self.table.weighted(w), self.lams)
        if self.family.concave or isfinite(factor.log_det):
            return factor, True
        expected = self.family.expected(state.eta, self.phi)
        return factorise(self.table.weighted(expected), self.lams), False

    def step(self, factor: Factor, state: _State, g: Array) -> tuple[list[Array], float]:
        """The Newton step of v and its decrement.

        Of what is left, ``Z'g - v``, and not of the whole: with many trials in a level the whole
        has no digits left for it.
        """
        score = self.table.to_terms(g)
        left = [part - v[:, :, None] for part, v in zip(score, state.v, strict=True)]
        found, moves = columns.solved(factor, left)
        decrement = sum(float(np.vdot(b, part)) for b, part in zip(found, left, strict=True))
        return [move[:, :, 0] for move in moves], decrement

    def after(self, state: _State, moves: Sequence[Array]) -> _State | None:
        """The whole step."""
        pairs = zip(state.v, moves, strict=True)
        trial = _State(self, [v + move for v, move in pairs])
        return trial if isfinite(trial.h) else None

    def along(self, state: _State, moves: Sequence[Array]) -> _State | None:
        """The first of ever shorter steps after which h is not higher."""
        length = 1.0
        while length > SHORTEST:
            pairs = zip(state.v, moves, strict=True)
            trial = _State(self, [v + length * move for v, move in pairs])
            if trial.h <= state.h + RISE * (abs(state.h) + self.table.n):
                return trial
            length *= 0.5
        return None


def find_modes(
    table: Table,
    family: Family,
    lams: tuple[Array, ...],
    beta: Array,
    phi: Array,
    v: Sequence[Array] | None = None,
    *,
    settle: bool = True,
) -> Modes:
    """Iterate to the mode.

    Parameters
    ----------
    beta : (p,) array
        Of the table's X.
    v : sequence of (J, k) arrays, optional
        Where to start; by default at zero.
    settle : bool
        Otherwise there is no step: the start is taken for the mode.
    """
    constant = float(family.constants(phi).sum())
    search = _Search(table, family, lams, table.offset + table.x @ beta, phi, constant)
    state, last, n_steps = search.start(v), not settle, 0
    while True:
        g, w = state.g, state.w
        usable = isfinite(state.h) and bool(np.isfinite(w).all())
        factor, observed = search.factor(state, w if usable else np.ones(table.n))
        usable = usable and isfinite(factor.log_det)
        if last or not usable or n_steps == MOST_STEPS:
            break
        moves, decrement = search.step(factor, state, g)
        n_steps, last = n_steps + 1, decrement <= TOLERANCE
        near = observed and decrement <= NEAR
        found = search.after(state, moves) if near else search.along(state, moves)
        if found is None:
            # No shorter step lowers h: what is left of the decrement is rounding.
            last = True
            break
        state = found
        del factor  # the next one needs its memory
    settled = usable and observed and last
    log_det = table.log_det(factor)
    return Modes(
        lams, state.v, state.b, state.eta, g, w, state.h, factor, log_det, n_steps, settled
    )
