"""Minimising the ML deviance with one parameter fixed.

Newton steps with the average information in the free coordinates of a chart (`charts`), from a
start that is nearly right already. As in `newton`, the factors' elements are not bounded: the
deviance is even in them, and a variance that is zero but should not be is found by the derivative
in the covariance.
"""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from merextras.engine.elimination.plan import System
from merextras.engine.kernels.blocks import Array
from merextras.engine.optimum import line
from merextras.engine.optimum.criterion import sizes_of
from merextras.engine.optimum.step import positive_root
from merextras.engine.profile.at_sigma import Conditional, conditional
from merextras.engine.profile.charts import Target

# Twice the deviance that may be left to gain, most of which is taken off the deviance found: by a
# curvature that is good, and by one whose last step gained less than it promised.
_TOLERANCE, _FINE, _SLOW = 1e-6, 1e-10, 0.05
_MAX_ITERATIONS = 60
_MAX_RESTARTS = 4
# A rank-one update whose denominator is smaller than this part of what it could be is left out.
_UNSAFE = 1e-2
# As in `newton`: rounding of the deviance, near the boundary.
_NOISE = 1e-13
_NEAR_BOUNDARY = 1e-3


@dataclass(frozen=True)
class Reached:
    """The best model with the parameter at u.

    Attributes
    ----------
    u : float
    z : array
        Its other coordinates.
    deviance : float
        Of the minimum: less what the Newton decrement says is left to gain.
    slope : float
        Of that minimum in u: the envelope theorem's, with the gradient that is left taken off.
    curvature : float
        Its second derivative, by the average information.
    tangent : array
        dz / du along the minima, by the average information: good near the optimum.
    model : Conditional or LaplacePoint
        The second of a generalised model.
    converged : bool
    log_omega : array or None
        Of the strata of the residuals, relative to that whose sigma is the model's.
    """

    u: float
    z: Array
    deviance: float
    slope: float
    curvature: float
    tangent: Array
    model: Any
    converged: bool
    log_omega: Array | None = None


@dataclass(frozen=True)
class Spot:
    """A model in a chart, with its derivatives on demand."""

    problem: ProfileProblem
    u: float
    z: Array
    w: Array
    jacobian: Array
    model: Conditional

    @cached_property
    def deviance(self) -> float:
        """May be NaN or infinite."""
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            return self.model.deviance

    @property
    def noise(self) -> float:
        """A difference of deviances that is rounding."""
        return _NOISE * (abs(self.deviance) + self.problem.system.cp.n)

    @cached_property
    def slopes(self) -> tuple[Array, ...]:
        """The derivatives in the covariances."""
        return self.model.deviance_slopes(self.problem.units)

    @cached_property
    def _in_w(self) -> Array:
        return self.model.gradient(self.problem.covariances, self.w[:-1], self.problem.frames)

    @cached_property
    def gradient(self) -> Array:
        """In (u, z)."""
        out = self._in_w @ self.jacobian
        if self.model.held is not None:
            out[0] = self.model.held_slope
        if self.problem.sigma_is_known:
            out[-1] = 0.0
        return np.asarray(out)

    @cached_property
    def hessian(self) -> Array:
        """In (u, z), by the average information."""
        covariances, theta = self.problem.covariances, self.w[:-1]
        information = self.model.hessian(covariances, theta, self.problem.frames, self.slopes)
        out = self.jacobian.T @ information @ self.jacobian
        out += self.problem.target.second_derivatives(self.w, self._in_w)
        if self.model.held is not None:
            out[0, 0] = self.model.held_curvature
        if self.problem.sigma_is_known:  # log sigma, the last of z, stays where it is
            out[-1] = out[:, -1] = 0.0
            out[-1, -1] = 1.0
        return np.asarray(out)


class ProfileProblem:
    """A target of a system, and what was learned of its curvature on the way.

    Attributes
    ----------
    curvature_correction : array
        What the Hessian in z has been found to have beyond the average information, by symmetric
        rank-one updates (Nocedal & Wright 2006, Numerical Optimization, section 6.2).
    """

    def __init__(self, system: System, target: Target) -> None:
        self.system, self.target = system, target
        self.covariances, self.sigma_is_known = target.covariances, system.cp.scale.is_known
        self.frames, self.units = target.frames, sizes_of(system.cp)
        self.sizes = target.sizes(self.units)
        self.curvature_correction: Array | float = 0.0

    def at(self, u: float, z: Array) -> Spot:
        """The model at u and z."""
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            w, jacobian = self.target.chart(u, z)
            lams = self.target.lams(w)
            model = conditional(self.system, lams, float(w[-1]), self.target.held(u))
            return Spot(self, u, z, w, jacobian, model)

    def minimum(self, u: float, z: Array) -> Reached:
        """The least deviance with the parameter at u, from other coordinates z."""
        return minimum(self, u, z)

    def afresh(self) -> ProfileProblem:
        """The same with nothing learned, for another start."""
        other = copy(self)
        other.curvature_correction = 0.0
        return other

    def is_singular(self, at: Reached, *, whole: bool = False) -> bool:
        """Whether a covariance has nearly lost rank, and not (unless `whole`) by what is held."""
        return self.target.is_singular(at.u, at.z, self.sizes, _NEAR_BOUNDARY, whole=whole)

    def inner_starts(self, at: Reached) -> list[Array]:
        """Other coordinates inside the space of covariances."""
        return self.target.inner_starts(at.u, at.z, self.sizes)

    def learn(self, old: Spot, new: Spot) -> None:
        """Correct the curvature by the change of the gradient over a step."""
        step = new.z - old.z
        assumed = 0.5 * (old.hessian[1:, 1:] + new.hessian[1:, 1:]) + self.curvature_correction
        seen, along = new.gradient[1:] - old.gradient[1:], assumed @ step
        miss = seen - along
        size = np.sqrt(max(float(miss @ _inverse(assumed) @ miss), 0.0) * abs(float(step @ along)))
        if abs(float(miss @ step)) > _UNSAFE * size > 0.0:
            self.curvature_correction = self.curvature_correction + np.outer(miss, miss) / float(
                miss @ step
            )


