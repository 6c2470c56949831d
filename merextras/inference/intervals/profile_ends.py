"""Ends of profile intervals: points of the curve where zeta is a quantile.

Between its points the curve is a cubic, which is right at the points. So an end that lies too far
from the nearest of them gets a point of its own, where the cubic has it, until it is right there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from merextras.distributions.curve import Curve
from merextras.engine.profile.lowest import Lowest
from merextras.engine.profile.trace import Side, through

# What zeta may be off at an end, the least second derivative that the last point is taken to have,
# and the points that an end may get.
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
    node = at + int(abs(curve.zeta[at + 1] - zeta) < abs(curve.zeta[at] - zeta))
    near = abs(float(curve.zeta[node]) - zeta)
    if near == 0.0:
        return None
    rate = float(curve.slope[node])
    if rate > 0.0 and 0.5 * (near / rate) ** 2 * _doubt(curve, node) <= _EXACT:
        return None
    u = curve.crossing(at, zeta)
    return None if u in curve.u else u


def _doubt(curve: Curve, node: int) -> float:
    """What the curve's second derivative may be off at a point: by how far its two sides differ."""
    bends = [_bend(curve, i, node) for i in (node - 1, node) if 0 <= i < len(curve.u) - 1]
    return abs(bends[0] - bends[-1]) if len(bends) > 1 else max(abs(bends[0]), _STRAIGHT)


def _bend(curve: Curve, at: int, node: int) -> float:
    """The second derivative of a segment's cubic at one of its ends."""
    span = float(curve.u[at + 1] - curve.u[at])
    mean = float(curve.zeta[at + 1] - curve.zeta[at]) / span
    here, there = float(curve.slope[node]), float(curve.slope[2 * at + 1 - node])
    sign = 1.0 if node == at else -1.0
    return sign * (6.0 * mean - 4.0 * here - 2.0 * there) / span


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
