"""Predictions on the scale of the response: what a link makes of linear combinations of effects."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
from scipy import stats

from merextras.foundation.aliases import Array, BoolArray
from merextras.model.generalised.fitted import FittedGlmm
from merextras.model.state.fitted import FittedModel
from merextras.prediction.combinations.combination import Combination
from merextras.prediction.combinations.population import by_link
from merextras.prediction.combinations.prediction_variance import relative_variances
from merextras.prediction.combinations.uncertainty import Distribution, distribution


def linearised(model: FittedModel, rows: Combination) -> Combination:
    """The means of rows, to first order in the effects' distance from their estimates.

    ``h(eta) + h'(eta) (x'(beta - beta^) + z'(b - b^))`` is a linear combination again: its estimate
    is the mean and its variance that of the delta method. With an identity link the rows as they
    are.
    """
    if model._link.is_identity:
        return rows
    eta = rows.estimates(model.joint)
    mean = model._link.mean(eta)
    scaled = rows.weighted(sp.csr_array(sp.diags_array(model._link.slope(eta))))
    constant = mean - (scaled.estimates(model.joint) - scaled.constant)
    return Combination(scaled.x, scaled.z, scaled.new_levels, constant)


def ends(
    model: FittedModel, fit: Array, std_error: Array, df: float, level: float
) -> tuple[Array, Array]:
    """The ends of intervals of means: symmetric on the scale of the link."""
    if isinstance(model, FittedGlmm):
        return by_link(model, fit, std_error, level)
    half = stats.t.isf((1.0 - level) / 2.0, df) * std_error
    return fit - half, fit + half


def ends_of_predictors(
    model: FittedModel, eta: Array, half: Array, on_response: BoolArray
) -> tuple[Array, Array]:
    """``eta -+ half``, transformed to means in the places of `on_response`."""
    mean = model._link.mean
    low, high = eta - half, eta + half
    moved = np.sort([mean(low), mean(high)], axis=0)
    return np.where(on_response, moved[0], low), np.where(on_response, moved[1], high)


def exact_means(model: FittedModel, rows: Combination, eta: Array, level: float) -> Distribution:
    """How uncertain the means of linear predictors `eta` are: by these, transformed."""
    of_eta = distribution(model, rows, eta, level, None)
    mean = linearised(model, rows)
    low, high = np.sort([model._link.mean(e) for e in (of_eta.lower, of_eta.upper)], axis=0)
    error = np.sqrt(relative_variances(model.joint, mean, (mean,)))
    return Distribution(error, low, high, of_eta.p_positive, of_eta.p_negative)


def exact_shifts(
    model: FittedModel, rows: Combination, own: Combination, shift: Array, level: float
) -> Distribution:
    """How uncertain differences of means are: by the delta method, their signs by the predictors'.

    A link keeps the order (an inverse one turns it).
    """
    moves = linearised(model, rows) - linearised(model, own)
    found = distribution(model, moves, shift, level, None)
    predictors = rows - own
    sign = distribution(model, predictors, predictors.estimates(model.joint), level, None)
    up, down = sign.p_positive, sign.p_negative
    if model._link.name == "inverse":
        up, down = down, up
    return Distribution(found.std_error, found.lower, found.upper, up, down)
