"""Structured covariances in the engine: against dense matrices, differences, and themselves."""

from __future__ import annotations

import numpy as np
import pytest
from oracle.dense import dense_lambda, dense_pls, dense_z
from tolerances import GRADIENT, ORACLE

from merextras.engine.covariance.autoregressive import Autoregressive
from merextras.engine.covariance.compound_symmetry import CompoundSymmetry
from merextras.engine.covariance.covariances import Covariances
from merextras.engine.covariance.diagonal import Diagonal
from merextras.engine.covariance.families import contains
from merextras.engine.covariance.unstructured import Unstructured
from merextras.engine.elimination.plan import prepare
from merextras.engine.optimum.criterion import Criterion
from merextras.engine.optimum.newton import minimise
from merextras.engine.optimum.start import moments
from merextras.engine.products.crossprod import CrossProducts, effects_of
from merextras.engine.products.term_rows import TermRows

K = 4
STRUCTURES = {
    "diag": Diagonal(K),
    "hom diag": Diagonal(K, hom=True),
    "cs": CompoundSymmetry(K),
    "hom cs": CompoundSymmetry(K, hom=True),
    "ar1": Autoregressive(K),
    "het ar1": Autoregressive(K, hom=False),
}


@pytest.fixture(params=STRUCTURES.values(), ids=list(STRUCTURES))
def structure(request):
    return request.param


def model_of(structure, seed=0, n=160):
    """A factor's levels by group in units of their own, beside a crossed intercept."""
    rng = np.random.default_rng(seed)
    t = rng.integers(0, K, n)
    units = 1.0 if structure.hom else np.array([1.0, 30.0, 0.2, 5.0])
    values = np.eye(K)[t] * units
    terms = [
        TermRows(rng.integers(0, 15, n), values, 15, structure.freedom),
        TermRows(rng.integers(0, 6, n), np.ones((n, 1)), 6),
    ]
    x = np.column_stack([np.ones(n), rng.normal(size=n), t == 1])
    effects = rng.normal(size=(15, K)) @ np.linalg.cholesky(0.5 * np.eye(K) + 0.5).T / units
    weights = rng.uniform(0.5, 2.0, n)
    y = x[:, 1] + np.einsum("nk,nk->n", values, effects[terms[0].codes]) + rng.normal(size=n)
    cp = CrossProducts.from_rows(x, y, terms, weights, effects=effects_of(terms, weights))
    cov = Covariances.of([structure, Unstructured(1)])
    return x, y, terms, weights, cp, cov


def natural(structure, seed=1):
    """Parameters as they are told, and a standard deviation for the other term."""
    rng = np.random.default_rng(seed)
    sd, rho = rng.uniform(0.2, 1.5, structure.n), rng.uniform(-0.25, 0.8)
    return np.append(np.where(structure.is_sd, sd, rho), 0.7)


@pytest.mark.parametrize("reml", [True, False])
def test_dense_oracle(structure, reml):
    x, y, terms, weights, cp, cov = model_of(structure)
    criterion = Criterion(prepare(cp), cov, reml=reml)
    told = natural(structure)
    theta = criterion.from_user(told)
    np.testing.assert_allclose(criterion.to_user(theta), told, rtol=1e-13)
    lams = cov.factors(cov.from_natural(told))
    dense = dense_pls(x, y, dense_z(terms), dense_lambda(terms, lams), weights, reml)
    point = criterion.at(theta)
    solution = point.solution
    np.testing.assert_allclose(point.value(), dense["deviance"], rtol=ORACLE)
    np.testing.assert_allclose(solution.beta, dense["beta"], rtol=ORACLE, atol=ORACLE)
    b = np.concatenate([part.reshape(-1) for part in solution.b])
    np.testing.assert_allclose(b, dense["b"], rtol=0.0, atol=ORACLE * np.max(np.abs(b)))
    for lam, own in zip(solution.lams, lams, strict=True):
        np.testing.assert_allclose(lam @ lam.T, own @ own.T, rtol=1e-12, atol=1e-14)
        assert not np.any(np.triu(lam, 1))
    for u, lam, modes in zip(solution.u, solution.lams, solution.b, strict=True):
        np.testing.assert_allclose(u @ lam.T, modes, atol=ORACLE * np.max(np.abs(modes)))


