"""Average predictions over groups of low, middle and high rank: merTools' ``REimpact``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sp

from merextras.accessors.pick import pick_effect
from merextras.exceptions import InvalidArgumentError, UnsupportedModelError
from merextras.foundation.aliases import Array, IntArray
from merextras.foundation.arguments import check_choice, check_level
from merextras.model.newdata.rows import NewRows, read_new
from merextras.model.state.fitted import FittedModel
from merextras.model.statsmodels.mixedlm import as_fitted
from merextras.prediction.cases.reassign import check_cases
from merextras.prediction.cases.reassigned_rows import offsets, reassigned_rows, variances
from merextras.prediction.combinations.combination import Combination
from merextras.prediction.combinations.prediction_variance import relative_variances
from merextras.prediction.combinations.response_scale import ends, linearised
from merextras.prediction.ranks.expected_rank import percentiles, ranks_of
from merextras.results.base import Table

_WEIGHTS = ("precision", "equal", "interval")
#: Cases times levels that are predicted at a time.
_BLOCK = 2**16
#: A range of percentiles that is rounding.
_NOTHING = 1e-9
#: A variance relative to the largest that counts as known exactly.
_EXACT = 1e-12


def re_impact(
    m: object,
    newdata: Any,
    group: str | None = None,
    term: str | None = None,
    breaks: int | Sequence[float] = 3,
    *,
    weights: str = "precision",
    level: float = 0.95,
) -> pd.DataFrame:
    r"""Average the predictions of cases over the levels of low, middle and high expected rank.

    "What would this student score at a low, a middling, a high school?" Each case is predicted in
    every level of the factor; the levels are binned by their expected rank, and the predictions
    averaged within bins.

    Parameters
    ----------
    m : MerMod or MixedLMResults
        A fitted model.
    newdata : DataFrame (pandas or polars)
        A row per case with the variables of the model; its index names the cases and must be
        unique. The columns of `group` and the response may be left out.
    group : str, optional
        Grouping factor, by default the first of the model.
    term : str, optional
        The random effect that levels are ranked by, by default the factor's intercept, or its first
        effect. The predictions have all effects of a level.
    breaks : int or sequence of float, default 3
        How many bins of equal width the range of the levels' percentiles (``pct_er`` of
        `expected_rank`) is cut into, at least 2; or the edges of the bins, ascending from 0 to
        100. A bin has its upper edge in it, the first its lower one too; levels beyond the edges
        given are in no bin.
    weights : {"precision", "equal", "interval"}
        How levels count in a bin's average: by the inverse variance of the case's prediction in
        them; equally, so that the average is what is expected in a level drawn from the bin; or by
        the inverse width of merTools' prediction intervals.
    level : float, default 0.95
        Coverage of the intervals.

    Returns
    -------
    DataFrame
        ``case bin pct_low pct_high fit std_error lower upper spread_error n_levels``, a row for
        each case and bin, cases outermost, on the scale of the response.

        - `bin`: 1 for the lowest ranks; `pct_low` and `pct_high` are its edges.
        - `fit`: the average over the bin's levels, NaN in a bin without.
        - `std_error`: standard error of this average, a standard deviation; `lower` and `upper`:
          its interval, by Student's t with n - p degrees of freedom.
        - `spread_error`: the standard error of a weighted mean of a *sample* whose values vary as
          much as the predictions in the bin (merTools' ``AvgFitSE`` is its square); NaN for one
          level.
        - `n_levels`: levels in the bin.

    Raises
    ------
    InvalidArgumentError
        A group or term that is not in the model; `breaks` below 2, or edges that do not ascend
        within 0 to 100; cases that are empty, lack a column, have a repeated index label, a missing
        value or an unseen level of another factor; another `weights`; `level` outside (0, 1).
    UnsupportedModelError
        A random effect's covariate can't be made from its name alone; ``weights="interval"`` of a
        model of `glmer`.

    Warns
    -----
    SingularFitWarning, ConvergenceWarning
        When `m` is a statsmodels fit with such a problem.

    See Also
    --------
    expected_rank : The ranks.
    re_margins : Single levels instead of averages.
    what_if : Every level.
    merextras.plots.plot_re_impact : A figure of it.

    Notes
    -----
    An average is the linear combination :math:`\bar x'\beta + \bar z'b` with the weighted means of
    the rows in the bin's levels, and `std_error` the root of its variance in the joint distribution
    of all effects (see `merextras.sim`), exact at the estimated theta: nothing is simulated.
    Cases move as in `what_if`: with the columns of the factor, all that is made of them changes; an
    inner level that does not exist is expected to be zero and has its variance before any data.

    Of a model of `glmer` the averages are of means, probabilities or rates, each with its offset;
    standard errors and the weights of ``"precision"`` are by the delta method in the joint
    distribution of all effects, and intervals are symmetric on the scale of the link.

    With n levels and weights that sum to one (Cochran [1]_, in the form of Gatz and Smith [2]_)

    .. math:: \mathrm{spread\_error}^2 = \frac{n}{n-1} \sum_l w_l^2 (\hat y_l - \bar y)^2 .

    It measures how the levels of a bin differ, which is no uncertainty of their average.

    **R counterpart**: ``merTools::REimpact``. Its ``AvgFitSE`` is ``spread_error**2``, the square
    root of which was forgotten. Its documentation weights by the inverse variance
    (``weights="precision"``), its code by ``1 / (upr - lwr)`` of `predictInterval`
    (``weights="interval"``, in closed form: the variances of fixed and random parts taken as
    independent, and the residual's; merTools' own are simulated). It bins percentiles after
    rounding them to whole numbers, and without ``term`` ranks by all terms at once, so that a level
    counts in the bins of each.

    **Cost**: O(cases x levels x (p + effects per row)**2), times q_tail where factors cross;
    memory for 65 536 predictions.

    References
    ----------
    .. [1] Cochran, W. G. (1977). *Sampling Techniques*, 3rd edition. Wiley.
    .. [2] Gatz, D. F. and Smith, L. (1995). The standard error of a weighted mean concentration. I.
       *Atmospheric Environment* 29(11), 1185-1193.

    Examples
    --------
    >>> import merextras as mx
    >>> students = mx.load_dataset("students")
    >>> m = mx.lmer("extro ~ open + agree + social + (1 | school)", students)
    >>> impact = mx.re_impact(m, students.head(1))
    >>> impact[["case", "bin", "fit", "std_error", "lower", "upper", "n_levels"]].round(2)
       case  bin    fit  std_error  lower  upper  n_levels
    0     0    1  50.36       0.21  49.96  50.77         2
    1     0    2  60.41       0.21  60.01  60.82         2
    2     0    3  70.60       0.21  70.19  71.01         2
    """
    model = as_fitted(m, generalised=True)
    effect = pick_effect(model.design, group, term)
    newdata = read_new(model.design, newdata)
    check_choice(weights, _WEIGHTS, "weights")
    if model.is_generalised and weights == "interval":
        raise UnsupportedModelError(
            "weights='interval': merTools' intervals have the residual's variance in them, which a "
            "generalised model does not have; weights='precision' or 'equal'"
        )
    level = check_level(level)
    asked = _bins_or_edges(breaks)
    check_cases(model.design, newdata, effect.group, "newdata")
    shift = np.broadcast_to(offsets(model, newdata), len(newdata))
    levels = model.design.terms[effect.term].levels
    pct = percentiles(ranks_of(model, effect, joint=True))
    edges = _edges(asked, pct)
    bins = _bins(pct, edges)
    found, step = [], max(1, _BLOCK // len(levels))
    for start in range(0, len(newdata), step):
        cases = newdata.iloc[start : start + step]
        rows = reassigned_rows(model, cases, effect.group, levels)
        offset = np.repeat(shift[start : start + step], len(levels))
        found.append(_averages(model, rows, offset, bins, len(edges) - 1, weights))
    fit, variance, spread = (np.concatenate(part) for part in zip(*found, strict=True))
    n_bins = len(edges) - 1
    std_error = np.sqrt(model.joint.sigma2 * variance)
    lower, upper = ends(model, fit, std_error, model.joint.sigma_df, level)
    columns = {
        "case": newdata.index.to_flat_index()[np.repeat(np.arange(len(newdata)), n_bins)],
        "bin": np.tile(np.arange(1, n_bins + 1), len(newdata)),
        "pct_low": np.tile(edges[:-1], len(newdata)),
        "pct_high": np.tile(edges[1:], len(newdata)),
        "fit": fit,
        "std_error": std_error,
        "lower": lower,
        "upper": upper,
        "spread_error": spread,
        "n_levels": np.tile(np.bincount(bins[bins >= 0], minlength=n_bins), len(newdata)),
    }
    return Table.of(pd.DataFrame({name: pd.Series(values) for name, values in columns.items()}))


def _bins_or_edges(breaks: object) -> int | Array:
    """The number of bins, or their edges."""
    if isinstance(breaks, (int, np.integer)) and not isinstance(breaks, bool):
        if breaks >= 2:
            return int(breaks)
    elif isinstance(breaks, (list, tuple, np.ndarray)):
        try:
            edges = np.asarray(breaks, dtype=float)
        except (TypeError, ValueError):
            edges = np.empty(0)
        inside = edges.ndim == 1 and len(edges) >= 2 and edges[0] >= 0.0 and edges[-1] <= 100.0
        if inside and np.all(np.diff(edges) > 0.0):
            return edges
    raise InvalidArgumentError(
        f"breaks={breaks!r}: a number of bins, at least 2, or their edges, ascending within 0 to "
        "100, such as [0, 25, 75, 100]"
    )


def _edges(breaks: int | Array, pct: Array) -> Array:
    """Edges of the bins: of equal width over the percentiles that occur, unless given."""
    if not isinstance(breaks, int):
        return breaks
    low, high = float(np.min(pct)), float(np.max(pct))
    if high - low < _NOTHING:  # all levels rank the same: the middle bin has them
        low, high = low - 0.5, high + 0.5
    return np.linspace(low, high, breaks + 1)


def _bins(pct: Array, edges: Array) -> IntArray:
    """The bin of each level, from 0; -1 beyond the edges."""
    inside = (pct >= edges[0] - _NOTHING) & (pct <= edges[-1] + _NOTHING)
    found = np.searchsorted(edges[1:-1], pct, side="left")
    return np.where(inside, found, -1)


def _averages(
    model: FittedModel, rows: NewRows, offset: Array, bins: IntArray, n_bins: int, weights: str
) -> tuple[Array, Array, Array]:
    """Averages by case and bin, their variances over sigma**2, and Cochran's standard errors."""
    n_levels = len(bins)
    n_cases = len(rows) // n_levels
    means = linearised(model, Combination.of_rows(rows).shifted(offset))
    fit = rows.estimates(model.joint) + offset
    fit = model._link.mean(fit)
    weight = _weights(model, rows, means, weights).reshape(n_cases, n_levels)
    case, place = np.nonzero(np.broadcast_to(bins >= 0, weight.shape))
    target, source = case * n_bins + bins[place], case * n_levels + place
    size = n_cases * n_bins
    total = np.bincount(target, weight[case, place], size)
    share = weight[case, place] / total[target]
    average = sp.csr_array((share, (target, source)), shape=(size, len(rows)))
    count = np.bincount(target, minlength=size)
    averages = means.weighted(average)
    variance = relative_variances(model.joint, averages, (averages,))
    mean = average @ fit
    off = share * (fit[source] - mean[target])
    with np.errstate(invalid="ignore", divide="ignore"):
        spread = np.sqrt(count / (count - 1.0) * np.bincount(target, off**2, size))
    empty, single = count == 0, count <= 1
    mean[empty], variance[empty], spread[single] = np.nan, np.nan, np.nan
    return mean, variance, spread


def _weights(model: FittedModel, rows: NewRows, means: Combination, weights: str) -> Array:
    if weights == "equal":
        return np.ones(len(rows))
    if weights == "interval":
        return 1.0 / np.sqrt(variances(model, rows, joint=False) + 1.0)
    variance = relative_variances(model.joint, means, (means,))
    largest = float(np.max(variance))
    if largest <= 0.0:
        return np.ones(len(rows))
    return 1.0 / np.maximum(variance, _EXACT * largest)
