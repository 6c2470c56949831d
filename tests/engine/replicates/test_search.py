"""Many responses at once: each ends where its own fit does, zeros and failures included."""

from __future__ import annotations

import warnings

import free_covariances as covpar
import numpy as np
import pytest
from free_covariances import average_information, gradient, minimise, minimise_many, second_part
from fuzz_share import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from properties.compare import close
from properties.designs import designs
from tolerances import MANY_DEVIANCE, MANY_KERNEL, MANY_THETA, SAME_REPLICATES

import merextras as mx
from merextras.engine.derivatives.gradient import deviance_slopes
from merextras.engine.elimination.plan import prepare
from merextras.engine.optimum.criterion import Criterion
from merextras.engine.optimum.newton import Control
from merextras.engine.products.crossprod import CrossProducts
from merextras.engine.products.term_rows import TermRows
from merextras.engine.replicates import search
from merextras.engine.replicates.by_levels import LevelProblem, joint_blocks
from merextras.engine.replicates.responses import Responses
from merextras.engine.replicates.whole import WholeProblem, gram
from merextras.engine.solution.pls import solve
from merextras.exceptions import SingularFitWarning
from merextras.model.state.fitting import refit_start

FORMULAS = {
    "intercept": ("students", "extro ~ open + agree + social + (1 | school)"),
    "slopes": ("sleepstudy", "Reaction ~ Days + (Days | Subject)"),
    "uncorrelated": ("sleepstudy", "Reaction ~ Days + (Days || Subject)"),
    "three effects": ("sleepstudy", "Reaction ~ Days + (Days + I(Days**2 / 9) | Subject)"),
    "nested": ("pastes", "strength ~ 1 + (1 | batch/cask)"),
    "crossed slopes": ("sleepstudy", "Reaction ~ Days + (Days | Subject) + (1 | Days)"),
    "crossed": ("penicillin", "diameter ~ 1 + (1 | plate) + (1 | sample)"),
}


@pytest.fixture(scope="module", params=FORMULAS)
def model(request):
    data, formula = FORMULAS[request.param]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SingularFitWarning)  # of the crossed slopes
        return mx.lmer(formula, mx.load_dataset(data))


def responses_of(model, n, *, null=False, seed=3):
    """Responses from the model, or without any random effect, and what the engine takes."""
    design, solution = model.design, model.solution
    rng, sigma = np.random.default_rng(seed), np.sqrt(solution.sigma2)
    y = (design.x @ solution.beta)[:, None] + sigma * rng.normal(size=(design.n, n))
    for term, lam in zip(design.terms, solution.lams, strict=True):
        b = sigma * np.einsum("ab,jbm->jam", lam, rng.normal(size=(len(term.levels), term.k, n)))
        if not null:
            y += np.einsum("nk,nkm->nm", term.rows.values, b[term.rows.codes])
    rows = [term.rows for term in design.terms]
    return Responses.from_rows(solution.factor.system.cp, design.x, y, rows, design.weights), y


@pytest.mark.parametrize("null", [False, True], ids=["model", "null"])
@pytest.mark.parametrize("reml", [True, False], ids=["REML", "ML"])
def test_each_ends_where_its_own_fit_does(model, reml, null):
    system, start = model.solution.factor.system, refit_start(model)
    responses, y = responses_of(model, 10, null=null)
    found = minimise_many(system, responses, start, reml=reml)
    rows = [term.rows for term in model.design.terms]
    for r in range(len(responses)):
        effects = system.cp.basis.effects
        own = prepare(CrossProducts.from_rows(model.design.x, y[:, r], rows, effects=effects))
        solution, one = minimise(own, start, reml=reml)
        assert one.converged
        assert found.converged[r]
        assert abs(found.deviance[r] - one.deviance) < MANY_DEVIANCE
        close(found.theta[r], one.theta, MANY_THETA, scale=1e-3)
        assert np.array_equal(found.theta[r] == 0.0, np.array(one.theta) == 0.0)
        close(found.beta[r], solution.beta, MANY_THETA)
        close(found.sigma2[r], solution.sigma2, MANY_THETA)
    assert not null or np.mean(np.any(found.theta == 0.0, axis=1)) > 0.3  # it was about zeros


