"""Cases in the levels at given ranks of a factor: merTools' ``REmargins``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from merextras.accessors.pick import COMBINED, FIXED, Effect, parts_of, pick_effect, pick_effects
from merextras.exceptions import InvalidArgumentError, UnsupportedModelError
from merextras.foundation.aliases import Array, IntArray
from merextras.foundation.arguments import check_flag, check_level
from merextras.model.newdata.rows import read_new
from merextras.model.state.fitted import FittedModel
from merextras.model.state.one_sigma import require_one_sigma
from merextras.model.statsmodels.mixedlm import as_fitted
from merextras.prediction.cases.reassign import check_cases, own_levels
from merextras.prediction.cases.reassigned_rows import (
    offsets,
    part_of,
    reassigned_rows,
    variances,
)
from merextras.prediction.combinations.response_scale import ends_of_predictors
from merextras.prediction.ranks.expected_rank import percentiles, ranks_of
from merextras.results.base import Table

#: Distances of percentiles that differ by less are the same.
_SAME = 1e-6


def re_margins(
    m: object,
    newdata: Any = None,
    group: str | None = None,
    term: str | Sequence[str] | None = None,
    breaks: int | Sequence[float] = 4,
    *,
    level: float = 0.95,
    include_resid_var: bool = False,
    joint: bool = True,
) -> pd.DataFrame:
    r"""Predict cases in levels picked along the expected ranks of a factor, part by part.

    "What would this student score at the lowest school, at those a third and two thirds of the way
    up, at the highest?"

    Parameters
    ----------
    m : MerMod or MixedLMResults
        A fitted model.
    newdata : DataFrame (pandas or polars), optional
        A row per case with the variables of the model, by default the model's own rows; its index
        names the cases and must be unique. The columns of `group` and the response may be left out.
    group : str, optional
        Grouping factor, by default the first of the model.
    term : str or sequence of str, optional
        The random effects that levels are ranked by, each in turn; all of the factor's by default.
        The predictions have all effects of a level.
    breaks : int or sequence of float, default 4
        How many levels are picked: at equal steps of the percentile from 0, the level of the lowest
        expected rank, to 100, that of the highest; at least 2. Or the percentiles, from 0 to 100,
        at which: the level whose ``pct_er`` (see `expected_rank`) is nearest; of two as near the
        lower.
    level : float, default 0.95
        Coverage of the intervals.
    include_resid_var : bool, default False
        Whether the intervals of ``"combined"`` are for a new observation, with the residual's
        variance, and not for its mean. `std_error` is that of `fit` either way.
    joint : bool, default True
        Whether variances are of the joint distribution of fixed and random effects. False adds the
        two up as if they were independent, as merTools does: far too wide for known levels.

    Returns
    -------
    DataFrame
        ``case group term percentile level pct_er own_level effect fit std_error lower upper``: by
        cases, terms, percentiles, and effects. `level` is the level that was picked, `pct_er` its
        percentile, `own_level` the one in the data (NaN if its columns are not there). `effect` is
        what is predicted: ``"combined"``, all of it; the part of each grouping factor; ``"fixed"``,
        ``x'beta``. The first and the last have the offset in them. `std_error` is a standard
        deviation. Of a model of `glmer` ``"combined"`` is the mean, a probability or a rate, and
        its interval that of the linear predictor transformed; the other parts are of the linear
        predictor.

    Raises
    ------
    InvalidArgumentError
        A group or term that is not in the model; `breaks` below 2, or percentiles outside 0 to 100;
        cases that are empty, lack a column, have a repeated index label, a missing value or an
        unseen level of another factor; `level` outside (0, 1).
    UnsupportedModelError
        A random effect's covariate can't be made from its name alone; ``include_resid_var=True`` of
        a model of `glmer`.

    Warns
    -----
    SingularFitWarning, ConvergenceWarning
        When `m` is a statsmodels fit with such a problem.

    See Also
    --------
    re_impact : Averages over bins of levels.
    what_if : Every level.

    Notes
    -----
    Intervals are ``fit`` plus or minus a quantile of Student's t with n - p degrees of freedom
    times the standard error, exact at the estimated theta: nothing is simulated. Cases move as in
    `what_if`.

    **R counterpart**: ``merTools::REmargins``, whose frame is wide (here it is long, as that of
    ``predict_interval(which="all")``). It picks the levels whose percentile is nearest to the
    *lower* edges of `breaks` intervals, 1, 26, 51 and 76, so that the highest is never among
    them; for any term but the first it picks levels that have nothing to do with the term's ranks.
    It adds the residual's noise to the fixed part and to the effects too.
    ``breaks=[1, 26, 51, 76], joint=False, include_resid_var=True`` has its levels and its intervals
    of ``"combined"``, up to its Monte Carlo error and the degrees of freedom.

    **Cost**: O(J**2) for the ranks of J levels, then that of the predictions,
    O((p + effects per row)**2) each, times q_tail where factors cross.

    Examples
    --------
    >>> import merextras as mx
    >>> students = mx.load_dataset("students")
    >>> m = mx.lmer("extro ~ open + agree + social + (1 | school)", students)
    >>> margins = mx.re_margins(m, students.head(1), breaks=3)
    >>> margins[["percentile", "level", "own_level", "effect", "fit", "std_error"]].round(2)
       percentile level own_level    effect    fit  std_error
    0         0.0     I        IV  combined  46.25       0.25
    1         0.0     I        IV    school -14.09       4.00
    2         0.0     I        IV     fixed  60.34       4.00
    3        50.0   III        IV  combined  58.37       0.25
    4        50.0   III        IV    school  -1.97       4.00
    5        50.0   III        IV     fixed  60.34       4.00
    6       100.0    VI        IV  combined  74.29       0.25
    7       100.0    VI        IV    school  13.95       4.00
    8       100.0    VI        IV     fixed  60.34       4.00
    """
    model = as_fitted(m, generalised=True)
    first = pick_effect(model.design, group, None)
    effects = pick_effects(model.design, first.group, term)
    newdata = None if newdata is None else read_new(model.design, newdata)
    cases = model.design.frame if newdata is None else newdata
    level = check_level(level)
    include_resid_var = check_flag(include_resid_var, "include_resid_var")
    if include_resid_var and model.is_generalised:
        raise UnsupportedModelError(
            "include_resid_var=True: a generalised model has no residual variance; say "
            "include_resid_var=False, or see predict_interval for new observations"
        )
    if include_resid_var:
        require_one_sigma(
            model,
            "re_margins",
            "the residual variance of a case in another level is not told by its rows alone",
            "say include_resid_var=False, or see what_if and predict(interval='prediction')",
        )
    joint = check_flag(joint, "joint")
    targets = _targets(breaks)
    check_cases(model.design, cases, first.group, "newdata")
    shift = np.broadcast_to(offsets(model, newdata), len(cases))
    tables = [_of_effect(model, cases, effect, targets, joint) for effect in effects]
    table = pd.concat(tables, ignore_index=True)
    table = table.sort_values("at", kind="stable", ignore_index=True)
    at = table.pop("at").to_numpy()
    moves = table["effect"].isin([COMBINED, FIXED]).to_numpy()
    table["fit"] += np.where(moves, shift[at], 0.0)
    _with_ends(model, table, level, include_resid_var)
    own = pd.Series(own_levels(model.design, cases, first.group)[at])
    table.insert(0, "case", pd.Series(cases.index.to_flat_index()[at]))
    table.insert(list(table.columns).index("effect"), "own_level", own)
    return Table.of(table)


def _with_ends(model: FittedModel, table: pd.DataFrame, level: float, noisy: bool) -> None:
    """Add the intervals; of a generalised model what is combined becomes a mean."""
    combined = (table["effect"] == COMBINED).to_numpy()
    noise = combined * float(noisy)
    sigma2, df = model.joint.sigma2, model.joint.sigma_df
    half = stats.t.isf((1.0 - level) / 2.0, df) * np.sqrt(table["std_error"] ** 2 + sigma2 * noise)
    eta = table["fit"].to_numpy()
    table["lower"], table["upper"] = ends_of_predictors(model, eta, half.to_numpy(), combined)
    table["std_error"] *= np.where(combined, np.abs(model._link.slope(eta)), 1.0)
    table["fit"] = np.where(combined, model._link.mean(eta), eta)


def _targets(breaks: object) -> Array:
    """The percentiles to pick levels at."""
    if isinstance(breaks, (int, np.integer)) and not isinstance(breaks, bool):
        if breaks >= 2:
            return np.linspace(0.0, 100.0, int(breaks))
    elif isinstance(breaks, (list, tuple, np.ndarray)):
        try:
            given = np.asarray(breaks, dtype=float)
        except (TypeError, ValueError):
            given = np.empty(0)
        if given.ndim == 1 and len(given) and np.all((given >= 0.0) & (given <= 100.0)):
            return given
    raise InvalidArgumentError(
        f"breaks={breaks!r}: how many levels, at least 2, or percentiles from 0 to 100 such as "
        "[10, 50, 90]"
    )


def _nearest(pct: Array, targets: Array) -> IntArray:
    """The level nearest to each percentile, of several the lowest."""
    order = np.argsort(pct, kind="stable")
    distance = np.abs(pct[order] - targets[:, None])
    near = distance <= distance.min(axis=1, keepdims=True) + _SAME
    return np.asarray(order[np.argmax(near, axis=1)])


def _of_effect(
    model: FittedModel, cases: pd.DataFrame, effect: Effect, targets: Array, joint: bool
) -> pd.DataFrame:
    """All cases at all percentiles of one random effect, every part; `at` is the case's place."""
    levels = model.design.terms[effect.term].levels
    pct = percentiles(ranks_of(model, effect, joint=joint))
    picked = _nearest(pct, targets)
    different, again = np.unique(picked, return_inverse=True)
    rows = reassigned_rows(model, cases, effect.group, levels[different])
    parts = parts_of(model.design)
    fit = np.empty((len(rows), len(parts)))
    std_error = np.empty_like(fit)
    for i, part in enumerate(parts):
        mine = part_of(model, rows, part)
        fit[:, i] = mine.estimates(model.joint)
        std_error[:, i] = np.sqrt(model.joint.sigma2 * variances(model, mine, joint=joint))
    n, p = len(cases), len(parts)
    source = (np.arange(n)[:, None] * len(different) + again).reshape(-1)
    each = np.tile(np.repeat(np.arange(len(targets)), p), n)
    return pd.DataFrame(
        {
            "at": np.repeat(np.arange(n), len(targets) * p),
            "group": effect.group,
            "term": effect.name,
            "percentile": targets[each],
            "level": pd.Series(levels[picked[each]]),
            "pct_er": pct[picked[each]],
            "effect": np.tile(np.array(parts, dtype=object), n * len(targets)),
            "fit": fit[source].reshape(-1),
            "std_error": std_error[source].reshape(-1),
        }
    ).infer_objects()
