"""Minimising the profiled deviances of many responses to one design.

The search of `descent` for all replicates at once; those that end singular are searched again from
other starts. Terms that share their levels (one term, or ``||``) go through the kernels of
`by_levels`, models of few random effects through `whole`. In other models what the replicates have
in common is found once, if they are many, for a theta near which they end (`shared_part`,
`iterated`); those that do not end there, and all if they are few, are optimised one by one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np

from merextras.engine.kernels.blocks import Array, IntArray
from merextras.engine.optimum.criterion import Criterion
from merextras.engine.optimum.newton import minimise
from merextras.engine.optimum.summary import Control
from merextras.engine.replicates import by_levels, elsewhere
from merextras.engine.replicates.descent import foresee, search
from merextras.engine.replicates.fits import ManyFits
from merextras.engine.replicates.iterated import Common, IteratedProblem
from merextras.engine.replicates.problem import Deviances, Problem
from merextras.engine.replicates.responses import Responses
from merextras.engine.replicates.shared_part import shared_part
from merextras.engine.replicates.whole import WholeProblem

# Numbers in an array of (replicates, levels, k, k): 8 MB.
_BLOCK = 1 << 20
# The most numbers that the products of X within the levels may take: 256 MB.
_MOST_PRODUCTS = 1 << 25
# The most random effects for which a dense matrix a replicate is faster than sparse eliminations.
_MOST_EFFECTS = 128
# Newton steps that lead to an end near the start.
_NEAR = 15

_FIELDS = ("theta", "deviance", "beta", "sigma2", "converged", "singular")


def minimise_many(
    criterion: Criterion,
    responses: Responses,
    theta: Array,
    *,
    control: Control | None = None,
    progress: Callable[[int], object] | None = None,
    common: Common | None = None,
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
    common : Common, optional
        From `common_part` for the same theta, where these responses are some of many.

    Notes
    -----
    Some six iterations, each for terms that share their levels of O(k**2 p**2 + k**4) operations a
    replicate and level, for up to 128 random effects in all of O(q**3) a replicate, as products
    of matrices in blocks that bound memory. Otherwise the cost of `minimise` a replicate, or for
    many responses some twenty to fifty solutions with one factor for all.
    """
    control = Control() if control is None else control
    size, make = _kernel(criterion)
    if make is None and common is None:
        common = common_part(criterion, theta, len(responses))
    if make is None and common is not None:
        size = max(1, _BLOCK // len(common.equations))
    found = []
    for start in range(0, len(responses), size):
        part = responses.take(slice(start, start + size))
        if make is None and common is not None:
            found.append(_near(criterion, common, part, theta, control))
        elif make is None:
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


def common_part(criterion: Criterion, theta: Array, n_responses: int) -> Common | None:
    """What refits of many responses from one theta have in common; None where they do without."""
    if _kernel(criterion)[1] is not None or not criterion.system.cp.shapes:
        return None
    shared = shared_part(criterion, theta, n_responses)
    return None if shared is None else Common.at(criterion, shared)


def _near(
    criterion: Criterion, common: Common, responses: Responses, theta: Array, control: Control
) -> ManyFits:
    """Those that end near theta all together, the others one by one."""
    few = replace(control, max_iterations=min(control.max_iterations, _NEAR))
    found = _together(IteratedProblem(criterion, common, responses), responses, theta, few)
    for r in np.flatnonzero(~found.converged):
        one = _alone(criterion, responses.take(np.array([r])), theta, control)
        for name in _FIELDS:
            getattr(found, name)[r] = getattr(one, name)[0]
    return found


def stacked(found: list[ManyFits], n_theta: int, p: int) -> ManyFits:
    """Fits of n_theta and p parameters one after the other."""
    none = ManyFits(
        np.empty((0, n_theta)), np.empty(0), np.empty((0, p)), np.empty(0), np.empty(0, dtype=bool),
        np.empty(0, dtype=bool),
    )  # fmt: skip
    parts = found or [none]
    return ManyFits(*(np.concatenate([getattr(f, name) for f in parts]) for name in _FIELDS))


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


def _together(problem: Deviances, responses: Responses, theta: Array, control: Control) -> ManyFits:
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
