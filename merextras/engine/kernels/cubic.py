"""Cubics with given values and derivatives at their ends."""

from __future__ import annotations

from typing import TypeVar

from merextras.engine.kernels.blocks import Array

T = TypeVar("T", float, Array)

_BISECTIONS = 60


def hermite(t: T) -> tuple[T, T, T, T]:
    """Weights at t in [0, 1] of the two values and the two derivatives of a cubic."""
    end = t * t * (3.0 - 2.0 * t)
    return 1.0 - end, end, t * (1.0 - t) ** 2, t * t * (t - 1.0)


def cubic(t: float, ends: tuple[float, float], slopes: tuple[float, float]) -> float:
    """The cubic with these values and derivatives at 0 and 1, at any t."""
    a, b = t * t * (3.0 - 2.0 * t), t * (t - 1.0)
    return ends[0] * (1.0 - a) + ends[1] * a + b * ((t - 1.0) * slopes[0] + t * slopes[1])


def place_of(wanted: float, ends: tuple[float, float], slopes: tuple[float, float]) -> float:
    """Where in [0, 1] a cubic whose ends enclose a value has it, by bisection."""
    rising, low, high = ends[1] >= ends[0], 0.0, 1.0
    for _ in range(_BISECTIONS):
        t = 0.5 * (low + high)
        w = hermite(t)
        value = w[0] * ends[0] + w[1] * ends[1] + w[2] * slopes[0] + w[3] * slopes[1]
        if (value < wanted) == rising:
            low = t
        else:
            high = t
    return t
