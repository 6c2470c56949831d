"""Prediction intervals by simulation: merTools' ``predictInterval``, with joint draws."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from tqdm import tqdm

from merextras.exceptions import ApproximationWarning, InvalidArgumentError
from merextras.foundation.aliases import Array, Rng
from merextras.foundation.arguments import check_choice, check_count, check_flag, check_level
from merextras.foundation.rng import as_generator
from merextras.model.columns.levels import labels_of
from merextras.model.generalised.fitted import FittedGlmm
from merextras.model.newdata.re_form import kept_effects
from merextras.model.newdata.rows import read_new, unseen
from merextras.model.newdata.target import Target, precisions, target_rows
from merextras.model.newdata.trials import trials_of
from merextras.model.state.fitted import FittedModel
from merextras.model.state.one_sigma import require_one_sigma
from merextras.model.statsmodels.mixedlm import as_fitted
from merextras.results.replicates.predict_interval import PredictIntervalResult, interval_frame
from merextras.simulation.independent import fixed_covariance, independent_drawer
from merextras.simulation.interval_tables import (
    IntervalTables,
    Observations,
    Residuals,
    blocks_of_rows,
)
from merextras.simulation.linear_predictor import Drawer, RowDraws, row_draws
from merextras.simulation.sim import draw_effects

_WHICH = ("full", "fixed", "random", "all")
#: Numbers worked on at a time (512 KB, to stay in the processor's cache).
_BLOCK = 2**16
#: Numbers drawn that take two seconds or so; less needs no progress bar.
_LONG = 5e7


def predict_interval(
    m: object,
    newdata: Any = None,
    *,
    which: str = "full",
    type: str = "response",  # noqa: A002 (R's name, as in `predict`)
    level: float = 0.8,
    n_sims: int = 1000,
    stat: str = "median",
    include_resid_var: bool = True,
    new_levels: str = "zero",
    joint: bool = True,
    return_sims: bool = False,
    fix_intercept_variance: bool = False,
    ignore_fixed_terms: str | Sequence[str] | None = None,
    weights: Any = None,
    rng: Rng = None,
) -> pd.DataFrame | PredictIntervalResult:
    r"""Simulate predictions and their intervals, merTools' ``predictInterval``.

    Parameters
    ----------
    m : MerMod or MixedLMResults
        A fitted model.
    newdata : DataFrame (pandas or polars), optional
        Rows to predict for, by default those of the fit.
    which : {"full", "fixed", "random", "all"}
        What is predicted: the response ``x'beta + z'b + e``, its fixed part ``x'beta`` (with the
        offset), its random part ``z'b``, or all of these, with the random part by factors.
    type : {"response", "link"}
        Of a generalised model: on the scale of the response, or of the linear predictor, where
        there is no new response (``include_resid_var=False``). Scales of a linear model are one.
    level : float, default 0.8
        Coverage of the intervals.
    n_sims : int, default 1000
        Number of draws.
    stat : {"median", "mean"}
        What `fit` is of the draws.
    include_resid_var : bool, default True
        Whether the residual e is drawn too: intervals for a new observation, not for its mean.
    new_levels : {"zero", "draw"}
        What the effects of a level that the model has not seen are: zero, without variance (a
        warning says which levels), or drawn from ``N(0, sigma**2 Lambda Lambda')``, once for all
        rows of the level. A missing level is one that the model has not seen.
    joint : bool, default True
        Draw fixed and random effects jointly. False draws them independently, as merTools does,
        and reproduces its intervals; they are far too wide for groups in the data.
    return_sims : bool
        Also return the draws, which take 8 bytes times rows times `n_sims`.
    fix_intercept_variance, ignore_fixed_terms : bool, str or sequence of str
        merTools' corrections for ``joint=False`` (see Notes).
    weights : number, array, Series or column name, optional
        Precision weights w of the rows, as in `predict`: residuals have variance ``sigma**2 / w``.
        Of a binomial model of `glmer` numbers of trials, by default those that the columns of
        `newdata` say.
    rng : int, numpy.random.Generator or None
        Seed or source of the random numbers. The effects of the levels that the rows have are
        drawn, as `sim` draws those of all.

    Returns
    -------
    DataFrame
        ``fit lower upper`` under the index of `newdata`; NaN where a predictor is missing. For
        ``which="all"`` a long frame ``effect case fit lower upper`` with the effects ``combined``,
        the grouping factors and ``fixed``, and the index's labels as `case`. Of a generalised model
        ``combined`` is on the scale of the response, and the parts are of the linear predictor,
        where they add up; so is the part of ``which="random"``.
    PredictIntervalResult
        With ``return_sims=True``: that frame by ``to_frame()``, and ``sims``, a mapping from
        `which` (for ``"all"`` from each effect) to an (n, n_sims) array.

    Raises
    ------
    InvalidArgumentError
        Another `which`, `stat` or `new_levels`; `level` outside (0, 1), `n_sims` not a positive
        whole number; a missing column, an unseen category; merTools' corrections with
        ``joint=True``, for a term that is not there, or where they leave no variance; another
        `type`, or ``type="link"`` with new responses.
    UnsupportedModelError
        A random slope that can't be made from its name.

    Warns
    -----
    ApproximationWarning
        Levels that the model has not seen under ``new_levels="zero"``.
    SingularFitWarning, ConvergenceWarning
        When `m` is a statsmodels fit with such a problem.

    See Also
    --------
    merextras.MerMod.predict : The intervals in closed form, without Monte Carlo error.
    sim : The draws of the parameters, and their formula.

    Notes
    -----
    Of a generalised model (`glmer`) ``include_resid_var=True`` has intervals of a new response
    drawn from the family (a proportion of the row's trials, a count, a number), False of its mean
    given the effects, a probability or a rate. The parameters are drawn as in `sim`. What merTools
    draws there, ``joint=False``, is beta and effects independently and, with
    ``include_resid_var=True``, a standard normal number added to every linear predictor and part,
    which is no observation's noise: take False. Probabilities are merTools' then
    (``type="probability"``), but for the mean, which is here that of the probabilities, and for the
    parts of ``"all"``, each of which merTools transforms by itself.

    ``joint=True`` draws :math:`\sigma^2 \sim r^2/\chi^2_{n-p}`, then (beta, b) from their joint
    normal distribution given sigma, as `sim` does, and :math:`e \sim N(0, \sigma^2/w)`. As `n_sims`
    grows, ``which="full"`` becomes ``predict(interval="prediction")``, without residuals
    ``interval="confidence"``; ``new_levels`` is ``allow_new_levels`` there. The parts under
    ``"fixed"``, ``"random"`` and of ``"all"`` have no residuals: those belong to an observation,
    not to a part of its mean, and the parts' draws add up to that of the whole less its residual.

    ``joint=False`` is what merTools 0.5.2 draws: :math:`\sigma^2 \sim r^2/\chi^2_{n-k}` with k
    all parameters, beta ~ N(estimate, ``vcov``), and each level's effects ~ N(mode, conditional
    variance), independently; residuals (without weights) are added to *any* `which`, new ones to
    each effect of ``"all"``. The effects and the intercept, whose errors largely cancel, then each
    spread by themselves: in the model below the mean of a row has SD 3.8 where 0.24 is right.
    merTools' remedies: `fix_intercept_variance` shrinks the intercept's variance (its inverse's
    element is divided by the share left when ``1 / sum_j 1 / (V_j + tau**2)`` is taken off for each
    factor), and `ignore_fixed_terms` names fixed effects to hold at their estimates. Differences
    that remain: offsets are added (merTools forgets them), ``||`` works, a correction that leaves a
    negative variance is an error, `new_levels` is that of merTools 1.0, and an unseen level of a
    factor such as ``class:school`` has no effect (0.5.2 gives each row that of a level it has, at
    random).

    Columns stand in the order fit, lower, upper (merTools: fit, upr, lwr); quantiles are R's
    type 7.

    **Cost**: time O(rows x n_sims (1 + p + effects per row)), some 40 ns a number, and that of the
    draws of the random effects that the rows have. Memory: the frame, and about 0.5 GB for draws at
    most: where the rows have more effects than fit, they are worked through in several passes that
    draw the same effects again.

    References
    ----------
    Gelman, A. and Hill, J. (2007). *Data Analysis Using Regression and Multilevel/Hierarchical
    Models*, sections 7.2 and 12.8. Cambridge University Press.

    Examples
    --------
    >>> import merextras as mx
    >>> students = mx.load_dataset("students")
    >>> m = mx.lmer("extro ~ open + agree + social + (1 | school)", students)
    >>> mx.predict_interval(m, students.head(2), n_sims=4000, rng=1).round(1)
        fit  lower  upper
    0  62.2   58.7   65.7
    1  54.2   50.8   57.7
    >>> mean = {"include_resid_var": False, "n_sims": 4000, "rng": 1}
    >>> ours = mx.predict_interval(m, students.head(1), **mean)
    >>> theirs = mx.predict_interval(m, students.head(1), joint=False, **mean)
    >>> [float((f["upper"] - f["lower"]).iloc[0].round(1)) for f in (ours, theirs)]
    [0.6, 10.0]
    """
    model = as_fitted(m, generalised=True)
    which = check_choice(which, _WHICH, "which")
    stat = check_choice(stat, ("median", "mean"), "stat")
    new_levels = check_choice(new_levels, ("zero", "draw"), "new_levels")
    level, n_sims, generator = check_level(level), check_count(n_sims, "n_sims"), as_generator(rng)
    joint, return_sims = check_flag(joint, "joint"), check_flag(return_sims, "return_sims")
    include_resid_var = check_flag(include_resid_var, "include_resid_var")
    newdata = None if newdata is None else read_new(model.design, newdata)
    noisy = include_resid_var and which in {"full", "all"}
    scale = check_choice(type, ("response", "link"), "type")
    if isinstance(model, FittedGlmm):
        _check_link(scale, noisy and joint)
    elif include_resid_var and not joint:
        require_one_sigma(
            model,
            "joint=False",
            "merTools' draws add a residual of one sigma to every row",
            "take joint=True, or include_resid_var=False",
        )
    drawer = _drawer(model, n_sims, joint, fix_intercept_variance, ignore_fixed_terms)
    target = target_rows(model, newdata, kept=kept_effects(model.design, None), unknown="zero")
    if new_levels == "zero":
        _warn_of_unseen(model, newdata, target)
    residuals: Residuals | Observations | None = None
    inverse_link = None
    if isinstance(model, FittedGlmm):
        inverse_link = model.engine_family.mean if scale == "response" else None
        residuals = _observations(model, newdata, weights, noisy and joint, generator)
    elif include_resid_var and joint:
        residuals = Residuals(_scale(precisions(model.design, newdata, weights)), False, generator)
    if include_resid_var and not joint:
        residuals = Residuals(None, True, generator)
    made = IntervalTables(model.design, which, stat, level, target.offset, residuals, inverse_link)
    made.prepare(len(target), n_sims, keep=return_sims)
    known = target.complete()
    work = row_draws(model, target, known, drawer, n_sims, generator, new_levels=new_levels)
    _fill(made, work, len(known), n_sims)
    tables, sims, index = made.tables, made.sims, target.index
    if target.user_rows is not None and target.user_rows.kept:
        spread, index = target.user_rows.spread, target.user_rows.index
        tables = {effect: spread(table) for effect, table in tables.items()}
        sims = {effect: spread(draws) for effect, draws in sims.items()}
    if return_sims:
        return PredictIntervalResult(which, level, index, tables, sims)
    return interval_frame(which, index, tables)


def _fill(made: IntervalTables, work: Iterable[RowDraws], n_rows: int, n_sims: int) -> None:
    """Put the draws of the rows into the tables, with a progress bar where they are many."""
    short = n_rows * n_sims * len(made.tables) < _LONG
    with tqdm(total=n_rows, desc="intervals", unit="rows", disable=short or None) as bar:
        for draws in work:
            for part in blocks_of_rows(len(draws), n_sims, _BLOCK):
                made.fill(draws, part)
                bar.update(part.stop - part.start)


def _observations(
    model: FittedGlmm,
    newdata: pd.DataFrame | None,
    weights: Any,
    wanted: bool,
    rng: np.random.Generator,
) -> Observations | None:
    """What makes new responses of means, if they are wanted."""
    if not wanted and weights is None:
        return None
    trials = trials_of(model, newdata, weights)
    return Observations(model, trials, rng) if wanted else None


def _drawer(
    model: FittedModel,
    n_sims: int,
    joint: bool,
    fix_intercept_variance: bool,
    ignore_fixed_terms: str | Sequence[str] | None,
) -> Drawer:
    """Choose the distribution of the parameters."""
    if isinstance(ignore_fixed_terms, str):
        ignore_fixed_terms = [ignore_fixed_terms]
    ignored = list(ignore_fixed_terms or [])
    if not joint:
        covariance = fixed_covariance(
            model, fix_intercept_variance=fix_intercept_variance, ignore_fixed_terms=ignored
        )
        return independent_drawer(model, n_sims, covariance)
    for name, given in {
        "fix_intercept_variance": fix_intercept_variance,
        "ignore_fixed_terms": ignored,
    }.items():
        if given:
            raise InvalidArgumentError(
                f"{name}={given!r}: corrects for independent draws; say joint=False to have them"
            )
    return lambda rng, keep, used: draw_effects(model, n_sims, rng, keep, used)


def _check_link(scale: str, noisy: bool) -> None:
    """Refuse new responses on the scale of the linear predictor."""
    if scale == "link" and noisy:
        raise InvalidArgumentError(
            "type='link' with include_resid_var=True: a new response is on its own scale; say "
            "type='response', or include_resid_var=False for the linear predictor"
        )


def _warn_of_unseen(model: FittedModel, newdata: pd.DataFrame | None, target: Target) -> None:
    """Say which levels' effects are taken for zero."""
    for term, numbers in zip(model.design.terms, target.unseen, strict=True):
        new = numbers >= 0
        if newdata is not None and np.any(new):
            given = labels_of(newdata, term.columns)[new]
            text = unseen(given, term.levels, term.factor).partition(";")[0]
            warnings.warn(
                f"newdata: {text}; their effects are taken for zero, without variance. "
                "new_levels='draw' draws them",
                ApproximationWarning,
                stacklevel=3,
            )


def _scale(weights: Array | None) -> Array | None:
    """Residual standard deviations over sigma; NaN for a weight of zero, no observation."""
    if weights is None:
        return None
    known = weights > 0.0
    return np.where(known, 1.0 / np.sqrt(np.where(known, weights, 1.0)), np.nan)
