"""Laplace's approximation to the likelihood, jointly in all parameters, and its exact gradient.

    d(theta, beta, phi) = -2 sum_i l_i + u'u + log |H|     at the mode u (see `modes`).

With w' = dw / deta, ``q_i = z_i' Lambda H^-1 Lambda' z_i``, ``s = w' q`` and
``a = H^-1 Lambda'Z's``, and

    r = -2 g + s - w (Z Lambda a)

the chain through the mode is in r: ``dd/dbeta = X'r``,

    dd/dLambda_t = sum_j [ (Z'r)_j u_j' + (Z'g)_j a_j' + 2 (Z'WZ Lambda H^-1)_jj ] = 2 D_t Lambda_t,

D_t the derivative in the covariance itself, as in the linear model's `gradient`, and

    dd/dphi = -2 sum_i dl_i/dphi + q' dw/dphi + (Z Lambda a)' dg/dphi.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from merextras.engine.covariance.covariances import Covariances
from merextras.engine.elimination import columns
from merextras.engine.elimination.conditional_variances import (
    Selected,
    projected_blocks,
    selected_inverse,
)
from merextras.engine.elimination.factor import EliminatedTerm
from merextras.engine.generalised.criterion.modes import Modes, find_modes
from merextras.engine.generalised.families.family import Family
from merextras.engine.generalised.rows.table import Table
from merextras.engine.kernels.blocks import Array

# A decrease of the deviance that counts as one, relative to its size and to that of its terms.
NOISE, ROUNDING = 1e-12, 4.0 * float(np.finfo(float).eps)
# The largest parts of a step in theta, relative to it, and in phi that are believed.
HALF, FAR = 0.5, 2.0


@dataclass(frozen=True)
class _Chain:
    """What the derivatives share."""

    q: Array
    z_a: Array
    tilde: tuple[Array, ...]
    r: Array


class LaplacePoint:
    """The criterion at one vector of parameters.

    Attributes
    ----------
    criterion : Laplace
    x : (m,) array
        theta, beta and phi, in the table's coordinates.
    modes : Modes
    """

    def __init__(self, criterion: Laplace, x: Array, modes: Modes) -> None:
        self.criterion, self.x, self.modes = criterion, x, modes

    def __getstate__(self) -> dict[str, Any]:
        """Without what is made on demand."""
        return {"criterion": self.criterion, "x": self.x, "modes": self.modes}

    def forget(self) -> None:
        """Let go of the inverse once the gradient is there; the next point needs the memory."""
        for name in ("selected", "_chain"):
            vars(self).pop(name, None)

    def deviance(self) -> float:
        """Minus twice the log-likelihood; infinite where there is no mode."""
        return self.modes.deviance()

    @cached_property
    def selected(self) -> Selected:
        """Blocks of the conditional covariance of the random effects given beta."""
        return selected_inverse(self.modes.factor, to_tail=True)

    @cached_property
    def _chain(self) -> _Chain:
        table, modes = self.criterion.table, self.modes
        _, _, phi = self.criterion.split(self.x)
        q = table.variances(self.selected)
        s = self.criterion.family.weight_slope(modes.eta, phi) * q
        effects, tilde = table.solved(modes.factor, s)
        z_a = table.rows(effects)
        return _Chain(q, z_a, tilde, -2.0 * modes.g + s - modes.w * z_a)

    def _products(self) -> list[Array]:
        """``sum_j (Z'r)_j v_j' + v_j c_j'`` with ``a = Lambda'c``, (k, k) by terms; v is Z'g."""
        modes, chain = self.modes, self._chain
        to_r = self.criterion.table.to_terms(chain.r)
        each = zip(to_r, modes.v, chain.tilde, strict=True)
        return [r[:, :, 0].T @ v + v.T @ c for r, v, c in each]

    def _lead_trace(self, lead: EliminatedTerm) -> Array:
        """``sum_j (Z'V^-1 Z)_jj`` of a leading term, each level so many times, (k, k)."""
        inner = projected_blocks(lead, self.selected.schur_carry.get(lead.term))
        copies = self.criterion.table.copies
        return np.asarray(inner.sum(axis=0) if copies is None else np.tensordot(copies, inner, 1))

    def factor_slopes(self) -> tuple[Array, ...]:
        """``2 D_t Lambda_t`` of each term, (k, k)."""
        factor, selected = self.modes.factor, self.selected
        out = [part @ lam for part, lam in zip(self._products(), factor.lams, strict=True)]
        for lead in factor.leads:
            out[lead.term] += 2.0 * self._lead_trace(lead) @ lead.lam
        if len(factor.tail):
            for t, trace in selected.tail.scaled_traces().items():
                out[t] += 2.0 * trace
        return tuple(out)

    def deviance_slopes(self) -> tuple[Array, ...]:
        """D_t of each term, (k, k) symmetric."""
        with np.errstate(all="ignore"):
            factor, selected = self.modes.factor, self.selected
            out = [0.5 * part for part in self._products()]
            for lead in factor.leads:
                out[lead.term] += self._lead_trace(lead)
            for t, trace in selected.tail.traces().items():
                out[t] += trace
        return tuple(0.5 * (d + d.T) for d in out)

    @cached_property
    def noise(self) -> float:
        """What rounding may do to the deviance."""
        modes, criterion = self.modes, self.criterion
        size = abs(self.deviance()) + criterion.table.n
        return float(NOISE * size + ROUNDING * criterion.family.magnitude(modes.eta))

    def gradient(self) -> Array:
        """The derivative in x, (m,)."""
        with np.errstate(all="ignore"):
            return self._gradient

    @cached_property
    def _gradient(self) -> Array:
        criterion, chain = self.criterion, self._chain
        theta, _, phi = criterion.split(self.x)
        parts = [criterion.covariances.gradient(theta, self.factor_slopes())]
        parts.append(criterion.table.x.T @ chain.r)
        if criterion.family.n_phi:
            by = criterion.family.by_dispersion(self.modes.eta, phi)
            total = -2.0 * by.log_density.sum() + chain.q @ by.weight + chain.z_a @ by.first
            parts.append(np.array([total]))
        return np.concatenate(parts)

    def fixed_information(self) -> Array:
        """``X'V^-1 X`` of the working model, (p, p): half the Hessian in beta but for log |H|."""
        with np.errstate(all="ignore"):
            return self._fixed_information

    @cached_property
    def _fixed_information(self) -> Array:
        return columns.reduce(self.modes.factor, *self.fixed_products).gram

    @property
    def fixed_products(self) -> tuple[tuple[Array, ...], Array]:
        """``Z'WX`` by terms, (J, k, p), and ``X'WX``."""
        table = self.criterion.table
        wx = self.modes.w[:, None] * table.x
        return table.products(wx), table.x.T @ wx

    def predicted(self, x: Array) -> tuple[Array, ...]:
        """The v of the modes at nearby parameters, to first order in the change."""
        criterion, modes = self.criterion, self.modes
        theta, beta, phi = criterion.split(x)
        _, beta_here, phi_here = criterion.split(self.x)
        lams = criterion.covariances.factors(theta)
        moved = [
            v @ (new @ new.T - old @ old.T)
            for v, new, old in zip(modes.v, lams, modes.lams, strict=True)
        ]
        change = self._change_of_modes(moved, beta - beta_here, phi - phi_here)
        return tuple(v - part for v, part in zip(modes.v, change, strict=True))

    def _change_of_modes(
        self, moved: Sequence[Array], shift: Array, by_phi: Array
    ) -> Sequence[Array]:
        """What v loses, by terms, when b moves, beta by `shift` and phi by `by_phi`."""
        table, family, modes = self.criterion.table, self.criterion.family, self.modes
        r = modes.w * (table.rows(moved) + table.x @ shift)
        if np.any(by_phi):
            phi = self.criterion.split(self.x)[2]
            r -= by_phi * family.first_by_dispersion(modes.eta, phi)
        return table.solved(modes.factor, r)[1]


class Laplace:
    """The criterion of a model.

    Attributes
    ----------
    table : Table
    family : Family
    covariances : Covariances
        Of the terms; free ones by default.
    """

    def __init__(
        self, table: Table, family: Family, covariances: Covariances | None = None
    ) -> None:
        self.table, self.family = table, family
        if covariances is None:
            covariances = Covariances.unstructured([term.k for term in table.terms])
        self.covariances = covariances
        self.n_evaluations = self.n_steps = 0

    def of(self, family: Family) -> Laplace:
        """The criterion of another response of the same rows."""
        out = copy(self)
        out.family, out.n_evaluations, out.n_steps = family, 0, 0
        return out

    @property
    def m(self) -> int:
        """Parameters."""
        return int(self.covariances.n + self.table.p + self.family.n_phi)

    @property
    def sizes(self) -> tuple[Array, ...]:
        """Root mean squares of the covariates of each term, (k,)."""
        return self.table.sizes

    @cached_property
    def units(self) -> Array:
        """The unit of each element of theta."""
        return self.covariances.units(self.sizes)

    def split(self, x: Array) -> tuple[Array, Array, Array]:
        """Theta, beta and phi."""
        end = self.covariances.n + self.table.p
        return x[: self.covariances.n], x[self.covariances.n : end], x[end:]

    def at(
        self,
        x: Array,
        near: LaplacePoint | None = None,
        *,
        v: Sequence[Array] | None = None,
        settle: bool = True,
    ) -> LaplacePoint:
        """Evaluate; `near` is a point whose modes are a good start, or v is one.

        Without `settle` the modes are those that `near` predicts: their error, and that of the
        gradient, is of second order in the distance.
        """
        theta, beta, phi = self.split(x)
        with np.errstate(all="ignore"):
            lams = self.covariances.factors(theta)
            if near is not None and near.modes.found:
                v = near.predicted(x)
            modes = self._modes(lams, beta, phi, v, settle=settle)
        self.n_evaluations += 1
        self.n_steps += modes.steps
        return self.point(x, modes)

    def _modes(
        self,
        lams: tuple[Array, ...],
        beta: Array,
        phi: Array,
        v: Sequence[Array] | None,
        *,
        settle: bool,
    ) -> Modes:
        return find_modes(self.table, self.family, lams, beta, phi, v, settle=settle)

    def point(self, x: Array, modes: Modes) -> LaplacePoint:
        """The criterion at parameters whose modes are known."""
        return LaplacePoint(self, x, modes)

    def beta_of(self, beta: Array) -> Array:
        """Coefficients of the user's X, of those of the table's: T beta."""
        return np.asarray(self.table.transform @ beta)

    def user_theta(self, theta: Array) -> Array:
        """Theta of the user's effects."""
        effects = self.table.effects
        maps, scales = [own.to_user for own in effects], [own.scale for own in effects]
        return self.covariances.natural(self.covariances.mapped(theta, maps, scales))

    def own_theta(self, theta: Array) -> Array:
        """Theta in the table's coordinates, of the user's."""
        effects, own = self.table.effects, self.covariances.from_natural(theta)
        maps, scales = [e.from_user for e in effects], [1.0 / e.scale for e in effects]
        return self.covariances.mapped(own, maps, scales)
