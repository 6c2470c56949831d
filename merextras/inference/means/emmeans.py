"""Estimated marginal means and trends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from merextras.distributions.uncertainty import Uncertainty
from merextras.exceptions import InvalidArgumentError
from merextras.foundation.aliases import Array, BoolArray
from merextras.foundation.arguments import check_choice, check_count, check_level
from merextras.inference.ddf.method import Method, method_of
from merextras.inference.functions.averages import averaged, equal, proportional, said_of
from merextras.inference.functions.estimable import uncertainty_of
from merextras.inference.functions.grid import Grid, reference_grid
from merextras.inference.functions.slopes import DEGREES, trends
from merextras.inference.means.population_means import (
    check_re_form,
    of_population,
    slopes_of_means,
    uncertainty_of_values,
)
from merextras.inference.means.specs import Wanted, wanted_of
from merextras.model.generalised.fitted import FittedGlmm
from merextras.model.generalised.responses.population import Means
from merextras.model.statsmodels.mixedlm import as_fitted
from merextras.results.means.emmeans import Emmeans

__all__ = ["emmeans", "emtrends"]


def emmeans(
    m: object,
    specs: str | Sequence[str],
    by: str | Sequence[str] | None = None,
    *,
    at: Mapping[str, Any] | None = None,
    ddf: str = "kenward-roger",
    cluster: Any = None,
    weights: str = "equal",
    nesting: Mapping[str, Any] | None = None,
    level: float = 0.95,
    type: str = "link",  # noqa: A002 (R's name)
    re_form: str = "NA",
    offset: float | None = None,
) -> Emmeans:
    """Estimated marginal means of factors, emmeans' ``emmeans``.

    The model's predictions for the population (no random effects) at each combination of levels of
    the factors, averaged over the levels of the other factors, with covariates at their means.

    Parameters
    ----------
    m : MerMod or MixedLMResults
        A fitted model, of a patsy, formulaic or plain formula.
    specs : str or sequence of str
        Variables of the fixed part whose levels are wanted; ``()`` for the one overall mean. Also
        emmeans' formula, ``"~ a + b"`` or ``"~ a | b"``, which has `by` right of the bar. A word
        left of the tilde, as in ``"pairwise ~ a | b"``, is the set of contrasts that is printed
        below the means and that ``contrasts()`` gives.
    by : str or sequence of str, optional
        Further ones; contrasts stay within their levels.
    at : mapping of variable to values, optional
        What to hold numbers at instead of their means, or a choice of levels of factors. Several
        values of a variable that is not in `specs` are averaged over.
    ddf : {"kenward-roger", "satterthwaite", "asymptotic", "CR0", "CR1", "CR2"}
        Degrees of freedom; with Kenward and Roger's the standard errors are theirs, the last three
        have cluster-robust ones, see `MerMod.vcov`. There is no limit on the size of the data
        (emmeans' is 3000 rows).
    cluster : str or array, optional
        Of the robust ones, as in `MerMod.vcov`.
    weights : {"equal", "proportional"}
        Of the levels that are averaged over: all the same, or by how often their combinations
        occur among the observations (frequency weights count, precision weights do not).
    nesting : mapping, optional
        By nested factor those that it is in, as ``{"b": "a"}``; ``{}`` for none. By default it is
        found: a factor is nested in another if each of its levels occurs with one level of the
        other, or if the formula has no main effect of it, as of b in ``a / b``. What a nested
        factor is in comes with it, combinations that do not occur are left out, and it is averaged
        over within the cells of what it is in before anything else is.
    level : float, default 0.95
        Of the confidence intervals.
    type : {"link", "response"}
        Of a model of `glmer`: the means of the linear predictor, or these transformed to
        probabilities, rates or means, with their intervals; contrasts are then ratios (of odds with
        a logit link) where the link is a logarithm of one.
    re_form : {"NA", "population"}
        Of a model of `glmer` with ``type="response"``: the random effects are zero, a median level;
        or the means are those of the population, over the normal distribution of all random
        effects, as ``m.predict(re_form="population")`` has them.
    offset : float, optional
        A number in place of the model's offset in all means, such as 0 for rates per unit of
        exposure.

    Returns
    -------
    Emmeans
        Prints as a table; ``to_frame()`` has the columns ``<factors> estimate std_error df conf_low
        conf_high``, and ``contrasts(...)`` compares the means. A mean that is not estimable,
        because the model has dropped columns, is NaN, and a note says so.

    Raises
    ------
    InvalidArgumentError
        A name that is no variable of the fixed part, an unknown level, method or weighting, a
        grid of more than some millions of cells, a formula without a finite value on it.
    UnsupportedModelError
        A factor computed in the formula, as ``C(x > 3)``.

    Warns
    -----
    RefitWarning
        Kenward-Roger's method for an ML fit: everything is that of its refit by REML. emmeans keeps
        the ML estimates, and combines the two fits' covariances to degrees of freedom that belong
        to neither.

    See Also
    --------
    emtrends : Slopes instead of means.
    merextras.inference.means.joint_tests.joint_tests : F tests.

    Notes
    -----
    Searle, Speed & Milliken [1]_: with L the average of the rows of X over the grid, the mean is
    ``L beta``, its standard error ``sqrt(L V L')``. As in emmeans a number with no more than two
    values in the data is treated like a factor with two levels, and transforms are taken of the
    mean (``np.log(x)`` at log of the mean of x). An offset of the formula is that of the grid, and
    one by `lmer`'s argument is at its mean; if that is a column, `at` may have a value of it. L is
    estimable if it is orthogonal to the null space of X with all its columns. Means are on the
    scale of the response as it is in the formula.

    Of a generalised model tests and intervals are by the normal distribution whatever the default
    of `ddf`; other methods are refused. Means are averaged as linear predictors with the random
    effects at zero and then transformed, as in emmeans: those of a median level. With
    ``re_form="population"`` each cell's mean over the random effects is exact, by one integral
    (emmeans' ``bias.adjust`` is an approximation of second order); cells are averaged as means, and
    standard errors are by the delta method in the fixed effects and the covariances. Intervals and
    contrasts are on the scale of the link of these means, transformed back: ratios of odds of the
    population.

    **Cost**: that of `merextras.engine.derivatives.information` once per model and O(cells p) for
    the grid.

    References
    ----------
    .. [1] Searle, S. R., Speed, F. M. and Milliken, G. A. (1980). Population marginal means in the
       linear model: an alternative to least squares means. *The American Statistician* 34(4).

    Examples
    --------
    >>> import merextras as mx
    >>> students = mx.load_dataset("students")
    >>> m = mx.lmer("extro ~ open + Q('class') + (1 | school)", students)
    >>> mx.emmeans(m, "class").to_frame().round(3)
      class  estimate  std_error     df  conf_low  conf_high
    0     a    57.418      3.999  5.004    47.142     67.695
    1     b    59.462      3.999  5.004    49.186     69.738
    2     c    61.116      3.999  5.004    50.839     71.392
    3     d    63.074      3.999  5.004    52.798     73.350
    >>> mx.emmeans(m, "consec ~ class").contrasts().to_frame().iloc[:, :3].round(3)
      contrast  estimate  std_error
    0    b - a     2.044      0.136
    1    c - b     1.654      0.136
    2    d - c     1.958      0.136
    """
    fitted, level = as_fitted(m, generalised=True), check_level(level)
    check_choice(weights, ("equal", "proportional"), "weights")
    type = check_choice(type, ("link", "response"), "type")  # noqa: A001
    grid = reference_grid(fitted.design, at, nesting, offset)
    wanted = wanted_of(grid, specs, by)
    method = method_of(fitted, ddf, cluster=cluster, stacklevel=3, default="kenward-roger")
    uncertainty, shares = uncertainty_of(method), _shares(grid, weights, wanted.names)
    if check_re_form(fitted, re_form, type):
        assert isinstance(fitted, FittedGlmm)
        return _population(fitted, grid, wanted, shares, method, level)
    found = averaged(grid, wanted.names, shares)
    out = _result(grid, wanted, found, uncertainty, level, "Estimated marginal means")
    if not isinstance(fitted, FittedGlmm):
        return out
    if type == "link":
        note = f"On the scale of the {fitted.choice.link} link."
        return replace(out, notes=(*out.notes, note))
    note = f"Back-transformed from the {fitted.choice.link} link, random effects at zero."
    return replace(out, notes=(*out.notes, note), link=fitted.choice.link)


def emtrends(
    m: object,
    specs: str | Sequence[str],
    var: str,
    by: str | Sequence[str] | None = None,
    *,
    max_degree: int = 1,
    at: Mapping[str, Any] | None = None,
    ddf: str = "kenward-roger",
    cluster: Any = None,
    weights: str = "equal",
    nesting: Mapping[str, Any] | None = None,
    level: float = 0.95,
    type: str = "link",  # noqa: A002 (R's name)
    re_form: str = "NA",
    offset: float | None = None,
) -> Emmeans:
    """Slopes in a numeric variable at levels of factors, emmeans' ``emtrends``.

    Parameters
    ----------
    m : MerMod or MixedLMResults
    specs : str or sequence of str
        Variables whose levels are wanted; `var` itself, with values in `at`, gives slopes there.
    var : str
        A numeric column of the data that the fixed part uses, or a function of one as it would be
        in a formula, ``"np.log(x)"``: the slopes are then per unit of that.
    max_degree : int, default 1
        2 for the quadratic coefficients, too, and so on up to 5 (of a function 2): the derivative
        of that order over its factorial. The factor ``degree`` of `by` tells them apart.
    by, at, ddf, cluster, weights, nesting, level
        As in `emmeans`.
    type : {"link", "response"}
        Of a model of `glmer`: slopes of the linear predictor, or of probabilities, rates or means.
    re_form : {"NA", "population"}
        Of a model of `glmer` with ``type="response"``: of the mean with random effects of zero, or
        of the population's, over the random effects.
    offset : float, optional
        As in `emmeans`.

    Returns
    -------
    Emmeans
        Slopes in `estimate`, per unit of `var`.

    Raises
    ------
    InvalidArgumentError
        `var` is no numeric variable of the fixed part nor a function of one, or the formula has no
        finite value near the grid; a `max_degree` outside of 1 to 5; and what `emmeans` raises.

    Notes
    -----
    Of a generalised model tests are asymptotic. On the scale of the response a slope is that of the
    mean in each cell of the grid, which are then averaged (emmeans' ``regrid = "response"``), and
    standard errors are by the delta method in the fixed effects and, of the population's, in the
    covariances; a random slope in `var` is a part of the change then.

    The derivative of the population's prediction averaged over the grid, by central differences of
    the fourth order with steps of a thousandth of the range of `var`: exact for polynomials up to
    the fourth degree, and within some 1e-11 for smooth transforms. emmeans takes one-sided
    differences with such steps, which is some tenths of a per cent off where the line is curved.

    Examples
    --------
    >>> import merextras as mx
    >>> students = mx.load_dataset("students")
    >>> m = mx.lmer("extro ~ open * Q('class') + (1 | school)", students)
    >>> mx.emtrends(m, "class", "open").to_frame().round(4).iloc[:, :3]
      class  estimate  std_error
    0     a    0.0206     0.0160
    1     b   -0.0023     0.0168
    2     c   -0.0022     0.0167
    3     d    0.0272     0.0173
    """
    fitted, level = as_fitted(m, generalised=True), check_level(level)
    check_choice(weights, ("equal", "proportional"), "weights")
    type = check_choice(type, ("link", "response"), "type")  # noqa: A001
    degree = check_count(max_degree, "max_degree")
    if degree > len(DEGREES):
        raise InvalidArgumentError(f"max_degree={max_degree}: expected 1 to {len(DEGREES)}")
    grid = reference_grid(fitted.design, at, nesting, offset)
    wanted = wanted_of(grid, specs, by)
    names, slopes = wanted.names, trends(grid, var, degree)
    method = method_of(fitted, ddf, cluster=cluster, stacklevel=3, default="kenward-roger")
    shares, population = _shares(grid, weights, names), check_re_form(fitted, re_form, type)
    parts = [averaged(each, names, shares) for each in slopes]
    labels = [part[0] for part in parts]
    if degree > 1:
        wanted = replace(wanted, within=("degree", *wanted.within))
        labels = [one.assign(degree=name) for one, name in zip(labels, DEGREES, strict=False)]
    rows, shift = (np.concatenate([part[i] for part in parts]) for i in (1, 2))
    uncertainty, what = uncertainty_of(method), f"Trends in {var}"
    if not isinstance(fitted, FittedGlmm) or type == "link":
        found = pd.concat(labels, ignore_index=True), rows, shift
        out = _result(grid, wanted, found, uncertainty, level, what, var)
        if not isinstance(fitted, FittedGlmm):
            return out
        return replace(out, notes=(*out.notes, f"On the scale of the {fitted.choice.link} link."))
    means = slopes_of_means(fitted, grid, var, degree, population=population)
    good = uncertainty.estimable(rows)
    good &= np.tile(uncertainty.estimable(averaged(grid, names, shares)[1]), degree)
    own = uncertainty_of_values(fitted, _averaged(means, grid, names, shares), good, method)
    found = pd.concat(labels, ignore_index=True), np.eye(len(rows)), np.zeros(len(rows))
    out = _result(grid, wanted, found, own, level, what, var)
    of = "the population" if population else "random effects of zero"
    return replace(out, notes=(*out.notes, f"On the scale of the response, of {of}."))


def _averaged(means: Sequence[Means], grid: Grid, names: Sequence[str], shares: Array) -> Means:
    """Averages of cells' numbers, those of each element of `means` below one another."""
    cells = replace(grid, rows=np.eye(len(grid.frame)), offset=np.zeros(len(grid.frame)))
    averages = averaged(cells, names, shares)[1]
    return Means(
        *(
            np.concatenate([averages @ getattr(each, name) for each in means])
            for name in ("mean", "by_fixed", "by_theta")
        )
    )


def _population(
    model: FittedGlmm,
    grid: Grid,
    wanted: Wanted,
    shares: Array,
    method: Method,
    level: float,
) -> Emmeans:
    """Means over the random effects, linear functions of themselves on the scale of the link."""
    cells = replace(grid, rows=np.eye(len(grid.frame)), offset=np.zeros(len(grid.frame)))
    labels, averages, _ = averaged(cells, wanted.names, shares)
    good = uncertainty_of(method).estimable(averaged(grid, wanted.names, shares)[1])
    own = of_population(model, grid, averages, good, method)
    found = labels, np.eye(len(labels)), np.zeros(len(labels))
    what = "Estimated marginal means of the population"
    made = _result(grid, wanted, found, own, level, what)
    note = f"Over the random effects; intervals by the {model.choice.link} link."
    return replace(made, notes=(*made.notes, note), link=model.choice.link)


def _shares(grid: Grid, weights: str, names: Sequence[str]) -> Array:
    return (equal if weights == "equal" else proportional)(grid, names)


def _result(
    grid: Grid,
    wanted: Wanted,
    found: tuple[pd.DataFrame, Array, Array],
    uncertainty: Uncertainty,
    level: float,
    what: str,
    var: str | None = None,
) -> Emmeans:
    """The functions with their labels, notes and the set of contrasts that goes with them."""
    labels, rows, offset = found
    notes = (*said_of(grid, wanted.names, var), *missing(uncertainty.estimable(rows)))
    labels = labels[[*wanted.specs, *wanted.within]]
    nesting = {n: o for n, o in grid.nesting.items() if n in labels.columns}
    made = Emmeans(
        labels, wanted.within, rows, offset, uncertainty, level, what, notes, "", nesting
    )
    if wanted.comparison:
        made.contrasts(wanted.comparison)  # an unknown set is an error here
        made = replace(made, comparison=wanted.comparison)
    return made


def missing(estimable: BoolArray) -> tuple[str, ...]:
    """A note on the functions that the data do not determine."""
    if np.all(estimable):
        return ()
    return (
        f"NaN: {int(np.sum(~estimable))} of {len(estimable)} are not estimable; they depend on "
        "coefficients that the data do not determine.",
    )
