"""Minimising the profiled deviances of many responses to one design.

The same search as `newton`, with the same rules and limits, run for all replicates at once: each
has its own theta, step length, zeros and restarts; those that end singular are searched again from
other starts. Terms that share their levels (one term, or ``||``) go through the kernels of
`by_levels`; other models are optimised one after the other.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from merextras.engine.kernels.blocks import Array, IntArray
from merextras.engine.optimum.criterion import Criterion, difference_steps, sizes_of
from merextras.engine.optimum.newton import (
    FORESEEN,
    NEAR_BOUNDARY,
    NEAR_ZERO,
    NOISE,
    PATIENCE,
    SHORT,
    SLOW,
    minimise,
)
from merextras.engine.optimum.step import newton_steps
from merextras.engine.optimum.summary import Control
from merextras.engine.replicates import by_levels, elsewhere
from merextras.engine.replicates.fits import ManyFits
from merextras.engine.replicates.problem import Point, Problem
from merextras.engine.replicates.responses import Responses
from merextras.engine.replicates.whole import WholeProblem

BoolArray = NDArray[np.bool_]

# Numbers in an array of (replicates, levels, k, k): 8 MB.
_BLOCK = 1 << 20
# The most numbers that the products of X within the levels may take: 256 MB.
_MOST_PRODUCTS = 1 << 25
# The most random effects for which a dense matrix a replicate is faster than sparse eliminations.
_MOST_EFFECTS = 128


def minimise_many(
    criterion: Criterion,
    responses: Responses,
    theta: Array,
    *,
    control: Control | None = None,
    progress: Callable[[int], object] | None = None,
) -> ManyFits:
    """Find the optimum for each of many responses, all from the same starting theta.

    Parameters
    ----------
    criterion : Criterion
        The model; its own response does not matter.
    responses : Responses
    theta : (n_theta,) array
        In the coordinates of the design's cross-products; inside the bounds, or it is moved there
        as `minimise` does.
    control : Control, optional
    progress : callable, optional
        Called with the number of replicates done since the last call.

    Notes
    -----
    Some six iterations, each for terms that share their levels of O(k**2 p**2 + k**4) operations a
    replicate and level, for up to 128 random effects in all of O(q**3) a replicate, as products
    of matrices in blocks that bound memory. Otherwise the cost of `minimise` a replicate.
    """
    control = Control() if control is None else control
    size, make = _kernel(criterion)
    found = []
    for start in range(0, len(responses), size):
        part = responses.take(slice(start, start + size))
        if make is None:
            found.append(_alone(criterion, part, theta, control))
        else:
            fits = _together(make(part), part, theta, control)
            foresee = partial(_foreseen, make, part, control, size)
            again = partial(_some, make, part, control, size)
            elsewhere.keep_lower(fits, criterion, foresee, again)
            found.append(fits)
        if progress is not None:
            progress(len(part))
    every = stacked(found, len(theta), criterion.system.cp.p)
    return replace(every, theta=criterion.to_user(every.theta))


def _kernel(criterion: Criterion) -> tuple[int, Callable[[Responses], Problem] | None]:
    """Choose how to evaluate deviances, and the size of a block of replicates."""
    system = criterion.system
    cp = system.cp
    if not cp.shapes:
        return 1, None
    joint, p2 = by_levels.joint_blocks(system), max(cp.p, 1) ** 2
    if joint is not None and joint[0].size * p2 <= _MOST_PRODUCTS:
        size = max(1, _BLOCK // max(joint[0].size, p2))
        return size, lambda part: by_levels.LevelProblem(criterion, joint, part)
    q = sum(levels * k for levels, k in cp.shapes)
    if q <= _MOST_EFFECTS:
        size = max(1, _BLOCK // max(q * q, q * cp.p, p2))
        return size, lambda part: WholeProblem(criterion, part)
    return 1, None


def stacked(found: list[ManyFits], n_theta: int, p: int) -> ManyFits:
    """Fits of n_theta and p parameters one after the other."""
    none = ManyFits(
        np.empty((0, n_theta)), np.empty(0), np.empty((0, p)), np.empty(0), np.empty(0, dtype=bool),
        np.empty(0, dtype=bool),
    )  # fmt: skip
    parts = found or [none]
    return ManyFits(
        *(
            np.concatenate([getattr(f, name) for f in parts])
            for name in ("theta", "deviance", "beta", "sigma2", "converged", "singular")
        )
    )


def _alone(criterion: Criterion, responses: Responses, theta: Array, control: Control) -> ManyFits:
    one = criterion.on(responses.system(criterion.system, 0))
    solution, summary = minimise(one, theta, control=control)
    end = one.reached(solution).theta[None]
    return ManyFits(
        end,
        np.array([summary.deviance]),
        solution.beta[None],
        np.array([solution.sigma2]),
        np.array([summary.converged]),
        criterion.covariances.is_singular(end),
    )


def _together(problem: Problem, responses: Responses, theta: Array, control: Control) -> ManyFits:
    found, converged = search(problem, theta, control)
    basis = problem.cp.basis
    scale, none = problem.cp.scale, np.full(len(found.pwrss), np.nan)
    sigma2 = scale.sigma2(found.pwrss, problem.df) if problem.df > 0 else none
    beta = responses.offset.T + found.beta @ basis.transform.T
    singular = problem.covariances.is_singular(found.theta)
    return ManyFits(found.theta, found.deviance, beta, sigma2, converged, singular)


def _some(
    make: Callable[[Responses], Problem],
    responses: Responses,
    control: Control,
    size: int,
    which: IntArray,
    thetas: Array,
) -> ManyFits:
    """The fits of some responses, each from a theta of its own, in blocks of a size."""
    found = []
    for at in range(0, len(which), size):
        part = responses.take(which[at : at + size])
        found.append(_together(make(part), part, thetas[at : at + size], control))
    return stacked(found, thetas.shape[1], responses.xy.shape[0])


def _foreseen(
    make: Callable[[Responses], Problem],
    responses: Responses,
    control: Control,
    size: int,
    which: IntArray,
    thetas: Array,
) -> tuple[Array, Array]:
    """Short searches of some responses, each from a theta of its own, in blocks of a size."""
    left, deviance = [], []
    for at in range(0, len(which), size):
        part = responses.take(which[at : at + size])
        found = foresee(make(part), thetas[at : at + size], control)
        left.append(found[0])
        deviance.append(found[1])
    return np.concatenate(left), np.concatenate(deviance)


def search(problem: Problem, theta: Array, control: Control) -> tuple[Point, BoolArray]:
    """Minimise the deviances of a block from one theta, or one each.

    Returns where each is, and whether at its optimum.
    """
    state = _Search(problem, control)
    converged = state.run(theta)
    return state.found, converged


def foresee(problem: Problem, theta: Array, control: Control) -> tuple[Array, Array]:
    """Short searches from one theta each: where they were left, the deviances of their ends."""
    return _Search(problem, control).foresee(theta)


class _Search:
    """The state of a block's minimisation: where each replicate is, what it may still gain."""

    def __init__(self, problem: Problem, control: Control) -> None:
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
            enough = before - 1e-4 * length[trying] * decrement[trying] + self.noise(before)
            better = np.isfinite(trial.deviance) & (trial.deviance <= enough)
            self.found.put(which[trying[better]], trial.take(np.flatnonzero(better)))
            trying = trying[~better]
            length[trying] *= np.where(length[trying] > 1e-2, 0.5, 0.1)
            given_up = trying[length[trying] <= 1e-10]
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
        for size in 10.0 ** np.arange(2.0, -9.0, -1.0):
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