def differences(function, at, step=1e-6):
    moves = step * np.eye(len(at))
    return np.array([(function(at + m) - function(at - m)) / (2.0 * step) for m in moves])


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("end", [None, "sd", "low", "high"])
def test_gradients(structure, reml, end):
    """In theta, also at its ends, and inside in the parameters as they are told."""
    *_, cp, cov = model_of(structure)
    criterion = Criterion(prepare(cp), cov, reml=reml)
    told = natural(structure)
    if end == "sd":
        told[0] = 0.0
    elif end is not None:
        if structure.is_sd.all():
            pytest.skip("no correlation")
        told[-2] = structure.ends[end == "high"]
    theta = criterion.from_user(told)
    point = criterion.at(theta)
    expected = differences(lambda t: criterion.at(t).value(), theta)
    size = np.max(np.abs(expected))
    np.testing.assert_allclose(point.gradient(), expected, rtol=0.0, atol=GRADIENT * size)
    found = point.user_gradient()
    if end is None:
        step = lambda p: criterion.at(criterion.from_user(p)).value()  # noqa: E731
        expected = differences(step, told)
        size = np.max(np.abs(expected))
        np.testing.assert_allclose(found, expected, rtol=0.0, atol=GRADIENT * size)
    elif end != "sd":
        assert np.isnan(found[-2])


def test_optimum_is_one(structure):
    *_, cp, cov = model_of(structure)
    criterion = Criterion(prepare(cp), cov, reml=True)
    solution, opt = minimise(criterion, moments(cp, cov))
    assert opt.converged
    point = criterion.reached(solution)
    values = np.linalg.eigvalsh(criterion.differenced(point.theta))
    assert values[0] > 0.0
    np.testing.assert_allclose(criterion.at(point.theta).value(), opt.deviance, rtol=1e-13)
    rng = np.random.default_rng(3)
    for _ in range(5):
        other = point.theta + rng.normal(scale=0.05, size=len(point.theta))
        assert criterion.at(other).value() > opt.deviance


def test_theta_of_a_solution(structure):
    """Also where an effect has no variance: the correlation of the others stays."""
    for zero in (False, True):
        *_, cp, cov = model_of(structure)
        criterion = Criterion(prepare(cp), cov, reml=True)
        told = natural(structure)
        if zero:
            told[2 if not structure.hom else 0] = 0.0
        theta = criterion.from_user(told)
        found = criterion.reached(criterion.at(theta).solution).theta
        lams = zip(cov.factors(theta), cov.factors(found), strict=True)
        for lam, own in lams:
            np.testing.assert_allclose(lam @ lam.T, own @ own.T, atol=1e-12)


@pytest.mark.parametrize(
    ("large", "small", "at", "expected"),
    [
        (Unstructured(3), CompoundSymmetry(3), None, True),
        (CompoundSymmetry(3), CompoundSymmetry(3, hom=True), [0, 1, 2], True),
        (CompoundSymmetry(3, hom=True), CompoundSymmetry(3), [0, 1, 2], False),
        (CompoundSymmetry(3), Autoregressive(3), [0, 1, 2], False),
        (CompoundSymmetry(3), Diagonal(3), [0, 1, 2], True),
        (CompoundSymmetry(3, hom=True), Diagonal(3), [0, 1, 2], False),
        (CompoundSymmetry(3, hom=True), Diagonal(3, hom=True), [0, 1, 2], True),
        (CompoundSymmetry(4), CompoundSymmetry(2), [0, 3], True),
        (Autoregressive(4, hom=False), Autoregressive(2), [0, 3], False),
        (Autoregressive(3, hom=False), Autoregressive(3), [2, 1, 0], False),
        (Diagonal(3), Unstructured(1), [1], True),
        (Diagonal(3), Unstructured(2), [0, 1], False),
        (Diagonal(3, hom=True), Unstructured(1), [1], False),
        (Diagonal(3), Diagonal(3), None, False),
        (Autoregressive(2, hom=False), Unstructured(2), [0, 1], True),
    ],
)
def test_families(large, small, at, expected):
    assert contains(large, small, at) is expected
