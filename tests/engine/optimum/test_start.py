"""The starting theta: near the truth for large data, always a point to start from."""

from __future__ import annotations

from dataclasses import replace

import free_covariances as covpar
import numpy as np
import pytest
from engine.lme4_models import MODELS, lme4_model
from free_covariances import minimise
from hypothesis import given
from hypothesis import strategies as st
from properties.compare import close
from properties.designs import designs
from tolerances import INVARIANCE, OPTIMUM_THETA, START

from merextras.engine.covariance.cholesky import lower_indices
from merextras.engine.elimination.plan import prepare
from merextras.engine.optimum.criterion import Criterion
from merextras.engine.optimum.start import _expected, _least_squares, moments
from merextras.engine.products.crossprod import CrossProducts
from merextras.engine.products.term_rows import TermRows
from merextras.engine.solution.pls import solve


def deviance(cp, theta, reml=True):
    ks = [k for _, k in cp.shapes]
    return solve(prepare(cp), covpar.unpack(theta, ks), reml=reml).deviance()


@given(designs())
def test_a_start_of_any_design(design):
    cp = design.cross_products()
    theta = moments(cp)
    assert len(theta) == covpar.n_theta(design.ks)
    assert np.all(np.isfinite(theta))
    for lam in covpar.unpack(theta, design.ks):
        assert np.all(np.diag(lam) > 0)  # inside: every optimum can be reached from it


@given(designs(), st.floats(-8, 8), st.floats(-4, 4))
def test_units_do_not_matter(design, y_unit, z_unit):
    cp = design.cross_products()
    terms = tuple(replace(t, values=t.values * 10.0**z_unit) for t in design.terms)
    scaled = replace(design, y=design.y * 10.0**y_unit, terms=terms).cross_products()
    before = moments(cp) if cp.xy[-1, -1] > 0 else None
    if before is not None and cp.xy[-1, -1] > 1e-12 * np.sum(design.y**2):
        close(moments(scaled) * 10.0**z_unit, before, START)


def simulated(n, levels, lam, sigma, seed=1):
    """Random effects of one factor, with covariance sigma**2 lam lam'."""
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, levels, n)
    values = np.column_stack([np.ones(n), rng.normal(2, 1, n)])[:, : len(lam)]
    b = sigma * rng.normal(size=(levels, len(lam))) @ np.transpose(lam)
    y = 3.0 + np.einsum("nk,nk->n", values, b[codes]) + rng.normal(0, sigma, n)
    return np.ones((n, 1)), y, [TermRows(codes, values, levels)]


@pytest.mark.parametrize("sigma", [0.01, 1.0, 100.0])
@pytest.mark.parametrize("lam", [[[0.8]], [[1.0, 0.0], [-0.3, 0.5]]])
def test_it_is_near_the_truth(lam, sigma):
    lam = np.array(lam)
    theta = moments(CrossProducts.from_rows(*simulated(60_000, 3000, lam, sigma)))
    found = covpar.unpack(theta, [len(lam)])[0]
    close(found @ found.T, lam @ lam.T, 0.15)


def test_an_effect_that_is_not_there_starts_small_but_not_at_zero():
    x, y, terms = simulated(5000, 200, np.array([[0.0]]), 1.0)
    theta = moments(CrossProducts.from_rows(x, y, terms))
    assert 0.05 < theta[0] < 0.3


@pytest.mark.parametrize(("topic", "name"), MODELS)
def test_it_is_better_than_lme4s_start(topic, name):
    model = lme4_model(topic, name)
    cp = model.system().cp
    # Two terms of one factor claim the same variation: the start is too large then, not useless.
    allowed = 20.0 if "uncorrelated" in name else 1.0
    assert deviance(cp, moments(cp)) <= deviance(cp, covpar.start(model.ks)) + allowed


@pytest.mark.parametrize(("topic", "name"), MODELS)
def test_few_steps_are_left(topic, name):
    model = lme4_model(topic, name)
    system = model.system()
    _, found = minimise(system, moments(system.cp), reml=True)
    assert found.converged
    assert found.n_iterations <= 10


def test_rows_in_another_order():
    x, y, terms = simulated(500, 20, np.array([[0.8]]), 1.0)
    order = np.random.default_rng(2).permutation(500)
    moved = [TermRows(terms[0].codes[order], terms[0].values[order], 20)]
    theta = moments(CrossProducts.from_rows(x, y, terms))
    close(moments(CrossProducts.from_rows(x[order], y[order], moved)), theta, INVARIANCE)


