"""Models with free covariances, by theta: what many tests of the engine ask of them."""

from __future__ import annotations

import numpy as np

from merextras.engine.covariance.cholesky import lower_indices as triangle
from merextras.engine.covariance.covariances import Covariances
from merextras.engine.derivatives import average_information as first_part
from merextras.engine.derivatives.gradient import deviance_slopes, factor_slopes
from merextras.engine.derivatives.information import information as information_at
from merextras.engine.optimum import newton
from merextras.engine.optimum.criterion import Criterion
from merextras.engine.replicates import search

__all__ = ["triangle"]


def unpack(theta, ks):
    return Covariances.unstructured(ks).factors(np.asarray(theta, dtype=float))


def pack(lams):
    return Covariances.unstructured([len(lam) for lam in lams]).parameters(lams)


def start(ks):
    return pack([np.eye(k) for k in ks])


def n_theta(ks):
    return Covariances.unstructured(ks).n


def of(solution):
    return Covariances.unstructured([len(lam) for lam in solution.factor.lams])


def theta_of(solution):
    return of(solution).parameters(solution.factor.lams)


def gradient(solution):
    return of(solution).gradient(theta_of(solution), factor_slopes(solution))


def average_information(solution):
    covariances = of(solution)
    return first_part.average_information(
        solution, covariances.covariance_slopes(theta_of(solution))
    )


def second_part(slopes, ks):
    covariances = Covariances.unstructured(ks)
    return covariances.curvature(np.zeros(covariances.n), slopes)


def hessian(solution):
    return average_information(solution) + second_part(deviance_slopes(solution), of(solution).ks)


def information(solution):
    return information_at(solution, of(solution))


def point(solution):
    criterion = Criterion(solution.factor.system, of(solution), reml=solution.reml, by_levels=False)
    return criterion.reached(solution)


def minimise(system, theta, *, reml, control=None):
    return newton.minimise(Criterion(system, reml=reml), theta, control=control)


def minimise_many(system, responses, theta, *, reml, **kwargs):
    return search.minimise_many(Criterion(system, reml=reml), responses, theta, **kwargs)


def normalise(theta, ks):
    return Covariances.unstructured(ks).canonical(theta)


def lower_bounds(ks):
    return Covariances.unstructured(ks).lower


def differences(function, theta, step=1e-6):
    """Central differences of a function of many thetas at once, (m, n, ...)."""
    columns = []
    for i in range(theta.shape[1]):
        change = np.zeros_like(theta)
        change[:, i] = step
        columns.append((function(theta + change) - function(theta - change)) / (2.0 * step))
    return np.stack(columns, axis=1)
