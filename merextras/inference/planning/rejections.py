"""The p-values of a planned test for simulated responses, all refitted together."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import scipy.linalg as la
from scipy import stats

from merextras.engine.replicates.fits import ManyFits
from merextras.engine.replicates.responses import Responses
from merextras.engine.solution.pls import solve
from merextras.exceptions import ApproximationWarning
from merextras.foundation.aliases import Array, BoolArray
from merextras.inference.ddf.method import f_row, method_of
from merextras.inference.intervals.replicates import reduced, refit_reduced
from merextras.inference.planning.tested import FixedHypothesis, Hypothesis, TermHypothesis
from merextras.inference.variance_tests.null_bootstrap import (
    deviances_of,
    least_squares,
    likelihood_ratio,
)
from merextras.model.fit.response_draws import ResponseModel
from merextras.model.fit.response_draws_by_products import ResponseModelByProducts
from merextras.model.state.fitted import Fit, FittedModel
from merextras.model.state.fitting import fit_at

NOT_CONVERGED = "a fit did not converge"
NO_DF = "the criterion is flat in a direction that the degrees of freedom depend on"
NO_TEST = "the test has no p-value, as a variance of the estimates is zero or not determined"


@dataclass(frozen=True)
class PValues:
    """The tests of some responses.

    Attributes
    ----------
    values : (m,) array
        p-values, NaN where there is none.
    singular : (m,) boolean array
        Whether the fit is singular.
    failures : Counter
        Why there is none.
    """

    values: Array
    singular: BoolArray
    failures: Counter[str]


def test_responses(
    model: FittedModel,
    hypothesis: Hypothesis,
    response_model: ResponseModel | ResponseModelByProducts,
    generators: Sequence[np.random.Generator],
) -> PValues:
    """Draw a response from each generator, refit the model and test the hypothesis."""
    if isinstance(hypothesis, FixedHypothesis) and hypothesis.method != "lrt":
        return _wald(model, hypothesis, response_model, generators)
    assert isinstance(response_model, ResponseModel)
    y = response_model.draw(generators)
    if isinstance(hypothesis, FixedHypothesis):
        large, small, shift = _pair_of_fixed(model, hypothesis)
        df = int(np.linalg.matrix_rank(hypothesis.matrix))
        given = reduced(large, y), reduced(small, y - shift[:, None])
    else:
        large, small = model, without(model, hypothesis.at)
        df = model.n_parameters - _n_parameters_without(model, hypothesis)
        given = reduced(large, y), reduced(small, y)
    fits = refit_reduced(large, given[0])
    deviance = np.where(fits.converged, fits.deviance, np.nan)
    statistic = likelihood_ratio(deviances_of(small, given[1]), deviance, large.solution.n)
    values = np.where(np.isnan(statistic), np.nan, stats.chi2.sf(statistic, df))
    failed = int(np.sum(np.isnan(values)))
    failures = Counter({NOT_CONVERGED: failed}) if failed else Counter()
    return PValues(values, fits.singular, failures)


def _n_parameters_without(model: FittedModel, hypothesis: TermHypothesis) -> int:
    covariances = model.design.covariances
    at = covariances.parts[hypothesis.at]
    return int(model.n_parameters - (at.stop - at.start))


def without(model: FittedModel, at: int) -> FittedModel:
    """The model without a term, where the others' parameters stay as they are."""
    design, reml = model.design.without_term(at), model.solution.reml
    if not design.terms:
        return least_squares(model.design, reml=reml)
    gs = [g / model.solution.sigma2 for t, g in enumerate(model.covariances) if t != at]
    return FittedModel(fit_at(design, design.covariances.natural_of(gs), reml=reml))


def _pair_of_fixed(
    model: FittedModel, hypothesis: FixedHypothesis
) -> tuple[FittedModel, FittedModel, Array]:
    """The model by ML, the smaller one, and what the response loses in that for `rhs`, (n,)."""
    design = model.design.require_rows("power", "the response is shifted by row")
    large = FittedModel(Fit(design, replace(model.solution, reml=False), None))
    free = la.null_space(hypothesis.matrix)
    smaller = replace(design, x=design.x @ free)
    gs = [g / model.solution.sigma2 for g in model.covariances]
    theta = design.covariances.natural_of(gs)
    shift = design.x @ (np.linalg.pinv(hypothesis.matrix) @ hypothesis.rhs)
    return large, FittedModel(fit_at(smaller, theta, reml=False)), shift


def _wald(
    model: FittedModel,
    hypothesis: FixedHypothesis,
    response_model: ResponseModel | ResponseModelByProducts,
    generators: Sequence[np.random.Generator],
) -> PValues:
    responses: Responses
    if isinstance(response_model, ResponseModel):
        responses = reduced(model, response_model.draw(generators))
    else:
        responses = response_model.responses(generators)
    fits = refit_reduced(model, responses)
    tests = np.full((len(fits), 2), np.nan)
    failures = Counter({NOT_CONVERGED: int(np.sum(~fits.converged))})
    with warnings.catch_warnings():
        warnings.simplefilter("error", ApproximationWarning)
        for r in np.flatnonzero(fits.converged).tolist():
            try:
                tests[r] = _test(_replicate(model, responses, fits, r), hypothesis)
            except ApproximationWarning:
                failures[NO_DF] += 1
    values = tests[:, 0]
    if hypothesis.single:
        values = 2.0 * stats.t.sf(np.abs(tests[:, 0]), tests[:, 1])
    failures[NO_TEST] = int(np.sum(np.isnan(values))) - failures.total()
    return PValues(values, fits.singular, +failures)


def _replicate(model: FittedModel, responses: Responses, fits: ManyFits, r: int) -> FittedModel:
    """The model as it was refitted to response r."""
    criterion = model.criterion
    lams = criterion.covariances.factors(criterion.from_user(fits.theta[r]))
    solution = solve(responses.system(criterion.system, r), lams, reml=criterion.reml)
    return FittedModel(Fit(model.design, solution, None))


def _test(refit: FittedModel, hypothesis: FixedHypothesis) -> tuple[float, float]:
    """A t statistic and its degrees of freedom; of an F test the p-value."""
    method = method_of(refit, hypothesis.method)
    if not hypothesis.single:
        return f_row(method, hypothesis.matrix, hypothesis.rhs)[-1], np.nan
    row = hypothesis.matrix[0]
    gap = row @ method.model.solution.beta - hypothesis.rhs[0]
    variance = row @ method.covariance @ row
    if not variance > 0.0:
        return np.nan, np.nan
    return float(gap / np.sqrt(variance)), method.df(row)
