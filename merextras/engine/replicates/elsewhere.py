"""Other starts for the replicates whose fit is singular, as `optimum.restarts` has them for one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain

import numpy as np

from merextras.engine.kernels.blocks import Array, IntArray
from merextras.engine.optimum import restarts
from merextras.engine.optimum.boundary import NEAR_BOUNDARY
from merextras.engine.optimum.criterion import Criterion
from merextras.engine.optimum.restarts import are_worth_it
from merextras.engine.optimum.unbounded import LARGE
from merextras.engine.replicates.fits import ManyFits

# Relative standard deviations of all effects, and of one direction beside others that have little.
_ALIKE, _ALONE = (1.0, 3.0), (3.0,)


def starts(criterion: Criterion) -> Iterator[Array]:
    """Starting thetas."""
    return chain(restarts.alike(criterion, _ALIKE), restarts.alone(criterion, _ALONE))


def keep_lower(
    found: ManyFits,
    criterion: Criterion,
    foresee: Callable[[IntArray, Array], tuple[Array, Array]],
    again: Callable[[IntArray, Array], ManyFits],
) -> None:
    """Fit the singular replicates from other starts, and put in the lowest fits where lower.

    Most other starts lead to the end that is known: a search goes on only where it will not. One
    whose lower end is far out, where a criterion without a minimum falls to, has not converged: it
    takes a search of its own to tell.

    Parameters
    ----------
    found : ManyFits
        With theta in the coordinates of the cross-products; changed in place.
    criterion : Criterion
        Of the design.
    foresee : callable ((r,) replicates, (r, n_theta) thetas) -> (thetas, deviances)
        Short searches of replicates, each from its theta: where they were left, and the deviances
        that their ends will have.
    again : callable ((r,) replicates, (r, n_theta) thetas) -> ManyFits
        The fits of replicates, each from its theta, all together.
    """
    near = criterion.covariances.near_zero(found.theta, criterion.sizes, NEAR_BOUNDARY)
    which = np.flatnonzero(near.any(axis=1))
    if len(which) == 0:
        return
    thetas = np.array(list(starts(criterion)))
    every = np.tile(which, len(thetas))
    left, foreseen = foresee(every, np.repeat(thetas, len(which), axis=0))
    going = are_worth_it(foreseen, found.deviance[every]) | ~found.converged[every]
    at = np.flatnonzero(going)
    if len(at) == 0:
        return
    other = again(every[at], left[at])
    usable = np.full(len(every), np.inf)
    usable[at] = np.where(other.converged, other.deviance, np.inf)
    best = np.argmin(usable.reshape(len(thetas), len(which)), axis=0)
    of = best * len(which) + np.arange(len(which))
    lower = (usable[of] < found.deviance[which]) | ~found.converged[which]
    better = np.isfinite(usable[of]) & lower
    place = np.searchsorted(at, of[better])
    for name in ("theta", "deviance", "beta", "sigma2", "converged", "singular"):
        getattr(found, name)[which[better]] = getattr(other, name)[place]
    if criterion.has_minimum:
        return
    changed = which[better]
    size = np.max(np.abs(found.theta[changed]) * criterion.units, axis=1, initial=0.0)
    found.converged[changed[size > LARGE]] = False
