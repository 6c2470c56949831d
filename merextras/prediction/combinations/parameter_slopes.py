"""How a generalised model's linear predictors, with their modes, move with its parameters."""

from __future__ import annotations

import numpy as np

from merextras.engine.generalised.criterion.laplace import LaplacePoint
from merextras.foundation.aliases import Array
from merextras.model.generalised.fitted import FittedGlmm
from merextras.model.newdata.rows import NewRows

#: Steps of central differences in standard errors: short enough for six digits.
_STEP = 1e-3


def variances_of_theta(model: FittedGlmm, rows: NewRows) -> Array:
    """What the estimation of covariances and dispersion adds to variances of predictors, (m,).

    With g the slope of ``x'beta + z'b`` in all parameters, b being the modes at them, and V the
    covariance of the estimates: ``g'Vg``, less the part of the fixed effects alone. The slopes are
    central differences; two evaluations for each parameter that is free.
    """
    covariance, free = model._covariance, np.flatnonzero(model.optimum.free)
    point, criterion = model.laplace, model.laplace.criterion
    slopes = np.zeros((len(rows), criterion.m))
    for i in free:
        move = np.zeros(criterion.m)
        move[i] = _STEP * np.sqrt(covariance[i, i])
        if not move[i] > 0.0:
            continue
        up, down = (
            _predictors(criterion.at(point.x + sign * move, point), rows) for sign in (1.0, -1.0)
        )
        slopes[:, i] = (up - down) / (2.0 * move[i])
    fixed = slopes[:, model.of_fixed]
    whole = np.einsum("im,mn,in->i", slopes, covariance, slopes)
    return np.asarray(whole - np.einsum("ip,pq,iq->i", fixed, model.basis_covariance, fixed))


def _predictors(point: LaplacePoint, rows: NewRows) -> Array:
    """``x'beta + z'b`` at other parameters, (m,)."""
    criterion, table = point.criterion, point.criterion.table
    beta = criterion.beta_of(criterion.split(point.x)[1])
    modes = [
        own.modes(table.modes_by_level(part))
        for own, part in zip(table.effects, point.modes.b, strict=True)
    ]
    return np.asarray(rows.x @ beta + np.sum(rows.effects(modes), axis=0))
