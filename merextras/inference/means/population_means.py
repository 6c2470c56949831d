"""Marginal means of a generalised model over the population of its random effects."""

from __future__ import annotations

import numpy as np
import pandas as pd

from merextras.distributions.degrees import Moments
from merextras.distributions.uncertainty import Uncertainty
from merextras.engine.generalised.criterion.marginal import linked
from merextras.exceptions import InvalidArgumentError, UnsupportedModelError
from merextras.foundation.aliases import Array, BoolArray
from merextras.foundation.arguments import check_choice
from merextras.inference.ddf.method import Method
from merextras.inference.ddf.robust_generalised import RobustGlmm
from merextras.inference.functions.grid import Grid, evaluated
from merextras.inference.functions.slopes import coefficients
from merextras.model.generalised.fitted import FittedGlmm
from merextras.model.generalised.responses.population import Means, population_means
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


def _covariance_of(method: Method) -> Array | None:
    """The covariance of all parameters that standard errors are from; the model's own if None."""
    return method.whole if isinstance(method, RobustGlmm) else None


def of_population(
    model: FittedGlmm, grid: Grid, averages: Array, good: BoolArray, method: Method
) -> Uncertainty:
    """Weighted averages of the cells' means, on the scale of the link, with their covariance.

    Parameters
    ----------
    averages : (r, cells) array
    good : (r,) boolean array
        Which averages the data determine.
    method : Method
        Whose standard errors they have.
    """
    cells = means_of_cells(model, grid, grid.frame, grid.rows, grid.offset)
    mean = averages @ cells.mean
    link = model.choice.link
    eta = linked(link, mean)
    slope = model.engine_family.mean_slope(eta)[:, None]
    by_fixed, by_theta = (averages @ by / slope for by in (cells.by_fixed, cells.by_theta))
    return uncertainty_of_values(model, Means(eta, by_fixed, by_theta), good, method)


def means_of_cells(
    model: FittedGlmm, grid: Grid, frame: pd.DataFrame, rows: Array, offset: Array
) -> Means:
    """The population's means in cells of a grid."""
    names = list(grid.design.fixed.whole.names)
    kept = [names.index(name) for name in grid.design.fixed.names]
    try:
        z = [term.covariates.matrix(frame, grid.design.fixed) for term in grid.design.terms]
    except InvalidArgumentError as err:
        raise InvalidArgumentError(
            "re_form='population': a random slope is in a variable that the fixed part does not "
            f"have, and whose value in the cells is not known ({err})"
        ) from err
    return population_means(model, rows[:, kept], offset, z)


def means_at_zero(model: FittedGlmm, grid: Grid, rows: Array, offset: Array) -> Means:
    """Means in cells of a grid with random effects of zero."""
    names = list(grid.design.fixed.whole.names)
    kept = [names.index(name) for name in grid.design.fixed.names]
    eta = rows[:, kept] @ model.fixed_estimates + offset
    slope = model.engine_family.mean_slope(eta)[:, None]
    nothing = np.zeros((len(eta), len(model.relative_theta)))
    return Means(model.engine_family.mean(eta), slope * rows[:, kept], nothing)


def slopes_of_means(
    model: FittedGlmm, grid: Grid, var: str, degree: int, *, population: bool
) -> list[Means]:
    """Coefficients of Taylor's expansion of the cells' means in a variable, with derivatives."""

    def values(frame: pd.DataFrame) -> Array:
        rows, offset = evaluated(grid.design, frame, grid.held)
        found = (
            means_of_cells(model, grid, frame, rows, offset)
            if population
            else means_at_zero(model, grid, rows, offset)
        )
        return np.column_stack([found.mean, found.by_fixed, found.by_theta])

    p = len(model.fixed_estimates)
    parts = coefficients(grid, var, degree, values)
    return [Means(part[:, 0], part[:, 1 : 1 + p], part[:, 1 + p :]) for part in parts]


def uncertainty_of_values(
    model: FittedGlmm, values: Means, good: BoolArray, method: Method
) -> Uncertainty:
    """Of numbers, (r,), whose derivatives are known, by the delta method."""
    covariance = model.delta_covariance(
        values.by_fixed, values.by_theta, None, _covariance_of(method)
    )
    covariance = np.where(np.outer(good, good), covariance, 0.0)
    r = len(good)
    return Uncertainty(
        beta=np.where(good, values.mean, 0.0),
        transform=np.eye(r),
        covariance=covariance,
        degrees=Moments(covariance, np.empty((0, r, r)), np.empty((0, 0))),
        kept=np.arange(r),
        null=np.eye(r)[:, ~good],
        scale=np.ones(r),
        title=method.title,
    )
