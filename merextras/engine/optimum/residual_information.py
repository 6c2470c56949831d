"""Derivatives for Satterthwaite's method where residual variances differ by strata."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from merextras.engine.derivatives.average_information import working_columns
from merextras.engine.kernels import blocks
from merextras.engine.kernels.blocks import Array, BoolArray
from merextras.engine.optimum.criterion import Point


@dataclass(frozen=True)
class ResidualInformation:
    """Derivatives in the m parameters (theta, then log omega) and sigma.

    Attributes
    ----------
    hessian : (m + 1, m + 1) array
        Of the criterion as a function of the parameters and sigma, which is not profiled out.
    beta_covariance_slopes : (m + 1, p, p) array
        Derivatives of the covariance of beta, X in the basis of the cross-products.
    is_null : (m,) boolean array
        Parameters on which V does not depend to first order: of a variance that is zero.
    """

    hessian: Array
    beta_covariance_slopes: Array
    is_null: BoolArray


def residual_information(point: Point) -> ResidualInformation:
    """All of it, at an estimate; 2 m gradients."""
    criterion, solution = point.criterion, point.solution
    strata, parameters = criterion.strata, criterion.parameters
    assert strata is not None
    covariance_slopes = criterion.covariances.covariance_slopes(parameters.theta(point.theta))
    omega = np.exp(parameters.log_omega(point.theta))
    gram = strata.residual(solution.modes_map).gram
    squares = omega * (gram @ solution.contrast @ solution.contrast)
    p, sigma = solution.p, float(np.sqrt(solution.sigma2))
    slopes, changes = [], []
    middle = solution.basis_covariance()
    for score, h, own in zip(solution.scores, solution.projected, covariance_slopes, strict=True):
        slopes.append(np.einsum("jkm,jk->m", working_columns(score, own), score))
        x = h[:, :, :p]
        changes += [middle @ blocks.outer_sum(x, move @ x) @ middle for move in own]
    changes += [
        -w * middle @ part[:p, :p] @ middle for w, part in zip(omega[1:], gram[1:], strict=True)
    ]
    # How r**2 falls or rises, over r**2.
    rate = np.concatenate([*(-slope for slope in slopes), squares[1:]]) / solution.pwrss
    m, df = len(rate), solution.df
    hessian = np.empty((m + 1, m + 1))
    hessian[:m, :m] = criterion.differenced(point.theta) + df * np.outer(rate, rate)
    hessian[:m, m] = hessian[m, :m] = -2.0 / sigma * df * rate
    hessian[m, m] = 4.0 * df / sigma**2
    of_beta = np.array([*(sigma**2 * change for change in changes), 2.0 * sigma * middle])
    still = [np.all(own == 0.0, axis=(1, 2)) for own in covariance_slopes]
    is_null = np.concatenate([*still, np.zeros(parameters.n_residual, dtype=bool)])
    return ResidualInformation(hessian, of_beta, is_null)
