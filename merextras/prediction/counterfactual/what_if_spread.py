"""The share of the outcome's variance that the levels of a grouping factor make up."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from merextras.exceptions import InvalidArgumentError
from merextras.foundation.aliases import Array, Rng
from merextras.foundation.arguments import check_choice, check_count, check_level
from merextras.foundation.rng import as_generator
from merextras.inference.variance_shares.variance_parts import VarianceParts
from merextras.model.columns.levels import labels_of
from merextras.model.design.design import Design
from merextras.model.generalised.fitted import FittedGlmm
from merextras.model.state.fitted import FittedModel
from merextras.model.statsmodels.mixedlm import as_fitted
from merextras.prediction.combinations.combination import Combination
from merextras.prediction.combinations.prediction_variance import relative_variances
from merextras.prediction.combinations.response_scale import linearised
from merextras.prediction.combinations.uncertainty import Draws
from merextras.prediction.counterfactual.counterfactual_cases import (
    CounterfactualCases,
    counterfactual_cases_of,
)
from merextras.prediction.counterfactual.counterfactuals import Counterfactuals
from merextras.prediction.counterfactual.spread_of_means import drawn_sources, single_noise
from merextras.prediction.counterfactual.what_if_average import averaging

_WEIGHTS = ("rows", "equal")
_SOURCES = ("levels", "cases", "residual", "outcome")


def what_if_spread(
    m: object,
    cases: Any,
    group: str | Mapping[str, Any],
    levels: object = None,
    *,
    along: str | Sequence[str] = (),
    weights: str = "rows",
    n_sims: int | None = 1000,
    level: float = 0.95,
    rng: Rng = None,
) -> pd.DataFrame:
    r"""Say how much of the outcome's variance it makes which level a case belongs to.

    Parameters
    ----------
    m : MerMod or MixedLMResults
        A fitted model with its data.
    cases, group, levels, along
        As in `what_if`.
    weights : {"rows", "equal"}
        How levels count: by their observations in the data of the model, or equally.
    n_sims : int or None, default 1000
        Draws for the intervals; with None there are none.
    level : float, default 0.95
        Coverage of the intervals.
    rng : int, numpy.random.Generator or None
        Seed or source of the random numbers.

    Returns
    -------
    DataFrame
        ``source variance sd share lower upper``:

        - ``levels``: the variance of one case's predictions over the levels, its mean over the
          cases.
        - ``cases``: the variance of the predictions in one level over the cases, its mean over the
          levels.
        - ``residual``: what a single observation varies around its prediction.
        - ``outcome``: the variance of the response in the data of the model.

        `share` is the variance divided by the outcome's, and `lower` and `upper` its interval; NaN
        without draws, and for the outcome, which is data.

    Raises
    ------
    InvalidArgumentError
        As `what_if`; another `weights`; ``"rows"`` where no row of the data is in one of the
        levels.
    UnsupportedModelError
        As `what_if`; the model has kept no rows of its data.

    Warns
    -----
    SingularFitWarning, ConvergenceWarning
        When `m` is a statsmodels fit with such a problem.

    See Also
    --------
    what_if : The predictions themselves.
    merextras.icc : The share of the variance of all groups that there could be.

    Notes
    -----
    With the prediction f of case i in level l, the levels' weights w, which sum to one, and n cases

    .. math::

        V_{levels} = \frac1n \sum_i \sum_l w_l (f_{il} - \bar f_{i\cdot})^2, \qquad
        V_{cases} = \sum_l w_l \frac1n \sum_i (f_{il} - \bar f_{\cdot l})^2 .

    These are variances of the levels and cases at hand, what Gelman [1]_ calls finite-population
    variances; all divide by n and not n - 1, the outcome's too. `variance` is the posterior
    expectation, which is that of the estimated predictions plus that of their errors,

    .. math:: V(\hat f) + \frac{r^2}{n-p-2} \Bigl( \sum_{il} \frac{w_l}{n} c_{il} -
       \frac1n \sum_i c_{i\cdot} \Bigr)

    with the variances c of f and of its means in the joint covariance of `sim`: the predictions
    alone, which are shrunken, vary too little. Intervals are quantiles over joint draws. theta is
    held at its estimate.

    Of a model of `glmer` predictions are means, probabilities or rates; their expected squares
    are to first order around the estimates, and the residual is what a single response varies
    around its mean (of proportions with the trials of the data, 1 / m on average).

    **Relation to the intraclass correlation.** In a model with a random intercept,
    ``levels / (levels + residual)`` is like the adjusted `icc`, with the variance of the levels
    there are for that of all there could be. Of J equally large groups the former is about
    (J - 1) / J of the latter. It is known far better: the uncertainty of `icc` with few groups is
    that of groups which nobody has seen. With slopes it depends on the cases.

    The shares add up to about one if the cases are the data, the levels are all there are, and
    predictors are not related to them. Where such predictors differ between levels, the outcome has
    that in its variance too.

    **Cost**: as `what_if`.

    References
    ----------
    .. [1] Gelman, A. (2005). Analysis of variance: why it is more important than ever. *Annals of
       Statistics* 33(1), 1-53.

    Examples
    --------
    >>> import merextras as mx
    >>> from merextras.prediction.counterfactual.what_if_spread import what_if_spread
    >>> students = mx.load_dataset("students")
    >>> m = mx.lmer("extro ~ open + agree + social + (1 | school)", students)
    >>> what_if_spread(m, students.head(50), "school", rng=1).round(3)
         source  variance     sd  share  lower  upper
    0    levels    79.892  8.938  0.918  0.887  0.949
    1     cases     0.038  0.195  0.000  0.000  0.001
    2  residual     7.146  2.673  0.082  0.076  0.089
    3   outcome    87.027  9.329  1.000    NaN    NaN
    """
    model = as_fitted(m, generalised=True)
    level = check_level(level)
    n_sims = None if n_sims is None else check_count(n_sims, "n_sims")
    check_choice(weights, _WEIGHTS, "weights")
    generator = as_generator(rng)
    outcome = _outcome(model.design)
    made = counterfactual_cases_of(model, cases, group, levels, None, along)
    grid = _Grid.of(made, _level_weights(model.design, made.targets, weights))
    found, drawn = _sources(made, grid, n_sims, generator)
    found.append(outcome)
    ends = np.full((2, len(_SOURCES)), np.nan)
    if n_sims is not None:
        tails = [(1.0 - level) / 2.0, (1.0 + level) / 2.0]
        ends[:, : len(drawn)] = np.quantile(drawn, tails, axis=1) / outcome
    variance = np.array(found)
    return pd.DataFrame(
        {
            "source": _SOURCES,
            "variance": variance,
            "sd": np.sqrt(variance),
            "share": variance / outcome,
            "lower": ends[0],
            "upper": ends[1],
        }
    )


def _sources(
    made: CounterfactualCases, grid: _Grid, n_sims: int | None, rng: np.random.Generator
) -> tuple[list[float], list[Array]]:
    """Variances between levels, between cases and of the residual: expected, and their draws."""
    model, drawn = made.model, []
    scale = _expected_sigma2(model)
    draws = None if n_sims is None else Draws.of(model, [made.combined], n_sims, rng)
    if isinstance(model, FittedGlmm):
        noise = single_noise(model, made.fit, np.tile(grid.weights / grid.n, grid.n))
        if draws is not None:
            drawn = drawn_sources(model, made.combined, draws, grid.weights, grid.centre)
    else:
        noise = _residual_noise(model, made, grid) * scale
        if draws is not None:
            noises = noise / scale * draws.sigma**2
            drawn = [*grid.variances(_drawn_squares(draws)), noises]
    return [*grid.variances(_expected_squares(model, scale)), noise], drawn


def _expected_sigma2(model: FittedModel) -> float:
    """The posterior expectation of sigma**2: the mean of a scaled inverse chi-square."""
    solution = model.joint
    df = solution.sigma_df
    if np.isfinite(df):
        return float(solution.pwrss / (df - 2)) if df > 2 else np.nan
    return float(solution.unbiased_sigma2)


def _residual_noise(model: FittedModel, made: CounterfactualCases, grid: _Grid) -> float:
    """The residual variance over sigma**2: the mean of the data's, or by group of the moved cases'.

    Weights are those of the data, 1 / w on average.
    """
    residual = model.design.residual
    if residual is None:
        return VarianceParts.of(model).residual
    by_weight = 1.0
    if model.design.weights is not None:
        used, counts = model.design.observed, _counts(model.design)
        by_weight = float(np.average(1.0 / model.design.weights[used], weights=counts[used]))
    every = np.tile(grid.weights / grid.n, grid.n)
    return by_weight * float(every @ (1.0 / residual.of_data(made.frame, "cases")))


#: Of combinations of effects with weights: the weighted sum of their squares, or that by draws.
_Squares = Callable[[Combination, Array], Any]


@dataclass(frozen=True, eq=False)
class _Grid:
    """Predictions by cases and levels, less their overall mean at the estimate.

    Attributes
    ----------
    rows, of_cases, of_levels : Combination
        The predictions; the means of each case, and of each level.
    n : int
    weights : (L,) array
        Of the levels; they sum to one.
    centre : float
        The overall mean.
    """

    rows: Combination
    of_cases: Combination
    of_levels: Combination
    n: int
    weights: Array
    centre: float

    @classmethod
    def of(cls, made: CounterfactualCases, weights: Array) -> _Grid:
        n, size = len(made.index), len(weights)
        every = np.tile(weights / n, n)
        # Squares of small numbers lose no digits.
        centre = float(every @ made.mean_fit)
        rows = linearised(made.model, made.combined)
        rows = Combination(rows.x, rows.z, rows.new_levels, rows.constant - centre)
        by_case = rows.weighted(averaging(made.each, np.tile(weights, n)))
        again = np.tile(np.arange(size), n)
        by_level = rows.weighted(averaging(again, np.full(n * size, 1.0 / n)))
        return cls(rows, by_case, by_level, n, weights, centre)

    def variances(self, squares: _Squares) -> tuple[Any, Any]:
        """Those between levels and between cases, from what sums of squares are."""
        every = squares(self.rows, np.tile(self.weights / self.n, self.n))
        between_cases = squares(self.of_cases, np.full(self.n, 1.0 / self.n))
        between_levels = squares(self.of_levels, self.weights)
        return (
            np.maximum(every - between_cases, 0.0),
            np.maximum(every - between_levels, 0.0),
        )


def _expected_squares(model: FittedModel, scale: float) -> _Squares:
    """Posterior expectations; `scale` is that of sigma**2."""

    def squares(rows: Combination, weights: Array) -> float:
        estimates = rows.estimates(model.joint)
        variances = relative_variances(model.joint, rows, (rows,))
        return float(weights @ (estimates**2 + scale * variances))

    return squares


def _drawn_squares(draws: Draws) -> _Squares:
    def squares(rows: Combination, weights: Array) -> Array:
        out = np.zeros(len(draws.sigma))
        for part, values in draws.in_blocks(rows):
            out += weights[part] @ values**2
        return out

    return squares


def _counts(design: Design) -> Array:
    """How many observations each row of the model is."""
    out = np.zeros(design.n)
    out[design.observed] = 1.0
    return out if design.frequencies is None else out * design.frequencies


def _outcome(design: Design) -> float:
    """The variance of the response, with the divisor n."""
    counts = _counts(design)
    counts = counts / counts.sum()
    return float(counts @ (design.y - counts @ design.y) ** 2)


def _level_weights(design: Design, targets: Counterfactuals, weights: str) -> Array:
    """The share of each target in the data, or equal ones."""
    size = len(targets)
    if weights == "equal":
        return np.full(size, 1.0 / size)
    at = np.zeros(design.n, dtype=np.intp)
    known = np.ones(design.n, dtype=bool)
    for move in targets.moves:
        if move.key in design.factors:
            term = design.terms[design.terms_of(move.key)[0]]
            codes = move.levels.get_indexer(term.levels)[term.rows.codes]
        else:
            codes = move.levels.get_indexer(labels_of(design.frame, [move.key]))
        known &= codes >= 0
        at = at * len(move.levels) + codes
    found = np.bincount(at[known], weights=_counts(design)[known], minlength=size)
    if found.sum() == 0.0:
        raise InvalidArgumentError(
            "weights='rows': no row of the data is in one of these levels; say weights='equal'"
        )
    return np.asarray(found / found.sum())
