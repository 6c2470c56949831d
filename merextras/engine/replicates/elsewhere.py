"""Other starts for the replicates whose fit is singular, as `optimum.restarts` has them for one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import chain

import numpy as np

from merextras.engine.covariance import covpar
from merextras.engine.kernels.blocks import Array, IntArray
from merextras.engine.optimum import restarts
from merextras.engine.optimum.newton import NEAR_BOUNDARY
from merextras.engine.replicates.fits import ManyFits

# Relative standard deviations of all effects, and of one direction beside others that have little.
_ALIKE, _ALONE = (1.0, 3.0), (3.0,)


def singular(theta: Array, units: Sequence[Array]) -> IntArray:
    """Replicates, of (m, n_theta) thetas, that have lost a direction of variance."""
    diagonal = covpar.lower_bounds([len(unit) for unit in units]) == 0.0
    size = np.abs(theta[:, diagonal]) * np.concatenate(units)
    return np.flatnonzero(np.any(size < NEAR_BOUNDARY, axis=1))


def starts(units: Sequence[Array]) -> Iterator[Array]:
    """Starting thetas."""
    return chain(restarts.alike(units, _ALIKE), restarts.alone(units, _ALONE))


def keep_lower(
    found: ManyFits, units: Sequence[Array], again: Callable[[IntArray, Array], ManyFits]
) -> None:
    """Fit the singular replicates from other starts, and put in their fits where they are lower.

    Parameters
    ----------
    found : ManyFits
        Changed in place.
    units : sequence of (k,) arrays
        Root mean squares of the covariates, by terms.
    again : callable (replicates, theta) -> ManyFits
        The fits of some replicates from a theta.
    """
    which = singular(found.theta, units)
    if len(which) == 0:
        return
    for theta in starts(units):
        other = again(which, theta)
        old = found.deviance[which]
        better = other.converged & ((other.deviance < old) | ~found.converged[which])
        at = which[better]
        for name in ("theta", "deviance", "beta", "sigma2", "converged"):
            getattr(found, name)[at] = getattr(other, name)[better]
