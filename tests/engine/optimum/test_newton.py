"""The optimiser: the optimum, exact zeros at the boundary, any start and any unit."""

from __future__ import annotations

import pickle
from dataclasses import replace

import free_covariances as covpar
import numpy as np
import pytest
import scipy.optimize
from engine.lme4_models import MODELS, lme4_model
from free_covariances import minimise
from fuzz_share import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from properties.compare import close
from properties.designs import designs, identified
from tolerances import (
    BRUTE_FORCE,
    INVARIANCE,
    LME4_FIXED_THETA,
    LME4_OPTIMUM,
    OPTIMUM_DEFAULT,
    OPTIMUM_DEVIANCE,
    OPTIMUM_THETA,
)

from merextras.engine.elimination.plan import prepare
from merextras.engine.optimum.newton import Control
from merextras.engine.optimum.start import moments
from merextras.engine.products.crossprod import CrossProducts
from merextras.engine.products.term_rows import TermRows

METHODS = [True, False]


def sleepstudy(unit=1.0):
    """Random intercept and slope, with the predictor in other units."""
    model = lme4_model("slopes", "correlated")
    x = model.x * [1.0, unit]
    terms = [replace(model.terms[0], values=x)]
    return prepare(CrossProducts.from_rows(x, model.y, terms))


@pytest.mark.parametrize(("topic", "name"), MODELS)
@pytest.mark.parametrize("method", ["REML", "ML"])
@pytest.mark.parametrize("to_the_end", [False, True])
def test_lme4s_optimum(topic, name, method, to_the_end):
    model = lme4_model(topic, name)
    expected = model.expected[method]
    control = Control(tolerance=1e-16) if to_the_end else Control()
    rtol = LME4_OPTIMUM if to_the_end else OPTIMUM_DEFAULT
    solution, found = minimise(
        model.system(), covpar.start(model.ks), reml=method == "REML", control=control
    )
    assert found.converged
    assert found.message.startswith("converged")
    theta = np.array(expected["theta"]["values"])
    close(found.deviance, expected["criterion"], LME4_FIXED_THETA)
    close(found.theta, theta, rtol)
    close(solution.beta, expected["beta"]["values"], rtol)
    close(np.sqrt(solution.sigma2), expected["sigma"], rtol)
    assert np.all(np.array(found.theta)[theta == 0.0] == 0.0)


@pytest.mark.parametrize("kind", ["zero", "large", "negative", "far"])
@pytest.mark.parametrize(("topic", "name"), MODELS)
def test_any_start(topic, name, kind):
    model = lme4_model(topic, name)
    start = covpar.start(model.ks)
    start = {"zero": 0.0 * start, "large": 30.0 * start, "negative": -start, "far": 0.01 * start}[
        kind
    ]
    theta = np.array(model.expected["REML"]["theta"]["values"])
    _, found = minimise(model.system(), start, reml=True)
    assert found.converged
    assert found.initial == tuple(start)
    assert found.deviance <= model.expected["REML"]["criterion"] + OPTIMUM_DEVIANCE
    close(found.theta, theta, OPTIMUM_THETA)
    assert np.all(np.array(found.theta)[theta == 0.0] == 0.0)


@pytest.mark.parametrize("reml", METHODS)
@pytest.mark.parametrize("unit", [1e-9, 1e-6, 1e-3, 1e3, 1e6, 1e9])
@pytest.mark.parametrize("start", ["unit", "zero"])
def test_units_of_a_predictor(reml, unit, start):
    one = minimise(sleepstudy(), covpar.start([2]), reml=reml)[1]
    theta = covpar.start([2]) if start == "unit" else np.zeros(3)
    other = minimise(sleepstudy(unit), theta, reml=reml)[1]
    assert other.converged
    shift = 2.0 * np.log(unit) if reml else 0.0
    assert abs(other.deviance - one.deviance - shift) < OPTIMUM_DEVIANCE
    close(np.array(other.theta) * [1.0, unit, unit], one.theta, OPTIMUM_THETA)


