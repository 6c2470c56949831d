"""The optimum of a generalised model's criterion with one parameter held.

The parameters are ``x = A y``, y the held parameter u and all others; a standard deviation or a
correlation is first made a coordinate by a chart of the linear model's profiles (`profile.charts`).
The others move by Newton's steps with a Hessian that BFGS keeps, from one value of u to the next.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass

import numpy as np
import scipy.linalg as la

from merextras.engine.covariance.covariances import Covariances
from merextras.engine.generalised.criterion.laplace import HALF, Laplace, LaplacePoint
from merextras.engine.generalised.searches.optimum import information
from merextras.engine.generalised.searches.steps import newton_step, updated
from merextras.engine.kernels.blocks import Array, BoolArray
from merextras.engine.optimum import line
from merextras.engine.optimum.boundary import NEAR_BOUNDARY
from merextras.engine.profile.charts import FixedEffect, Target
from merextras.engine.profile.constrained import Reached

# The decrement that is left, most of which is taken off the deviance found.
_TOLERANCE, _MOST = 1e-8, 60
# The shortest step.
_SHORTEST = 1e-8
# A relative standard deviation that a variance leaves zero with.
_INSIDE = 0.2


@dataclass(frozen=True)
class Charted(Covariances):
    """Covariances whose parameters are (u, z) of a chart, sigma being one."""

    target: Target | None = None

    @classmethod
    def by(cls, target: Target) -> Charted:
        """By the chart of a parameter."""
        return cls(target.covariances.structures, target)

    def _own(self, y: Array) -> tuple[Array, Array]:
        assert self.target is not None
        return self.target.chart(float(y[0]), np.append(y[1:], 0.0))

    def factors(self, theta: Array) -> tuple[Array, ...]:
        """A root of each term's covariance, (k, k)."""
        assert self.target is not None
        return tuple(self.target.lams(self._own(theta)[0]))

    def gradient(self, theta: Array, slopes: Sequence[Array]) -> Array:
        """In (u, z), of the derivatives in the roots."""
        assert self.target is not None
        w, jacobian = self._own(theta)
        pairs = zip(self.target.frames, slopes, strict=True)
        own = [frame.T @ slope for frame, slope in pairs]
        inner = self.target.covariances.gradient(w[:-1], own)
        return np.asarray(np.append(inner, 0.0) @ jacobian)[: self.n]

    def joint(self, theta: Array) -> Array:
        """The roots of all terms, (m, K, K), for (m, n)."""
        out = np.zeros((len(theta), self.k, self.k))
        for i, row in enumerate(theta):
            for span, lam in zip(self.spans, self.factors(row), strict=True):
                out[i, span, span] = lam
        return out

    def joint_gradient(self, theta: Array, slopes: Array) -> Array:
        """As `gradient` for many: (m, K, K) -> (m, n)."""
        out = np.empty((len(theta), self.n))
        for i, row in enumerate(theta):
            out[i] = self.gradient(row, [slopes[i, span, span] for span in self.spans])
        return out


