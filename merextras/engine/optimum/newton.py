"""Minimising the profiled deviance over theta.

Newton steps with the average information, safeguarded by its eigenvalues and a line search. theta
is searched without bounds: the deviance is even in every column of Lambda, so a negative diagonal
element is the same model with the signs of its column changed, and an optimum at a bound is an
ordinary stationary point with positive curvature. Zero is also a stationary point when it is *not*
the optimum; the derivative in the covariance itself (`gradient.covariance_slopes`) tells the two
apart and the search is restarted inside if need be.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from merextras.engine.covariance import covpar
from merextras.engine.elimination.plan import System
from merextras.engine.kernels.blocks import Array, IntArray
from merextras.engine.optimum.criterion import Criterion, Point, local_model
from merextras.engine.products.crossprod import CrossProducts
from merextras.engine.solution.pls import Solution

# Relative standard deviations below this are tried at exactly zero.
NEAR_ZERO = 1e-4
# Below this the search may have stopped at zero's own stationary point, which need not be optimal.
NEAR_BOUNDARY = 1e-3
# A slope in the covariance that is zero but for rounding, relative to the steepest direction's.
NO_SLOPE = 1e-7
# Steps in a row after which the decrement has not fallen to this share: the Hessian is a poor one.
SLOW, PATIENCE = 0.3, 3
# Share of the tolerance for several effects whose levels are summed up: estimates to ten digits.
_QUICK = 1e-2
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

    def __init__(self, system: System, reml: bool, control: Control) -> None:
        self.system, self.control = system, control
        self.criterion = Criterion(system, reml=reml)
        self.ks = self.criterion.ks
        self.units = units_of(system.cp)
        self.n_evaluations = 0
        self.last: tuple[Array, Point, float] | None = None
        self.log: list[Iteration] = []

    def at(self, theta: Array) -> tuple[Point, float]:
        """The point and the deviance at a theta; the last one asked for is kept."""
        if self.last is not None and np.array_equal(self.last[0], theta):
            return self.last[1:]
        self.n_evaluations += 1
        # A step into numbers too large gives no finite deviance and is rejected for that.
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            point = self.criterion.at(theta)
            self.last = (theta.copy(), point, point.deviance())
        return self.last[1:]

    def noise(self, deviance: float) -> float:
        """A change of the deviance that rounding can make."""
        return NOISE * (abs(deviance) + self.system.cp.n)

    def lost_digits(self, end: _End, solution: Solution) -> bool:
        """Whether the quick evaluation is off: where theta is so large that it says nothing."""
        return bool(abs(solution.deviance() - end.deviance) > 10 * self.noise(end.deviance))

    @property
    def tolerance(self) -> float:
        """When to stop: later where another iteration costs nothing beside reading the table."""
        quick = self.criterion.is_quick and max(self.ks) > 1
        return self.control.tolerance * (_QUICK if quick else 1.0)

    def newton(self, theta: Array) -> tuple[Array, Point, float, float]:
        """Iterate to a stationary point: (theta, point, deviance, decrement)."""
        point, deviance = self.at(theta)
        decrement, previous, slow = np.inf if self.ks else 0.0, np.inf, 0
        for _ in range(self.control.max_iterations if self.ks and np.isfinite(deviance) else 0):
            grad, hessian = local_model(point, self.units)
            if not np.all(np.isfinite(hessian)):
                break
            if slow >= PATIENCE:
                hessian = self._differenced(theta)
            step, decrement = _newton_step(grad, hessian)
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
            if left <= self.tolerance or length == 0.0:
                break
        if np.any(theta != covpar.normalise(theta, self.ks)):
            theta = covpar.normalise(theta, self.ks)
            point, deviance = self.at(theta)
        return theta, point, deviance, decrement

    def _differenced(self, theta: Array) -> Array:
        """The Hessian by central differences of the gradient, 2 n_theta gradients.

        The average information is far from it where the random effects have a mean that the fixed
        part leaves out; Newton steps with it then crawl.
        """
        scale = 1.0 / covpar.pack([np.tile(u[:, None], len(u)) for u in self.units])
        steps = 1e-4 * np.maximum(np.abs(theta), 0.1 * scale)
        rows = []
        for i, step in enumerate(steps):
            move = np.zeros_like(theta)
            move[i] = step
            above, below = self.at(theta + move)[0], self.at(theta - move)[0]
            change = covpar.pack(above.factor_slopes()) - covpar.pack(below.factor_slopes())
            rows.append(change / (2.0 * step))
        hessian = np.array(rows)
        return np.asarray(0.5 * (hessian + hessian.T))

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
    system: System, theta: Array, *, reml: bool, control: Control | None = None
) -> tuple[Solution, OptSummary]:
    """Find the optimum of the deviance (ML) or of the REML criterion, from a starting theta.

    The start is in the coordinates of the cross-products; the summary is of the user's.

    Cost: one factorisation, one selected inverse and n_theta columns an iteration, of which a
    well-started model needs about five.
    """
    control = Control() if control is None else control
    search = _Search(system, reml, control)
    initial, initial_deviance = theta, search.at(theta)[1]
    if not np.isfinite(initial_deviance):
        theta = covpar.pack([np.diag(1.0 / units) for units in search.units])
    end = _descend(search, theta)
    solution = search.criterion.solution(end.point)
    if search.lost_digits(end, solution):
        search.criterion.take_general()
        search.last = None
        end = _descend(search, end.theta)
        solution = search.criterion.solution(end.point)
    theta, deviance, decrement = end.theta, end.deviance, end.decrement
    finite = bool(np.isfinite(deviance))
    grad = _user_gradient(system.cp, end.point) if finite else (np.nan,) * len(theta)
    converged = finite and end.optimal and decrement <= max(1e-8, control.tolerance)
    thetas = np.array([initial, theta, *(line.theta for line in search.log)])
    first, last, *steps = map(tuple, system.cp.basis.to_user(thetas).tolist())
    summary = OptSummary(
        first, last, initial_deviance, deviance,
        grad, float(decrement), search.n_evaluations, len(search.log),
        end.restarts, converged, _message(search, end, converged),
        tuple(replace(line, theta=at) for line, at in zip(search.log, steps, strict=True)),
    )  # fmt: skip
    return solution, summary


def _user_gradient(cp: CrossProducts, point: Point) -> tuple[float, ...]:
    each = zip(cp.basis.effects, point.factor_slopes(), point.lams, strict=True)
    return tuple(covpar.pack([own.slopes(slope, lam) for own, slope, lam in each]).tolist())


def _descend(search: _Search, theta: Array) -> _End:
    """Iterate to a stationary point, and on from there while it lies on a boundary for nothing."""
    theta, restarts = _leave_boundary(search, theta), 0
    while True:
        theta, point, deviance, decrement = search.settle(theta)
        inside = _step_inside(search, point, deviance)
        if inside is None or restarts == search.control.max_restarts:
            return _End(theta, point, deviance, decrement, inside is None, restarts)
        theta, restarts = inside, restarts + 1


def _message(search: _Search, end: _End, converged: bool) -> str:
    if not np.isfinite(end.deviance):
        return f"not converged: the deviance at the start is {end.deviance}"
    if not converged:
        return f"not converged: the deviance could still fall by {_still_to_gain(search, end)}"
    return "converged" + (f" after {end.restarts} restart(s) from a boundary" * bool(end.restarts))


def _still_to_gain(search: _Search, end: _End) -> str:
    """How much lower the deviance is where the search would have ended with more iterations.

    Far from the optimum no model of the criterion at one point says so.
    """
    onward = _Search(search.system, search.criterion.reml, Control())
    if not search.criterion.is_quick:
        onward.criterion.take_general()
    found = _descend(onward, end.theta)
    known = found.optimal and found.decrement <= 1e-8
    gain = max(end.deviance - found.deviance, search.noise(end.deviance))
    return f"{'about' if known else 'at least'} {gain:.2g}"


def units_of(cp: CrossProducts) -> tuple[Array, ...]:
    """Root mean squares of the covariates of each term, (k,): Lambda times them has no unit."""
    squares = [np.einsum("jkk->k", own) / max(cp.n, 1) for own in cp.own]
    return tuple(np.sqrt(np.where(square > 0.0, square, 1.0)) for square in squares)


def _newton_step(grad: Array, hessian: Array) -> tuple[Array, float]:
    """``-H^-1 g`` with H made positive definite by the size of its eigenvalues, and g'H^-1 g.

    The coordinates are scaled by H's diagonal first: a slope in milliseconds is as good as one in
    days.
    """
    size = np.sqrt(np.abs(np.diag(hessian)))
    size[size == 0.0] = 1.0
    values, vectors = np.linalg.eigh(hessian / np.outer(size, size))
    floor = 1e-6 * max(float(np.max(np.abs(values))), 1e-300)
    values = np.maximum(np.abs(values), floor)
    rotated = vectors.T @ (grad / size)
    step = -(vectors @ (rotated / values)) / size
    return step, float(np.sum(rotated**2 / values))


def _snap_to_zero(search: _Search, theta: Array, deviance: float) -> Array | None:
    """Return theta with effects of nearly no variance at zero, where the deviance does not mind.

    First all of an effect's row of Lambda, then what the effects before it leave of it, the
    diagonal element alone.
    """
    size = np.abs(theta) * covpar.pack([np.tile(u[:, None], len(u)) for u in search.units])
    limit = NEAR_ZERO * max(1.0, float(np.max(size, initial=0.0)))
    snapped = None
    for where in effects(search.ks):
        trial = (theta if snapped is None else snapped).copy()
        if not np.any(trial[where]) or np.linalg.norm(size[where]) >= limit:
            continue
        trial[where] = 0.0
        if search.at(trial)[1] <= deviance + search.noise(deviance):
            snapped = trial
    return snapped


def effects(ks: Sequence[int]) -> list[IntArray]:
    """Return places in theta: each effect's row of Lambda, then each diagonal element."""
    rows, diagonals, at = [], [], 0
    for k in ks:
        row, col = covpar.triangle(k)
        rows += [at + np.flatnonzero(row == a) for a in range(k)]
        diagonals += [at + np.flatnonzero((row == a) & (col == a)) for a in range(k)]
        at += len(row)
    return rows + diagonals


