"""Ends of profile intervals: points of the curve where zeta is a quantile.

Between its points the curve is a cubic, which is right at the points. So an end that lies too far
from the nearest of them gets a point of its own, where the cubic has it, until it is right there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from merextras.distributions.curve import Curve
from merextras.engine.profile.lowest import Lowest
from merextras.engine.profile.trace import Side, through

# What zeta may be off at an end, the least bend that a curve is taken to have (its second
# derivative over the square of the first), and the points that an end may get.
_EXACT, _STRAIGHT, _MOST = 5e-7, 0.05, 8
# Points that the other coordinates at an end are interpolated from.
_AROUND = 4

Sides = tuple[Side, Side]


def with_exact_ends(
    problem: Lowest,
    sides: Sides,
    curve: Callable[[Sides], Curve],
    quantiles: Sequence[float],
) -> tuple[Sides, Curve]:
    """Add points to both sides where their ends need them; the sides and their curve.

    Parameters
    ----------
    curve : callable
        Of sides.
    quantiles : sequence of float
        Of zeta, those of the upper side.
    """
    found = curve(sides)
    for i, sign in enumerate((-1.0, 1.0)):
        for quantile in quantiles:
            for _ in range(_MOST):
                u = _missing(found, sign * quantile)
                if u is None or sides[i].status == "lost":
                    break
                side = _with_point(problem, sides[i], u)
                sides = (side, sides[1]) if i == 0 else (sides[0], side)
                found = curve(sides)
    return sides, found


def _missing(curve: Curve, zeta: float) -> float | None:
    """Where the curve has a zeta, if it may be off there."""
    at = curve.segment(zeta)
    if at is None:
        return None
    ends, slopes = curve.zeta[at : at + 2], curve.slope[at : at + 2]
    near = float(np.min(np.abs(ends - zeta)))
    bend = np.inf
    if np.all(slopes > 0.0):
        bend = max(abs(float(np.log(slopes[1] / slopes[0]) / (ends[1] - ends[0]))), _STRAIGHT)
    if near == 0.0 or 0.5 * near**2 * bend <= _EXACT:
        return None
    u = curve.crossing(at, zeta)
    return None if u in curve.u else u


def _with_point(problem: Lowest, side: Side, u: float) -> Side:
    """The side with the minimum at u as another point."""
    start = problem.start
    near = sorted([start, *side.points], key=lambda point: abs(point.u - u))[:_AROUND]
    problem.curvature_correction = 0.0
    new = problem.minimum(u, through(near, u))
    if not new.converged:
        return Side([*side.points, new], "lost")
    points = sorted([*side.points, new], key=lambda point: abs(point.u - start.u))
    if problem.jumped:
        for step in (-1, 1):
            problem.went_back(points, points.index(new), step)
    return replace(side, points=points)
