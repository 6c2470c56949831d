"""Variances at zero and correlations at their bounds: parameters put there, and taken off.

The deviance is even in every column of Lambda, so that a zero is stationary whether it is optimal
or not; the derivative in the covariance itself (`gradient.deviance_slopes`) tells.
"""

from __future__ import annotations

import numpy as np

from merextras.engine.kernels.blocks import Array
from merextras.engine.optimum import line
from merextras.engine.optimum.criterion import Criterion, Point
from merextras.engine.optimum.unbounded import relative_sizes

# Relative standard deviations below this are tried at exactly zero.
NEAR_ZERO = 1e-4
# Below this the search may have stopped at zero's own stationary point, which need not be optimal.
NEAR_BOUNDARY = 1e-3
# A decrease of the deviance that counts as one, relative to its size: some hundred roundings.
NOISE = 1e-13


class Evaluations:
    """The criterion with the last point that was asked for, and a count of all."""

    def __init__(self, criterion: Criterion) -> None:
        self.criterion, self.parameters = criterion, criterion.parameters
        self.n_evaluations = 0
        self.last: tuple[Point, float] | None = None

    def at(self, theta: Array) -> tuple[Point, float]:
        """The point and the deviance at a theta; the last one asked for is kept."""
        if self.last is not None and bool((self.last[0].theta == theta).all()):
            return self.last
        self.n_evaluations += 1
        # A step into numbers too large gives no finite deviance and is rejected for that.
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            point = self.criterion.at(theta.copy())
            self.last = (point, point.value())
        return self.last

    def noise(self, deviance: float) -> float:
        """A change of the deviance that rounding can make."""
        return NOISE * (abs(deviance) + self.criterion.system.cp.n)

    def value(self, theta: Array) -> float:
        """The deviance at a theta."""
        return self.at(theta)[1]


def snapped_to_zero(search: Evaluations, theta: Array, deviance: float) -> Array | None:
    """Return theta with effects of nearly no variance at zero, where the deviance does not mind.

    First all of an effect's row of Lambda, then what the effects before it leave of it, the
    diagonal element alone.
    """
    size = relative_sizes(search.criterion, theta)
    limit = NEAR_ZERO * max(1.0, float(np.max(size, initial=0.0)))
    snapped = None
    if not (size < limit).any():
        return snapped
    for where in search.parameters.zero_groups():
        trial = (theta if snapped is None else snapped).copy()
        if not np.any(trial[where]) or np.linalg.norm(size[where]) >= limit:
            continue
        trial[where] = 0.0
        if search.at(trial)[1] <= deviance + search.noise(deviance):
            snapped = trial
    return snapped


def off_the_boundary(search: Evaluations, theta: Array) -> Array:
    """Return a start with every variance off zero whose score there is positive.

    Newton steps would keep a zero at zero, and crawl along the ridge that it makes.
    """
    if not search.criterion.near_zero(theta, np.finfo(float).tiny):
        return theta
    for _ in range(search.criterion.covariances.k):
        inside = step_inside(search, *search.at(theta))
        if inside is None:
            break
        theta = inside
    return theta


def step_inside(search: Evaluations, point: Point, deviance: float) -> Array | None:
    """Return a better theta inside, if the point is on the boundary and not optimal there.

    At an optimum D is positive semidefinite in all directions: zero where there is variance (as
    far as that is free to change as the structure is), not negative where there is none.
    """
    if not np.isfinite(deviance):
        return None
    sizes = search.criterion.sizes
    for t, change in point.inward(NEAR_BOUNDARY):

        def trial(size: float, t: int = t, change: Array = change) -> tuple[Array, float]:
            many = search.parameters.grown(point.theta[None], t, change, size, sizes[t])
            theta: Array = many[0]
            return theta, search.at(theta)[1]

        found = line.grown(trial, deviance - 10 * search.noise(deviance))
        if found is not None:
            return found
    return None
