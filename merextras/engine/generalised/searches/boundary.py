"""Points of a search at or near a boundary: what is put at zero, and what leaves it.

A zero is a stationary point whether or not it is optimal; D, the derivative of the deviance in the
covariance itself, tells the two apart.
"""

from __future__ import annotations

import numpy as np

from merextras.engine.generalised.criterion.laplace import LaplacePoint
from merextras.engine.kernels.blocks import Array, BoolArray
from merextras.engine.optimum import line
from merextras.engine.optimum.boundary import NEAR_BOUNDARY, NEAR_ZERO


def snapped_to_zero(point: LaplacePoint) -> LaplacePoint | None:
    """The point with effects of nearly no variance at zero, where the deviance allows it."""
    criterion, found = point.criterion, None
    theta = slice(0, criterion.covariances.n)
    for where in criterion.covariances.zero_groups():
        at = point if found is None else found
        size = np.abs(at.x[theta]) * criterion.units
        limit = NEAR_ZERO * max(1.0, float(np.max(size, initial=0.0)))
        if not np.any(at.x[where]) or np.linalg.norm(size[where]) >= limit:
            continue
        x = at.x.copy()
        x[where] = 0.0
        trial = criterion.at(x, at)
        if trial.deviance() <= point.deviance() + point.noise:
            found = trial
    return found


def at_zero(point: LaplacePoint) -> BoolArray:
    """Which parameters are of effects without variance, (m,)."""
    out = np.zeros(len(point.x), dtype=bool)
    for where in point.criterion.covariances.zero_groups():
        out[where] |= not np.any(point.x[where])
    return out


def inside(point: LaplacePoint) -> LaplacePoint | None:
    """A better point inside, if this is on a boundary and not optimal there."""
    criterion, cov = point.criterion, point.criterion.covariances
    theta = criterion.split(point.x)[0]
    near = cov.near_zero(theta[None], criterion.sizes, NEAR_BOUNDARY)[0]
    if not np.isfinite(point.deviance()) or not near.any():
        return None
    slopes = point.deviance_slopes()
    for t in np.flatnonzero(near).tolist():
        own = theta[None, cov.parts[t]]
        change, found = cov.structures[t].inward(own, slopes[t][None], criterion.sizes[t])
        better = _grown(point, t, change) if found[0] else None
        if better is not None:
            return better
    return None


def _grown(point: LaplacePoint, t: int, change: Array) -> LaplacePoint | None:
    criterion, n = point.criterion, point.criterion.covariances.n
    cov, sizes = criterion.covariances, criterion.sizes

    def trial(size: float) -> tuple[LaplacePoint, float]:
        x = point.x.copy()
        x[:n] = cov.grown(x[None, :n], t, change, size, sizes[t])[0]
        inner = criterion.at(x, point)
        return inner, inner.deviance()

    return line.grown(trial, point.deviance() - 10.0 * point.noise)


def canonical(point: LaplacePoint) -> LaplacePoint:
    """The same model with the theta that is reported."""
    criterion = point.criterion
    theta, beta, phi = criterion.split(point.x)
    reported = criterion.covariances.canonical(theta)
    if np.array_equal(reported, theta):
        return point
    return criterion.at(np.concatenate([reported, beta, phi]), point)
