"""Detection of criteria without a minimum: level or falling as sigma**2 goes to zero.

So it does where the random effects can explain the response exactly. Far out the deviance is
``c - 2 m log(scale)`` of all that is large, m an integer: zero on a plateau, more where it falls
without end. Newton steps crawl along such a ray; what is large is enlarged in proportion instead.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from merextras.engine.kernels.blocks import Array
from merextras.engine.optimum.criterion import Criterion

#: Relative standard deviations at which the residual variance has no digit left, and few.
FAR, FEW_DIGITS = 1e7, 1e5
#: One from which on a change of less than `_LITTLE` of the deviance, if it grows tenfold, is none.
LARGE = 1e3
_LITTLE = 1e-3
# A fall, if it grows tenfold, after which the deviance falls on: half of 2 log 10, its least.
_FALL = 2.3
# Twice the deviance that may still be gained where a search has settled.
_SETTLED = 1e-8
# As much larger at a time.
_TIMES = 10.0

Value = Callable[[Array], float]


def relative_sizes(criterion: Criterion, theta: Array) -> Array:
    """Relative standard deviations, of covariates of size one; zero for other parameters."""
    return criterion.parameters.amounts(theta, criterion.units)


def relative_size(criterion: Criterion, theta: Array) -> float:
    """The largest relative standard deviation, of a covariate of size one."""
    return float(relative_sizes(criterion, theta).max(initial=0.0))


def is_unbounded(
    criterion: Criterion, value: Value, theta: Array, deviance: float, decrement: float
) -> bool:
    """Whether the criterion does not rise as what is large of the random effects grows further.

    Parameters
    ----------
    criterion : Criterion
    value : callable theta -> deviance
    theta : (n,) array
        Where a search ended.
    deviance, decrement : float
        There.
    """
    if criterion.has_minimum:
        return False
    largest = relative_size(criterion, theta)
    if deviance == -np.inf or largest > FAR or is_unsettled(criterion, theta, decrement):
        return True
    if not np.isfinite(deviance) or not largest > LARGE:
        return False
    return any(value(each) <= deviance + _LITTLE for each in _larger(criterion, theta))


def is_unsettled(criterion: Criterion, theta: Array, decrement: float) -> bool:
    """Whether a search is where few digits are left, and still has a way to go."""
    far = not criterion.has_minimum and relative_size(criterion, theta) > FEW_DIGITS
    return far and decrement > _SETTLED


def is_bottomless(criterion: Criterion, value: Value, theta: Array, deviance: float) -> bool:
    """Whether an unbounded criterion falls without end at theta, and not to a plateau.

    Where it does no other end can be lower.
    """
    if deviance == -np.inf:
        return True
    sizes = relative_sizes(criterion, theta)
    largest, large = float(sizes.max(initial=0.0)), sizes > LARGE
    if not largest > FEW_DIGITS:
        return False
    # Between sizes at which the deviance has digits enough.
    near, far = (
        value(criterion.parameters.enlarged(theta, large, size / largest))
        for size in (FEW_DIGITS / _TIMES, FEW_DIGITS)
    )
    return bool(far < near - _FALL)


def outgrown(criterion: Criterion, value: Value, theta: Array, deviance: float) -> Array | None:
    """The theta as far out as the deviance falls, where it falls at all.

    Cost: two evaluations for each power of ten, at most five powers.
    """
    found = None
    while not criterion.has_minimum and LARGE < relative_size(criterion, theta) <= FAR:
        trials = [(value(each), each) for each in _larger(criterion, theta)]
        lowest, theta = min(trials, key=lambda trial: trial[0])
        if not lowest < deviance - _LITTLE:
            break
        found, deviance = theta, lowest
    return found


def _larger(criterion: Criterion, theta: Array) -> list[Array]:
    """Theta with what is large alone, and with all that outweighs the residual, tenfold.

    What is large may be able to grow in proportion with the others only.
    """
    sizes, enlarged = relative_sizes(criterion, theta), criterion.parameters.enlarged
    return [enlarged(theta, sizes > bound, _TIMES) for bound in (LARGE, 1.0)]