def test_one_after_the_other(model, monkeypatch):
    system, start = model.solution.factor.system, refit_start(model)
    responses, _ = responses_of(model, 3)
    found = minimise_many(system, responses, start, reml=True)
    monkeypatch.setattr(search, "_MOST_EFFECTS", 0)
    monkeypatch.setattr(search, "_MOST_PRODUCTS", 0)
    done = []
    alone = minimise_many(system, responses, start, reml=True, progress=done.append)
    assert done == [1, 1, 1]
    assert np.all(alone.converged)
    close(alone.deviance, found.deviance, MANY_DEVIANCE)
    close(alone.theta, found.theta, MANY_THETA)


def test_blocks_do_not_matter(model, monkeypatch):
    system, start = model.solution.factor.system, refit_start(model)
    responses, _ = responses_of(model, 7)
    found = minimise_many(system, responses, start, reml=True)
    monkeypatch.setattr(search, "_BLOCK", 2 * max(gram(system).size, 100))
    blocked = minimise_many(system, responses, start, reml=True)
    close(blocked.theta, found.theta, SAME_REPLICATES)
    close(blocked.beta, found.beta, SAME_REPLICATES)


@settings(max_examples=examples(40))
@given(designs(min_rows=20), st.booleans())
def test_deviance_and_derivatives_at_a_theta(design, reml):
    system = design.system()
    rng = np.random.default_rng(len(design.y))
    y = np.column_stack([design.y, design.y + rng.normal(size=len(design.y))])
    responses = Responses.from_rows(system.cp, design.x, y, design.terms, design.weights)
    criterion = Criterion(system, reml=reml)
    kinds = [WholeProblem(criterion, responses)]
    joint = joint_blocks(system)
    if joint is not None:
        kinds.append(LevelProblem(criterion, joint, responses))
    thetas = np.stack([design.theta, 0.5 * design.theta])
    everyone = np.arange(2)
    for problem in kinds:
        point = problem.at(everyone, thetas)
        slope, hessian, slopes = problem.local_model(everyone, point)
        for r, theta in enumerate(thetas):
            lams = covpar.unpack(theta, design.ks)
            one = solve(responses.system(system, r), lams, reml=reml)
            scale = abs(one.deviance()) + len(y)
            close(point.deviance[r], one.deviance(), MANY_KERNEL, scale=scale)
            if not np.isfinite(one.deviance()):
                continue
            close(slope[r], gradient(one), MANY_KERNEL, scale=scale)
            ds = deviance_slopes(one)
            for d, span in zip(ds, problem.covariances.spans, strict=True):
                close(slopes[r][span, span], d, MANY_KERNEL, scale=scale)
            second = average_information(one) + second_part(ds, design.ks)
            close(hessian[r], second, MANY_KERNEL, scale=scale)


def small(y, k=1, p=1):
    """Six groups of five rows."""
    n = len(y)
    codes, x = np.arange(n) % 6, np.vander(np.arange(n) / n, max(p, k), increasing=True)
    terms = [TermRows(codes, x[:, :k], 6)]
    system = prepare(CrossProducts.from_rows(x[:, :p], y[:, 0], terms))
    return system, Responses.from_rows(system.cp, x[:, :p], y, terms)


@pytest.mark.parametrize("p", [0, 1, 2])
@pytest.mark.parametrize("k", [1, 2])
def test_an_exact_fit_is_no_estimate_and_harms_no_other(k, p):
    y = np.random.default_rng(1).normal(size=(30, 4)) + 1.0
    y[:, 2] = 0.0
    system, responses = small(y, k=k, p=p)
    found = minimise_many(system, responses, covpar.start([k]), reml=True)
    assert found.converged.tolist() == [True, True, False, True]
    assert found.deviance[2] == -np.inf
    one = minimise(responses.system(system, 3), covpar.start([k]), reml=True)[1]
    assert abs(found.deviance[3] - one.deviance) < MANY_DEVIANCE


