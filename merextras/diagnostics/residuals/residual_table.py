"""Residuals as plots need them: against fitted values, standardised, with their trends."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import stats

from merextras.diagnostics.residuals.checks_generalised import residual_columns
from merextras.diagnostics.residuals.smooth import trend
from merextras.diagnostics.residuals.standardized import Standardized
from merextras.foundation.aliases import Array, IntArray, Rng
from merextras.foundation.arguments import check_level
from merextras.foundation.rng import as_generator
from merextras.model.generalised.fitted import FittedGlmm
from merextras.model.state.fitted import FittedModel
from merextras.model.statsmodels.mixedlm import as_fitted
from merextras.results.checks.residual_table import ResidualTable

__all__ = ["qq_residuals", "residual_table"]


def residual_table(m: object, *, rng: Rng = None) -> ResidualTable:
    r"""Observed and fitted values, residuals, leverage and Cook's distance, row by row.

    Parameters
    ----------
    m : MerMod or MixedLMResults
    rng : int, numpy.random.Generator or None
        Of a model of `glmer`: of the draws that tell equal responses apart.

    Returns
    -------
    ResidualTable
        What `plot_residuals` and `plot_fitted` draw. ``.to_frame()`` has, under the user's index
        and in the response's units, ``observed fitted residual`` (given the random effects), and
        ``standardized`` (:math:`r / (\hat\sigma \sqrt{1 - h})` with the prior weights),
        ``leverage`` (h) and ``cooks_distance``, which have no unit; rows of weight zero are left
        out. ``.groups`` has the levels. Of a model of `glmer` ``residual`` and ``standardized`` are
        quantile residuals over the random effects, ``m.residuals("quantile",
        re_form="population")``, and a further column ``pearson`` has Pearson's residuals over
        :math:`\sqrt{\phi (1 - h)}`.

    See Also
    --------
    merextras.plots.plot_residuals, merextras.plots.plot_fitted

    Notes
    -----
    The trends are local linear regressions on the means of 200 bins. R: ``plot(m)``,
    ``fortify(m)``. Cost: that of the leverages, O(n (p + k)**2), and a sort.

    Examples
    --------
    >>> import merextras as mx
    >>> m = mx.lmer("Reaction ~ Days + (Days | Subject)", mx.load_dataset("sleepstudy"))
    >>> mx.residual_table(m).to_frame().round(2).head(2)
       observed  fitted  residual  standardized  leverage  cooks_distance
    0    249.56  253.66     -4.10         -0.18      0.23            0.00
    1    258.70  273.33    -14.63         -0.63      0.17            0.04
    """
    model = as_fitted(m, generalised=True)
    if isinstance(model, FittedGlmm):
        columns = residual_columns(model, as_generator(rng))
        return _table(model, columns, np.arange(model.design.n), "quantile residual")
    design, found = model.design, Standardized.of(model)
    y = design.y[found.rows]
    left = 1.0 - found.leverage
    with np.errstate(invalid="ignore", divide="ignore"):
        cook = found.values**2 * found.leverage / left
    columns = {
        "observed": y,
        "fitted": found.fitted,
        "residual": y - found.fitted,
        "standardized": found.values,
        "leverage": found.leverage,
        "cooks_distance": cook / design.x.shape[1] if design.x.shape[1] else np.nan * cook,
    }
    return _table(model, columns, found.rows, "residual")


def _table(
    model: FittedModel, columns: dict[str, Array], rows: IntArray, what: str
) -> ResidualTable:
    """The table with the levels and the trends."""
    design, index, levels = model.design, model.design.index[rows], {}
    for factor in design.factors:
        term = design.terms[design.terms_of(factor)[0]]
        levels[factor] = np.asarray(term.levels, dtype=object)[term.rows.codes[rows]]
    fitted, values = columns["fitted"], columns["standardized"]
    trends = pd.concat(
        [
            _curve("residual", fitted, columns["residual"]),
            _curve("scale", fitted, np.sqrt(np.abs(values))),
            _curve("leverage", columns["leverage"], columns.get("pearson", values)),
        ],
        ignore_index=True,
    )
    table, groups = pd.DataFrame(columns, index=index), pd.DataFrame(levels, index=index)
    return ResidualTable(design.response, table, groups, trends, design.x.shape[1], what)


def _curve(name: str, x: Array, y: Array) -> pd.DataFrame:
    at, value = trend(x, y)
    return pd.DataFrame({"of": name, "fitted": at, "value": value})


def qq_residuals(m: object, *, level: float = 0.95, rng: Rng = None) -> pd.DataFrame:
    r"""Quantiles of the standardised residuals beside normal ones.

    Parameters
    ----------
    m : MerMod or MixedLMResults
    level : float, default 0.95
        Of the pointwise interval of each order statistic of n independent normal numbers.
    rng : int, numpy.random.Generator or None
        Of a model of `glmer`, whose residuals are quantile residuals over the random effects: of
        the draws that tell equal responses apart.

    Returns
    -------
    DataFrame
        ``theoretical sample conf_low conf_high`` in ascending order, under the user's index; what
        `plot_qq` draws.

    Raises
    ------
    InvalidArgumentError
        A `level` outside (0, 1).

    Notes
    -----
    R: lattice's ``qqmath(m)``, whose abscissa is the same, :math:`\Phi^{-1}((i - 1/2) / n)`, and
    which has no interval. The i-th of n uniform order statistics is Beta(i, n + 1 - i). Residuals
    are correlated, so that the interval is a guide. A row with a frequency is one
    point. Cost: that of the leverages.

    Examples
    --------
    >>> import merextras as mx
    >>> m = mx.lmer("Reaction ~ Days + (Days | Subject)", mx.load_dataset("sleepstudy"))
    >>> mx.qq_residuals(m).round(2).head(2)
        theoretical  sample  conf_low  conf_high
    59        -2.77   -4.57     -3.63      -2.05
    7         -2.39   -4.32     -3.00      -1.87
    """
    model, level = as_fitted(m, generalised=True), check_level(level)
    if isinstance(model, FittedGlmm):
        values, rows = (
            residual_columns(model, as_generator(rng))["residual"],
            np.arange(model.design.n),
        )
    else:
        found = Standardized.of(model)
        values, rows = found.values, found.rows
    known = np.isfinite(values)
    values, rows = values[known], rows[known]
    order = np.argsort(values, kind="stable")
    n = len(values)
    rank = np.arange(1, n + 1)
    tail = 0.5 * (1.0 - level)
    columns = {
        "theoretical": stats.norm.ppf((rank - 0.5) / n),
        "sample": values[order],
        "conf_low": stats.norm.ppf(stats.beta.ppf(tail, rank, n + 1 - rank)),
        "conf_high": stats.norm.ppf(stats.beta.isf(tail, rank, n + 1 - rank)),
    }
    return pd.DataFrame(columns, index=model.design.index[rows[order]])
