"""Searches along a line, of one model: down a Newton step, and off a boundary."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import numpy as np

P = TypeVar("P")

# The share of the decrease promised by the slope that counts as one (Armijo's rule).
SUFFICIENT = 1e-4
# A shorter step than this part of Newton's is none.
SHORTEST = 1e-10
#: Relative variances that a direction off the boundary is tried with, largest first.
GROWTHS = 10.0 ** np.arange(2.0, -9.0, -1.0)


def downhill(
    trial: Callable[[float], tuple[P, float]],
    before: float,
    decrement: float,
    noise: float,
    *,
    longest: float = 1.0,
    shortest: float = SHORTEST,
) -> tuple[float, P, float] | None:
    """The longest step of those tried that is an improvement, its point and value.

    Parameters
    ----------
    trial : callable
        The point at a length of the step and its value, which need not be finite.
    before, noise : float
        The value at length zero, and what of a difference is rounding.
    decrement : float
        How fast the value falls there: minus the slope along the step.
    longest, shortest : float
        Lengths that are tried.
    """
    length = longest
    while length > shortest:
        point, value = trial(length)
        if np.isfinite(value) and value <= before - SUFFICIENT * length * decrement + noise:
            return length, point, value
        length *= 0.5 if length > 1e-2 else 0.1
    return None


def grown(
    trial: Callable[[float], tuple[P, float]], below: float, *, least: float = 0.0
) -> P | None:
    """The point with the most helpful of `GROWTHS`, if any brings the value below a limit.

    From the largest down to the first that is worse again; those smaller than `least` can't gain
    what counts.
    """
    best: P | None = None
    for size in GROWTHS:
        if size < least:
            break
        point, value = trial(float(size))
        if value < below:
            below, best = value, point
        elif best is not None:
            break
    return best
