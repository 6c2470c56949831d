"""Parameters as they are reported: standard deviations, correlations, sigma, fixed effects."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from merextras.accessors.estimates import group_sigmas
from merextras.engine.covariance.covariances import Covariances
from merextras.engine.covariance.structure import Structure
from merextras.engine.generalised.criterion.laplace import LaplacePoint
from merextras.foundation.aliases import Array
from merextras.model.generalised.again import ManyEstimates
from merextras.model.generalised.fitted import FittedGlmm
from merextras.model.state.fitted import FittedModel

#: What the parameters beside standard deviations are called, by scale.
_OWN = {"sdcor": "sd", "varcov": "var"}


def parameter_names(model: FittedModel, scale: str = "sdcor") -> tuple[str, ...]:
    """Names in the order of `parameters_of`: ``sd_x|g``, ``cor_y.x|g``, ``sigma``, fixed effects.

    With ``scale="varcov"`` ``var_x|g``, ``cov_y.x|g`` and ``sigma2``; no sigma where it is known.
    Where effects share a parameter it is ``sd_*|g`` or ``cor_rho|g``, a correlation on either
    scale.
    """
    return (
        *covariance_names(model, scale), *residual_names(model, scale), *model.design.fixed.names,
    )  # fmt: skip


def residual_names(model: FittedModel, scale: str = "sdcor") -> list[str]:
    """Names of the residual standard deviations: ``sigma``, or ``sigma_I`` for each group.

    None where sigma is known: it is no parameter. Of a generalised model ``dispersion``, if its
    family has one that is estimated.
    """
    if isinstance(model, FittedGlmm):
        return ["dispersion"] if model.engine_family.n_phi else []
    if model.has_known_sigma:
        return []
    name, groups = "sigma" if scale == "sdcor" else "sigma2", model.design.residual
    return [name] if groups is None else [f"{name}_{level}" for level in groups.levels]


def covariance_names(model: FittedModel, scale: str = "sdcor") -> list[str]:
    """Names of the standard deviations and correlations, in the order of theta."""
    names, count = [], Counter[str]()
    for term in model.design.terms:
        made = [
            f"{kind}_{'.'.join(label)}|{term.factor}"
            for kind, label in kinds(term.structure, term.names, scale)
        ]
        # Effects that share a parameter are not named in it: a further one is numbered.
        again = max(count[name] for name in made)
        count.update(made)
        names += [f"{name}.{again}" for name in made] if again else made
    return names


def kinds(
    structure: Structure, names: Sequence[str], scale: str
) -> list[tuple[str, tuple[str, ...]]]:
    """``sd`` or ``cor``, ``var`` or ``cov`` of each parameter of a term, and its label."""
    between = "cov" if scale == "varcov" and structure.covaries else "cor"
    pairs = zip(structure.is_sd.tolist(), structure.labels(names), strict=True)
    return [(_OWN[scale] if own else between, label) for own, label in pairs]


def parameters(model: FittedModel, theta: Array, sigma2: Array, beta: Array) -> Array:
    """The parameters of many fits of a model's design, (m, n_theta + 1 + p); no known sigma.

    Parameters
    ----------
    model : FittedModel
    theta, sigma2, beta : (m, n_theta), (m,) and (m, p) arrays
        Theta of the effects as the user counts them.

    Returns
    -------
    array
        A correlation with an effect of zero variance does not exist and is NaN.
    """
    covariances = model.design.covariances
    lams = covariances.joint(covariances.from_natural(theta))
    own = [lams[:, span, span] for span in covariances.spans]
    gs = [lam @ np.swapaxes(lam, 1, 2) for lam in own]
    omega = np.ones((len(theta), 0 if model.has_known_sigma else 1))
    return parameters_at(covariances, gs, sigma2, beta, omega)


def parameters_at(
    covariances: Covariances, gs: Sequence[Array], sigma2: Array, beta: Array, omega: Array
) -> Array:
    """The same of covariances over sigma**2, (m, k, k) by terms.

    `omega`, (m, H), are precisions of groups of residuals relative to the first's, whose standard
    deviations take the place of sigma: one of ones where there are no groups, none where sigma is
    known.
    """
    sigma = np.sqrt(sigma2)[:, None]
    found = []
    for structure, g in zip(covariances.structures, gs, strict=True):
        own = structure.reported(g)
        found.append(np.where(structure.is_sd, own * sigma, own))
    out: Array = np.concatenate([*found, sigma / np.sqrt(omega), beta], axis=1)
    return out


def as_variances(covariances: Covariances, values: Array, n_sigmas: int = 1) -> Array:
    """Standard deviations and correlations of many fits, (m, n_theta + 1 ...), as (co)variances.

    What comes after the residuals' standard deviations, of which there are `n_sigmas`, stays.
    """
    out, at = values.copy(), 0
    for structure in covariances.structures:
        (rows, cols), own = structure.pairs, structure.is_sd
        here = values[:, at : at + structure.n]
        with np.errstate(invalid="ignore"):
            products = here
            if structure.covaries:
                sd = here[:, own]
                products = here * sd[:, rows] * sd[:, cols]
                # A correlation that does not exist is one with an effect that does not vary.
                products = np.where(np.isnan(products) & ~np.isnan(sd[:, rows]), 0.0, products)
            out[:, at : at + structure.n] = np.where(own, here**2, products)
        at += structure.n
    out[:, at : at + n_sigmas] = values[:, at : at + n_sigmas] ** 2
    return out


def parameters_of(model: FittedModel) -> Array:
    """The parameters of one model."""
    if isinstance(model, FittedGlmm):
        return parameters_at_point(model, model.laplace)
    solution = model.solution
    sigma2 = np.array([solution.sigma2])
    found = parameters(model, model.theta[None], sigma2, solution.beta[None])[0]
    if model.design.residual is None:
        return np.asarray(found)
    at = len(found) - solution.p
    return np.concatenate([found[: at - 1], group_sigmas(model), found[at:]])


def parameters_at_point(model: FittedGlmm, point: LaplacePoint) -> Array:
    """The parameters of a generalised model at another point of its criterion."""
    criterion = point.criterion
    _, beta, phi = criterion.split(point.x)
    pairs = zip(criterion.table.effects, point.modes.lams, strict=True)
    gs = tuple(basis.covariance(lam @ lam.T)[None] for basis, lam in pairs)
    found = parameters_of_many(model, ManyEstimates(gs, criterion.beta_of(beta)[None], phi[None]))
    if len(phi) and point is model.laplace and model.is_poisson:
        found[:, criterion.covariances.n] = np.inf
    return np.asarray(found[0])


def parameters_of_many(model: FittedGlmm, estimates: ManyEstimates) -> Array:
    """The parameters of many refits of a generalised model, a row each."""
    pairs = zip(model.design.covariances.structures, estimates.covariances, strict=True)
    found = [structure.reported(g) for structure, g in pairs]
    if estimates.phi.shape[1]:
        sizes = [model.choice.dispersion_of(phi) for phi in estimates.phi]
        found.append(np.array(sizes, dtype=float)[:, None])
    return np.concatenate([*found, estimates.beta], axis=1)