@pytest.mark.parametrize("reml", METHODS)
def test_a_start_on_the_boundary_is_left_at_once(reml):
    """(0, 0, b) is stationary in theta where (0, b, 0), the same covariance, is not."""
    system = sleepstudy()
    best = minimise(system, covpar.start([2]), reml=reml)[1]
    for start in ([0.0, 0.0, 0.0], [0.0, 0.0, 0.3], [0.0, 0.3, 0.0], [1.0, 0.0, 0.0]):
        found = minimise(system, np.array(start), reml=reml)[1]
        assert found.converged
        assert found.n_iterations <= 10
        assert abs(found.deviance - best.deviance) < OPTIMUM_DEVIANCE


def oracle_optimum(design, reml):
    """The lowest deviance that scipy's bounded search finds on the dense oracle."""
    low = covpar.lower_bounds(design.ks)

    def deviance(theta):
        lams = tuple(covpar.unpack(theta, design.ks))
        return replace(design, lams=lams).oracle(reml=reml)["deviance"]

    starts = [covpar.start(design.ks), 0.3 * covpar.start(design.ks)]
    bounds = [(None if np.isinf(bound) else bound, None) for bound in low]
    return min(
        scipy.optimize.minimize(deviance, start, method="L-BFGS-B", bounds=bounds).fun
        for start in starts
    )


@settings(max_examples=examples(15))
@given(
    designs(layouts=("one", "chain", "crossed"), max_k=2, min_rows=40, max_rows=50), st.booleans()
)
def test_no_worse_than_brute_force(design, reml):
    design = identified(design)
    _, found = minimise(design.system(), covpar.start(design.ks), reml=reml)
    assert found.deviance <= oracle_optimum(design, reml) + BRUTE_FORCE


@settings(max_examples=examples(20))
@given(designs(layouts=("one", "twice", "chain", "crossed"), max_k=2, max_rows=40), st.booleans())
def test_what_it_reports(design, reml):
    """On any design, identified or not, and from any start."""
    solution, found = minimise(design.system(), design.theta, reml=reml)
    assert found.initial == tuple(design.theta)
    close(found.initial_deviance, design.solution(reml=reml).deviance(), INVARIANCE)
    assert found.deviance <= found.initial_deviance + INVARIANCE * (abs(found.deviance) + 100.0)
    theta = np.array(found.theta)
    np.testing.assert_array_equal(covpar.normalise(theta, design.ks), theta)
    np.testing.assert_array_equal(covpar.pack(solution.factor.lams), theta)
    close(solution.deviance(), found.deviance, INVARIANCE)
    assert len(found.log) == found.n_iterations
    assert found.n_evaluations >= found.n_iterations
    assert pickle.loads(pickle.dumps(found)) == found


@settings(max_examples=examples(20))
@given(designs(layouts=("one", "chain", "crossed"), max_k=2, min_rows=40), st.booleans())
def test_identified_designs_converge_from_zero(design, reml):
    design = identified(design)
    system = design.system()
    zero = minimise(system, np.zeros(len(design.theta)), reml=reml)[1]
    other = minimise(system, covpar.start(design.ks), reml=reml)[1]
    assert zero.converged
    assert zero.deviance <= other.deviance + OPTIMUM_DEVIANCE
    # Where the intercept's variance is nearly zero, that of the slope can turn between its two
    # elements of Lambda at almost no cost: the search may then crawl, and says so.
    assert other.converged or other.deviance - zero.deviance < BRUTE_FORCE


