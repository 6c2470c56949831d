"""Other starts for the replicates whose fit is singular, as `optimum.restarts` has them for one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain

import numpy as np

from merextras.engine.kernels.blocks import Array, IntArray
from merextras.engine.optimum import restarts
from merextras.engine.optimum.criterion import Criterion
from merextras.engine.optimum.newton import LARGE, NEAR_BOUNDARY
from merextras.engine.replicates.fits import ManyFits

# Relative standard deviations of all effects, and of one direction beside others that have little.
_ALIKE, _ALONE = (1.0, 3.0), (3.0,)


def starts(criterion: Criterion) -> Iterator[Array]:
    """Starting thetas."""
    return chain(restarts.alike(criterion, _ALIKE), restarts.alone(criterion, _ALONE))


def keep_lower(
    found: ManyFits, criterion: Criterion, again: Callable[[IntArray, Array], ManyFits]
) -> None:
    """Fit the singular replicates from other starts, and put in the lowest fits where lower.

    One whose lower end is far out, where a criterion without a minimum falls to, has not converged:
    it takes a search of its own to tell.

    Parameters
    ----------
    found : ManyFits
        With theta in the coordinates of the cross-products; changed in place.
    criterion : Criterion
        Of the design.
    again : callable ((r,) replicates, (r, n_theta) thetas) -> ManyFits
        The fits of replicates, each from its theta, all together.
    """
    near = criterion.covariances.near_zero(found.theta, criterion.sizes, NEAR_BOUNDARY)
    which = np.flatnonzero(near.any(axis=1))
    if len(which) == 0:
        return
    thetas = np.array(list(starts(criterion)))
    other = again(np.tile(which, len(thetas)), np.repeat(thetas, len(which), axis=0))
    usable = np.where(other.converged, other.deviance, np.inf).reshape(len(thetas), len(which))
    best = np.argmin(usable, axis=0)
    lowest = usable[best, np.arange(len(which))]
    better = np.isfinite(lowest) & ((lowest < found.deviance[which]) | ~found.converged[which])
    at, of = which[better], (best * len(which) + np.arange(len(which)))[better]
    for name in ("theta", "deviance", "beta", "sigma2", "converged", "singular"):
        getattr(found, name)[at] = getattr(other, name)[of]
    size = np.max(np.abs(found.theta[at]) * criterion.units, axis=1, initial=0.0)
    found.converged[at[size > LARGE]] = False
