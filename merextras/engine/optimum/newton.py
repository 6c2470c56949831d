"""Minimising the profiled deviance over theta.

Newton steps with the average information, safeguarded by its eigenvalues and a line search. theta
is searched without bounds: the deviance is even in every column of Lambda, so a negative diagonal
element is the same model with the signs of its column changed, and an optimum at a bound is an
ordinary stationary point with positive curvature. Zero is also a stationary point when it is *not*
the optimum; the derivative in the covariance itself (`gradient.deviance_slopes`) tells the two
apart and the search is restarted inside if need be.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from merextras.engine.kernels.blocks import Array
from merextras.engine.optimum import line, rays, restarts
from merextras.engine.optimum.boundary import (
    NEAR_BOUNDARY,
    Evaluations,
    off_the_boundary,
    snapped_to_zero,
    step_inside,
)
from merextras.engine.optimum.criterion import Criterion, Point
from merextras.engine.optimum.step import newton_steps
from merextras.engine.optimum.summary import Control, Iteration, OptSummary
from merextras.engine.optimum.unbounded import (
    FAR,
    is_bottomless,
    is_unbounded,
    is_unsettled,
    outgrown,
    relative_size,
)
from merextras.engine.solution.pls import Solution

# Steps in a row after which the decrement has not fallen to this share: the Hessian is a poor one.
SLOW, PATIENCE = 0.3, 3
# Share of the tolerance for effects whose levels are summed up: estimates to ten digits.
# Not where what is left falls faster and faster: then the last step has brought more than it says.
_QUICK = 1e-2
# An eigenvalue of the Hessian that may be zero but for rounding, relative to the largest.
FLAT = 1e-5
# Searches that only foresee where they would end: their decrement and iterations.
FORESEEN, SHORT = 1e-3, 20


@dataclass(frozen=True)
class _End:
    """Where a search stopped; `optimal` says that no boundary was in its way."""

    theta: Array
    point: Point
    deviance: float
    decrement: float
    optimal: bool
    restarts: int
    log: tuple[Iteration, ...]


class _Search(Evaluations):
    """The state of one minimisation: where it is, what it cost, its log."""

    def __init__(self, criterion: Criterion, control: Control) -> None:
        super().__init__(criterion)
        self.control, self.flatness = control, 1.0
        self.log: list[Iteration] = []

    def lost_digits(self, end: _End, solution: Solution) -> bool:
        """Whether the evaluation by levels has lost precision (very large theta)."""
        value = solution.deviance() + end.point.penalty()
        return bool(abs(value - end.deviance) > 10 * self.noise(end.deviance))

    def is_unbounded(self, end: _End) -> bool:
        """Whether the criterion has no minimum where a search ended."""
        where = self.criterion, self.value, end.theta, end.deviance
        return is_unbounded(*where, end.decrement)

    def is_bottomless(self, end: _End) -> bool:
        """Whether it has none, and no end of another search can be lower."""
        where = self.criterion, self.value, end.theta, end.deviance
        return self.is_unbounded(end) and is_bottomless(*where)

    @property
    def tolerance(self) -> float:
        """When to stop: later where another iteration costs nothing beside reading the table."""
        return self.control.tolerance * (_QUICK if self.criterion.is_quick else 1.0)

    def curvature(self, theta: Array, hessian: Array) -> float:
        """The least second derivative in a parameter, in units of its size."""
        size = np.maximum(np.abs(theta), 1.0 / self.criterion.units)
        return float((np.abs(hessian.diagonal()) * size**2).min(initial=np.inf))

    def newton(
        self, theta: Array, tolerance: float | None = None, most: int | None = None
    ) -> tuple[Array, Point, float, float]:
        """Iterate to a stationary point: (theta, point, deviance, decrement)."""
        tolerance = self.tolerance if tolerance is None else tolerance
        most = self.control.max_iterations if most is None else most
        point, deviance = self.at(theta)
        some = self.parameters.n > 0
        decrement, previous, slow = np.inf if some else 0.0, np.inf, 0
        rate = 1.0
        for _ in range(most if some and np.isfinite(deviance) else 0):
            grad, hessian = point.gradient(), point.hessian()
            if not np.isfinite(hessian).all() or relative_size(self.criterion, theta) > FAR:
                break
            if slow >= PATIENCE:
                hessian = self.criterion.differenced(theta, lambda end: self.at(end)[0])
            try:
                steps, decrements, flatness = newton_steps(grad[None], hessian[None])
            except np.linalg.LinAlgError:  # numbers of a size that LAPACK gives up on
                break
            step, decrement = steps[0], float(decrements[0])
            self.flatness = min(float(flatness[0]), self.curvature(theta, hessian))
            point.forget()
            length, theta_new, point, deviance_new = self._line_search(
                theta, point, deviance, step, decrement
            )
            self.log.append(Iteration(tuple(theta.tolist()), deviance, decrement, length))
            theta, deviance = theta_new, deviance_new
            # The decrement that is left falls at least as fast as it did in this step; half of the
            # digits of a first fall are believed, which may be along one of several directions.
            falling = length == 1.0 and decrement < previous < np.inf
            before, rate = rate, decrement / previous if falling else 1.0
            rate = math.sqrt(rate) if before == 1.0 and len(theta) > 1 else rate
            left = decrement * rate
            faster = rate < _QUICK * before < _QUICK
            enough = max(tolerance, self.control.tolerance) if faster else tolerance
            slow = slow + 1 if decrement > SLOW * previous else 0
            previous, decrement = decrement, left
            if left <= enough or length == 0.0:
                break
            if slow >= PATIENCE:
                farther = outgrown(self.criterion, self.value, theta, deviance)
                if farther is not None:
                    theta, previous, slow = farther, np.inf, 0
                    point, deviance = self.at(theta)
                elif is_unsettled(self.criterion, theta, decrement):
                    break
        canonical = self.parameters.canonical(theta)
        if (theta != canonical).any():
            theta = canonical
            point, deviance = self.at(theta)
        return theta, point, deviance, decrement

    def foresee(self, theta: Array) -> tuple[Array, float]:
        """A short search: where it was left, and the deviance that its end will have."""
        theta, _, deviance, decrement = self.newton(theta, FORESEEN, SHORT)
        return theta, deviance - 0.5 * decrement

    def settle(self, theta: Array) -> tuple[Array, Point, float, float]:
        """Iterate likewise, and put at zero what is nearly there."""
        theta, point, deviance, decrement = self.newton(theta)
        snapped = snapped_to_zero(self, theta, deviance)
        if snapped is not None:
            # The others move a little; so may, by rounding, what was put at zero.
            theta, point, deviance, decrement = self.newton(snapped)
            snapped = snapped_to_zero(self, theta, deviance)
        if snapped is not None:
            theta, (point, deviance) = snapped, self.at(snapped)
        return theta, point, deviance, decrement

    def _line_search(
        self, theta: Array, point: Point, deviance: float, step: Array, decrement: float
    ) -> tuple[float, Array, Point, float]:
        found = line.downhill(
            lambda length: self.at(theta + length * step),
            deviance, decrement, self.noise(deviance),
        )  # fmt: skip
        if found is None:
            return 0.0, theta, point, deviance
        length, reached, value = found
        return length, theta + length * step, reached, value


def minimise(
    criterion: Criterion, theta: Array, *, control: Control | None = None
) -> tuple[Solution, OptSummary]:
    """Find the optimum of a criterion, from a starting theta.

    The start is in the coordinates of the cross-products; the summary is of the user's.

    Cost: one factorisation, one selected inverse and n_theta columns an iteration, of which a
    well-started model needs about five.
    """
    control = Control() if control is None else control
    search = _Search(criterion, control)
    initial, initial_deviance = theta, search.at(theta)[1]
    if not np.isfinite(initial_deviance):
        theta = criterion.parameters.with_theta(theta, next(restarts.alike(criterion, (1.0,))))
    end, n_ends, regular = _lowest(search, theta)
    solution = end.point.solution
    if search.lost_digits(end, solution):
        search.criterion.take_general()
        search.last = None
        end = _descend(search, end.theta)
        solution = end.point.solution
    deviance, decrement = end.deviance, end.decrement
    finite, unbounded = bool(np.isfinite(deviance)), search.is_unbounded(end)
    gained = decrement <= max(1e-8, control.tolerance)
    converged = finite and end.optimal and gained and not unbounded
    summary = OptSummary.late(
        partial(_of_user, criterion, initial, end),
        initial_deviance=initial_deviance,
        deviance=deviance,
        decrement=float(decrement),
        n_evaluations=search.n_evaluations,
        n_iterations=len(end.log),
        n_restarts=end.restarts,
        converged=converged,
        message=_message(search, converged, unbounded, end, n_ends),
        n_ends=n_ends,
        unbounded=unbounded,
        regular=regular,
        penalty=end.point.penalty(),
    )
    return solution, summary


def _of_user(criterion: Criterion, initial: Array, end: _End) -> dict[str, Any]:
    """What a summary has of the user's effects."""
    user = criterion.to_user(np.array([initial, end.theta, *(line.theta for line in end.log)]))
    finite = bool(np.isfinite(end.deviance))
    grad = end.point.user_gradient(user[1]) if finite else np.full_like(end.theta, np.nan)
    first, last, *steps = map(tuple, user.tolist())
    return {
        "initial": first,
        "theta": last,
        "gradient": tuple(grad.tolist()),
        "log": tuple(line.at(theta) for line, theta in zip(end.log, steps, strict=True)),
    }