class Held:
    """A criterion as a function of one parameter: what `profile.trace` follows.

    Attributes
    ----------
    criterion : Laplace
        In x.
    columns : (m, 1 + rest) array
        A.
    target : Target
        Of a chart; a fixed effect's where no covariance is held.
    """

    def __init__(
        self,
        criterion: Laplace,
        columns: Array,
        point: LaplacePoint,
        hessian: Array,
        target: Target | None = None,
        offset: Array | None = None,
    ) -> None:
        self.criterion, self.columns = criterion, columns
        self.target = FixedEffect(criterion.covariances) if target is None else target
        self.sizes = self.target.sizes(criterion.sizes)
        self.offset = np.zeros(len(columns)) if offset is None else offset
        self._first = hessian
        self._near: LaplacePoint | None = point
        self._hessian = hessian
        self._origin = point
        self._before: tuple[Array, Array] | None = None

    @property
    def curvature_correction(self) -> float:
        """Nothing: what was learned of the curvature is in the Hessian."""
        return 0.0

    @curvature_correction.setter
    def curvature_correction(self, value: float) -> None:
        """Begin again with the Hessian at the optimum."""
        del value
        self._near, self._hessian, self._before = self._origin, self._first, None

    def afresh(self) -> Held:
        """The same with nothing learned of a minimum, for a start that is far from all."""
        other = copy(self)
        other.curvature_correction = 0.0
        other._near = None
        return other

    def at(self, y: Array) -> LaplacePoint:
        """The criterion at (u, z)."""
        return self.criterion.at(self.offset + self.columns @ y, self._near)

    def gradient(self, point: LaplacePoint) -> Array:
        """In (u, z)."""
        return np.asarray(self.columns.T @ point.gradient())

    def minimum(self, u: float, z: Array) -> Reached:
        """The least deviance with the parameter at u, from other coordinates z."""
        y, point, converged = self._newton(np.append(u, z))
        inside = self._inside(y, point) if np.isfinite(point.deviance()) else None
        if inside is not None:
            other = self._newton(inside)
            if other[2] and other[1].deviance() < point.deviance():
                y, point, converged = other
        return self._reached(y, point, converged)

    def _newton(self, y: Array) -> tuple[Array, LaplacePoint, bool]:
        point, fresh = self.at(y), False
        free = np.ones(len(y), dtype=bool)
        free[0] = False
        for _ in range(_MOST):
            if not np.isfinite(point.deviance()):
                return y, point, False
            gradient = self.gradient(point)
            self._learn(y, gradient)
            step, decrement = newton_step(self._hessian, np.where(free, gradient, 0.0), free)
            self._near = point
            if decrement <= _TOLERANCE:
                return y, point, True
            found = self._along(y, point, step, decrement)
            if found is None:
                if fresh:
                    return y, point, False
                self._hessian, fresh = self._differences(y, point), True
                continue
            y, point = found
        return y, point, False

    def _learn(self, y: Array, gradient: Array) -> None:
        if self._before is not None:
            dy, dg = y - self._before[0], gradient - self._before[1]
            if np.any(dy) and np.isfinite(dg).all():
                self._hessian = updated(self._hessian, dy, dg)
        self._before = y, gradient

    def _along(
        self, y: Array, point: LaplacePoint, step: Array, decrement: float
    ) -> tuple[Array, LaplacePoint] | None:
        def trial(length: float) -> tuple[LaplacePoint, float]:
            reached = self.at(y + length * step)
            return reached, reached.deviance()

        before, noise = point.deviance(), point.noise
        found = line.downhill(
            trial, before, decrement, noise, longest=self._longest(point, step), shortest=_SHORTEST
        )
        return None if found is None else (y + found[0] * step, found[1])

    def _longest(self, point: LaplacePoint, step: Array) -> float:
        """The most of a step that theta may take, as in the search for the optimum."""
        n, units = self.criterion.covariances.n, self.criterion.units
        size = np.max(np.abs(point.x[:n]) * units, initial=0.0)
        moved = np.max(np.abs(self.columns[:n] @ step) * units, initial=0.0)
        return min(1.0, HALF * max(1.0, float(size)) / max(float(moved), 1e-300))

    def _differences(self, y: Array, point: LaplacePoint) -> Array:
        """The Hessian in y by differences of the exact gradient."""
        del y
        whole = information(self.criterion, point, np.ones(self.criterion.m, dtype=bool))
        return np.asarray(self.columns.T @ whole @ self.columns)

    def _reached(self, y: Array, point: LaplacePoint, converged: bool) -> Reached:
        u, z = float(y[0]), y[1:]
        deviance = point.deviance()
        if not converged:
            nothing = np.full(len(z), np.nan)
            return Reached(u, z, deviance, np.nan, np.nan, nothing, point, False)
        gradient, hessian = self.gradient(point), self._hessian
        free = np.arange(len(y)) > 0
        back = newton_step(hessian, np.where(free, gradient, 0.0), free)[0][1:]
        tangent = newton_step(hessian, np.where(free, hessian[0], 0.0), free)[0][1:]
        slope = gradient[0] + float(hessian[0, 1:] @ back)
        curvature = hessian[0, 0] + float(hessian[0, 1:] @ tangent)
        left = deviance + 0.5 * float(back @ gradient[1:])
        return Reached(u, z, left, slope, curvature, tangent, point, True)

    def is_singular(self, at: Reached, *, whole: bool = False) -> bool:
        """Whether a covariance has nearly lost rank, and not (unless `whole`) by what is held."""
        u, z = self._charted(at.model)
        return self.target.is_singular(u, z, self.sizes, NEAR_BOUNDARY, whole=whole)

    def inner_starts(self, at: Reached) -> list[Array]:
        """Other coordinates inside the space of covariances."""
        u, z = self._charted(at.model)
        inner = self.target.inner_starts(u, z, self.sizes)
        return [self._coordinates(at.model, z)[1:] for z in inner]

    def _charted(self, point: LaplacePoint) -> tuple[float, Array]:
        """Where the covariances are in the target's chart."""
        theta = np.append(self.criterion.split(point.x)[0], 0.0)
        return (np.nan, theta) if self.target.term < 0 else (float(theta[0]), theta[1:])

    def _coordinates(self, point: LaplacePoint, z: Array) -> Array:
        """(u, z) of the point with other covariances."""
        x, held = point.x.copy(), int(self.target.term >= 0)
        x[held : self.criterion.covariances.n] = z[:-1]
        return np.asarray(la.lstsq(self.columns, x - self.offset)[0])

    def _inside(self, y: Array, point: LaplacePoint) -> Array | None:
        """Coordinates with a variance that should not be at zero, if there is one."""
        criterion, cov = self.criterion, self.target.covariances
        u, z = self._charted(point)
        w = self.target.chart(u, z)[0]
        # Other terms than the held parameter's stand in the coordinates of the table.
        slopes, moved = None, w.copy()
        for t, structure in enumerate(cov.structures):
            at, size = cov.parts[t], criterion.sizes[t]
            if (
                t == self.target.term
                or not structure.near_zero(w[None, at], size, NEAR_BOUNDARY)[0]
            ):
                continue
            slopes = point.deviance_slopes() if slopes is None else slopes
            if structure.inward(w[None, at], slopes[t][None], size)[1][0]:
                moved[at] = structure.from_covariance(np.diag((_INSIDE / size) ** 2)[None])[0]
        if np.array_equal(moved, w):
            return None
        return np.append(y[0], self._coordinates(point, self.target.coordinates(moved)[1])[1:])


