"""Predictions for cases moved to other groups, or given other values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from merextras.exceptions import InvalidArgumentError
from merextras.foundation.aliases import Array, Rng
from merextras.foundation.arguments import check_choice, check_count, check_level
from merextras.foundation.rng import as_generator
from merextras.model.state.fitted import FittedModel
from merextras.model.statsmodels.mixedlm import as_fitted
from merextras.prediction.combinations.response_scale import exact_means, exact_shifts
from merextras.prediction.combinations.uncertainty import (
    Distribution,
    Draws,
    distribution,
    of_means,
    of_shifts,
)
from merextras.prediction.counterfactual.counterfactual_cases import (
    CounterfactualCases,
    counterfactual_cases_of,
)
from merextras.results.base import Table

BETTER = ("higher", "lower")

#: Draws where intervals have no closed form and no number is given.
_DRAWS = 1000


def what_if(
    m: object,
    cases: Any,
    group: str | Mapping[str, Any] | None = None,
    levels: object = None,
    *,
    changes: Mapping[str, Any] | None = None,
    along: str | Sequence[str] = (),
    better: str = "higher",
    n_sims: int | str | None = "auto",
    level: float = 0.95,
    rng: Rng = None,
) -> pd.DataFrame:
    r"""Predict each case in other levels of grouping factors, or with other values.

    "What would these students be like at the other schools?" Everything about a case stays as it
    is, but for the level it belongs to, and the values that are changed.

    Parameters
    ----------
    m : MerMod or MixedLMResults
        A fitted model.
    cases : DataFrame (pandas or polars)
        A row per case, with the variables of the model; its index names the cases and must be
        unique. The response may be left out, and so may the columns that change: then it is not
        known what the cases are by themselves, and all that compares with it is NaN.
    group : str, or mapping from str to levels, optional
        What the cases are moved between: a grouping factor, such as ``school``, or
        ``class:school`` for a nested one; or a column that one is made of, such as ``class`` there.
        A mapping moves them by several at once, to all combinations, the last key changing fastest:
        ``{"school": ["I", "II"], "class": None}`` with None for all levels.
    levels : level or sequence of levels, optional
        Levels to put the cases in, all of the factor's by default. Only with one factor.
    changes : mapping from column to values, optional
        New values of predictors, in all combinations with the levels and each other, as `wiggle`
        makes them: ``{"open": [30, 50]}``.
    along : str or sequence of str
        Predictors that belong to the level and come with it, such as a school's size. They must
        be the same in all rows of a level in the data of the model. All others stay.
    better : {"higher", "lower"}
        Which direction `p_better` asks for.
    n_sims : "auto", int or None
        Draws for the intervals. With None they are exact (see Notes) and nothing is drawn.
        ``"auto"`` is None for a linear model, and 1000 for a generalised one, of whose shifts the
        closed form is that of the delta method.
    level : float, default 0.95
        Coverage of the intervals.
    rng : int, numpy.random.Generator or None
        Seed or source of the random numbers, where there are draws.

    Returns
    -------
    DataFrame
        ``case level fixed effect fit lower upper own_level observed shift distance shift_std_error
        shift_lower shift_upper p_better``, a row for each case and combination, cases outermost, on
        the scale of the response.

        - `level`: of one factor; of several, and with `changes`, a text such as
          ``"I, a, open=30"``. Then columns ``new_school``, ``new_class``, ``new_open`` have what it
          is made of.
        - `fixed`: X beta of the case.
        - `effect`: z'b, the conditional modes of *all* terms with the case's own covariates. The
          factors that do not move stay at the case's own levels.
        - `fit`: fixed + effect, and the offset if the model has one.
        - `lower` and `upper`: interval of this linear predictor, a conditional mean; there is no
          residual noise in it.
        - `own_level`: what is in `cases`; NaN if its columns are not there.
        - `observed`: the response in `cases`, or NaN.
        - `shift`: fit less the fit of the case as it is; NaN if its columns are not there or the
          model does not know its level.
        - `distance`: fit - observed.
        - `shift_std_error`, a standard deviation, `shift_lower` and `shift_upper`: how sure the
          shift is. It is the difference of two correlated predictions.
        - `p_better`: the probability that the shift is above zero (below, for ``better="lower"``);
          NaN where nothing moves and its standard error is zero.

        Of a generalised model (`glmer`) `fixed` and `effect` are parts of the linear predictor;
        `fit`, its interval, `shift` and `p_better` are of the mean: a probability or a rate.

        ``attrs`` has the names of the response and, of one factor, of the group.

    Raises
    ------
    InvalidArgumentError
        An unknown `group`; levels that the model has not seen, or one given twice; two factors that
        change the same column; a column in `changes` or `along` that is no predictor, or a value
        that is missing or that the model does not know; cases that are empty, lack a column, have a
        repeated index label, a missing value in a predictor, or an unseen level of a factor that
        does not move; an offset that was given by array; `level` outside (0, 1); `n_sims` not
        positive; another `better`.
    UnsupportedModelError
        A random effect's covariate can't be made from its name alone.

    Warns
    -----
    SingularFitWarning, ConvergenceWarning
        When `m` is a statsmodels fit with such a problem.

    See Also
    --------
    what_if_average : Means over cases.
    what_if_spread : How much of the outcome's variance the levels make up.
    merextras.simulation.sim.sim : The draws, and their formula.
    merextras.simulation.re_sim.re_sim : Summaries of the effects that are added here.

    Notes
    -----
    To move a case is to change the columns that the level is made of; all that is made of these
    columns follows. Moving a student to school II makes ``class:school`` ``a:II`` of ``a:I``, and a
    fixed effect of the school changes too; moving to ``class:school`` ``b:II`` moves to school II.
    Where the moved inner level does not exist in the data, its effect is expected to be zero and
    its variance before any data is in the interval; so it is where the case's own inner level is
    one that the model does not know. A factor with columns of its own (a student, a school
    year, a cask labelled ``A:a``) stays as it is, and so do predictors that describe a level unless
    `along` names them.

    Intervals are quantiles of ``x'beta + z'b`` over joint draws of (beta, b, sigma), theta held at
    its estimate. With the joint covariance C of `sim` and :math:`s^2 = r^2/(n-p)` these converge
    to the exact ones, which a linear model has without draws,

    .. math:: x'\hat\beta + z'\hat b \pm t_{n-p} \, s \, \sqrt{(x, z)' C (x, z)},

    plus :math:`z'\Lambda\Lambda'z` under the root for an effect without data. The effects of
    fixed and random parts cancel largely, so that intervals are far narrower than from
    independent draws of the two.

    The shift is the same for :math:`(x - x_0, z - z_0)`, with the case's own row
    :math:`(x_0, z_0)`: its standard error is s times the root, and `p_better` the tail of the same
    t distribution, :math:`P(t_{n-p} < \mathrm{shift} / \mathrm{se})`. It can't be had from the two
    intervals: what is uncertain in both predictions cancels, such as the fixed effects where only
    the group changes. With draws, `p_better` is the share of those in which the shift is above
    zero, with a resolution of 1 / n_sims, and the standard error their standard deviation, larger
    by the root of (n-p) / (n-p-2). These are statements about the model's conditional means given
    the data. What would become of a student who moves is another question, unless students came to
    their schools by lot.

    Precision weights do not enter: they are about the residual.

    Of a generalised model ``n_sims=None`` transforms the ends of the linear predictor's interval,
    takes the shift's standard error by the delta method, and `p_better`, which does not depend on
    the scale, from the linear predictors' difference.

    **R counterpart**: none as a function; the tutorial's section "What Do Random Effects Matter?"
    builds `fit` by hand from the mean of simulated effects, without intervals. Here `fit` has the
    conditional mode itself. ``merTools::REimpact`` averages over bins of groups.

    **Cost**: O(cases x combinations x (p + effects per row + n_sims)) time, with draws some 25 ns a
    row and draw. Only the effects that some row needs are drawn.

    Examples
    --------
    >>> import statsmodels.formula.api as smf
    >>> from merextras.datasets import load_dataset
    >>> from merextras.prediction.counterfactual.what_if import what_if
    >>> students = load_dataset("students")
    >>> fit = smf.mixedlm("extro ~ open + agree + social", students, groups="school").fit()
    >>> moved = what_if(fit, students.head(2), "school", ["I", "IV", "VI"], n_sims=None)
    >>> columns = ["case", "level", "fit", "lower", "upper", "own_level", "shift"]
    >>> moved[columns].round(1)
       case level   fit  lower  upper own_level  shift
    0     0     I  46.3   45.8   46.7        IV  -16.1
    1     0    IV  62.3   61.8   62.8        IV    0.0
    2     0    VI  74.3   73.8   74.8        IV   12.0
    3     1     I  46.3   45.8   46.7        II   -7.9
    4     1    IV  62.3   61.9   62.7        II    8.1
    5     1    VI  74.3   73.9   74.7        II   20.1

    Another school and more openness:

    >>> moved = what_if(
    ...     fit, students.head(1), {"school": ["IV", "V"]}, changes={"open": [30, 60]}, n_sims=None
    ... )
    >>> moved[["level", "new_open", "shift", "shift_lower", "shift_upper", "p_better"]].round(2)
             level  new_open  shift  shift_lower  shift_upper  p_better
    0  IV, open=30        30  -0.21        -0.79         0.36      0.23
    1  IV, open=60        60   0.08        -0.13         0.29      0.77
    2   V, open=30        30   4.15         3.39         4.91      1.00
    3   V, open=60        60   4.44         3.87         5.02      1.00
    """
    model = as_fitted(m, generalised=True)
    level = check_level(level)
    n_draws = _n_draws(model, n_sims)
    better = check_choice(better, BETTER, "better")
    generator = as_generator(rng)
    made = counterfactual_cases_of(model, cases, group, levels, changes, along)
    known = np.flatnonzero(made.is_known[made.each])
    own = made.own.take(made.each[known])
    draws = None
    if n_draws is not None:
        draws = Draws.of(model, [made.combined, made.own], n_draws, generator)
    fit, shift = made.mean_fit, made.mean_shift
    taken = made.combined.take(known)
    if model._link.is_identity:
        of_fit = distribution(model, made.combined, fit, level, draws)
        of_shift = distribution(model, taken - own, shift[known], level, draws)
    elif draws is None:
        of_fit = exact_means(model, made.combined, made.fit, level)
        of_shift = exact_shifts(model, taken, own, shift[known], level)
    else:
        mean = model._link.mean
        of_fit = of_means(draws, made.combined, mean, level)
        of_shift = of_shifts(draws, taken, own, mean, level)
    columns = shift_columns(len(made.each), known, of_shift, better)
    out = _frame(made, fit, shift, of_fit, columns)
    out.attrs |= {"response": model.design.response}
    if isinstance(group, str):
        out.attrs["group"] = group
    return Table.of(out)


def _n_draws(model: FittedModel, n_sims: int | str | None) -> int | None:
    """How many draws are made; None for none."""
    if n_sims == "auto":
        return _DRAWS if model.is_generalised else None
    if isinstance(n_sims, str):
        raise InvalidArgumentError(
            f"n_sims={n_sims!r}: 'auto', a positive whole number, or None for exact intervals"
        )
    return None if n_sims is None else check_count(n_sims, "n_sims")


def shift_columns(n: int, known: Any, of_shift: Distribution, better: str) -> dict[str, Array]:
    """How sure shifts are, as columns of n rows of which some are known."""
    found = {
        "shift_std_error": of_shift.std_error,
        "shift_lower": of_shift.lower,
        "shift_upper": of_shift.upper,
        "p_better": of_shift.p_positive if better == "higher" else of_shift.p_negative,
    }
    out = {}
    for name, values in found.items():
        out[name] = np.full(n, np.nan)
        out[name][known] = values
    return out


def _frame(
    made: CounterfactualCases,
    fit: Array,
    shift: Array,
    of_fit: Distribution,
    of_shift: dict[str, Array],
) -> pd.DataFrame:
    """Lay out the result, a row for each case and target."""
    fixed, effect = made.parts
    observed = made.observed[made.each]
    again = np.tile(np.arange(len(made.targets)), len(made.index))
    columns: dict[str, Any] = {
        "case": made.index.to_flat_index()[made.each],
        "level": made.targets.labels[again],
        "fixed": fixed,
        "effect": effect,
        "fit": fit,
        "lower": of_fit.lower,
        "upper": of_fit.upper,
        "own_level": made.own_labels[made.each],
        "observed": observed,
        "shift": shift,
        "distance": fit - observed,
        **of_shift,
    }
    for name, values in made.targets.new_columns().items():
        columns[name] = values.iloc[again].reset_index(drop=True)
    return pd.DataFrame({name: pd.Series(values) for name, values in columns.items()})