def _lowest(search: _Search, theta: Array) -> tuple[_End, int, bool]:
    """The end of a search, where it may not be the only one the lowest, and whether it was."""
    end = _descend(search, theta)
    if not search.parameters.n or not _is_doubtful(search, end):
        return end, 1, search.flatness > FLAT
    if not np.isfinite(end.deviance) or search.is_bottomless(end):
        return end, 1, False
    others = restarts.starts(search.criterion, end.theta)
    end, n_ends = restarts.lowest(
        search.criterion, end, others, search.foresee, lambda start: _descend(search, start),
        search.is_unbounded,
    )  # fmt: skip
    ray = None if search.is_bottomless(end) else rays.bottomless(search.criterion, end.deviance)
    if ray is not None:
        end = _End(*search.newton(ray, most=0), True, 0, ())
    return end, n_ends, False


def _is_doubtful(search: _Search, end: _End) -> bool:
    """Whether the end is singular, or the way to it such that others may have led elsewhere."""
    singular = search.criterion.near_zero(end.theta, NEAR_BOUNDARY)
    short = any(iteration.step < restarts.SHORT_STEP for iteration in search.log)
    return singular or short or len(search.log) > restarts.LONG_WAY


def _descend(search: _Search, theta: Array) -> _End:
    """Iterate to a stationary point, and on from there while it lies on a boundary for nothing."""
    began = len(search.log)
    theta, restarts = off_the_boundary(search, theta), 0
    while True:
        theta, point, deviance, decrement = search.settle(theta)
        inside = step_inside(search, point, deviance)
        if inside is None or restarts == search.control.max_restarts:
            log = tuple(search.log[began:])
            return _End(theta, point, deviance, decrement, inside is None, restarts, log)
        theta, restarts = inside, restarts + 1


