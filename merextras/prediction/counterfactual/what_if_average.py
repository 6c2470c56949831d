"""Average predictions for cases moved to other groups, or given other values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sp

from merextras.foundation.aliases import Array, IntArray, Rng
from merextras.foundation.arguments import check_choice, check_count, check_level
from merextras.foundation.rng import as_generator
from merextras.model.generalised.fitted import FittedGlmm
from merextras.model.statsmodels.mixedlm import as_fitted
from merextras.prediction.combinations.response_scale import ends, linearised
from merextras.prediction.combinations.uncertainty import (
    Distribution,
    Draws,
    distribution,
    of_mixed,
    summarised,
)
from merextras.prediction.counterfactual.counterfactual_cases import (
    CounterfactualCases,
    counterfactual_cases_of,
)
from merextras.prediction.counterfactual.what_if import BETTER, shift_columns
from merextras.results.base import Table


def what_if_average(
    m: object,
    cases: Any,
    group: str | Mapping[str, Any] | None = None,
    levels: object = None,
    *,
    changes: Mapping[str, Any] | None = None,
    along: str | Sequence[str] = (),
    better: str = "higher",
    n_sims: int | None = None,
    level: float = 0.95,
    rng: Rng = None,
) -> pd.DataFrame:
    r"""Average what cases would be in other levels, or with other values.

    "What would these students score on average, if all of them went to school II?"

    Parameters
    ----------
    m : MerMod or MixedLMResults
        A fitted model.
    cases, group, levels, changes, along, better, level, rng
        As in `what_if`.
    n_sims : int or None, default None
        Draws for standard errors and intervals. With None they are exact.

    Returns
    -------
    DataFrame
        ``level n_cases fit std_error lower upper shift shift_std_error shift_lower shift_upper
        p_better``, a row for each level or combination, on the scale of the response; and the
        ``new_`` columns of `what_if`, if it has them.

        - `fit`: mean over the cases of what is expected of them there, with its standard error and
          interval.
        - `shift`: `fit` less the mean of the cases as they are, those included that do not move;
          NaN if that is not known of all of them.
        - `p_better`: the probability that the mean of the cases goes up (down, for
          ``better="lower"``).

    Raises
    ------
    InvalidArgumentError, UnsupportedModelError
        As `what_if`.

    Warns
    -----
    SingularFitWarning, ConvergenceWarning
        When `m` is a statsmodels fit with such a problem.

    See Also
    --------
    what_if : Case by case.
    merextras.re_impact : Each case, averaged over the levels of low, middle and high rank.

    Notes
    -----
    The mean over cases is the linear combination :math:`\bar x'\beta + \bar z'b` of the mean rows,
    and its shift that of :math:`(\bar x - \bar x_0, \bar z - \bar z_0)`. Both have the distribution
    of `what_if`, exactly: Student's t with n - p degrees of freedom and the variance
    :math:`s^2 \bar a' C \bar a` from the joint covariance C of all effects. Errors that the cases
    have in common do not average out; to divide a case's standard error by the root of the number
    of cases is wrong.

    Of a model of `glmer` the mean is that of probabilities or rates. Without draws its standard
    error, and that of the shift, are by the delta method in the same joint distribution; the
    interval of the mean is symmetric on the scale of the link.

    The mean is over these cases, as they are. Nothing is said of the students that the cases might
    be a sample of.

    **R counterpart**: none; for fixed effects alone ``emmeans`` and ``marginaleffects`` have such
    averages.

    **Cost**: that of moving the cases, O(cases x combinations x (p + effects per row)), and
    O((p + effects in a mean row)**2) for each combination.

    Examples
    --------
    >>> import merextras as mx
    >>> from merextras.prediction.counterfactual.what_if_average import what_if_average
    >>> students = mx.load_dataset("students")
    >>> m = mx.lmer("extro ~ open + agree + social + (1 | school)", students)
    >>> table = what_if_average(m, students[students["school"] == "II"], "school", ["III", "IV"])
    >>> table[["level", "n_cases", "fit", "std_error", "shift", "shift_std_error"]].round(2)
      level  n_cases    fit  std_error  shift  shift_std_error
    0   III      200  58.32       0.19   4.21             0.27
    1    IV      200  62.26       0.19   8.15             0.27
    """
    model = as_fitted(m, generalised=True)
    level = check_level(level)
    n_sims = None if n_sims is None else check_count(n_sims, "n_sims")
    better = check_choice(better, BETTER, "better")
    generator = as_generator(rng)
    made = counterfactual_cases_of(model, cases, group, levels, changes, along)
    n, size = len(cases), len(made.targets)
    shift = made.mean_shift.reshape(n, size).mean(axis=0)
    known = np.arange(size if np.all(made.is_known) else 0)
    by_draws = model.is_generalised and n_sims is not None
    how = _by_draws if by_draws else _by_combinations
    fit = made.mean_fit.reshape(n, size).mean(axis=0)
    of_fit, of_shift = how(made, fit, shift, known, level, n_sims, generator)
    columns: dict[str, Any] = {
        "level": made.targets.labels,
        "n_cases": np.full(size, n),
        "fit": fit,
        "std_error": of_fit.std_error,
        "lower": of_fit.lower,
        "upper": of_fit.upper,
        "shift": shift,
        **shift_columns(size, known, of_shift, better),
        **made.targets.new_columns(),
    }
    return Table.of(pd.DataFrame({name: pd.Series(values) for name, values in columns.items()}))


def _to_means(made: CounterfactualCases) -> tuple[sp.csr_array, sp.csr_array]:
    """What averages the moved cases by targets, and the cases as they are."""
    n, size = len(made.index), len(made.targets)
    moved = averaging(np.tile(np.arange(size), n), np.full(n * size, 1.0 / n))
    return moved, averaging(np.zeros(n, dtype=np.intp), np.full(n, 1.0 / n))


def _by_combinations(
    made: CounterfactualCases,
    fit: Array,
    shift: Array,
    known: IntArray,
    level: float,
    n_sims: int | None,
    rng: np.random.Generator,
) -> tuple[Distribution, Distribution]:
    """Of means that are linear combinations, a generalised model's to first order."""
    model, (to_means, to_own) = made.model, _to_means(made)
    means = linearised(model, made.combined).weighted(to_means)
    own = linearised(model, made.own).weighted(to_own)
    shifts = means - own.take(np.zeros(len(fit), dtype=np.intp))
    draws = None if n_sims is None else Draws.of(model, [means, own], n_sims, rng)
    of_fit = distribution(model, means, fit, level, draws)
    if isinstance(model, FittedGlmm):
        low, high = ends(model, fit, of_fit.std_error, np.inf, level)
        of_fit = replace(of_fit, lower=low, upper=high)
    return of_fit, distribution(model, shifts.take(known), shift[known], level, draws)


def _by_draws(
    made: CounterfactualCases,
    fit: Array,
    shift: Array,
    known: IntArray,
    level: float,
    n_sims: int | None,
    rng: np.random.Generator,
) -> tuple[Distribution, Distribution]:
    """Of means on the scale of a generalised model's response."""
    del fit, shift
    assert n_sims is not None
    to_means, to_own = _to_means(made)
    draws, mean = (
        Draws.of(made.model, [made.combined, made.own], n_sims, rng),
        made.model._link.mean,
    )
    drawn = of_mixed(draws, made.combined, to_means, mean)
    moved = (drawn - of_mixed(draws, made.own, to_own, mean))[known]
    return tuple(  # type: ignore[return-value]
        summarised(iter([(slice(0, len(part)), part)]), len(part), level) for part in (drawn, moved)
    )


def averaging(to: IntArray, weights: Array) -> sp.csr_array:
    """The matrix that adds up rows with weights: row i of what is mixed goes to row ``to[i]``."""
    return sp.csr_array((weights, (to, np.arange(len(to)))), shape=(int(to.max()) + 1, len(to)))
