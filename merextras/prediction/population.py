"""Means over the population: over the normal distribution of a generalised model's effects."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from merextras._typing import Array
from merextras.engine.generalised.marginal import WITHOUT_MEAN, linked, over_normal
from merextras.exceptions import InvalidArgumentError, UnsupportedModelError
from merextras.model.generalised.fitted import FittedGlmm
from merextras.model.newdata.target import left_out_rows, target_rows


@dataclass(frozen=True)
class Means:
    """Means over the population of some rows.

    Attributes
    ----------
    mean : (m,) array
    by_fixed : (m, p) array
        Derivatives in the fixed effects.
    by_theta : (m, n_theta) array
        In the engine's theta.
    """

    mean: Array
    by_fixed: Array
    by_theta: Array

    def variances(self, model: FittedGlmm) -> Array:
        """Of the estimates, by the delta method, (m,)."""
        return model.delta_variances(self.by_fixed, self.by_theta, None)


def population_means(model: FittedGlmm, x: Array, offset: Array | float, z: list[Array]) -> Means:
    """Means of rows with fixed covariates `x`, (m, p), and covariates `z` of the effects, (m, k).

    Raises
    ------
    UnsupportedModelError
        An inverse link.
    """
    if model.choice.link in WITHOUT_MEAN:
        raise UnsupportedModelError(
            f"re_form='population': with link {model.choice.link!r} the mean over normal random "
            "effects does not exist; re_form='NA' is the median level"
        )
    eta = x @ model.fixed_estimates + offset
    variance, slopes = np.zeros(len(x)), np.zeros((len(x), len(model.relative_theta)))
    for values, g, by in zip(z, model.covariances, model.covariance_slopes, strict=True):
        variance += np.einsum("na,ab,nb->n", values, g, values)
        slopes += np.einsum("na,iab,nb->ni", values, by, values)
    found = over_normal(model.engine_family, model.choice.link, eta, variance)
    return Means(found.mean, found.by_eta[:, None] * x, found.by_variance[:, None] * slopes)


def predict(
    model: FittedGlmm, newdata: pd.DataFrame | None, *, scale: str, errors: bool, level: float
) -> pd.Series | pd.DataFrame:
    """`predict` with ``re_form="population"``."""
    if scale == "link":
        raise InvalidArgumentError(
            "type='link' with re_form='population': on the scale of the linear predictor the "
            "population's mean is that of re_form='NA'"
        )
    target, rest = target_rows(model, newdata, kept={}), left_out_rows(model, newdata, {})
    whole = np.isfinite(target.rows.x).all(axis=1)
    offset = np.zeros(len(target)) if target.offset is None else target.offset
    for values in (*rest.values, offset[:, None]):
        whole &= np.isfinite(values).all(axis=1)
    known = np.flatnonzero(whole)
    found = population_means(
        model, target.rows.x[known], offset[known], [values[known] for values in rest.values]
    )
    out = pd.DataFrame(
        np.nan, index=target.index, columns=["fit", "std_error", "lower", "upper"], dtype=float
    )
    fit = np.full(len(target), np.nan)
    fit[known] = found.mean
    if not errors:
        return target.result(pd.Series(fit, index=target.index, name="fit"))
    error = np.sqrt(found.variances(model))
    lower, upper = by_link(model, found.mean, error, level)
    out.iloc[known] = np.column_stack([found.mean, error, lower, upper])
    return target.result(out)


def by_link(model: FittedGlmm, mean: Array, error: Array, level: float) -> tuple[Array, Array]:
    """Ends of intervals of means: symmetric on the scale of the link, and inside the range."""
    family, quantile = model.engine_family, stats.norm.isf((1.0 - level) / 2.0)
    at = linked(model.choice.link, mean)
    half = quantile * error / np.abs(family.mean_slope(at))
    low, high = np.sort([family.mean(at - half), family.mean(at + half)], axis=0)
    return low, high
