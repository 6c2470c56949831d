"""Newton steps of many deviances at once, each from and to a theta of its own.

The same search as `newton`, with the same rules and limits: each replicate has its own step length,
zeros and restarts.
"""

from __future__ import annotations

from typing import Generic

import numpy as np
from numpy.typing import NDArray

from merextras.engine.kernels.blocks import Array, IntArray
from merextras.engine.optimum import line
from merextras.engine.optimum.boundary import NEAR_BOUNDARY, NEAR_ZERO
from merextras.engine.optimum.newton import FORESEEN, PATIENCE, SHORT, SLOW
from merextras.engine.optimum.step import newton_steps
from merextras.engine.optimum.summary import Control
from merextras.engine.replicates.searched import Replicates, S, differenced

BoolArray = NDArray[np.bool_]


def search(problem: Replicates[S], theta: Array, control: Control) -> tuple[S, BoolArray]:
    """Minimise the deviances of a block from one theta, or one each.

    Returns where each is, and whether at its optimum.
    """
    state = _Search(problem, control)
    converged = state.run(theta)
    return state.found, converged


def foresee(problem: Replicates[S], theta: Array, control: Control) -> tuple[Array, Array]:
    """Short searches from one theta each: where they were left, the deviances of their ends."""
    return _Search(problem, control).foresee(theta)


class _Search(Generic[S]):
    """The state of a block's minimisation: where each replicate is, what it may still gain."""

    def __init__(self, problem: Replicates[S], control: Control) -> None:
        self.problem, self.control, self.covariances = problem, control, problem.covariances
        self.sizes = problem.sizes
        self.units = self.covariances.units(self.sizes)
        self.found: S
        self.decrement = np.full(problem.n_responses, np.inf)

    def run(self, theta: Array) -> BoolArray:
        """Minimise all deviances; return which have converged."""
        everyone = np.arange(self.problem.n_responses)
        each = np.array(np.broadcast_to(theta, (len(everyone), theta.shape[-1])))
        self.found = self.problem.at(everyone, each)
        hopeless = everyone[~np.isfinite(self.found.deviance)]
        plain = self.problem.plain_start() if len(hopeless) else None
        if plain is not None:
            self.found.put(hopeless, self.problem.at(hopeless, np.tile(plain, (len(hopeless), 1))))
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
        gained = self.decrement <= max(self.problem.enough, self.control.tolerance)
        return np.asarray(np.isfinite(self.found.deviance) & gained & ~unfinished)

    def foresee(self, theta: Array) -> tuple[Array, Array]:
        """Short searches: where they were left, and the deviances that their ends will have."""
        everyone = np.arange(len(theta))
        self.found = self.problem.at(everyone, theta)
        self.newton(everyone, FORESEEN, SHORT)
        return self.found.theta, self.found.deviance - 0.5 * self.decrement

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
                hessian[poor] = differenced(self.problem, active[poor], point.theta[poor])
                self.problem.learn(active[poor], hessian[poor])
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

    def normalise(self, which: IntArray) -> None:
        """Report the one theta of those with the same covariances."""
        self.found.theta[which] = self.problem.canonical(self.found.theta[which])

    def line_search(self, which: IntArray, point: S, step: Array, decrement: Array) -> Array:
        """Go along each step as far as it is an improvement; return how far."""
        length = self.problem.longest(point.theta, step)
        trying = np.arange(len(which))
        while len(trying):
            size = length[trying, None]
            trial = self.problem.at(which[trying], point.theta[trying] + size * step[trying])
            before = point.deviance[trying]
            enough = (
                before
                - line.SUFFICIENT * length[trying] * decrement[trying]
                + self.problem.noise(before)
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
        size = self.covariances.amounts(self.found.theta[which, : self.covariances.n], self.units)
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
            good = trial.deviance <= reference[trying] + self.problem.noise(reference[trying])
            self.found.put(which[trying[good]], trial.take(np.flatnonzero(good)))
            changed[trying[good]] = True
        return which[changed]

    def step_inside(self, which: IntArray) -> tuple[IntArray, S]:
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
        self, which: IntArray, best: S, trying: IntArray, t: int, change: Array
    ) -> IntArray:
        """Add variance in one direction, of the size that lowers the deviance most."""
        limit = best.deviance - 10.0 * self.problem.noise(best.deviance)
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
