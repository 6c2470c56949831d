"""Structures: their derivatives, the way back from a covariance, boundaries."""

from __future__ import annotations

import numpy as np
import pytest
from free_covariances import differences

from merextras.engine.covariance.autoregressive import Autoregressive
from merextras.engine.covariance.compound_symmetry import CompoundSymmetry
from merextras.engine.covariance.diagonal import Diagonal
from merextras.engine.covariance.unstructured import Unstructured

STRUCTURES = {
    "us": Unstructured(3),
    "us in another order": Unstructured(3, (2, 0, 1)),
    "diag": Diagonal(3),
    "diag of one sd": Diagonal(3, hom=True),
    "cs": CompoundSymmetry(4),
    "cs of one sd": CompoundSymmetry(4, hom=True),
    "cs of two": CompoundSymmetry(2),
    "ar1": Autoregressive(4),
    "ar1 of several sds": Autoregressive(4, hom=False),
}


def thetas(structure, m=5, seed=0):
    rng = np.random.default_rng(seed)
    return rng.uniform(0.2, 1.2, (m, structure.n)) * rng.choice([-1.0, 1.0], (m, structure.n))


def covariance(structure, theta):
    lam = structure.factor(theta)
    return lam @ np.swapaxes(lam, 1, 2)


@pytest.fixture(params=STRUCTURES.values(), ids=list(STRUCTURES))
def structure(request):
    return request.param


def test_slopes(structure):
    theta = thetas(structure)
    expected = differences(structure.factor, theta)
    np.testing.assert_allclose(structure.slopes(theta), expected, atol=1e-9)
    expected = differences(lambda t: covariance(structure, t), theta)
    np.testing.assert_allclose(structure.covariance_slopes(theta), expected, atol=1e-8)


def test_pull_is_the_chain_rule(structure):
    theta = thetas(structure)
    weight = np.random.default_rng(1).normal(size=(len(theta), structure.k, structure.k))
    expected = np.einsum("miab,mab->mi", structure.slopes(theta), weight)
    np.testing.assert_allclose(structure.pull(theta, weight), expected, atol=1e-13)


def test_second_derivatives(structure):
    theta = thetas(structure)
    weight = np.random.default_rng(1).normal(size=(len(theta), structure.k, structure.k))
    expected = differences(lambda t: structure.pull(t, weight), theta)
    np.testing.assert_allclose(structure.second(theta, weight), expected, atol=1e-8)
    slope = weight + np.swapaxes(weight, 1, 2)
    expected = differences(
        lambda t: np.einsum("miab,mab->mi", structure.covariance_slopes(t), slope), theta
    )
    np.testing.assert_allclose(structure.curvature(theta, slope), expected, atol=1e-7)


def test_back_from_a_covariance(structure):
    theta = thetas(structure)
    back = structure.from_covariance(covariance(structure, theta))
    np.testing.assert_allclose(
        covariance(structure, back), covariance(structure, theta), atol=1e-12
    )
    np.testing.assert_allclose(structure.canonical(back), back, atol=1e-12)
    np.testing.assert_allclose(structure.from_factor(structure.factor(back)), back, atol=1e-12)


def test_canonical_is_of_the_same_covariance(structure):
    theta = thetas(structure)
    found = structure.canonical(theta)
    np.testing.assert_allclose(
        covariance(structure, found), covariance(structure, theta), atol=1e-12
    )
    assert np.all(found >= structure.lower)


def test_units_make_theta_a_pure_number(structure):
    """Effects in other units: the same model has a theta in other units."""
    scale = 10.0 ** np.arange(structure.k)
    if getattr(structure, "hom", False):
        scale = np.full(structure.k, 7.0)
    theta = structure.canonical(thetas(structure))
    g = covariance(structure, theta)
    other = structure.from_covariance(g * np.outer(scale, scale))
    sizes = np.random.default_rng(2).uniform(1.0, 2.0, structure.k)
    np.testing.assert_allclose(
        other * structure.units(sizes / scale), theta * structure.units(sizes), rtol=1e-9
    )


@pytest.mark.parametrize("kind", [CompoundSymmetry, Autoregressive])
@pytest.mark.parametrize("hom", [True, False])
def test_what_is_reported_are_the_natural_parameters(kind, hom):
    structure = kind(4, hom=hom)
    theta = thetas(structure)
    g = covariance(structure, theta)
    sd = np.sqrt(np.einsum("maa->ma", g))
    rows, cols = structure.pairs
    correlation = g[:, rows, cols] / sd[:, rows] / sd[:, cols]
    reported = np.where(rows == cols, sd[:, rows], correlation)
    np.testing.assert_allclose(reported, structure.natural(theta), atol=1e-12)
    back = structure.from_natural(structure.natural(theta))
    np.testing.assert_allclose(covariance(structure, back), g, atol=1e-12)


@pytest.mark.parametrize("rho", [1.0, -1.0 / 3.0])
@pytest.mark.parametrize("hom", [True, False])
def test_compound_symmetry_at_its_ends(rho, hom):
    structure = CompoundSymmetry(4, hom=hom)
    sds = [0.7] if hom else [0.7, 1.0, 2.0, 0.3]
    theta = structure.from_natural(np.array([[*sds, rho]]))
    d = np.full(4, 0.7) if hom else np.array(sds)
    expected = np.outer(d, d) * np.where(np.eye(4) == 1, 1.0, rho)
    np.testing.assert_allclose(covariance(structure, theta)[0], expected, atol=1e-12)
    np.testing.assert_allclose(structure.natural(theta), [[*sds, rho]], atol=1e-12)
    assert structure.near_zero(theta, np.ones(4), 1e-4)[0]


@pytest.mark.parametrize("rho", [1.0, -1.0, 0.0, 0.5])
def test_autoregression(rho):
    structure = Autoregressive(4)
    theta = structure.from_natural(np.array([[0.7, rho]]))
    d = np.abs(np.subtract.outer(np.arange(4), np.arange(4)))
    np.testing.assert_allclose(covariance(structure, theta)[0], 0.49 * rho**d, atol=1e-12)
    assert structure.near_zero(theta, np.ones(4), 1e-4)[0] == (abs(rho) == 1.0)
