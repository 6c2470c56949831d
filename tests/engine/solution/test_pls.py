"""The profiled estimates at a fixed theta: against the dense oracle, and against lme4."""

from __future__ import annotations

from dataclasses import replace

import free_covariances as covpar
import numpy as np
import pytest
from engine.lme4_models import MODELS, lme4_model
from fuzz_share import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from properties.compare import close
from properties.designs import Design, designs
from tolerances import INVARIANCE, LME4_FIXED_THETA, ORACLE

from merextras.engine.elimination.plan import prepare
from merextras.engine.products.crossprod import CrossProducts
from merextras.engine.products.term_rows import TermRows
from merextras.engine.solution.pls import solve


def joined(parts):
    return np.concatenate([part.ravel() for part in parts])


@settings(max_examples=examples(100))
@given(designs(), st.booleans())
def test_everything_agrees_with_the_oracle(design, reml):
    ours, expected = design.solution(reml=reml), design.oracle(reml=reml)
    p = ours.p
    close(ours.deviance(), expected["deviance"], ORACLE, scale=1.0)
    other = design.solution(reml=not reml).deviance()
    assert ours.deviance(reml=not reml) == other
    close(ours.factor.log_det, expected["log_det"], ORACLE, scale=1.0)
    close(ours.log_det_fixed, expected["log_det_fixed"], ORACLE, scale=1.0)
    close(ours.pwrss, expected["pwrss"], ORACLE)
    close(ours.sigma2, expected["sigma2"], ORACLE)
    close(ours.beta, expected["beta"], ORACLE, scale=1.0)
    close(joined(ours.u), expected["u"], ORACLE, scale=1.0)
    close(joined(ours.b), expected["b"], ORACLE, scale=1.0)
    close(ours.fixed_covariance(), expected["joint"][-p:, -p:] if p else np.zeros((0, 0)), ORACLE)


@given(designs())
def test_modes_are_lambda_u(design):
    ours = design.solution(reml=True)
    for b, u, lam in zip(ours.b, ours.u, design.lams, strict=True):
        close(b, u @ lam.T, ORACLE, scale=1.0)


@given(st.data(), designs(), st.booleans())
def test_order_of_rows_levels_and_terms_does_not_matter(data, design, reml):
    expected = design.solution(reml=reml)
    rng = np.random.default_rng(data.draw(st.integers(0, 999)))
    order = rng.permutation(len(design.terms))
    labels = [rng.permutation(design.terms[t].n_levels) for t in order]
    terms = tuple(
        replace(design.terms[t], codes=label[design.terms[t].codes])
        for t, label in zip(order, labels, strict=True)
    )
    shuffled = replace(design, terms=terms, lams=tuple(design.lams[t] for t in order))
    ours = shuffled.rows(rng.permutation(len(design.y))).solution(reml=reml)
    close(ours.deviance(), expected.deviance(), INVARIANCE, scale=1.0)
    close(ours.beta, expected.beta, INVARIANCE, scale=1.0)
    for b, t, label in zip(ours.b, order, labels, strict=True):
        close(b[label], expected.b[t], INVARIANCE, scale=1.0)


@given(designs(), st.booleans())
def test_the_deviance_is_even_in_the_columns_of_lambda(design, reml):
    theta = covpar.normalise(design.theta, design.ks)
    for lams in (covpar.unpack(theta, design.ks), [-lam for lam in design.lams]):
        ours = solve(design.system(), lams, reml=reml)
        close(ours.deviance(), design.solution(reml=reml).deviance(), INVARIANCE, scale=1.0)


@given(designs(), st.sampled_from([1e-6, 1e-3, 1e3, 1e6]), st.booleans())
def test_units_of_the_effects_do_not_matter(design, unit, reml):
    terms = tuple(replace(term, values=term.values * unit) for term in design.terms)
    other = replace(design, terms=terms, lams=tuple(lam / unit for lam in design.lams))
    ours, expected = other.solution(reml=reml), design.solution(reml=reml)
    close(ours.deviance(), expected.deviance(), INVARIANCE, scale=1.0)
    close(joined(ours.b) * unit, joined(expected.b), INVARIANCE, scale=1.0)


@given(designs(), st.booleans())
def test_without_variance_it_is_least_squares(design, reml):
    null = replace(design, lams=tuple(0.0 * lam for lam in design.lams))
    ours = null.solution(reml=reml)
    assert ours.factor.log_det == 0.0
    assert all(np.all(b == 0.0) for b in ours.b)
    root = np.sqrt(design.w)
    beta, *_ = np.linalg.lstsq(root[:, None] * design.x, root * design.y, rcond=None)
    close(ours.beta, beta, ORACLE, scale=1.0)


def test_no_terms_and_no_fixed_effects():
    y = np.array([1.0, -2.0, 4.0])
    ours = solve(prepare(CrossProducts.from_rows(np.empty((3, 0)), y, [])), [], reml=True)
    close(ours.deviance(), 3 * (1 + np.log(2 * np.pi * 7.0)), ORACLE)
    assert ours.beta.shape == (0,)
    assert ours.fixed_covariance().shape == (0, 0)
    assert (ours.b, ours.u) == ((), ())


