"""Coordinates of the effects of a term: there and back, and products that keep their digits."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from properties.compare import close
from tolerances import INVARIANCE

from merextras.engine.covariance.covariances import Covariances
from merextras.engine.kernels import dense
from merextras.engine.products.basis import Basis
from merextras.engine.products.crossprod import CrossProducts, effects_of
from merextras.engine.products.effects import EffectBasis
from merextras.engine.products.restrict import restricted
from merextras.engine.products.term_rows import TermRows


def covariates(far, k=3, n=60, seed=0):
    x = np.random.default_rng(seed).normal(size=n) + far
    return np.column_stack([x**i for i in range(k)])


@pytest.mark.parametrize("k", [1, 2, 3])
@pytest.mark.parametrize("far", [0.0, 100.0])
def test_columns_are_orthonormal(far, k):
    values = covariates(far, k)
    own = EffectBasis.from_rows(values, len(values))
    made = own.rows(values)
    if k == 1:
        assert np.log2(own.transform[0, 0]) % 1.0 == 0.0  # which costs no digit
        assert 0.5 < np.mean(made**2) < 2.0
    else:
        close(made.T @ made / len(values), np.eye(k), 1e-4)
    assert not np.any(np.tril(own.transform, -1))


def test_a_shift_changes_no_coordinate():
    x = np.round(1024 * covariates(0.0, 2)) / 1024
    near = EffectBasis.from_rows(x, len(x)).rows(x)
    x[:, 1] = 1e6 * (x[:, 1] + 1e6)
    far = EffectBasis.from_rows(x, len(x)).rows(x)
    close(far, near, 1e-4)  # but for the rounding of the coordinates themselves


def test_zeros_and_repeated_rows():
    """Covariates that tell nothing apart have coordinates, too, and no number is lost."""
    for values in (np.zeros((5, 2)), np.column_stack([np.ones(5), np.full(5, 1e6)])):
        own = EffectBasis.from_rows(values, 5)
        assert np.all(np.isfinite(own.transform))
        assert np.all(np.diag(own.transform) > 0.0)
        close(own.coordinates(own.modes(np.eye(2)).T), np.eye(2), 1e-9)


@pytest.mark.parametrize("far", [0.0, 30.0, 1000.0])
def test_there_and_back(far):
    own, rng = EffectBasis.from_rows(covariates(far), 60), np.random.default_rng(1)
    lams = np.tril(rng.uniform(0.2, 1.0, (4, 3, 3)))
    user = own.to_user(lams)
    assert not np.any(np.triu(user, 1))
    assert np.all(np.diagonal(user, axis1=1, axis2=2) >= 0.0)
    covariance = own.transform @ lams @ np.swapaxes(lams, 1, 2) @ own.transform.T
    close(user @ np.swapaxes(user, 1, 2), covariance, INVARIANCE)
    # A triangle has lost the digits that its covariates' squares have.
    close(own.from_user(user), lams, 1e-14 * max(far, 1.0) ** 2)
    for lam, theirs in zip(lams, user, strict=True):
        turn = own.turn(lam)
        close(turn @ turn.T, np.eye(3), INVARIANCE)
        close(theirs @ turn, own.transform @ lam, INVARIANCE)
    inner = lams[0] @ lams[0].T
    close(own.covariance_from_user(own.covariance(inner)), inner, 1e-14 * max(far, 1.0) ** 4)


def test_zero_is_zero():
    own = EffectBasis.from_rows(covariates(30.0), 60)
    lam = np.array([[1.0, 0.0, 0.0], [0.5, 0.3, 0.0], [0.0, 0.0, 0.0]])
    user = own.to_user(lam)
    np.testing.assert_array_equal(user[2], 0.0)  # the last effect's variance
    assert user[2, 2] == 0.0
    np.testing.assert_array_equal(own.to_user(np.zeros((3, 3))), 0.0)


def test_theta_of_several_terms():
    own = [EffectBasis.from_rows(covariates(5.0, k), 60) for k in (2, 1)]
    basis = Basis.identity(1).with_effects(own)
    theta = np.array([[0.5, 0.1, 0.7, 2.0], [1.0, -0.2, 0.3, 0.0], [np.nan] * 4])
    covariances = Covariances.unstructured([2, 1])
    user = basis.to_user(theta, covariances)
    close(basis.from_user(user, covariances)[:2], theta[:2], INVARIANCE)
    assert np.all(np.isnan(user[2]))
    lams = covariances.factors(user[0])
    close(lams[1], own[1].transform * 2.0, INVARIANCE)


@pytest.mark.parametrize("far", [10.0, 1e6])
def test_products_that_cancel(far):
    """Sums of products, each rounded once, against exact rational numbers."""
    values = covariates(far, 3, n=7)
    transform = EffectBasis.from_rows(covariates(far, 3), 60).transform
    exact = [
        [
            float(sum(Fraction(a) * Fraction(b) for a, b in zip(row, column, strict=True)))
            for column in transform.T.tolist()
        ]
        for row in values.tolist()
    ]
    np.testing.assert_allclose(dense.times_triangle([values], transform), exact, rtol=1e-12)


@pytest.mark.parametrize("far", [10.0, 1e4])
def test_solutions_that_cancel(far):
    one, other = (EffectBasis.from_rows(covariates(far, 3, seed=s), 60).transform for s in (0, 1))
    found = dense.divided(one, other)
    back = [
        [
            float(sum(Fraction(a) * Fraction(b) for a, b in zip(row, column, strict=True)))
            for column in found.T.tolist()
        ]
        for row in one.tolist()
    ]
    np.testing.assert_allclose(back, other, rtol=1e-14)


@pytest.mark.parametrize("far", [0.0, 1e5])
def test_changes_of_cross_products(far):
    """To another basis and to fewer effects, against those made in it."""
    rng, n = np.random.default_rng(4), 60
    values, g, h = covariates(far, 2), rng.integers(0, 5, n), rng.integers(0, 4, n)
    terms = [TermRows(g, values, 5), TermRows(h, values, 4)]
    x, y = np.column_stack([np.ones(n), rng.normal(size=n)]), rng.normal(size=n)
    made = CrossProducts.from_rows(x, y, terms, effects=effects_of(terms))
    other = effects_of(
        [TermRows(t.codes, t.values + np.array([0.0, 3.0]), t.n_levels) for t in terms]
    )
    direct = CrossProducts.from_rows(x, y, terms, basis=made.basis.with_effects(other))
    moved = made.in_basis(made.basis.with_effects(other))
    less = restricted(made, [(0, np.array([[0.0], [1.0]])), (1, np.eye(2))])
    fewer = [TermRows(g, values[:, 1:], 5), terms[1]]
    expected = CrossProducts.from_rows(x, y, fewer, basis=less.basis)
    for one, two in ((moved, direct), (less, expected)):
        for name in ("own", "to_xy"):
            for mine, theirs in zip(getattr(one, name), getattr(two, name), strict=True):
                close(mine, theirs, INVARIANCE)
        close(one.cross[0, 1].toarray(), two.cross[0, 1].toarray(), INVARIANCE)
