"""The curve of a profile from the minima that were found along it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from merextras.distributions.curve import Curve, value_of
from merextras.engine.kernels.cubic import hermite
from merextras.engine.profile.constrained import Reached
from merextras.engine.profile.trace import Side
from merextras.foundation.aliases import Array


def curve_of(
    start: Reached, sides: tuple[Side, Side], kind: str, bounds: Sequence[float], ceiling: float
) -> Curve:
    """The signed roots and their slopes at all points, and why a side ended.

    Parameters
    ----------
    start : Reached
        At the ML estimate.
    sides : Side
        The lower and the upper.
    kind : str
        How the parameter is made of its coordinate, see `Curve`.
    bounds : two floats
        Where the parameter's space ends.
    ceiling : float
        Of the deviance's rise.
    """
    pairs = zip(sides, (-1.0, 1.0), strict=True)
    low, high = (_signed(side, start, sign) for side, sign in pairs)
    slope = _slope_at_estimate(start, low, high)
    middle = np.array([[start.u, 0.0, slope]])
    u, zeta, slopes = np.concatenate([low[::-1], middle, high]).T
    end = float(np.sqrt(ceiling))
    reasons = [
        _reason(side, points, float(bound), end)
        for side, points, bound in zip(sides, (low, high), bounds, strict=True)
    ]
    estimate = float(value_of(kind, start.u, (bounds[0], bounds[1])))
    return Curve(
        estimate, kind, u, zeta, slopes, (bounds[0], bounds[1]), (reasons[0], reasons[1]), end
    )


def _signed(side: Side, start: Reached, sign: float) -> Array:
    """(u, zeta, dzeta / du) of the points, going outward."""
    out = np.zeros((len(side.points), 3))
    for row, point in zip(out, side.points, strict=True):
        zeta = sign * float(np.sqrt(max(point.deviance - start.deviance, 0.0)))
        row[:] = point.u, zeta, point.slope / (2.0 * zeta) if zeta != 0.0 else 0.0
    return out


def _slope_at_estimate(start: Reached, low: Array, high: Array) -> float:
    """The slope where it is 0 / 0, from the nearest two points: ``zeta = (u - u^) q(u)``, q(u^).

    Between them q is the cubic with the values and slopes that it has there.
    """
    near = np.concatenate([low[:1], high[:1]])
    if len(near) < 2:
        near = np.concatenate([low[:2], high[:2]])
    if len(near) < 2 or np.any(near[:, 1] == 0.0):
        return float(np.sqrt(max(start.curvature, 0.0) / 2.0))
    step = near[:, 0] - start.u
    q = near[:, 1] / step
    dq = (near[:, 2] - q) / step
    span = step[1] - step[0]
    weights = hermite(-float(step[0] / span))
    bent = weights[2] * dq[0] + weights[3] * dq[1]
    return float(weights[0] * q[0] + weights[1] * q[1] + span * bent)


def _reason(side: Side, points: Array, bound: float, ceiling: float) -> str:
    """Why zeta did not get as far as asked; empty if it did."""
    if side.status == "reached":
        return ""
    if len(points) == 0:
        return f"the estimate is at the boundary {bound:g}"
    zeta = points[-1, 1]
    if side.status == "ceiling":
        return (
            f"zeta stays within {ceiling:.3g}: a model without the variance of one of the effects, "
            "where their correlation does not matter, is no worse than that"
        )
    if side.status == "bound" and np.isfinite(bound):
        return f"zeta is only {zeta:.3g} at the boundary {bound:g}"
    return f"zeta gets to {zeta:.3g} and no further"
