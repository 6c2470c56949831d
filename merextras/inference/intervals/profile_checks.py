"""What is said of profiles that could not be followed, or are not one curve that rises."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from itertools import pairwise

from merextras.engine.profile.constrained import Reached
from merextras.engine.profile.lowest import Lowest, is_broken, zeta_of
from merextras.engine.profile.trace import SAME, Side
from merextras.exceptions import ApproximationWarning, ProfileError

# A fall of zeta that is not rounding.
_FALL = 1e-5


def check_followed(
    name: str, sides: Sequence[Side], start: Reached, value: Callable[[Reached], float]
) -> None:
    """Refuse sides of a profile that ended where they should not; `value` is the parameter's."""
    for side in sides:
        last = side.points[-1] if side.points else start
        if side.status == "lost":
            raise ProfileError(
                f"{name}: no minimum of the deviance was found with the parameter at "
                f"{value(last):.6g}; profile the other parameters with which=[...]"
            )
        if side.status == "lower":
            _refuse(name, last, start, value)


def check_lowest(name: str, problem: Lowest, value: Callable[[Reached], float]) -> None:
    """Refuse an estimate that is singular, and not the lowest minimum with a parameter there."""
    start = problem.start
    doubtful = problem.searches and problem.problem.is_singular(start, whole=True)
    best = problem.again(start) if doubtful else start
    if best.deviance < start.deviance - SAME:
        _refuse(name, best, start, value)


def _refuse(name: str, lower: Reached, start: Reached, value: Callable[[Reached], float]) -> None:
    raise ProfileError(
        f"{name}: with the parameter at {value(lower):.6g} the deviance is "
        f"{start.deviance - lower.deviance:.3g} lower than at the ML estimate, which is a "
        "local optimum only; fit the model from another start"
    )


def warn_unless_one_curve(
    name: str,
    sides: Sequence[Side],
    start: Reached,
    value: Callable[[Reached], float],
) -> None:
    """Say of a side where zeta turns back, or where its points are not of one curve.

    Warns
    -----
    ApproximationWarning
    """
    for side in sides:
        for inner, outer in pairwise(side.points):
            jumps = is_broken(inner, outer, start)
            if not jumps and zeta_of(outer, start)[0] >= zeta_of(inner, start)[0] - _FALL:
                continue
            between = f"between {value(inner):.4g} and {value(outer):.4g}"
            text = (
                f"{name}: the profile jumps {between}: with the parameter held the deviance has "
                "several minima, and the lowest may not have been found; its intervals may be off. "
                "Simplify the random effects"
            )
            if not jumps:
                text = (
                    f"{name}: the profile turns back {between}: the likelihood has another maximum "
                    "in this parameter. An interval ends where zeta first is the quantile, and "
                    "values beyond may fit as well"
                )
            warnings.warn(text, ApproximationWarning, stacklevel=2)
            break
