"""Parameters as they are reported: standard deviations, correlations, sigma, fixed effects."""

from __future__ import annotations

import numpy as np

from merextras._typing import Array
from merextras.model.state.fitted import FittedModel


def parameter_names(model: FittedModel, scale: str = "sdcor") -> tuple[str, ...]:
    """Names in the order of `parameters`: ``sd_x|g``, ``cor_y.x|g``, ``sigma``, fixed effects.

    With ``scale="varcov"`` ``var_x|g``, ``cov_y.x|g`` and ``sigma2``; no sigma where it is known.
    """
    sigma = ["sigma" if scale == "sdcor" else "sigma2"]
    known = model.has_known_sigma
    names = covariance_names(model, scale)
    return (*names, *([] if known else sigma), *model.design.fixed.names)


def covariance_names(model: FittedModel, scale: str = "sdcor") -> list[str]:
    """Names of the standard deviations and correlations, in the order of theta."""
    own, between = ("sd", "cor") if scale == "sdcor" else ("var", "cov")
    names = []
    for term in model.design.terms:
        for j, first in enumerate(term.names):
            names.append(f"{own}_{first}|{term.factor}")
            names += [f"{between}_{other}.{first}|{term.factor}" for other in term.names[j + 1 :]]
    return names


def parameters(model: FittedModel, theta: Array, sigma2: Array, beta: Array) -> Array:
    """The parameters of many fits of a model's design, (m, n_theta + 1 + p); no known sigma.

    Parameters
    ----------
    model : FittedModel
    theta, sigma2, beta : (m, n_theta), (m,) and (m, p) arrays

    Returns
    -------
    array
        A correlation with an effect of zero variance does not exist and is NaN.
    """
    covariances, sigma = model.design.covariances, np.sqrt(sigma2)[:, None]
    found, lambdas = [], covariances.joint(theta)
    for structure, span in zip(covariances.structures, covariances.spans, strict=True):
        lams, (rows, cols) = lambdas[:, span, span], structure.pairs
        size = np.linalg.norm(lams, axis=2)
        with np.errstate(invalid="ignore", divide="ignore"):
            correlation = np.einsum("mac,mbc->mab", lams, lams) / (size[:, :, None] * size[:, None])
        diagonal = rows == cols
        found.append(np.where(diagonal, size[:, rows] * sigma, correlation[:, rows, cols]))
    own = [] if model.has_known_sigma else [sigma]
    out: Array = np.concatenate([*found, *own, beta], axis=1)
    return out


def parameters_of(model: FittedModel) -> Array:
    """The parameters of one model."""
    solution = model.solution
    sigma2 = np.array([solution.sigma2])
    found = parameters(model, model.theta[None], sigma2, solution.beta[None])
    return np.asarray(found[0])
