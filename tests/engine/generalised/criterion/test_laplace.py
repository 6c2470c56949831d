"""Laplace's criterion against dense matrices, its gradient against differences."""

from __future__ import annotations

import numpy as np
import pytest
from fuzz_share import SHARE
from glmm_tables import FAMILIES, KINDS, RECIPROCAL, Case
from oracle.dense import dense_lambda, dense_z
from oracle.laplace import laplace_deviance
from tolerances import LAPLACE_GRADIENT, ORACLE

from merextras.engine.generalised.criterion.laplace import Laplace

TAILS = ("dense", "sparse")


def _cases():
    for kind in KINDS:
        tails = TAILS if "crossed" in kind else ("auto",)
        yield from ((kind, tail) for tail in tails)


@pytest.mark.parametrize(("kind", "tail"), list(_cases()))
@pytest.mark.parametrize("family", FAMILIES)
def test_deviance_is_the_dense_one(family, kind, tail):
    case = Case(family, kind, seed=11, tail=tail)
    point = case.criterion.at(case.vector)
    effects = case.criterion.table.effects
    lams = [own.to_user(lam) for own, lam in zip(effects, point.modes.lams, strict=True)]
    z, lam = dense_z(case.terms), dense_lambda(case.terms, lams)
    expected, u = laplace_deviance(case.family, case.x, z, lam, case.beta, case.phi, case.offset)
    np.testing.assert_allclose(point.deviance(), expected, rtol=ORACLE)
    pairs = zip(effects, point.modes.b, strict=True)
    b = np.concatenate([own.modes(part).reshape(-1) for own, part in pairs])
    np.testing.assert_allclose(b, lam @ u, atol=1e-8)


def _differences(criterion, x, step):
    out = np.empty_like(x)
    for i in range(len(x)):
        move = np.zeros_like(x)
        move[i] = step * max(0.3, abs(x[i]))
        value = {k: criterion.at(x + k * move).deviance() for k in (1, -1, 2, -2)}
        out[i] = (8 * (value[1] - value[-1]) - (value[2] - value[-2])) / (12 * move[i])
    return out


@pytest.mark.parametrize("family", FAMILIES)
def test_gradient_at_random_points(family):
    """Each kind of design once, in a long run three times."""
    for seed in range(20 if SHARE >= 1.0 else len(KINDS)):
        kind = KINDS[seed % len(KINDS)]
        tail = TAILS[seed % 2] if "crossed" in kind else "auto"
        case = Case(family, kind, seed, tail=tail)
        found = case.criterion.at(case.vector).gradient()
        step = 4e-4 if family in RECIPROCAL else 2e-3
        expected = _differences(case.criterion, case.vector, step)
        scale = np.maximum(1.0, np.abs(expected))
        assert np.max(np.abs(found - expected) / scale) < LAPLACE_GRADIENT, (kind, tail, seed)


@pytest.mark.parametrize("kind", KINDS)
def test_covariance_slopes_are_those_of_the_factor(kind):
    point = (case := Case("poisson", kind, seed=3)).criterion.at(case.vector)
    pairs = zip(point.deviance_slopes(), point.factor_slopes(), point.modes.lams, strict=True)
    for d, slope, lam in pairs:
        np.testing.assert_allclose(2.0 * d @ lam, slope, atol=1e-6 * np.abs(slope).max())


@pytest.mark.parametrize("family", ["logit", "gamma log", "inverse gaussian"])
def test_slope_at_zero_variance_is_one_sided(family):
    case = Case(family, "one", seed=8)
    x = case.vector.copy()
    x[0] = 0.0
    d = case.criterion.at(x).deviance_slopes()[0][0, 0]
    base = case.criterion.at(x).deviance()
    changes = []
    for variance in (2e-5, 4e-5):
        x[0] = np.sqrt(variance)
        changes.append((case.criterion.at(x).deviance() - base) / variance)
    np.testing.assert_allclose(2.0 * changes[0] - changes[1], d, rtol=1e-4)


@pytest.mark.parametrize("family", ["poisson", "gamma log", "negative binomial"])
@pytest.mark.parametrize("kind", KINDS)
def test_predicted_modes_are_right_to_first_order(kind, family):
    case = Case(family, kind, seed=5)
    point = case.criterion.at(case.vector)
    move = np.random.default_rng(0).normal(size=len(case.vector))
    errors = []
    for size in (1e-3, 1e-4):
        x = case.vector + size * move
        true = case.criterion.at(x).modes
        pairs = zip(point.predicted(x), true.v, strict=True)
        errors.append(max(float(np.abs(a - b).max()) for a, b in pairs))
    assert errors[1] < 0.02 * errors[0]


@pytest.mark.parametrize("family", ["logit", "gamma log"])
def test_gradient_at_predicted_modes_is_right_to_first_order(family):
    case = Case(family, "slope", seed=5)
    point = case.criterion.at(case.vector)
    move = np.random.default_rng(0).normal(size=len(case.vector))
    errors = []
    for size in (1e-2, 1e-3):
        x = case.vector + size * move
        beside = case.criterion.at(x, point, settle=False)
        assert beside.modes.steps == 0
        assert beside.modes.found
        errors.append(np.abs(beside.gradient() - case.criterion.at(x).gradient()).max())
    assert 0.0 < errors[1] < 0.02 * errors[0]


def test_evaluations_and_steps_are_counted():
    case = Case("poisson", "one", seed=3)
    before = case.criterion.n_evaluations, case.criterion.n_steps
    first = case.criterion.at(case.vector)
    second = case.criterion.at(1.01 * case.vector, first)
    steps = first.modes.steps + second.modes.steps
    assert steps > 1
    assert case.criterion.n_evaluations - before[0] == 2
    assert case.criterion.n_steps - before[1] == steps
    fresh = case.criterion.of(case.family)
    assert (fresh.n_evaluations, fresh.n_steps) == (0, 0)
    fresh = Laplace(case.criterion.table, case.family)
    assert (fresh.n_evaluations, fresh.n_steps) == (0, 0)
