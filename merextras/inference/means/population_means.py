"""Marginal means of a generalised model over the population of its random effects."""

from __future__ import annotations

import numpy as np

from merextras.distributions.degrees import Moments
from merextras.distributions.uncertainty import Uncertainty
from merextras.engine.generalised.criterion.marginal import linked
from merextras.exceptions import InvalidArgumentError, UnsupportedModelError
from merextras.foundation.aliases import Array, BoolArray
from merextras.foundation.arguments import check_choice
from merextras.inference.functions.grid import Grid
from merextras.model.generalised.fitted import FittedGlmm
from merextras.model.generalised.population import population_means
from merextras.model.state.fitted import FittedModel


def check_re_form(model: FittedModel, re_form: object, scale: str) -> bool:
    """Whether means are over the random effects.

    Raises
    ------
    InvalidArgumentError
        Another `re_form`; the population's on the scale of the link.
    UnsupportedModelError
        A linear model, in which the two are the same.
    """
    if check_choice(re_form, ("NA", "population"), "re_form") == "NA":
        return False
    if not isinstance(model, FittedGlmm):
        raise UnsupportedModelError(
            "re_form='population': the means of a linear model are those of the population "
            "already; leave re_form='NA'"
        )
    if scale != "response":
        raise InvalidArgumentError(
            "type='link' with re_form='population': on the scale of the linear predictor the "
            "population's mean is that of re_form='NA'; say type='response'"
        )
    return True


def of_population(model: FittedGlmm, grid: Grid, averages: Array, good: BoolArray) -> Uncertainty:
    """Weighted averages of the cells' means, on the scale of the link, with their covariance.

    Parameters
    ----------
    averages : (r, cells) array
    good : (r,) boolean array
        Which averages the data determine.
    """
    names = list(grid.design.fixed.whole.names)
    kept = [names.index(name) for name in grid.design.fixed.names]
    try:
        z = [term.covariates.matrix(grid.frame, grid.design.fixed) for term in grid.design.terms]
    except InvalidArgumentError as err:
        raise InvalidArgumentError(
            "re_form='population': a random slope is in a variable that the fixed part does not "
            f"have, and whose value in the cells is not known ({err})"
        ) from err
    cells = population_means(model, grid.rows[:, kept], grid.offset, z)
    mean = averages @ cells.mean
    link = model.choice.link
    eta = linked(link, mean)
    slope = model.engine_family.mean_slope(eta)[:, None]
    by_fixed, by_theta = (averages @ by / slope for by in (cells.by_fixed, cells.by_theta))
    covariance = model.delta_covariance(by_fixed, by_theta, None)
    covariance = np.where(np.outer(good, good), covariance, 0.0)
    r = len(mean)
    return Uncertainty(
        beta=np.where(good, eta, 0.0),
        transform=np.eye(r),
        covariance=covariance,
        degrees=Moments(covariance, np.empty((0, r, r)), np.empty((0, 0))),
        kept=np.arange(r),
        null=np.eye(r)[:, ~good],
        scale=np.ones(r),
        title="",
    )
