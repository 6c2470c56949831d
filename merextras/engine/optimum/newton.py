"""Minimising the profiled deviance over theta.

Newton steps with the average information, safeguarded by its eigenvalues and a line search. theta
is searched without bounds: the deviance is even in every column of Lambda, so a negative diagonal
element is the same model with the signs of its column changed, and an optimum at a bound is an
ordinary stationary point with positive curvature. Zero is also a stationary point when it is *not*
the optimum; the derivative in the covariance itself (`gradient.covariance_slopes`) tells the two
apart and the search is restarted inside if need be.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from merextras.engine.kernels.blocks import Array
from merextras.engine.optimum.criterion import Criterion, Point
from merextras.engine.optimum.step import newton_steps
from merextras.engine.solution.pls import Solution

# Relative standard deviations below this are tried at exactly zero.
NEAR_ZERO = 1e-4
# Below this the search may have stopped at zero's own stationary point, which need not be optimal.
NEAR_BOUNDARY = 1e-3
# Steps in a row after which the decrement has not fallen to this share: the Hessian is a poor one.
SLOW, PATIENCE = 0.3, 3
# A decrease of the deviance that counts as one, relative to its size: some hundred roundings.
NOISE = 1e-13


@dataclass(frozen=True)
class Control:
    """When to stop.

    Attributes
    ----------
    tolerance : float
        On the Newton decrement ``g'H^-1 g``, twice the deviance still to be gained, that is left
        after the last step, judged by how fast it fell before: the distance to the optimum is
        then below sqrt(tolerance) standard errors.
    max_iterations, max_restarts : int
    """

    tolerance: float = 1e-13
    max_iterations: int = 100
    max_restarts: int = 5


@dataclass(frozen=True)
class Iteration:
    """A line of the optimiser's log."""

    theta: tuple[float, ...]
    deviance: float
    decrement: float
    step: float


@dataclass(frozen=True)
class OptSummary:
    """What the optimiser did.

    Attributes
    ----------
    initial, theta : tuples of float
    initial_deviance, deviance : float
    gradient : tuple of float
        d deviance / d theta at the end.
    decrement : float
        ``g'H^-1 g`` that is left: twice the deviance still to be gained, by the model of it.
    n_evaluations, n_iterations, n_restarts : int
    converged : bool
    message : str
    log : tuple of Iteration
    """

    initial: tuple[float, ...]
    theta: tuple[float, ...]
    initial_deviance: float
    deviance: float
    gradient: tuple[float, ...]
    decrement: float
    n_evaluations: int
    n_iterations: int
    n_restarts: int
    converged: bool
    message: str
    log: tuple[Iteration, ...]


@dataclass(frozen=True)
class _End:
    """Where a search stopped; `optimal` says that no boundary was in its way."""

    theta: Array
    point: Point
    deviance: float
    decrement: float
    optimal: bool
    restarts: int


class _Search:
    """The state of one minimisation: where it is, what it cost, its log."""

    def __init__(self, criterion: Criterion, control: Control) -> None:
        self.criterion, self.control = criterion, control
        self.covariances = criterion.covariances
        self.n_evaluations = 0
        self.last: tuple[Point, float] | None = None
        self.log: list[Iteration] = []

    def at(self, theta: Array) -> tuple[Point, float]:
        """The point and the deviance at a theta; the last one asked for is kept."""
        if self.last is not None and np.array_equal(self.last[0].theta, theta):
            return self.last
        self.n_evaluations += 1
        # A step into numbers too large gives no finite deviance and is rejected for that.
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            point = self.criterion.at(theta.copy())
            self.last = (point, point.deviance())
        return self.last

    def noise(self, deviance: float) -> float:
        """A change of the deviance that rounding can make."""
        return NOISE * (abs(deviance) + self.criterion.system.cp.n)

    def lost_digits(self, end: _End, solution: Solution) -> bool:
        """Whether the evaluation by levels has lost precision (very large theta)."""
        return bool(abs(solution.deviance() - end.deviance) > 10 * self.noise(end.deviance))

    def newton(self, theta: Array) -> tuple[Array, Point, float, float]:
        """Iterate to a stationary point: (theta, point, deviance, decrement)."""
        point, deviance = self.at(theta)
        some = self.covariances.n > 0
        decrement, previous, slow = np.inf if some else 0.0, np.inf, 0
        for _ in range(self.control.max_iterations if some and np.isfinite(deviance) else 0):
            grad, hessian = point.gradient(), point.hessian()
            if not np.all(np.isfinite(hessian)):
                break
            if slow >= PATIENCE:
                hessian = self.criterion.differenced(theta, lambda end: self.at(end)[0])
            steps, decrements = newton_steps(grad[None], hessian[None])
            step, decrement = steps[0], float(decrements[0])
            point.forget()
            length, theta_new, point, deviance_new = self._line_search(
                theta, point, deviance, step, decrement
            )
            self.log.append(Iteration(tuple(theta.tolist()), deviance, decrement, length))
            theta, deviance = theta_new, deviance_new
            # The decrement that is left falls at least as fast as it did in this step.
            falling = length == 1.0 and decrement < previous < np.inf
            left = decrement * (decrement / previous) if falling else decrement
            slow = slow + 1 if decrement > SLOW * previous else 0
            previous, decrement = decrement, left
            if left <= self.control.tolerance or length == 0.0:
                break
        canonical = self.covariances.canonical(theta)
        if np.any(theta != canonical):
            theta = canonical
            point, deviance = self.at(theta)
        return theta, point, deviance, decrement

    def settle(self, theta: Array) -> tuple[Array, Point, float, float]:
        """Iterate likewise, and put at zero what is nearly there."""
        theta, point, deviance, decrement = self.newton(theta)
        snapped = _snap_to_zero(self, theta, deviance)
        if snapped is not None:
            # The others move a little; so may, by rounding, what was put at zero.
            theta, point, deviance, decrement = self.newton(snapped)
            snapped = _snap_to_zero(self, theta, deviance)
        if snapped is not None:
            theta, (point, deviance) = snapped, self.at(snapped)
        return theta, point, deviance, decrement

    def _line_search(
        self, theta: Array, point: Point, deviance: float, step: Array, decrement: float
    ) -> tuple[float, Array, Point, float]:
        length = 1.0
        while length > 1e-10:
            trial = theta + length * step
            found, value = self.at(trial)
            enough = deviance - 1e-4 * length * decrement
            if np.isfinite(value) and value <= enough + self.noise(deviance):
                return length, trial, found, value
            length *= 0.5 if length > 1e-2 else 0.1
        return 0.0, theta, point, deviance