@pytest.mark.parametrize("reml", METHODS)
@pytest.mark.parametrize("n", [24, 240])
def test_no_between_group_variance_ends_at_exactly_zero(reml, n):
    """Every group has the same mean, and the slope of every group is the same."""
    codes, x = np.repeat(np.arange(6), n // 6), np.tile(np.arange(n // 6), 6) * 1.0
    y = np.tile(np.random.default_rng(2).normal(size=n // 6), 6)
    fixed = np.column_stack([np.ones(n), x])
    for values in (fixed[:, :1], fixed):
        terms = [TermRows(codes, values, 6)]
        system = prepare(CrossProducts.from_rows(fixed, y, terms))
        _, found = minimise(system, covpar.start([values.shape[1]]), reml=reml)
        assert found.converged
        assert not any(found.theta)


def test_no_terms():
    system = prepare(CrossProducts.from_rows(np.ones((5, 1)), np.arange(5.0), []))
    solution, found = minimise(system, np.empty(0), reml=True)
    assert (found.converged, found.theta, found.gradient) == (True, (), ())
    assert found.deviance == solution.deviance()


@pytest.mark.parametrize("start", [1e8, 1e200, np.nan, np.inf])
def test_a_hopeless_start_is_replaced(start):
    model = lme4_model("intercept", "sleepstudy")
    _, found = minimise(model.system(), np.array([start]), reml=True)
    assert found.converged
    close(found.deviance, model.expected["REML"]["criterion"], LME4_FIXED_THETA)


@pytest.mark.parametrize(
    ("x", "y", "deviance"),
    [
        (np.ones((8, 2)), np.arange(8.0), np.nan),
        (np.ones((8, 1)), np.full(8, np.nan), np.nan),
        (np.ones((8, 1)), np.zeros(8), -np.inf),
        (np.vander(np.arange(8.0)), np.arange(8.0) ** 1.5, np.nan),
    ],
)
def test_no_deviance_is_said_not_raised(x, y, deviance):
    terms = [TermRows(np.arange(8) % 3, np.ones((8, 1)), 3)]
    system = prepare(CrossProducts.from_rows(x, y, terms))
    _, found = minimise(system, np.ones(1), reml=True)
    assert not found.converged
    assert np.array_equal(found.deviance, deviance, equal_nan=True)
    assert "the deviance at the start is" in found.message


def test_too_few_iterations_are_reported():
    control = Control(max_iterations=1, max_restarts=0)
    _, found = minimise(sleepstudy(), np.ones(3), reml=True, control=control)
    assert not found.converged
    assert found.message.startswith("not converged: the deviance could still fall by about")
    assert found.n_iterations == 1
    assert found.decrement > control.tolerance


@pytest.mark.parametrize("ratio", [1e2, 1e3])
@pytest.mark.parametrize("reml", METHODS)
def test_groups_that_explain_nearly_everything(ratio, reml):
    rng = np.random.default_rng(12)
    codes = np.repeat(np.arange(15), 6)
    y = ratio * rng.normal(size=15)[codes] + rng.normal(size=90)
    terms = [TermRows(codes, np.ones((90, 1)), 15)]
    _, found = minimise(
        prepare(CrossProducts.from_rows(np.ones((90, 1)), y, terms)), np.ones(1), reml=reml
    )
    # Balanced: the closed form of the estimates.
    means = y.reshape(15, 6).mean(axis=1)
    within = np.sum((y - means[codes]) ** 2) / 75
    between = np.sum((means - means.mean()) ** 2) / (14 if reml else 15)
    assert found.converged
    close(found.theta[0], np.sqrt(between / within - 1.0 / 6.0), OPTIMUM_THETA)


def test_a_search_that_falls_faster_and_faster_ends_where_a_longer_one_does():
    """The decrement that is left is that of nine digits, though the one before it was not."""
    system = sleepstudy()
    start = moments(system.cp)
    _, summary = minimise(system, start, reml=True)
    _, longer = minimise(system, start, reml=True, control=Control(tolerance=1e-30))
    assert summary.converged
    assert longer.n_iterations > summary.n_iterations
    np.testing.assert_allclose(summary.theta, longer.theta, rtol=1e-9)
