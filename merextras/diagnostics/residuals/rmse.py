"""Root mean squared error of a fit."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import stats

from merextras.accessors.rows import residual_squares
from merextras.exceptions import InvalidArgumentError, UnsupportedModelError
from merextras.foundation.arguments import check_level
from merextras.model.design.rowless import RowlessDesign
from merextras.model.state.fitted import FittedModel
from merextras.model.state.one_sigma import require_one_sigma
from merextras.model.statsmodels.mixedlm import as_fitted


def rmse(m: object, *, scale: bool = False, ci: float | None = None) -> float | pd.Series:
    """Return the root mean squared error of the fitted values.

    Parameters
    ----------
    m : MerMod or MixedLMResults
        A fitted model.
    scale : bool, default False
        In units of the standard deviation of the response.
    ci : float, optional
        Level of an interval.

    Returns
    -------
    float, or Series
        On the scale of the response, or without unit; with `ci` ``rmse conf_low conf_high``.

    Raises
    ------
    InvalidArgumentError
        `scale` is not a bool, `ci` no level.
    UnsupportedModelError
        `ci` of a model whose residual standard deviation is known, or differs by group.

    Notes
    -----
    ``sqrt(mean((y - mu)**2))`` over the observations, with mu the conditional mean X beta + Z b.
    The modes b follow the data, so that it is smaller than `sigma` and says little of new groups.
    The divisor of the response's standard deviation is n - 1. A row of weight zero is not an
    observation, a row with a frequency counts as often; precision weights are not used, as in R.

    The interval is that of sigma, ``sqrt((n - p) / chi2(n - p))`` of the estimate at the quantiles
    of the chi-square distribution, exact if the ratio of the two were known.

    **R counterpart**: ``merTools::RMSE.merMod``.

    Examples
    --------
    >>> import merextras as mx
    >>> m = mx.lmer("Reaction ~ Days + (Days | Subject)", mx.load_dataset("sleepstudy"))
    >>> round(mx.rmse(m), 2), round(mx.rmse(m, scale=True), 3)
    (23.44, 0.416)
    """
    if not isinstance(scale, bool):
        raise InvalidArgumentError(f"scale={scale!r}: True or False")
    model, level = as_fitted(m, generalised=True), None if ci is None else check_level(ci, "ci")
    value = _rmse(model, scale)
    if level is None:
        return value
    if model.is_generalised:
        raise UnsupportedModelError(
            "rmse(ci=): the interval is that of a residual standard deviation, which a generalised "
            "model does not have; leave ci= out"
        )
    require_one_sigma(model, "rmse(ci=)", "the interval is that of one", "leave ci= out")
    if model.has_known_sigma:
        raise UnsupportedModelError(
            "rmse(ci=): the interval is that of an estimated residual standard deviation, and this "
            "model has a known one (sigma=); leave ci= out"
        )
    df, tail = model.solution.n - model.solution.p, (1.0 - level) / 2.0
    low, high = value * np.sqrt(df / stats.chi2.ppf([1.0 - tail, tail], df))
    return pd.Series({"rmse": value, "conf_low": low, "conf_high": high})


def _rmse(model: FittedModel, scale: bool) -> float:
    if model.is_generalised:
        model.design.require_rows("rmse", "its residuals are by row")
    if not model.design.keeps_rows and "weights" not in model.design.by_row:
        return _from_products(model, model.design.sums(), scale)
    used = model.design.observed
    y, mu = model.design.y[used], model.mu[used]
    counts = np.ones(len(y))
    if model.design.frequencies is not None:
        counts = model.design.frequencies[used]
    out = np.sqrt(np.average((y - mu) ** 2, weights=counts))
    if scale:
        squares = counts @ (y - np.average(y, weights=counts)) ** 2
        out = out / np.sqrt(squares / (np.sum(counts) - 1.0))
    return float(out)


def _from_products(model: FittedModel, design: RowlessDesign, scale: bool) -> float:
    """Without rows."""
    solution = model.solution
    out = np.sqrt(residual_squares(model) / solution.n)
    if not scale:
        return float(out)
    if "offset" in design.by_row or design.constant is None:
        return float(out / np.std(design.y, ddof=1))
    one = design.fixed.names.index(design.constant)
    x, y = design.rows[:, one], design.rows[:, -1]
    squares = float(np.sum((y - x * (x @ y) / (x @ x)) ** 2))
    return float(out / np.sqrt(squares / (solution.n - 1.0)))
