"""Predictions of means over the population of a generalised model's effects."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import stats

from merextras.engine.generalised.criterion.marginal import linked
from merextras.exceptions import InvalidArgumentError
from merextras.foundation.aliases import Array
from merextras.model.generalised.fitted import FittedGlmm
from merextras.model.generalised.responses.population import population_means
from merextras.model.newdata.target import left_out_rows, target_rows


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