def _message(search: _Search, converged: bool, unbounded: bool, end: _End, n_ends: int) -> str:
    if not np.isfinite(end.deviance) and end.decrement == np.inf:
        return f"not converged: the deviance at the start is {end.deviance}"
    if unbounded and search.criterion.penalty is not None:
        return (
            "not converged: the penalised likelihood has no maximum; either the random effects can "
            "explain the response exactly, or a prior with an infinite scale grows with a variance "
            "faster than the few levels of its grouping factor speak against it: give the prior a "
            "scale"
        )
    if unbounded:
        return (
            "not converged: the likelihood has no maximum, it is unbounded or flat as the residual "
            "variance goes to zero; the random effects can explain the response exactly, and the "
            "model has too many of them for these data"
        )
    if not converged:
        return f"not converged: the deviance could still fall by {_still_to_gain(search, end)}"
    restarted = f" after {end.restarts} restart(s) from a boundary" if end.restarts else ""
    among = f"; the lowest of {n_ends} ends" if n_ends > 1 else ""
    return f"converged{restarted}{among}"


def _still_to_gain(search: _Search, end: _End) -> str:
    """How much lower the deviance is where the search would have ended with more iterations.

    Far from the optimum no model of the criterion at one point says so.
    """
    onward = _Search(search.criterion, Control())
    try:
        found = _descend(onward, end.theta)
    except np.linalg.LinAlgError:  # numbers of a size that LAPACK gives up on
        return f"about {0.5 * end.decrement:.2g} or more"
    known = found.optimal and found.decrement <= 1e-8
    gain = max(end.deviance - found.deviance, search.noise(end.deviance))
    return f"about {gain:.2g}{'' if known else ' or more'}"
