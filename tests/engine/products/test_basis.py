"""The likelihood does not depend on the basis; a bad scale does not cost digits."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from properties.compare import close
from properties.designs import designs
from tolerances import INVARIANCE, ORACLE

from merextras.engine.elimination.plan import prepare
from merextras.engine.products.basis import Basis
from merextras.engine.solution.pls import solve


@pytest.fixture
def rng():
    return np.random.default_rng(11)


@pytest.mark.parametrize("weighted", [False, True])
def test_columns_become_orthonormal_and_the_response_residuals(rng, weighted):
    x, y = rng.normal([1e3, 0.0, 5.0], size=(30, 3)), rng.normal(size=30)
    w = rng.uniform(0.5, 2.0, 30) if weighted else np.ones(30)
    basis = Basis.from_rows(x, y, w if weighted else None)
    columns = basis.apply(x, y)
    close(columns[:, :3].T @ (w[:, None] * columns[:, :3]), np.eye(3), ORACLE)
    close(columns[:, :3].T @ (w * columns[:, 3]), np.zeros(3), ORACLE, scale=1.0)
    assert np.all(np.diag(basis.transform) > 0.0)
    np.testing.assert_array_equal(basis.transform, np.triu(basis.transform))


def test_change_to(rng):
    x, y = rng.normal(size=(20, 2)), rng.normal(size=20)
    one, other = Basis.from_rows(x[:9], y[:9]), Basis.from_rows(x[5:], y[5:])
    close(one.apply(x, y) @ one.change_to(other), other.apply(x, y), ORACLE)
    close(one.change_to(other) @ other.change_to(one), np.eye(3), ORACLE)
    for mine, theirs in zip(one.restore(one.apply(x, y)), (x, y), strict=True):
        close(mine, theirs, ORACLE)
    assert one.is_same(Basis(one.transform.copy(), one.offset.copy()))
    assert not one.is_same(other)
    empty = Basis.identity(0)
    np.testing.assert_array_equal(empty.restore(y[:, None])[1], y)
    np.testing.assert_array_equal(empty.change_to(empty), [[1.0]])


@given(designs())
def test_the_solution_does_not_depend_on_the_basis(design):
    plain = prepare(design.cross_products(Basis.identity(design.x.shape[1])))
    for reml in (False, True):
        ours, other = design.solution(reml=reml), solve(plain, design.lams, reml=reml)
        # Without a basis the response's mean of 1000 costs six of sixteen digits: that is what
        # the basis is for.
        close(other.deviance(), ours.deviance(), 1e3 * INVARIANCE, scale=len(design.y))
        close(other.beta, ours.beta, 1e3 * INVARIANCE, scale=1.0)
        close(other.log_det_fixed, ours.log_det_fixed, INVARIANCE, scale=1.0)


@given(designs(layouts=("one", "chain", "crossed")), st.sampled_from([1e3, 1e6, 1e9]))
def test_a_large_mean_costs_only_the_rounding_of_the_response(design, mean):
    # Multiples of 2^-20: the sum with the mean is exact, so that both responses are the same.
    intercept = np.column_stack([np.ones(len(design.y)), design.x[:, 1:]])
    y = np.round((design.y - design.y.mean()) * 2.0**20) / 2.0**20
    low = replace(design, x=intercept, y=y)
    high = replace(low, y=y + mean)
    assert np.all(high.y - mean == y)
    # Relative to the spread of y the mean's own rounding, not its square's.
    rounding = mean * np.finfo(float).eps / max(np.std(y), 1e-3)
    rtol = ORACLE + 20 * rounding
    for reml in (False, True):
        ours, expected = high.solution(reml=reml), low.oracle(reml=reml)
        close(ours.deviance(), expected["deviance"], rtol, scale=len(y))
        close(ours.sigma2, expected["sigma2"], rtol)
        close(np.concatenate([u.ravel() for u in ours.u]), expected["u"], rtol, scale=1.0)


@pytest.mark.parametrize("unit", [1e-14, 1e-6, 1e6, 1e14])
def test_units_of_the_predictors_cost_no_digits(rng, unit):
    x, y = np.column_stack([np.ones(30), rng.normal(size=30)]), rng.normal(size=30)
    one, other = Basis.from_rows(x, y), Basis.from_rows(x * [1.0, unit], y)
    close(other.apply(x * [1.0, unit], y), one.apply(x, y), ORACLE)


@pytest.mark.parametrize("weighted", [False, True])
def test_dependent_columns_are_set_aside(rng, weighted):
    one, value = np.ones(25), rng.normal(size=25)
    x = np.column_stack([one, value, np.zeros(25), one - value, value**2])
    y = 1e6 + value**2 + rng.normal(size=25)
    w = rng.uniform(0.5, 2.0, 25) if weighted else None
    basis = Basis.from_rows(x, y, w)
    columns = basis.apply(x, y)
    rest = Basis.from_rows(x[:, [0, 1, 4]], y, w).apply(x[:, [0, 1, 4]], y)
    close(columns[:, [0, 1, 4, 5]], rest, ORACLE)
    close(columns[:, [2, 3]], np.zeros((25, 2)), ORACLE, scale=1.0)
    assert np.all(np.diag(basis.transform) > 0.0)
    assert np.all(basis.offset[[2, 3]] == 0.0)


@pytest.mark.parametrize("n", [0, 1, 2])
def test_fewer_rows_than_columns(rng, n):
    x, y = rng.normal(size=(n, 3)), rng.normal(size=n)
    basis = Basis.from_rows(x, y)
    columns = basis.apply(x, y)
    close(columns[:, :n].T @ columns[:, :n], np.eye(n), ORACLE)
    close(columns[:, n:], np.zeros((n, 4 - n)), ORACLE, scale=1.0)
    assert np.all(np.diag(basis.transform) > 0.0)
