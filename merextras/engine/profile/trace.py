"""Following the minima along a parameter, from the optimum to a given rise of the deviance.

The steps lead to given values of ``zeta = sign sqrt(deviance - its minimum)``. Each start is
extrapolated from the points before it; since the minimum and its derivative are both known at each
point (the envelope theorem), few points determine the curve.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from merextras.engine.kernels.blocks import Array
from merextras.engine.kernels.cubic import cubic
from merextras.engine.profile.constrained import Reached

# The last point lies beyond the rise asked for by this much, so that nothing is extrapolated.
_BEYOND = 1.001
# A goal that was missed by less than this is not tried again.
_CLOSE = 0.1
# Points that the next one's other coordinates are extrapolated from.
_LINE = 4
_MAX_POINTS = 60
_MAX_RETRIES = 4
# A step may be this many times the one before it.
_GROWTH = 4.0
# How far below the optimum a deviance may come out by its own tolerance.
_SAME = 1e-5


@dataclass(frozen=True)
class Range:
    """Where u may go.

    Attributes
    ----------
    low, high : float
        The boundary of the parameter space; infinite where there is none.
    first : float
        The largest first step.
    ceiling : float
        Upper bound of the profile deviance's rise, reached by the best model in which the
        parameter drops out.
    """

    low: float
    high: float
    first: float
    ceiling: float = np.inf


@dataclass(frozen=True)
class Side:
    """The points on one side of the optimum, going outward, and how it ended.

    Attributes
    ----------
    points : list of Reached
    status : str
        ``reached`` the rise that was asked for; at the ``bound``; past the ``ceiling``; ``short``
        of the rise after as many points as are tried; ``lost``: the minimisation at the last point
        did not converge; ``lower``: the last point is a better optimum than the one given.
    """

    points: list[Reached]
    status: str


class Followed(Protocol):
    """What has a minimum at each value of a parameter."""

    curvature_correction: Any

    def minimum(self, u: float, z: Array) -> Reached:
        """The least deviance with the parameter at u, from other coordinates z."""
        ...


@dataclass
class Tracer:
    """One parameter's path.

    Attributes
    ----------
    problem : Followed
    start : Reached
        At the optimum.
    span : Range
    goals : tuple of float
        Values of zeta to have a point near to, ascending; the last is reached if it can be.
    """

    problem: Followed
    start: Reached
    span: Range
    goals: tuple[float, ...]
    known: list[Reached] = field(default_factory=list)

    def side(self, sign: float) -> Side:
        """Go down (-1) or up (+1)."""
        bound = self.span.low if sign < 0 else self.span.high
        self.problem.curvature_correction = 0.0
        points: list[Reached] = []
        here, zeta, rate = self.start, 0.0, np.sqrt(max(self.start.curvature, 0.0) / 2.0)
        ahead = self._first(rate)
        while here.u != bound and len(points) < _MAX_POINTS:
            new = self._next(here, points, bound, sign * ahead)
            points.append(new)
            gap = new.deviance - self.start.deviance
            if not new.converged or gap < -_SAME:
                return Side(points, "lost" if not new.converged else "lower")
            length, before = abs(new.u - here.u), (zeta, rate)
            here, zeta = new, np.sqrt(max(gap, 0.0))
            rate = sign * new.slope / (2.0 * zeta) if zeta > 0.0 else 0.0
            if zeta >= self.goals[-1]:
                return Side(points, "reached")
            if gap > self.span.ceiling + _SAME:
                return Side(points, "ceiling")
            ahead = self._ahead(zeta, rate, length, before)
        return Side(points, "bound" if here.u == bound else "short")

    def _next(self, here: Reached, points: list[Reached], bound: float, step: float) -> Reached:
        """The point a step further, or nearer if its minimum is not found."""
        for _ in range(_MAX_RETRIES):
            past = abs(bound - here.u) <= abs(step) * (1.0 + 1e-9)
            u = bound if past else here.u + step
            new = self.problem.minimum(u, self._guess(u, points))
            if new.converged:
                break
            self.problem.curvature_correction = 0.0
            step = 0.2 * (u - here.u)
        return new

    def _first(self, rate: float) -> float:
        return min(self.goals[0] / rate, self.span.first) if rate > 0.0 else self.span.first

    def _ahead(self, zeta: float, rate: float, length: float, before: tuple[float, float]) -> float:
        """The step to the next goal, by a cubic through the last two points, or a straight line."""
        *between, end = self.goals
        goals = [goal for goal in between if goal > zeta + _CLOSE]
        rise = (goals[0] if goals else end * _BEYOND) - zeta
        if rate <= 0.0:
            return _GROWTH * length
        straight = ahead = rise / rate
        span = zeta - before[0]
        if span > 0.0 and before[1] > 0.0:
            slopes = span / before[1], span / rate
            ahead = cubic(1.0 + rise / span, (-length, 0.0), slopes)
        if not 0.5 * straight < ahead < 2.0 * straight:
            ahead = straight
        return float(min(ahead, _GROWTH * length))

    def _guess(self, u: float, points: list[Reached]) -> Array:
        """Extrapolate from the last points; the first from the optimum's tangent."""
        line = [*reversed(self.known), self.start, *points][-_LINE:]
        if len(line) == 1:
            return np.asarray(self.start.z + self.start.tangent * (u - self.start.u))
        return through(line, u)


def through(points: Sequence[Reached], u: float) -> Array:
    """The other coordinates at u by the polynomial through some points (Lagrange's)."""
    out = np.zeros_like(points[0].z)
    for i, point in enumerate(points):
        others = [q.u for j, q in enumerate(points) if j != i]
        out += point.z * np.prod([(u - v) / (point.u - v) for v in others])
    return out


def trace(
    problem: Followed, start: Reached, span: Range, goals: tuple[float, ...]
) -> tuple[Side, Side]:
    """Both sides of a parameter's profile, the lower and the upper.

    Cost: for each goal a minimisation a side, of two or three factorisations.
    """
    tracer = Tracer(problem, start, span, goals)
    upper = tracer.side(1.0)
    tracer.known = upper.points[:3]
    return tracer.side(-1.0), upper