def one_factor(x, y, levels=3):
    """A model of a random intercept for every `levels`-th row."""
    term = TermRows(np.arange(len(y)) % levels, np.ones((len(y), 1)), levels)
    return prepare(CrossProducts.from_rows(x, y, [term]))


@pytest.mark.parametrize("n", [1, 2])
def test_no_degrees_of_freedom_give_nan(n):
    x = np.column_stack([np.ones(n), np.arange(n)])
    ours = solve(one_factor(x, np.ones(n)), [np.eye(1)], reml=True)
    assert np.isnan(ours.deviance())
    assert np.isnan(ours.sigma2)


def test_an_exact_fit_gives_minus_infinity():
    ours = solve(one_factor(np.ones((9, 1)), np.zeros(9)), [np.eye(1)], reml=False)
    assert ours.deviance() == -np.inf
    assert ours.sigma2 == 0.0


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("chunks", [1, 3])
def test_dependent_columns_of_x_give_nan(seed, chunks):
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=(2, 60))
    dependent = [np.zeros(60), 3.0 * a, a - b, a + 1e-15 * b][seed % 4]
    x = np.column_stack([np.ones(60), a, b, dependent])
    y, codes = rng.normal(size=60), np.arange(60) % 5
    parts = [
        CrossProducts.from_rows(x[i], y[i], [TermRows(codes[i], np.ones((len(i), 1)), 5)])
        for i in np.array_split(np.arange(60), chunks)
    ]
    ours = solve(prepare(sum(parts[1:], parts[0])), [np.eye(1)], reml=True)
    assert np.isnan(ours.deviance())
    assert np.all(np.isnan(ours.beta))


@pytest.mark.parametrize("k", [13, 15])
def test_many_effects_a_level(k):
    rng = np.random.default_rng(k)
    codes, values = rng.integers(0, 6, 80), rng.normal(size=(80, k))
    values[codes == 2, 4:] = 0.0
    lam = np.tril(rng.normal(size=(k, k))) / k
    terms = [TermRows(codes, values, 6), TermRows(np.arange(80) % 7, values[:, :1], 7)]
    y = rng.normal(size=80)
    design = Design(np.ones((80, 1)), y, tuple(terms), None, (lam, np.eye(1)))
    for reml in (False, True):
        expected = design.oracle(reml=reml)
        close(design.solution(reml=reml).deviance(), expected["deviance"], ORACLE)


@pytest.mark.parametrize("size", [10.0, 100.0])
@pytest.mark.parametrize("crossed", [False, True])
def test_large_variances_cost_digits_in_proportion_only(size, crossed):
    """A level with fewer rows than effects leaves a direction without information."""
    rng = np.random.default_rng(4)
    codes = np.repeat(np.arange(40), 3)[:60]
    values = np.column_stack([np.ones(60), rng.normal(size=60)])
    other = rng.integers(0, 5, 60) if crossed else codes // 4
    terms = [TermRows(codes, values, 40), TermRows(other, values, 5)]
    direction = np.array([[1.0, 0.0], [0.7, 0.0]])
    # Perfectly correlated effects are one effect of the combined covariate.
    combined = [replace(term, values=term.values @ direction[:, :1]) for term in terms]
    y = rng.normal(size=60)
    for term in combined:
        y += size * term.values[:, 0] * rng.normal(size=term.n_levels)[term.codes]
    x = np.column_stack([np.ones(60), rng.normal(size=60)])
    two = solve(prepare(CrossProducts.from_rows(x, y, terms)), [size * direction] * 2, reml=True)
    one = solve(prepare(CrossProducts.from_rows(x, y, combined)), [size * np.eye(1)] * 2, reml=True)
    close(two.deviance(), one.deviance(), 1e-15 * size**2 * 60, scale=1.0)


@pytest.mark.parametrize(("topic", "name"), MODELS)
@pytest.mark.parametrize("method", ["REML", "ML"])
def test_lme4s_devfun(topic, name, method):
    model = lme4_model(topic, name)
    system, expected = model.system(), model.expected[method]
    assert expected["n"] == len(model.y)
    for point in expected["devfun"]:
        lams = covpar.unpack(np.array(point["theta"]), model.ks)
        ours = solve(system, lams, reml=method == "REML")
        for mine, theirs in [
            (ours.deviance(), "value"),
            (ours.beta, "beta"),
            (ours.factor.log_det, "ldL2"),
            (ours.log_det_fixed, "ldRX2"),
            (ours.pwrss, "pwrss"),
        ]:
            close(mine, point[theirs], LME4_FIXED_THETA)


def test_a_predictor_in_thousandths_shifts_the_criterion_by_the_jacobian():
    days, milli = lme4_model("slopes", "correlated"), lme4_model("slopes", "scaled")
    lam = np.array([[0.9, 0.0], [0.02, 0.25]])
    scaled = np.diag([1.0, 1e-3]) @ lam
    for reml, shift in ((False, 0.0), (True, 2.0 * np.log(1000.0))):
        one = solve(days.system(), [lam], reml=reml).deviance()
        other = solve(milli.system(), [scaled], reml=reml).deviance()
        close(other - one, shift, INVARIANCE, scale=one)