@pytest.mark.parametrize("what", ["no residual", "no covariate", "no rows"])
def test_what_has_no_moments(what):
    x, y, terms = simulated(50, 5, np.array([[0.8]]), 1.0)
    if what == "no residual":
        y = 0 * y
    if what == "no covariate":
        terms = [TermRows(terms[0].codes, 0 * terms[0].values, 5)]
    weights = np.zeros(50) if what == "no rows" else None
    theta = moments(CrossProducts.from_rows(x, y, terms, weights))
    assert np.all(np.isfinite(theta))
    assert np.all(theta > 0)


@pytest.mark.parametrize("rank", [3, 2])
def test_equations_with_one_solution_and_with_many(rank):
    """The shortest of these, as by singular values."""
    rng = np.random.default_rng(rank)
    root = rng.normal(size=(3, rank)) * np.array([[1.0], [10.0], [1e-2]])
    system, sides = root @ root.T, root @ rng.normal(size=(rank, 2))
    expected = np.linalg.lstsq(system, sides, rcond=1e-10)[0]
    np.testing.assert_allclose(_least_squares(system, sides), expected, rtol=1e-5)


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("topic", ["intercept", "slopes"])
def test_of_a_balanced_design_it_is_the_estimate(topic, reml):
    model = lme4_model(topic, "sleepstudy" if topic == "intercept" else "correlated")
    system = model.system()
    start = moments(system.cp, reml=reml)
    _, found = minimise(system, start, reml=reml)
    close(start, np.array(found.theta), OPTIMUM_THETA)
    assert found.n_iterations == 1


def test_so_it_is_of_crossed_factors_by_reml():
    codes = np.indices((12, 7)).reshape(2, -1)
    rng = np.random.default_rng(4)
    y = rng.normal(size=12)[codes[0]] + rng.normal(size=7)[codes[1]] + rng.normal(size=84)
    ones = np.ones((84, 1))
    terms = [TermRows(own, ones, size) for own, size in zip(codes, (12, 7), strict=True)]
    system = prepare(CrossProducts.from_rows(ones, y, terms))
    start = moments(system.cp, reml=True)
    close(start, np.array(minimise(system, start, reml=True)[1].theta), OPTIMUM_THETA)


def test_expectations_of_its_equations():
    """Against those of all rows: ``sum_j Z_j'M (sigma**2 + Z G Z') M Z_j``, M off X's columns."""
    rng = np.random.default_rng(3)
    codes, values = rng.integers(0, 6, 40), rng.normal(size=(40, 2)) + 1.0
    x = np.linalg.qr(np.column_stack([np.ones(40), rng.normal(size=(40, 2))]))[0]
    z = [values * (codes == j)[:, None] for j in range(6)]
    off = np.eye(40) - x @ x.T
    blocks, fixed = np.array([zj.T @ zj for zj in z]), np.array([zj.T @ x for zj in z])
    of_g, of_sigma2 = _expected(blocks, fixed)
    close(of_sigma2, sum(zj.T @ off @ zj for zj in z), INVARIANCE)
    elements = []
    for a, b in zip(*lower_indices(2), strict=True):
        elements.append(np.zeros((2, 2)))
        elements[-1][a, b] += 1.0
        elements[-1][b, a] += 1.0
    moved = [off @ sum(zi @ g @ zi.T for zi in z) @ off for g in elements]
    dense = [[np.trace(e @ sum(zj.T @ v @ zj for zj in z)) for v in moved] for e in elements]
    close(of_g, np.array(dense), INVARIANCE)


@pytest.mark.parametrize("reml", [True, False])
def test_the_residual_variance_within_levels(reml):
    """Of a one-way layout the mean square within groups, whatever their sizes."""
    x, y, terms = simulated(200, 9, np.array([[0.8]]), 1.0)
    codes = terms[0].codes
    means = np.bincount(codes, y) / np.bincount(codes)
    within = float(np.sum((y - means[codes]) ** 2)) / (200 - 9)
    criterion = Criterion(prepare(CrossProducts.from_rows(x, y, terms)), reml=reml)
    found = criterion.residual_variance()
    # X is constant within the levels: it takes no degree of freedom there.
    close(np.array([found]), np.array([within]), INVARIANCE)
    criterion.take_general()
    assert np.isnan(criterion.residual_variance())
