"""Root mean squared error of a fit."""

from __future__ import annotations

import numpy as np

from merextras.exceptions import InvalidArgumentError
from merextras.model.design.rowless import RowlessDesign
from merextras.model.state.fitted import FittedModel
from merextras.model.statsmodels.mixedlm import as_fitted


def rmse(m: object, *, scale: bool = False) -> float:
    """Return the root mean squared error of the fitted values.

    Parameters
    ----------
    m : MerMod or MixedLMResults
        A fitted model.
    scale : bool, default False
        In units of the standard deviation of the response.

    Returns
    -------
    float
        On the scale of the response, or without unit.

    Raises
    ------
    InvalidArgumentError
        `scale` is not a bool.

    Notes
    -----
    ``sqrt(mean((y - mu)**2))`` over the observations, with mu the conditional mean X beta + Z b.
    The modes b follow the data, so that it is smaller than `sigma` and says little of new groups.
    The divisor of the response's standard deviation is n - 1. A row of weight zero is not an
    observation, a row with a frequency counts as often; precision weights are not used, as in R.

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
    return _rmse(as_fitted(m), scale)


def _rmse(model: FittedModel, scale: bool) -> float:
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
    out = np.sqrt(model.residual_squares() / solution.n)
    if not scale:
        return float(out)
    if "offset" in design.by_row or design.constant is None:
        return float(out / np.std(design.y, ddof=1))
    one = design.fixed.names.index(design.constant)
    x, y = design.rows[:, one], design.rows[:, -1]
    squares = float(np.sum((y - x * (x @ y) / (x @ x)) ** 2))
    return float(out / np.sqrt(squares / (solution.n - 1.0)))
