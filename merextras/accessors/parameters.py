"""Parameters as they are reported: standard deviations, correlations, sigma, fixed effects."""

from __future__ import annotations

import numpy as np

from merextras._typing import Array
from merextras.accessors.estimates import group_sigmas
from merextras.engine.covariance.covariances import Covariances
from merextras.model.state.fitted import FittedModel


def parameter_names(model: FittedModel, scale: str = "sdcor") -> tuple[str, ...]:
    """Names in the order of `parameters_of`: ``sd_x|g``, ``cor_y.x|g``, ``sigma``, fixed effects.

    With ``scale="varcov"`` ``var_x|g``, ``cov_y.x|g`` and ``sigma2``.
    """
    return (
        *covariance_names(model, scale), *residual_names(model, scale), *model.design.fixed.names,
    )  # fmt: skip


def residual_names(model: FittedModel, scale: str = "sdcor") -> list[str]:
    """Names of the residual standard deviations: ``sigma``, or ``sigma_I`` for each group."""
    name, groups = "sigma" if scale == "sdcor" else "sigma2", model.design.residual
    return [name] if groups is None else [f"{name}_{level}" for level in groups.levels]


def covariance_names(model: FittedModel, scale: str = "sdcor") -> list[str]:
    """Names of the standard deviations and correlations, in the order of theta."""
    own, between = ("sd", "cor") if scale == "sdcor" else ("var", "cov")
    names = []
    for term in model.design.terms:
        for j, first in enumerate(term.names):
            names.append(f"{own}_{first}|{term.factor}")
            names += [f"{between}_{other}.{first}|{term.factor}" for other in term.names[j + 1 :]]
    return names


def parameters(covariances: Covariances, theta: Array, sigma2: Array, beta: Array) -> Array:
    """The parameters of many fits, (m, n_theta + 1 + p).

    Parameters
    ----------
    covariances : Covariances
        Of the terms.
    theta, sigma2, beta : (m, n_theta), (m,) and (m, p) arrays

    Returns
    -------
    array
        A correlation with an effect of zero variance does not exist and is NaN.
    """
    sigma = np.sqrt(sigma2)[:, None]
    found, lambdas = [], covariances.joint(theta)
    for structure, span in zip(covariances.structures, covariances.spans, strict=True):
        lams, (rows, cols) = lambdas[:, span, span], structure.pairs
        size = np.linalg.norm(lams, axis=2)
        with np.errstate(invalid="ignore", divide="ignore"):
            correlation = np.einsum("mac,mbc->mab", lams, lams) / (size[:, :, None] * size[:, None])
        diagonal = rows == cols
        found.append(np.where(diagonal, size[:, rows] * sigma, correlation[:, rows, cols]))
    out: Array = np.concatenate([*found, sigma, beta], axis=1)
    return out


def parameters_of(model: FittedModel) -> Array:
    """The parameters of one model."""
    solution = model.solution
    sigma2 = np.array([solution.sigma2])
    found = parameters(model.design.covariances, model.theta[None], sigma2, solution.beta[None])
    at = len(found[0]) - solution.p
    return np.concatenate([found[0, : at - 1], group_sigmas(model), found[0, at:]])
