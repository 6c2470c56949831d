"""Other starts for the replicates whose fit is singular, as `optimum.restarts` has them for one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain

import numpy as np

from merextras.engine.kernels.blocks import Array, IntArray
from merextras.engine.optimum import restarts
from merextras.engine.optimum.criterion import Criterion
from merextras.engine.optimum.newton import NEAR_BOUNDARY
from merextras.engine.replicates.fits import ManyFits

# Relative standard deviations of all effects, and of one direction beside others that have little.
_ALIKE, _ALONE = (1.0, 3.0), (3.0,)


def starts(criterion: Criterion) -> Iterator[Array]:
    """Starting thetas."""
    return chain(restarts.alike(criterion, _ALIKE), restarts.alone(criterion, _ALONE))


def keep_lower(
    found: ManyFits, criterion: Criterion, again: Callable[[IntArray, Array], ManyFits]
) -> None:
    """Fit the singular replicates from other starts, and put in their fits where they are lower.

    Parameters
    ----------
    found : ManyFits
        With theta in the coordinates of the cross-products; changed in place.
    criterion : Criterion
        Of the design.
    again : callable (replicates, theta) -> ManyFits
        The fits of some replicates from a theta.
    """
    which = np.flatnonzero([criterion.near_zero(theta, NEAR_BOUNDARY) for theta in found.theta])
    if len(which) == 0:
        return
    for theta in starts(criterion):
        other = again(which, theta)
        old = found.deviance[which]
        better = other.converged & ((other.deviance < old) | ~found.converged[which])
        at = which[better]
        for name in ("theta", "deviance", "beta", "sigma2", "converged", "singular"):
            getattr(found, name)[at] = getattr(other, name)[better]
