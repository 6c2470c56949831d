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
from dataclasses import dataclass

import numpy as np

from merextras.engine.covariance import covpar
from merextras.engine.elimination.plan import System
from merextras.engine.kernels.blocks import Array, IntArray
from merextras.engine.optimum import restarts
from merextras.engine.optimum.criterion import Criterion, Point, local_model
from merextras.engine.optimum.summary import Control, Iteration, OptSummary
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
# A decrease of the deviance that counts as one, relative to its size: some hundred roundings.
NOISE = 1e-13
# Relative standard deviations at which the residual variance has no digit left, and few.
FAR, FEW_DIGITS = 1e7, 1e5
# One from which on a rise of less than this of the deviance, if it grows tenfold, is none.
LARGE, LITTLE = 1e3, 1e-3
# An eigenvalue of the Hessian that may be zero but for rounding, relative to the largest.
FLAT = 1e-5
# Searches that only foresee where they would end: their decrement and iterations.
_FORESEEN, _SHORT = 1e-3, 20


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


class _Search:
    """The state of one minimisation: where it is, what it cost, its log."""

    def __init__(self, system: System, reml: bool, control: Control) -> None:
        self.system, self.control = system, control
        self.criterion = Criterion(system, reml=reml)
        self.ks = self.criterion.ks
        self.units = units_of(system.cp)
        self.unit_of_theta = covpar.pack([np.tile(u[:, None], len(u)) for u in self.units])
        self.n_evaluations, self.flatness = 0, 1.0
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

    def relative_size(self, theta: Array) -> float:
        """The largest relative standard deviation, of a covariate of size one."""
        return float(np.max(np.abs(theta) * self.unit_of_theta, initial=0.0))

    def newton(
        self, theta: Array, tolerance: float | None = None, most: int | None = None
    ) -> tuple[Array, Point, float, float]:
        """Iterate to a stationary point: (theta, point, deviance, decrement)."""
        tolerance = self.control.tolerance if tolerance is None else tolerance
        most = self.control.max_iterations if most is None else most
        point, deviance = self.at(theta)
        decrement, previous, slow = np.inf if self.ks else 0.0, np.inf, 0
        for _ in range(most if self.ks and np.isfinite(deviance) else 0):
            grad, hessian = local_model(point, self.units)
            if not np.all(np.isfinite(hessian)) or self.relative_size(theta) > FAR:
                break
            if slow >= PATIENCE:
                hessian = self._differenced(theta)
            step, decrement, self.flatness = _newton_step(grad, hessian)
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
            if left <= tolerance or length == 0.0:
                break
        if np.any(theta != covpar.normalise(theta, self.ks)):
            theta = covpar.normalise(theta, self.ks)
            point, deviance = self.at(theta)
        return theta, point, deviance, decrement

    def foresee(self, theta: Array) -> tuple[Array, float]:
        """A short search: where it was left, and the deviance that its end will have."""
        theta, _, deviance, decrement = self.newton(theta, _FORESEEN, _SHORT)
        return theta, deviance - 0.5 * decrement

    def _differenced(self, theta: Array) -> Array:
        """The Hessian by central differences of the gradient, 2 n_theta gradients.

        The average information is far from it where the random effects have a mean that the fixed
        part leaves out; Newton steps with it then crawl.
        """
        steps = 1e-4 * np.maximum(np.abs(theta), 0.1 / self.unit_of_theta)
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

    Cost: one factorisation, one selected inverse and n_theta columns an iteration, of which a
    well-started model needs about five.
    """
    control = Control() if control is None else control
    search = _Search(system, reml, control)
    initial, initial_deviance = theta, search.at(theta)[1]
    if not np.isfinite(initial_deviance):
        theta = covpar.pack([np.diag(1.0 / units) for units in search.units])
    end, n_ends, regular = _lowest(search, theta)
    solution = search.criterion.solution(end.point)
    if search.lost_digits(end, solution):
        search.criterion.take_general()
        search.last = None
        end = _descend(search, end.theta)
        solution = search.criterion.solution(end.point)
    theta, deviance, decrement = end.theta, end.deviance, end.decrement
    finite, unbounded = bool(np.isfinite(deviance)), _is_unbounded(search, end)
    grad = covpar.pack(end.point.factor_slopes()) if finite else np.full_like(theta, np.nan)
    gained = decrement <= max(1e-8, control.tolerance)
    converged = finite and end.optimal and gained and not unbounded
    summary = OptSummary(
        tuple(initial.tolist()), tuple(theta.tolist()), initial_deviance, deviance,
        tuple(grad.tolist()), float(decrement), search.n_evaluations, len(end.log),
        end.restarts, converged, _message(converged, unbounded, end, n_ends), end.log,
        n_ends, unbounded, regular,
    )  # fmt: skip
    return solution, summary


def _lowest(search: _Search, theta: Array) -> tuple[_End, int, bool]:
    """The end of a search, where it may not be the only one the lowest, and whether it was."""
    end = _descend(search, theta)
    if not search.ks or not _is_doubtful(search, end):
        return end, 1, search.flatness > FLAT
    q = sum(levels * k for levels, k in search.system.cp.shapes)
    others = restarts.starts(end.theta, search.units, q)
    if _is_unbounded(search, end):
        return end, 1, False
    end, n_ends = restarts.lowest(
        end, others, search.foresee, lambda start: _descend(search, start),
        lambda found: _is_unbounded(search, found),
    )  # fmt: skip
    return end, n_ends, False


def _is_doubtful(search: _Search, end: _End) -> bool:
    """Whether the end is singular, or the way to it such that others may have led elsewhere."""
    size = np.abs(end.theta) * search.unit_of_theta
    singular = bool(np.any(size[covpar.lower_bounds(search.ks) == 0.0] < NEAR_BOUNDARY))
    short = any(iteration.step < restarts.SHORT_STEP for iteration in search.log)
    return singular or short or len(search.log) > restarts.LONG_WAY


def _is_unbounded(search: _Search, end: _End) -> bool:
    """Whether the criterion does not rise as what is large of the random effects grows further."""
    size = np.abs(end.theta) * search.unit_of_theta
    largest = np.max(size, initial=0.0)
    unsettled = end.decrement > 1e-8 and largest > FEW_DIGITS
    if end.deviance == -np.inf or largest > FAR or unsettled:
        return True
    large = size > LARGE
    if not np.isfinite(end.deviance) or not np.any(large):
        return False
    _, deviance = search.at(np.where(large, 10.0 * end.theta, end.theta))
    return bool(deviance <= end.deviance + LITTLE)


def _descend(search: _Search, theta: Array) -> _End:
    """Iterate to a stationary point, and on from there while it lies on a boundary for nothing."""
    began = len(search.log)
    theta, restarts = _leave_boundary(search, theta), 0
    while True:
        theta, point, deviance, decrement = search.settle(theta)
        inside = _step_inside(search, point, deviance)
        if inside is None or restarts == search.control.max_restarts:
            log = tuple(search.log[began:])
            return _End(theta, point, deviance, decrement, inside is None, restarts, log)
        theta, restarts = inside, restarts + 1


def _message(converged: bool, unbounded: bool, end: _End, n_ends: int) -> str:
    if not np.isfinite(end.deviance) and end.decrement == np.inf:
        return f"not converged: the deviance at the start is {end.deviance}"
    if unbounded:
        return (
            "not converged: the likelihood has no maximum, it is unbounded or flat as the residual "
            "variance goes to zero; the random effects can explain the response exactly, and the "
            "model has too many of them for these data"
        )
    if not converged:
        return f"not converged: the deviance could still fall by about {end.decrement / 2:.2g}"
    restarted = f" after {end.restarts} restart(s) from a boundary" if end.restarts else ""
    among = f"; the lowest of {n_ends} ends" if n_ends > 1 else ""
    return f"converged{restarted}{among}"


def units_of(cp: CrossProducts) -> tuple[Array, ...]:
    """Root mean squares of the covariates of each term, (k,): Lambda times them has no unit."""
    squares = [np.einsum("jkk->k", own) / max(cp.n, 1) for own in cp.own]
    return tuple(np.sqrt(np.where(square > 0.0, square, 1.0)) for square in squares)


def _newton_step(grad: Array, hessian: Array) -> tuple[Array, float, float]:
    """``-H^-1 g`` with H made positive definite by the size of its eigenvalues, and g'H^-1 g.

    The third value is the smallest eigenvalue over the largest. The coordinates are scaled by H's
    diagonal first: a slope in milliseconds is as good as one in days.
    """
    size = np.sqrt(np.abs(np.diag(hessian)))
    size[size == 0.0] = 1.0
    with np.errstate(over="ignore", invalid="ignore"):
        scaled = hessian / np.outer(size, size)
    if not np.all(np.isfinite(scaled)) or not np.all(np.isfinite(grad)):
        return np.zeros_like(grad), np.inf, 0.0
    values, vectors = np.linalg.eigh(scaled)
    largest = max(float(np.max(np.abs(values))), 1e-300)
    flatness = float(np.min(np.abs(values))) / largest
    values = np.maximum(np.abs(values), 1e-6 * largest)
    rotated = vectors.T @ (grad / size)
    step = -(vectors @ (rotated / values)) / size
    return step, float(np.sum(rotated**2 / values)), flatness


def _snap_to_zero(search: _Search, theta: Array, deviance: float) -> Array | None:
    """Return theta with effects of nearly no variance at zero, where the deviance does not mind.

    First all of an effect's row of Lambda, then what the effects before it leave of it, the
    diagonal element alone.
    """
    size = np.abs(theta) * search.unit_of_theta
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
