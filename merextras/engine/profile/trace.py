"""Following the minima along a parameter, from the optimum to a given rise of the deviance.

The steps lead to given values of ``zeta = sign sqrt(deviance - its minimum)``. Each start is
extrapolated from the points before it; since the minimum and its derivative are both known at each
point (the envelope theorem), few points determine the curve.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np

from merextras.engine.kernels.blocks import Array
from merextras.engine.kernels.cubic import cubic
from merextras.engine.profile.constrained import Reached
from merextras.engine.profile.lowest import Lowest, is_broken, zeta_of

# The last point lies beyond the rise asked for by this much, so that nothing is extrapolated.
_BEYOND = 1.001
# A goal that was missed by less than this is not tried again.
_CLOSE = 0.1
# Points that the next one's other coordinates are extrapolated from.
_LINE = 4
_MAX_POINTS = 60
_MAX_RETRIES = 4
# How often what is between two points is halved where their curve is not continuous.
_HALVINGS = 5
# Ends of intervals at which other minima are searched for from all starts, from the last.
_SEARCHED = 2
# A step may be this many times the one before it.
_GROWTH = 4.0
# How far below the optimum a deviance may come out by its own tolerance.
SAME = 1e-5


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


@dataclass
class Tracer:
    """One parameter's path.

    Attributes
    ----------
    problem : Lowest
    span : Range
    goals : tuple of float
        Values of zeta to have a point near to, ascending; the last is reached if it can be.
    exact : tuple of float
        Those at which an interval may end.
    """

    problem: Lowest
    span: Range
    goals: tuple[float, ...]
    exact: tuple[float, ...]
    known: list[Reached] = field(default_factory=list)

    @property
    def start(self) -> Reached:
        """At the optimum."""
        return self.problem.start

    def side(self, sign: float) -> Side:
        """Go down (-1) or up (+1)."""
        bound = self.span.low if sign < 0 else self.span.high
        self.problem.curvature_correction = 0.0
        points: list[Reached] = []
        # The points of the minimum that is followed begin at this one.
        branch = -1
        here, zeta, rate = self.start, 0.0, np.sqrt(max(self.start.curvature, 0.0) / 2.0)
        ahead = self._first(rate)
        while here.u != bound and len(points) < _MAX_POINTS:
            points.append(self._next(here, points, branch, bound, sign * ahead))
            branch = self._settled(points, branch)
            new = points[-1]
            gap = new.deviance - self.start.deviance
            if not new.converged or gap < -SAME:
                return Side(points, "lost" if not new.converged else "lower")
            length, before = abs(new.u - here.u), (zeta, rate)
            here, zeta = new, np.sqrt(max(gap, 0.0))
            rate = sign * new.slope / (2.0 * zeta) if zeta > 0.0 else 0.0
            if gap > self.span.ceiling + SAME:
                return Side(points, "ceiling")
            if zeta >= self.goals[-1]:
                return Side(points, "reached")
            ahead = self._ahead(zeta, rate, length, before)
        return Side(points, "bound" if here.u == bound else "short")

    def _settled(self, points: list[Reached], branch: int) -> int:
        """Go back from another minimum than the one followed; where the points of it begin."""
        last, first = len(points) - 1, branch
        if self.problem.jumped:
            first = self.problem.went_back(points, last)
        for at in self._doubtful(points):
            points[at] = self.problem.again(points[at])
            if self.problem.jumped:
                first = self.problem.went_back(points, at)
        if first == 0 != branch:
            below = self.problem.from_neighbour(self.start, points[0])
            if below is not None and below.deviance < self.start.deviance - SAME:
                points.append(below)
        return first

    def _doubtful(self, points: list[Reached]) -> list[int]:
        """Which of the last two points may not be the lowest minimum, where that matters."""
        here, new = [self.start, *points][-2:]
        if not new.converged:
            return []
        last = len(points) - 1
        if last > 0 and is_broken(here, new, self.start):
            return [last - 1, last]
        zeta = [zeta_of(point, self.start)[0] for point in (here, new)]
        passed = any(zeta[0] < goal <= zeta[1] for goal in self.exact[-_SEARCHED:])
        return [last] if passed and self.problem.may_be_others(new) else []

    def _next(
        self, here: Reached, points: list[Reached], branch: int, bound: float, step: float
    ) -> Reached:
        """The point a step further, or nearer if its minimum is not found."""
        for _ in range(_MAX_RETRIES):
            past = abs(bound - here.u) <= abs(step) * (1.0 + 1e-9)
            u = bound if past else here.u + step
            new = self.problem.minimum(u, self._guess(u, points, branch))
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

    def _guess(self, u: float, points: list[Reached], branch: int) -> Array:
        """Extrapolate from the last points; the first from the optimum's tangent."""
        if branch >= 0:
            return through(points[branch:][-_LINE:], u)
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
    problem: Lowest, span: Range, goals: tuple[float, ...], exact: tuple[float, ...]
) -> tuple[Side, Side]:
    """Both sides of a parameter's profile, the lower and the upper.

    Cost: for each goal a minimisation a side, of two or three factorisations; where there may be
    several minima (`lowest`) some ten times that.
    """
    tracer = Tracer(problem, span, goals, exact)
    upper = tracer.side(1.0)
    tracer.known = upper.points[:3]
    lower = tracer.side(-1.0)
    return joined(problem, lower), joined(problem, upper)


def joined(problem: Lowest, side: Side) -> Side:
    """The side with points between those that no continuous curve goes through, halfway."""
    points = list(side.points)
    for _ in range(_HALVINGS):
        gaps = [i for i, pair in enumerate(pairwise(points)) if is_broken(*pair, problem.start)]
        if not gaps or side.status in ("lost", "lower"):
            break
        for i in reversed(gaps):
            u = 0.5 * (points[i].u + points[i + 1].u)
            new = problem.minimum(u, points[i].z)
            if new.converged:
                new = problem.again(new)
                points.insert(i + 1, new)
                problem.went_back(points, i + 1)
                problem.went_back(points, i + 1, 1)
    return replace(side, points=points)