def minimum(problem: ProfileProblem, u: float, z: Array) -> Reached:
    """The least deviance with the parameter at u; two or three factorisations from a good start."""
    spot, converged = _newton(problem, problem.at(u, z))
    for _ in range(_MAX_RESTARTS):
        inside = _step_inside(problem, spot)
        if inside is None:
            break
        problem.curvature_correction = 0.0
        spot, converged = _newton(problem, inside)
    return _reached(problem, spot, converged)


def _newton(problem: ProfileProblem, spot: Spot) -> tuple[Spot, bool]:
    before = np.inf
    for _ in range(_MAX_ITERATIONS):
        if not np.isfinite(spot.deviance) or not np.all(np.isfinite(spot.hessian)):
            return spot, False
        gradient = spot.gradient[1:]
        step = -_inverse(spot.hessian[1:, 1:] + problem.curvature_correction) @ gradient
        decrement = -float(step @ gradient)
        enough = _TOLERANCE if decrement <= _SLOW * before else _FINE
        if decrement <= max(enough, spot.noise):
            return spot, True
        before = decrement
        trial = _line_search(problem, spot, step, decrement)
        if trial is None:
            return spot, False
        problem.learn(spot, trial)
        spot = trial
    return spot, False


def _reached(problem: ProfileProblem, spot: Spot, converged: bool) -> Reached:
    if not converged:
        nothing = np.full(len(spot.z), np.nan)
        return Reached(spot.u, spot.z, spot.deviance, np.nan, np.nan, nothing, spot.model, False)
    gradient, hessian = spot.gradient, spot.hessian
    inverse = _inverse(hessian[1:, 1:] + problem.curvature_correction)
    back, tangent = -inverse @ gradient[1:], -inverse @ hessian[1:, 0]
    slope = gradient[0] + float(hessian[0, 1:] @ back)
    curvature = hessian[0, 0] + float(hessian[0, 1:] @ tangent)
    left = spot.deviance + 0.5 * float(back @ gradient[1:])
    return Reached(spot.u, spot.z, left, slope, curvature, tangent, spot.model, True)


def _line_search(problem: ProfileProblem, spot: Spot, step: Array, decrement: float) -> Spot | None:
    def trial(length: float) -> tuple[Spot, float]:
        reached = problem.at(spot.u, spot.z + length * step)
        return reached, reached.deviance

    found = line.downhill(trial, spot.deviance, decrement, spot.noise, shortest=1e-8)
    return None if found is None else found[1]


def _inverse(hessian: Array) -> Array:
    """The inverse, made positive definite by the size of the eigenvalues; scale-free."""
    root = positive_root(hessian[None])[0]
    return np.asarray(root @ root.T)


def _step_inside(problem: ProfileProblem, spot: Spot) -> Spot | None:
    """Return a better spot inside, if a variance is at zero that should not be."""
    target = problem.target
    if not np.isfinite(spot.deviance):
        return None
    for t, structure in enumerate(problem.covariances.structures):
        sizes, frame = problem.sizes[t], problem.frames[t]
        slope = frame.T @ spot.slopes[t] @ frame
        own = spot.w[None, problem.covariances.parts[t]]
        if not structure.near_zero(own, sizes, _NEAR_BOUNDARY)[0]:
            continue
        if t == target.term:
            change, down = target.inward(own, slope[None], sizes)
        else:
            change, found = structure.inward(own, slope[None], sizes)
            down = bool(found[0])
        inside = _grown(problem, spot, t, slope, change) if down else None
        if inside is not None:
            return inside
    return None


def _grown(problem: ProfileProblem, spot: Spot, t: int, slope: Array, change: Array) -> Spot | None:
    """The spot with the most helpful variance in a direction, if any helps."""
    target, sizes, at = problem.target, problem.sizes[t], problem.covariances.parts[t]
    least = 0.0
    if change.ndim == 3:
        # Growing by less can't gain what counts.
        least = _TOLERANCE / abs(float(np.sum(slope * change[0])))

    def trial(size: float) -> tuple[Spot, float]:
        w = spot.w.copy()
        w[at] = problem.covariances.structures[t].grown(w[None, at], change, size, sizes)[0]
        inside = problem.at(spot.u, target.coordinates(w)[1])
        return inside, inside.deviance

    below = spot.deviance - max(0.1 * _TOLERANCE, 10.0 * spot.noise)
    return line.grown(trial, below, least=least)
