"""Newton steps of many deviances at once, each from and to a theta of its own.

The same search as `newton`, with the same rules and limits: each replicate has its own step length,
zeros and restarts.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from merextras.engine.kernels.blocks import Array, IntArray
from merextras.engine.optimum import line
from merextras.engine.optimum.criterion import difference_steps, sizes_of
from merextras.engine.optimum.newton import (
    FORESEEN,
    NEAR_BOUNDARY,
    NEAR_ZERO,
    NOISE,
    PATIENCE,
    SHORT,
    SLOW,
)
from merextras.engine.optimum.step import newton_steps
from merextras.engine.optimum.summary import Control
from merextras.engine.replicates.problem import Deviances, Point

BoolArray = NDArray[np.bool_]


def search(problem: Deviances, theta: Array, control: Control) -> tuple[Point, BoolArray]:
    """Minimise the deviances of a block from one theta, or one each.

    Returns where each is, and whether at its optimum.
    """
    state = _Search(problem, control)
    converged = state.run(theta)
    return state.found, converged


def foresee(problem: Deviances, theta: Array, control: Control) -> tuple[Array, Array]:
    """Short searches from one theta each: where they were left, the deviances of their ends."""
    return _Search(problem, control).foresee(theta)


class _Search:
    """The state of a block's minimisation: where each replicate is, what it may still gain."""

    def __init__(self, problem: Deviances, control: Control) -> None:
        self.problem, self.control, self.covariances = problem, control, problem.covariances
        self.sizes = sizes_of(problem.cp)
        self.units = self.covariances.units(self.sizes)
        self.found: Point
        self.decrement = np.full(problem.n_responses, np.inf)

    def run(self, theta: Array) -> BoolArray:
        """Minimise all deviances; return which have converged."""
        everyone = np.arange(self.problem.n_responses)
        each = np.array(np.broadcast_to(theta, (len(everyone), theta.shape[-1])))
        self.found = self.problem.at(everyone, each)
        hopeless = everyone[~np.isfinite(self.found.deviance)]
        if len(hopeless):
            unit = self.covariances.from_covariances([np.diag(s**-2.0) for s in self.sizes])
            self.found.put(hopeless, self.problem.at(hopeless, np.tile(unit, (len(hopeless), 1))))
        self.leave_boundary()
        active, unfinished = everyone, np.zeros(len(everyone), dtype=bool)
        for restart in range(self.control.max_restarts + 1):
            self.settle(active)
            active, inside = self.step_inside(active)
            if len(active) == 0:
                break
            if restart == self.control.max_restarts:
                unfinished[active] = True
                break
            self.found.put(active, inside)
        gained = self.decrement <= max(1e-8, self.control.tolerance)
        return np.asarray(np.isfinite(self.found.deviance) & gained & ~unfinished)

    def foresee(self, theta: Array) -> tuple[Array, Array]:
        """Short searches: where they were left, and the deviances that their ends will have."""
        everyone = np.arange(len(theta))
        self.found = self.problem.at(everyone, theta)
        self.newton(everyone, FORESEEN, SHORT)
        return self.found.theta, self.found.deviance - 0.5 * self.decrement

    def noise(self, deviance: Array) -> Array:
        return np.asarray(NOISE * (np.abs(deviance) + self.problem.cp.n))

    def leave_boundary(self) -> None:
        """Move those that start at a zero to where all can be reached that wants to be positive."""
        active = np.flatnonzero(self.near_zero(self.found.theta, np.finfo(float).tiny).any(axis=1))
        for _ in range(self.covariances.k):
            active, inside = self.step_inside(active)
            if len(active) == 0:
                break
            self.found.put(active, inside)

    def near_zero(self, theta: Array, limit: float) -> BoolArray:
        """Which terms' covariances are within `limit` of one that has lost rank, (m, terms)."""
        return self.covariances.near_zero(theta, self.sizes, limit)

    def settle(self, which: IntArray) -> None:
        """Iterate, put at zero what is nearly there, and iterate on the others."""
        self.newton(which)
        which = self.snap(which)
        if len(which):
            self.newton(which)
            self.snap(which)

    def newton(
        self, which: IntArray, tolerance: float | None = None, most: int | None = None
    ) -> None:
        """Iterate to stationary points."""
        tolerance = self.control.tolerance if tolerance is None else tolerance
        most = self.control.max_iterations if most is None else most
        active = which[np.isfinite(self.found.deviance[which])]
        self.decrement[active] = np.inf
        previous = np.full(len(self.decrement), np.inf)
        slow = np.zeros(len(self.decrement), dtype=int)
        for _ in range(most):
            if len(active) == 0:
                break
            point = self.found.take(active)
            gradient, hessian, _ = self.problem.local_model(active, point)
            usable = np.flatnonzero(np.all(np.isfinite(hessian), axis=(1, 2)))
            active, point = active[usable], point.take(usable)
            gradient, hessian = gradient[usable], hessian[usable]
            poor = np.flatnonzero(slow[active] >= PATIENCE)
            if len(poor):
                hessian[poor] = self.differenced(active[poor], point.theta[poor])
            step, decrement, _ = newton_steps(gradient, hessian)
            length = self.line_search(active, point, step, decrement)
            # The decrement that is left falls at least as fast as it did in this step.
            before = previous[active]
            falling = (length == 1.0) & (decrement < before) & np.isfinite(before)
            left = decrement * np.where(falling, decrement / np.where(falling, before, 1.0), 1.0)
            slow[active] = np.where(decrement > SLOW * before, slow[active] + 1, 0)
            previous[active], self.decrement[active] = decrement, left
            active = active[(left > tolerance) & (length > 0.0)]
        self.normalise(which)

    def differenced(self, which: IntArray, theta: Array) -> Array:
        """Hessians by central differences of the gradient, where the other kind crawls."""
        (m, n), steps = theta.shape, difference_steps(theta, self.units)
        out = np.empty((m, n, n))
        # Both ends of some parameters at once, no more points than there are replicates.
        size = max(1, self.problem.n_responses // (2 * m))
        for at in range(0, n, size):
            own = np.arange(at, min(at + size, n))
            ends = np.tile(theta, (2, len(own), 1, 1))
            for i, j in enumerate(own):
                ends[0, i, :, j] += steps[:, j]
                ends[1, i, :, j] -= steps[:, j]
            every = np.tile(which, 2 * len(own))
            point = self.problem.at(every, ends.reshape(-1, n))
            slopes = self.problem.local_model(every, point)[0].reshape(ends.shape)
            change = slopes[0] - slopes[1]
            out[:, own] = np.swapaxes(change, 0, 1) / (2.0 * steps[:, own, None])
        return 0.5 * (out + np.swapaxes(out, 1, 2))

    def normalise(self, which: IntArray) -> None:
        """Report the one theta of those with the same covariances."""
        self.found.theta[which] = self.covariances.canonical(self.found.theta[which])

    def line_search(self, which: IntArray, point: Point, step: Array, decrement: Array) -> Array:
        """Go along each step as far as it is an improvement; return how far."""
        length = np.ones(len(which))
        trying = np.arange(len(which))
        while len(trying):
            size = length[trying, None]
            trial = self.problem.at(which[trying], point.theta[trying] + size * step[trying])
            before = point.deviance[trying]
            enough = (
                before - line.SUFFICIENT * length[trying] * decrement[trying] + self.noise(before)
            )
            better = np.isfinite(trial.deviance) & (trial.deviance <= enough)
            self.found.put(which[trying[better]], trial.take(np.flatnonzero(better)))
            trying = trying[~better]
            length[trying] *= np.where(length[trying] > 1e-2, 0.5, 0.1)
            given_up = trying[length[trying] <= line.SHORTEST]
            length[given_up] = 0.0
            trying = trying[length[trying] > 0.0]
        return length

    def snap(self, which: IntArray) -> IntArray:
        """Put effects of nearly no variance at zero where the deviance does not mind.

        Returns the replicates that were changed.
        """
        reference = self.found.deviance[which]
        size = self.covariances.amounts(self.found.theta[which], self.units)
        limit = NEAR_ZERO * np.maximum(1.0, np.max(size, axis=1, initial=0.0))
        changed = np.zeros(len(which), dtype=bool)
        for where in self.covariances.zero_groups():
            theta = self.found.theta[which]
            near = np.linalg.norm(size[:, where], axis=1) < limit
            trying = np.flatnonzero(np.any(theta[:, where], axis=1) & near)
            if len(trying) == 0:
                continue
            theta[np.ix_(trying, where)] = 0.0
            trial = self.problem.at(which[trying], theta[trying])
            good = trial.deviance <= reference[trying] + self.noise(reference[trying])
            self.found.put(which[trying[good]], trial.take(np.flatnonzero(good)))
            changed[trying[good]] = True
        return which[changed]

    def step_inside(self, which: IntArray) -> tuple[IntArray, Point]:
        """Find better points inside for those on the boundary that are not optimal there.

        See `newton`: at an optimum D is positive semidefinite, term by term.
        """
        best = self.found.take(which)
        near = self.near_zero(best.theta, NEAR_BOUNDARY)
        kept = np.flatnonzero(np.any(near, axis=1) & np.isfinite(best.deviance))
        which, best, near = which[kept], best.take(kept), near[kept]
        improved = np.zeros(len(which), dtype=bool)
        if len(which) == 0:
            return which, best
        slopes, cov = self.problem.local_model(which, best)[2], self.covariances
        for t, (structure, at, span) in enumerate(
            zip(cov.structures, cov.parts, cov.spans, strict=True)
        ):
            own = best.theta[:, at], slopes[:, span, span], self.sizes[t]
            change, down = structure.inward(*own)
            trying = np.flatnonzero(near[:, t] & down & ~improved)
            improved[self.line_inside(which, best, trying, t, change)] = True
        return which[improved], best.take(np.flatnonzero(improved))

    def line_inside(
        self, which: IntArray, best: Point, trying: IntArray, t: int, change: Array
    ) -> IntArray:
        """Add variance in one direction, of the size that lowers the deviance most."""
        limit = best.deviance - 10.0 * self.noise(best.deviance)
        theta = best.theta.copy()
        found = np.zeros(len(which), dtype=bool)
        for size in line.GROWTHS:
            if len(trying) == 0:
                break
            own = theta[trying], t, change[trying], size, self.sizes[t]
            inside = self.covariances.grown(*own)
            trial = self.problem.at(which[trying], inside)
            better = trial.deviance < limit[trying]
            best.put(trying[better], trial.take(np.flatnonzero(better)))
            limit[trying[better]] = trial.deviance[better]
            stop = ~better & found[trying]
            found[trying[better]] = True
            trying = trying[~stop]
        return np.flatnonzero(found)