def minimise(
    criterion: Criterion, theta: Array, *, control: Control | None = None
) -> tuple[Solution, OptSummary]:
    """Find the optimum of a criterion, from a starting theta.

    Cost: one factorisation, one selected inverse and n_theta columns an iteration, of which a
    well-started model needs about five.
    """
    control = Control() if control is None else control
    search = _Search(criterion, control)
    initial, initial_deviance = theta, search.at(theta)[1]
    if not np.isfinite(initial_deviance):
        sizes = search.criterion.sizes
        theta = search.covariances.from_covariances([np.diag(1.0 / size**2) for size in sizes])
    end = _descend(search, theta)
    solution = end.point.solution
    if search.lost_digits(end, solution):
        search.criterion.take_general()
        search.last = None
        end = _descend(search, end.theta)
        solution = end.point.solution
    theta, deviance, decrement = end.theta, end.deviance, end.decrement
    finite = bool(np.isfinite(deviance))
    grad = end.point.gradient() if finite else np.full_like(theta, np.nan)
    converged = finite and end.optimal and decrement <= max(1e-8, control.tolerance)
    summary = OptSummary(
        tuple(initial.tolist()), tuple(theta.tolist()), initial_deviance, deviance,
        tuple(grad.tolist()), float(decrement), search.n_evaluations, len(search.log),
        end.restarts, converged, _message(converged, deviance, end.restarts, decrement),
        tuple(search.log),
    )  # fmt: skip
    return solution, summary


def _descend(search: _Search, theta: Array) -> _End:
    """Iterate to a stationary point, and on from there while it lies on a boundary for nothing."""
    theta, restarts = _leave_boundary(search, theta), 0
    while True:
        theta, point, deviance, decrement = search.settle(theta)
        inside = _step_inside(search, point, deviance)
        if inside is None or restarts == search.control.max_restarts:
            return _End(theta, point, deviance, decrement, inside is None, restarts)
        theta, restarts = inside, restarts + 1


def _message(converged: bool, deviance: float, restarts: int, decrement: float) -> str:
    if not np.isfinite(deviance):
        return f"not converged: the deviance at the start is {deviance}"
    if not converged:
        return f"not converged: the deviance could still fall by about {decrement / 2:.2g}"
    return "converged" + (f" after {restarts} restart(s) from a boundary" if restarts else "")


def _snap_to_zero(search: _Search, theta: Array, deviance: float) -> Array | None:
    """Return theta with effects of nearly no variance at zero, where the deviance does not mind.

    First all of an effect's row of Lambda, then what the effects before it leave of it, the
    diagonal element alone.
    """
    size = np.abs(theta) * search.criterion.units
    limit = NEAR_ZERO * max(1.0, float(np.max(size, initial=0.0)))
    snapped = None
    for where in search.covariances.zero_groups():
        trial = (theta if snapped is None else snapped).copy()
        if not np.any(trial[where]) or np.linalg.norm(size[where]) >= limit:
            continue
        trial[where] = 0.0
        if search.at(trial)[1] <= deviance + search.noise(deviance):
            snapped = trial
    return snapped


def _leave_boundary(search: _Search, theta: Array) -> Array:
    """Return a start with every variance off zero whose score there is positive.

    Newton steps would keep a zero at zero, and crawl along the ridge that it makes.
    """
    if not search.criterion.near_zero(theta, np.finfo(float).tiny):
        return theta
    for _ in range(search.covariances.k):
        inside = _step_inside(search, *search.at(theta))
        if inside is None:
            break
        theta = inside
    return theta


def _step_inside(search: _Search, point: Point, deviance: float) -> Array | None:
    """Return a better theta inside, if the point is on the boundary and not optimal there.

    At an optimum D is positive semidefinite in all directions: zero where there is variance (as
    far as that is free to change as the structure is), not negative where there is none.
    """
    if not np.isfinite(deviance):
        return None
    for t, change in point.inward(NEAR_BOUNDARY):
        best, found = deviance - 10 * search.noise(deviance), None
        for size in 10.0 ** np.arange(2.0, -9.0, -1.0):
            theta = search.covariances.with_more(point.theta, t, size * change)
            value = search.at(theta)[1]
            if value < best:
                best, found = value, theta
            elif found is not None:
                break
        if found is not None:
            return found
    return None