def _leave_boundary(search: _Search, theta: Array) -> Array:
    """Return a start from which all that wants to be positive can be reached without a restart.

    Newton steps would keep a zero at zero, and crawl along the ridge that it makes.
    """
    if all(np.all(np.diag(lam) != 0.0) for lam in covpar.unpack(theta, search.ks)):
        return theta
    for _ in range(sum(search.ks)):
        inside = _step_inside(search, *search.at(theta))
        if inside is None:
            break
        theta = inside
    return theta


def _step_inside(search: _Search, point: Point, deviance: float) -> Array | None:
    """Return a better theta inside, if the point is on the boundary and not optimal there.

    At an optimum D is positive semidefinite in all directions: zero where there is variance (as
    far as that is free to change as the factor's triangle is), not negative where there is none.
    """
    lams = point.lams
    near = [
        bool(np.any(np.abs(np.diag(lam)) * units < NEAR_BOUNDARY))
        for lam, units in zip(lams, search.units, strict=True)
    ]
    if not np.isfinite(deviance) or not any(near):
        return None
    slopes = point.covariance_slopes()
    for t in np.flatnonzero(near):
        lam, units = lams[t], search.units[t]
        values, directions = np.linalg.eigh(slopes[t] / np.outer(units, units))
        if values[0] >= -NO_SLOPE * np.max(np.abs(values)):
            continue
        direction = directions[:, 0] / units
        best, found = deviance - 10 * search.noise(deviance), None
        for size in 10.0 ** np.arange(2.0, -9.0, -1.0):
            trial = list(lams)
            trial[t] = covpar.factor_of(lam @ lam.T + size * np.outer(direction, direction))
            packed = covpar.pack(trial)
            value = search.at(packed)[1]
            if value < best:
                best, found = value, packed
            elif found is not None:
                break
        if found is not None:
            return found
    return None
