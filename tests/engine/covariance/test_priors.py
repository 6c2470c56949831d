"""Priors of covariances: against scipy's densities, their derivatives, other coordinates."""

from __future__ import annotations

import numpy as np
import pytest
from free_covariances import differences
from scipy import stats
from tolerances import PRIOR

from merextras.engine.covariance.autoregressive import Autoregressive
from merextras.engine.covariance.compound_symmetry import CompoundSymmetry
from merextras.engine.covariance.covariances import Covariances
from merextras.engine.covariance.diagonal import Diagonal
from merextras.engine.covariance.priors import Penalty
from merextras.engine.covariance.unstructured import Unstructured
from merextras.model.settings.cov_prior import Gamma, InverseWishart, Wishart

SCALE = np.array([[2.0, 0.5, 0.1], [0.5, 1.0, 0.2], [0.1, 0.2, 0.7]])
PRIORS = {
    "wishart": Wishart(),
    "wishart, proper": Wishart(6.0, SCALE),
    "wishart, least df": Wishart(4.0, SCALE),
    "invwishart": InverseWishart(),
    "invwishart, given": InverseWishart(5.0, SCALE),
    "gamma": Gamma(),
    "gamma, proper": Gamma(3.0, 0.5),
    "gamma of the variance": Gamma(2.0, 0.3, "variance"),
    "exponential of the variance": Gamma(1.0, 0.3, "variance"),
}
STRUCTURES = {
    "us": Unstructured(3),
    "diag": Diagonal(3),
    "diag of one sd": Diagonal(3, hom=True),
    "cs": CompoundSymmetry(3),
    "ar1": Autoregressive(3),
}
ALLOWED = [
    (prior, structure)
    for prior in PRIORS
    for structure in STRUCTURES
    if not prior.startswith(("gamma", "exponential")) or structure.startswith("diag")
]


def thetas(structure, m=6, seed=1):
    rng = np.random.default_rng(seed)
    return rng.uniform(0.3, 1.2, (m, structure.n)) * rng.choice([-1.0, 1.0], (m, structure.n))


def penalty(prior, structure):
    return Penalty(Covariances((structure,)), (PRIORS[prior].of(structure, "(x | g)"),))


@pytest.mark.parametrize(("prior", "structure"), ALLOWED)
def test_gradient_and_hessian_are_those_of_the_value(prior, structure):
    made, theta = penalty(prior, STRUCTURES[structure]), thetas(STRUCTURES[structure])
    cov = made.covariances

    def gradient(theta):
        return cov.joint_gradient(theta, 2.0 * made.slopes(theta) @ cov.joint(theta))

    np.testing.assert_allclose(
        gradient(theta), differences(made.value, theta), rtol=1e-6, atol=1e-7
    )
    expected = differences(gradient, theta)
    np.testing.assert_allclose(made.hessian(theta), expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    ("prior", "log_density"),
    [
        ("wishart, proper", lambda g: stats.wishart(6.0, SCALE).logpdf(g)),
        ("wishart, least df", lambda g: stats.wishart(4.0, SCALE).logpdf(g)),
        ("invwishart", lambda g: stats.invwishart(2.002, 2.102 * np.eye(3)).logpdf(g)),
        ("invwishart, given", lambda g: stats.invwishart(5.0, SCALE).logpdf(g)),
        ("wishart", lambda g: 0.75 * np.linalg.slogdet(g)[1]),
    ],
)
def test_matrix_densities(prior, log_density):
    structure = Unstructured(3)
    theta = thetas(structure)
    g = [lam @ lam.T for lam in structure.factor(theta)]
    expected = [-2.0 * log_density(each) for each in g]
    np.testing.assert_allclose(penalty(prior, structure).value(theta), expected, rtol=PRIOR)


@pytest.mark.parametrize(
    ("prior", "log_density"),
    [
        ("gamma", lambda sd: 1.5 * np.log(sd)),
        ("gamma, proper", lambda sd: stats.gamma(3.0, scale=2.0).logpdf(sd)),
        ("gamma of the variance", lambda sd: stats.gamma(2.0, scale=1 / 0.3).logpdf(sd**2)),
        ("exponential of the variance", lambda sd: stats.expon(scale=1 / 0.3).logpdf(sd**2)),
    ],
)
def test_densities_of_deviations(prior, log_density):
    structure = Diagonal(3)
    theta = thetas(structure)
    expected = -2.0 * log_density(np.abs(theta)).sum(axis=1)
    np.testing.assert_allclose(penalty(prior, structure).value(theta), expected, rtol=PRIOR)
    one = Diagonal(3, hom=True)  # a single standard deviation has a single density
    theta = thetas(one)
    expected = -2.0 * log_density(np.abs(theta[:, 0]))
    np.testing.assert_allclose(penalty(prior, one).value(theta), expected, rtol=PRIOR)


@pytest.mark.parametrize(("prior", "structure"), ALLOWED)
def test_in_other_coordinates_it_is_the_same(prior, structure):
    kind = STRUCTURES[structure]
    rng = np.random.default_rng(3)
    transform = np.triu(rng.uniform(0.4, 1.5, (3, 3)))
    if structure != "us":
        transform = 1.7 * np.eye(3)
    if structure == "diag":
        transform = np.diag([0.4, 1.7, 3.0])
    lams = kind.factor(thetas(kind))
    own = PRIORS[prior].of(kind, "(x | g)")
    moved = own.in_basis(transform)
    np.testing.assert_allclose(moved.value(lams), own.value(transform @ lams), rtol=PRIOR)
    expected = transform.T @ own.slope(transform @ lams) @ transform
    np.testing.assert_allclose(moved.slope(lams), expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("prior", [name for name in PRIORS if "least" not in name])
def test_zero_has_no_density(prior):
    structure = Diagonal(3) if prior.startswith(("gamma", "exp")) else Unstructured(3)
    made, theta = penalty(prior, structure), np.zeros((1, structure.n))
    value = made.value(theta)[0]
    assert np.isfinite(value) if prior.startswith("exp") else value == np.inf


def test_without_a_determinant_zero_is_a_boundary_like_any_other():
    structure = Unstructured(3)
    made = penalty("wishart, least df", structure)
    theta = np.zeros((1, 6))
    assert np.isfinite(made.value(theta)[0])
    np.testing.assert_allclose(made.slopes(theta)[0], np.linalg.inv(SCALE), rtol=1e-12)
    assert np.all(np.isfinite(made.hessian(theta)))