def test_missing_values_are_no_estimate():
    y = np.random.default_rng(1).normal(size=(30, 3))
    y[4, 1] = np.nan
    system, responses = small(y)
    found = minimise_many(system, responses, np.ones(1), reml=True)
    assert found.converged.tolist() == [True, False, True]
    assert np.isnan(found.deviance[1])


def test_no_degrees_of_freedom():
    y = np.random.default_rng(1).normal(size=(4, 2))
    x = np.vander(np.arange(4.0))
    terms = [TermRows(np.arange(4) % 2, np.ones((4, 1)), 2)]
    system = prepare(CrossProducts.from_rows(x, y[:, 0], terms))
    responses = Responses.from_rows(system.cp, x, y, terms)
    found = minimise_many(system, responses, np.ones(1), reml=True)
    assert not np.any(found.converged)


def test_no_terms():
    y = np.random.default_rng(1).normal(size=(10, 3))
    system = prepare(CrossProducts.from_rows(np.ones((10, 1)), y[:, 0], []))
    responses = Responses.from_rows(system.cp, np.ones((10, 1)), y, [])
    found = minimise_many(system, responses, np.empty(0), reml=False)
    close(found.beta[:, 0], y.mean(axis=0), MANY_THETA)
    close(found.sigma2, y.var(axis=0), MANY_THETA)
    assert found.theta.shape == (3, 0)


def test_no_responses():
    system, responses = small(np.random.default_rng(1).normal(size=(30, 2)))
    found = minimise_many(system, responses.take(slice(0, 0)), np.ones(1), reml=True)
    assert len(found) == 0
    assert found.theta.shape == (0, 1)


@pytest.mark.parametrize("start", [[0.0, 0.0, 0.0], [0.0, 0.0, 0.3], [0.0, 0.3, 0.0], [1e9] * 3])
def test_starts_at_a_bound_or_hopeless(start):
    model = mx.lmer("Reaction ~ Days + (Days | Subject)", mx.load_dataset("sleepstudy"))
    system = model.solution.factor.system
    responses, _ = responses_of(model, 10)
    expected = minimise_many(system, responses, refit_start(model), reml=True)
    found = minimise_many(system, responses, np.array(start), reml=True)
    assert np.all(found.converged)
    close(found.deviance, expected.deviance, MANY_DEVIANCE / 1000)


def test_too_few_iterations_are_reported():
    model = mx.lmer("Reaction ~ Days + (Days | Subject)", mx.load_dataset("sleepstudy"))
    responses, _ = responses_of(model, 5)
    control = Control(max_iterations=1, max_restarts=0)
    system = model.solution.factor.system
    found = minimise_many(system, responses, np.ones(3), reml=True, control=control)
    assert not np.any(found.converged)


def test_a_response_in_the_design_of_another():
    rng = np.random.default_rng(8)
    n = 40
    x, w = np.column_stack([np.ones(n), rng.normal(size=n)]), rng.uniform(0.5, 2.0, n)
    terms = [TermRows(np.arange(n) % 8, x, 8), TermRows(np.arange(n) % 5, x[:, :1], 5)]
    y = rng.normal(size=(n, 2)) + 1e6
    system = prepare(CrossProducts.from_rows(x, y[:, 0], terms, w))
    responses = Responses.from_rows(system.cp, x, y, terms, w)
    other = prepare(CrossProducts.from_rows(x, y[:, 1], terms, w))
    lams = (np.array([[0.7, 0.0], [0.2, 0.4]]), np.array([[0.5]]))
    one, two = (solve(s, lams, reml=True) for s in (responses.system(system, 1), other))
    close(one.deviance(), two.deviance(), MANY_KERNEL)
    close(one.beta, two.beta, MANY_KERNEL)
    close(one.b[0], two.b[0], MANY_KERNEL)