def of_covariance(
    criterion: Laplace, point: LaplacePoint, target: Target, free: BoolArray
) -> tuple[Held, float, Array]:
    """A standard deviation or a correlation, with its estimate's u and z."""
    own = copy(criterion)
    own.covariances = Charted.by(target)
    gs = [lam @ lam.T for lam in point.modes.lams]
    u, z = target.coordinates(target.parameters(gs, 0.0))
    theta = np.append(u, z[:-1])
    own.__dict__["units"] = np.full(own.covariances.n, 3.0 / max(float(np.max(abs(theta))), 1e-8))
    x = np.concatenate([theta, point.x[len(theta) :]])
    start = own.at(x, point)
    columns = np.eye(len(x))[:, free]
    whole = information(own, start, np.ones(len(x), dtype=bool))
    held = Held(own, columns, start, columns.T @ whole @ columns, target, np.where(free, 0.0, x))
    return held, u, x[free][1:]


def of_linear(
    criterion: Laplace, point: LaplacePoint, hessian: Array, row: Array, free: BoolArray
) -> tuple[Held, float, Array]:
    """A parameter ``row'x``, such as a fixed effect, with its estimate's u and z."""
    x = np.where(free, point.x, 0.0)
    row = row[free]
    across = la.null_space(row[None])
    columns = np.zeros((len(free), len(row)))
    columns[free] = np.column_stack([row / (row @ row), across])
    held = Held(
        criterion, columns, point, columns.T @ hessian @ columns, None,
        np.where(free, 0.0, point.x),
    )  # fmt: skip
    return held, float(row @ x[free]), np.asarray(across.T @ x[free])
