"""Laplace's criterion of many responses and its exact gradient: `criterion.laplace` for many.

The Hessian of each replicate follows that of the model's own response by BFGS updates.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from merextras.engine.generalised.criterion.laplace import FAR, HALF, NOISE, ROUNDING, Laplace
from merextras.engine.generalised.families.family import Family
from merextras.engine.generalised.replicates.elimination import ManyFactors
from merextras.engine.generalised.replicates.layout import Layout
from merextras.engine.generalised.replicates.modes import (
    ManyModes,
    find_modes,
    lams_of,
    put_blocks,
)
from merextras.engine.kernels.blocks import Array, BoolArray, IntArray
from merextras.engine.replicates.searched import Replicates, Standing

#: Steps of differences, one of each parameter.
Steps: TypeAlias = Array
# An update needs this share of the curvature that was expected.
_CURVED = 1e-3
# The share of the information that is left along a direction without an optimum.
_LOST = 1e-3
# A slope that is none, in standard errors.
_NO_SLOPE = 1e-6


@dataclass
class ManyPoints(Standing):
    """Where each replicate stands.

    Attributes
    ----------
    v : (m, q) array
        Of the modes, see `Layout.levels`.
    gradient : (m, n) array
    slopes : (m, K, K) array
        D, the derivative in the covariances of all terms.
    """

    v: Array
    gradient: Array
    slopes: Array


class ManyLaplace(Replicates[ManyPoints]):
    """The criteria of many responses.

    Parameters
    ----------
    criterion : Laplace
        Of another response of the same rows.
    layout : Layout
    family : Family
        See `Family.many`.
    hessian : (n, n) array
        What each replicate begins with.
    steps : (n,) array
        Of differences.
    """

    enough = 1e-10

    def __init__(
        self, criterion: Laplace, layout: Layout, family: Family, hessian: Array, steps: Steps
    ) -> None:
        self.criterion, self.layout, self.family = criterion, layout, family
        self.covariances, self.sizes = criterion.covariances, criterion.sizes
        self.n_responses, self.steps = family.y.shape[1], steps
        self._hessian = np.tile(hessian, (self.n_responses, 1, 1))
        self._before: tuple[Array, Array] | None = None
        self._known = np.zeros(self.n_responses, dtype=bool)
        self._v = np.zeros((layout.q, self.n_responses))
        eta = criterion.family.guess()
        self._rounding = ROUNDING * criterion.family.magnitude(eta)

    def begin(self, v: Array) -> None:
        """Start all at these modes, (q, 1); see `Layout.levels`."""
        self._v[:] = v

    def noise(self, deviance: Array) -> Array:
        """As of one response, with the terms of the model's own."""
        return np.asarray(NOISE * (np.abs(deviance) + self.criterion.table.n) + self._rounding)

    def plain_start(self) -> Array | None:
        """None: such a response is searched by itself."""
        return None

    def canonical(self, theta: Array) -> Array:
        """As they are: the gradient and the Hessian are in these."""
        return theta

    def longest(self, theta: Array, step: Array) -> Array:
        """As in the search of one: neither theta nor a dispersion goes far at once."""
        own, phi = slice(0, self.covariances.n), slice(self.criterion.m - self.family.n_phi, None)
        most = HALF * np.maximum(1.0, np.max(np.abs(theta[:, own]), axis=1, initial=0.0))
        size = np.max(np.abs(step[:, own]), axis=1, initial=0.0)
        far = np.max(np.abs(step[:, phi]), axis=1, initial=0.0)
        return np.asarray(np.minimum(most / np.maximum(size, most), FAR / np.maximum(far, FAR)))

    def difference_steps(self, theta: Array) -> Array:
        """The same for all."""
        return np.broadcast_to(self.steps, theta.shape)

    def at(self, which: IntArray, theta: Array) -> ManyPoints:
        """See `Replicates`; infinite where there is no mode."""
        (m, _), k, n = theta.shape, self.covariances.k, self.covariances.n
        every = m == self.n_responses and np.array_equal(which, np.arange(m))
        family = self.family if every else self.family.columns(which)
        table, end = self.criterion.table, n + self.criterion.table.p
        with np.errstate(all="ignore"):
            lams = lams_of(self.layout, self.covariances.joint(theta[:, :n]))
            fixed = table.offset[:, None] + table.x @ theta[:, n:end].T
            state = ManyModes.at(
                self.layout, family, lams, fixed, theta[:, end:].T, self._v[:, which]
            )
            again = np.flatnonzero(~np.isfinite(state.h))
            if len(again):
                zero = np.zeros((self.layout.q, len(again)))
                state.put(again, zero, state.seen(self.layout, again, zero))
            out = ManyPoints(
                theta, np.full(m, np.inf), np.zeros((m, self.layout.q)),
                np.full(theta.shape, np.nan), np.full((m, k, k), np.nan),
            )  # fmt: skip

            def finish(modes: ManyModes, factors: ManyFactors, found: BoolArray) -> None:
                deviance = modes.h + factors.log_det
                out.deviance[modes.which] = np.where(found, deviance, np.inf)
                out.v[modes.which] = modes.v.T
                gradient, slopes = self._derivatives(modes, factors, theta[modes.which, :n])
                out.gradient[modes.which], out.slopes[modes.which] = gradient, slopes

            find_modes(self.layout, state, finish)
        there = np.isfinite(out.deviance)
        self._v[:, which[there]] = out.v[there].T
        return out

    def _derivatives(
        self, modes: ManyModes, factors: ManyFactors, theta: Array
    ) -> tuple[Array, Array]:
        """The gradient, (m, n), and D, (m, K, K); see `criterion.laplace`."""
        layout, family = self.layout, modes.family
        inverse = factors.inverse()
        q = layout.variances(inverse.own, inverse.between)
        s = family.weight_slope(modes.eta, modes.phi) * q
        effects, tilde = factors.solved(layout.to_levels(s))
        z_a = layout.rows(effects)
        r = s - 2.0 * modes.g - modes.w * z_a
        products = [
            np.einsum("ajr,bjr->abr", to_r, v) + np.einsum("ajr,bjr->abr", to_g, c)
            for to_r, v, to_g, c in zip(
                layout.to_levels(r), layout.levels(modes.v), layout.to_levels(modes.g), tilde,
                strict=True,
            )
        ]  # fmt: skip
        slopes = [
            0.5 * part + trace
            for part, trace in zip(products, factors.projected(inverse), strict=True)
        ]
        k = self.covariances.k
        half = put_blocks(layout, slopes, k, len(theta))
        gradient = self.covariances.joint_gradient(
            theta, 2.0 * half @ self.covariances.joint(theta)
        )
        parts = [gradient, r.T @ self.criterion.table.x]
        if family.n_phi:
            by = family.by_dispersion(modes.eta, modes.phi)
            density = np.broadcast_to(by.log_density, modes.eta.shape).sum(axis=0)
            total = np.sum(q * by.weight + z_a * by.first, axis=0) - 2.0 * density
            parts.append(total[:, None])
        return np.concatenate(parts, axis=1), 0.5 * (half + np.swapaxes(half, 1, 2))

    def gradient(self, which: IntArray, point: ManyPoints) -> Array:
        """Known at every point."""
        del which
        return point.gradient

    def local_model(self, which: IntArray, point: ManyPoints) -> tuple[Array, Array, Array]:
        """With the Hessian after an update by the change of the gradient since the last point."""
        self._update(which, point)
        hessian, gradient = self._hessian[which], point.gradient
        # What is at zero stays there: the criterion is even in it.
        for where in self.covariances.zero_groups():
            flat = _NO_SLOPE * np.sqrt(np.abs(hessian[:, where, where]))
            none = ~np.any(point.theta[:, where], axis=1)
            none &= np.all(np.abs(gradient[:, where]) <= flat, axis=1)
            if none.any():
                rows = np.flatnonzero(none)[:, None]
                hessian[rows, where, :] = hessian[rows, :, where] = 0.0
                hessian[rows, where, where] = 1.0
                gradient = gradient.copy()
                gradient[rows, where] = 0.0
        return gradient, hessian, point.slopes

    def drifted(self, hessian: Array) -> BoolArray:
        """Which replicates have nearly lost what was known of some fixed effects at the start.

        Along a direction that separates a response the likelihood rises without end: where a
        search of it stops says more of the search than of the response.
        """
        n = self.covariances.n
        beta = slice(n, n + self.criterion.table.p)
        low = np.linalg.cholesky(hessian[beta, beta])
        half = np.linalg.solve(low, self._hessian[:, beta, beta])
        inner = np.linalg.solve(low, np.swapaxes(half, 1, 2))
        usable = np.isfinite(inner).all(axis=(1, 2), keepdims=True)
        least = np.linalg.eigvalsh(np.where(usable, inner, 0.0)).min(axis=1, initial=np.inf)
        return np.asarray(least < _LOST)

    def learn(self, which: IntArray, hessian: Array) -> None:
        """They take the place of the updated ones."""
        self._hessian[which] = hessian

    def _update(self, which: IntArray, point: ManyPoints) -> None:
        """BFGS, where the curvature along the step is positive."""
        theta, gradient = point.theta, point.gradient
        if self._before is None:
            shape = self.n_responses, theta.shape[1]
            self._before = np.zeros(shape), np.zeros(shape)
        known = self._known[which]
        if known.any():
            old = self._hessian[which]
            dx, dg = theta - self._before[0][which], gradient - self._before[1][which]
            moved = np.einsum("rab,rb->ra", old, dx)
            along, model = np.einsum("ra,ra->r", dx, dg), np.einsum("ra,ra->r", dx, moved)
            usable = known & (model > 0.0) & (along > _CURVED * model)
            some = np.flatnonzero(usable)
            moved, dg, along, model = moved[some], dg[some], along[some], model[some]
            change = dg[:, :, None] * dg[:, None, :] / along[:, None, None]
            change -= moved[:, :, None] * moved[:, None, :] / model[:, None, None]
            self._hessian[which[some]] = old[some] + change
        self._before[0][which], self._before[1][which] = theta, gradient
        self._known[which] = np.isfinite(gradient).all(axis=1)
