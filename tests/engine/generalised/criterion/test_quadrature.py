"""Quadrature against Laplace, integration and differences."""

from __future__ import annotations

import numpy as np
import pytest
from glmm_tables import FAMILIES, RECIPROCAL, Case
from scipy import integrate
from tolerances import LAPLACE_GRADIENT, QUADRATURE_LIMIT

from merextras.engine.generalised.criterion.quadrature import Quadrature

KINDS = ("one", "slope", "independent")


def _of(case, n_points):
    return Quadrature(case.criterion.table, case.family, n_points=n_points)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("family", FAMILIES)
def test_one_node_is_laplace(family, kind):
    case = Case(family, kind, seed=4)
    one, laplace = _of(case, 1).at(case.vector), case.criterion.at(case.vector)
    np.testing.assert_allclose(one.deviance(), laplace.deviance(), rtol=1e-13)
    np.testing.assert_allclose(one.gradient(), laplace.gradient(), rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("family", FAMILIES)
def test_gradient_at_twenty_points(family):
    for seed in range(20):
        kind, n_points = KINDS[seed % 3], (2, 3, 4, 5)[seed % 4]
        case = Case(family, kind, seed)
        criterion, x = _of(case, n_points), case.vector
        found = criterion.at(x).gradient()
        # Near a pole of the inverse link the best step is shorter; a wrong slope has none.
        steps = (1e-4, 2e-4, 4e-4) if family in RECIPROCAL else (2e-3,)
        for i in range(len(x)):
            slopes = [_slope(criterion, x, i, step * max(0.3, abs(x[i]))) for step in steps]
            error = min(abs(found[i] - slope) / max(1.0, abs(slope)) for slope in slopes)
            assert error < LAPLACE_GRADIENT, (seed, i)


def _slope(criterion, x, i, step):
    move = np.zeros_like(x)
    move[i] = step
    at = {k: criterion.at(x + k * move).deviance() for k in (1, -1, 2, -2)}
    return (8 * (at[1] - at[-1]) - (at[2] - at[-2])) / (12 * step)


def _integral(case, x):
    """Minus twice the log-likelihood, level by level, by adaptive integration over b."""
    criterion, table = case.criterion, case.criterion.table
    theta, beta, phi = criterion.split(x)
    fixed = table.offset + table.x @ beta
    (lam,) = criterion.covariances.factors(theta)
    term, family, total = table.terms[0], case.family, 0.0
    for j in range(term.n_levels):
        rows = np.flatnonzero(term.codes == j)
        z = term.values[rows] @ lam

        def log_integrand(u, rows=rows, z=z):
            eta = fixed.copy()
            eta[rows] += z @ u
            return family.log_density(eta, phi)[rows].sum() - 0.5 * u @ u

        k = z.shape[1]
        top = max(log_integrand(np.full(k, u)) for u in np.linspace(-3, 3, 13))
        value, _ = integrate.nquad(
            lambda *u, top=top: np.exp(log_integrand(np.array(u)) - top),
            [(-9.0, 9.0)] * k,
            opts={"epsabs": 1e-12, "epsrel": 1e-10, "points": [0.0], "limit": 200},
        )
        total += np.log(value) + top - 0.5 * k * np.log(2.0 * np.pi)
    return -2.0 * total


@pytest.mark.parametrize("family", FAMILIES)
def test_many_nodes_are_the_integral(family):
    case = Case(family, "one", seed=2)
    found = _of(case, 41).at(case.vector).deviance()
    np.testing.assert_allclose(found, _integral(case, case.vector), rtol=QUADRATURE_LIMIT)


def test_two_effects_are_integrated_together():
    case = Case("logit", "slope", seed=2, n=40)
    found = _of(case, 21).at(case.vector).deviance()
    np.testing.assert_allclose(found, _integral(case, case.vector), rtol=QUADRATURE_LIMIT)


def test_terms_on_one_factor_are_one_vector():
    case = Case("poisson", "independent", seed=3)
    both = Case("poisson", "slope", seed=3)
    theta = case.criterion.split(case.vector)[0]
    user = case.criterion.user_theta(theta)
    joint = both.criterion.own_theta(np.array([user[0], 0.0, user[1]]))
    x = np.concatenate([joint, case.vector[2:]])
    found, expected = _of(case, 5).at(case.vector), _of(both, 5).at(x)
    # The tensor rule is turned with the coordinates of the effects.
    np.testing.assert_allclose(found.deviance(), expected.deviance(), rtol=1e-6)
