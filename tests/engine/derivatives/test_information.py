"""The ingredients of information matrices against V and its derivatives written out."""

from __future__ import annotations

import free_covariances as covpar
import numpy as np
import pytest
from free_covariances import information as information_of
from fuzz_share import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle.dense import dense_lambda, dense_z
from properties.compare import close
from properties.designs import designs
from tolerances import ORACLE, SECOND_DERIVATIVE

from merextras.engine.derivatives import traces
from merextras.engine.elimination.plan import prepare
from merextras.engine.products.crossprod import CrossProducts
from merextras.engine.products.term_rows import TermRows
from merextras.engine.solution.pls import solve

regular = designs(max_k=2, special_theta=False)


def dense_pieces(design, solution):
    """(V^-1, [V_i], [X y - X beta]) with X in the basis."""
    z, lam = dense_z(design.terms), dense_lambda(design.terms, design.lams)
    v_inv = np.linalg.inv(np.diag(1.0 / design.w) + (z @ lam) @ (z @ lam).T)
    changes, at = [], 0
    for term in design.terms:
        part = z[:, at : at + term.q]
        for a, b in zip(*covpar.triangle(term.k), strict=True):
            unit = np.zeros((term.k, term.k))
            unit[a, b] = unit[b, a] = 1.0
            changes.append(part @ np.kron(np.eye(term.n_levels), unit) @ part.T)
        at += term.q
    basis = solution.factor.system.cp.basis
    return (
        v_inv,
        changes,
        np.column_stack([design.x @ basis.transform, design.y - design.x @ solution.beta]),
    )


@given(designs(max_k=2), st.booleans())
def test_against_dense_matrices(design, reml):
    solution = design.solution(reml=reml)
    found = information_of(solution)
    v_inv, changes, columns = dense_pieces(design, solution)
    close(found.traces, [np.sum(v_inv * v) for v in changes], ORACLE, scale=1.0)
    products = [v_inv @ v for v in changes]
    close(
        found.trace_products,
        [[np.sum(a * b.T) for b in products] for a in products],
        ORACLE,
        scale=1.0,
    )
    sides = [a @ v_inv @ columns for a in products]
    close(found.first, [columns.T @ side for side in sides], ORACLE, scale=1.0)
    second = [[columns.T @ a @ side for side in sides] for a in products]
    close(found.second, second, ORACLE, scale=1.0)


@given(designs(max_k=2))
def test_expected_is_the_trace_with_the_projection(design):
    solution = design.solution(reml=True)
    found = information_of(solution)
    v_inv, changes, _ = dense_pieces(design, solution)
    vx = v_inv @ design.x
    proj = v_inv - vx @ np.linalg.solve(design.x.T @ vx, vx.T)
    products = [proj @ v for v in [*changes, np.linalg.inv(v_inv)]]
    expected = [[np.sum(a * b.T) for b in products] for a in products]
    close(found.expected(), expected, ORACLE, scale=1.0)


def differences(function, at, step=1e-3):
    """Fourth-order central differences in each coordinate."""
    out = []
    for i in range(len(at)):
        h = step * (np.arange(len(at)) == i)
        near, far = function(at + h) - function(at - h), function(at + 2 * h) - function(at - 2 * h)
        out.append((8.0 * near - far) / (12.0 * step))
    return np.array(out)


@pytest.mark.parametrize("reml", [True, False])
@settings(max_examples=examples(15))
@given(design=regular)
def test_hessian_is_the_derivative_of_the_gradient(design, reml):
    solution = design.solution(reml=reml)
    if not np.isfinite(solution.deviance()) or solution.pwrss < 1e-8 * np.sum(design.y**2):
        return
    sigma, p = np.sqrt(solution.sigma2), solution.p

    def gradient(parameters):
        at = solve(design.system(), covpar.unpack(parameters[:-1], design.ks), reml=reml)
        found, s = information_of(at), parameters[-1] * sigma
        slopes = found.traces - found.first[:, p, p] / s**2
        if reml:
            slopes = slopes - np.einsum("ikl,lk->i", found.first[:, :p, :p], found.unscaled)
        # sigma in units of its estimate
        by_sigma = 2.0 * at.df / s - 2.0 * at.pwrss / s**3
        return np.append(found.jacobian().T @ slopes, by_sigma * sigma)

    unit = np.append(np.ones(len(design.theta)), sigma)
    hessian = information_of(solution).hessian() * np.outer(unit, unit)
    expected = differences(gradient, np.append(design.theta, 1.0))
    close(hessian, expected, SECOND_DERIVATIVE, scale=1.0)


@settings(max_examples=examples(15))
@given(regular)
def test_covariance_slopes(design):
    if design.x.shape[1] == 0:
        return
    solution = design.solution(reml=True)

    def covariance(parameters):
        at = solve(design.system(), covpar.unpack(parameters[:-1], design.ks), reml=True)
        return parameters[-1] ** 2 * at.fixed_covariance()

    at = np.append(design.theta, np.sqrt(solution.sigma2))
    turn = solution.cp.basis.transform
    found = turn @ information_of(solution).beta_covariance_slopes() @ turn.T
    expected = differences(covariance, at)
    size = np.max(np.abs(covariance(at)))
    close(found[:-1], expected[:-1], SECOND_DERIVATIVE, scale=size)
    close(found[-1], 2.0 / at[-1] * covariance(at), ORACLE)


def test_columns_in_blocks_are_the_same(monkeypatch):
    rng = np.random.default_rng(3)
    terms = [TermRows(rng.integers(0, 7, 50), np.ones((50, 1)), 7) for _ in range(2)]
    cp = CrossProducts.from_rows(np.ones((50, 1)), rng.normal(size=50), terms)
    solution = solve(prepare(cp), [np.eye(1), np.eye(1)], reml=True)
    whole = information_of(solution)
    monkeypatch.setattr(traces, "_CHUNK", 1)
    close(information_of(solution).trace_products, whole.trace_products, ORACLE)


def test_separate_levels_share_a_column():
    """One factor takes one turn, nested ones as many as the largest unit has levels."""
    outer = np.repeat(np.arange(50), 6)
    inner = outer * 3 + np.tile([0, 0, 1, 1, 2, 2], 50)
    terms = [TermRows(inner, np.ones((300, 1)), 150), TermRows(outer, np.ones((300, 1)), 50)]
    cp = CrossProducts.from_rows(np.ones((300, 1)), np.arange(300.0), terms)
    turns = traces._turns(cp)
    assert [int(turn.max()) + 1 for turn in turns] == [3, 1]
    single = CrossProducts.from_rows(np.ones((300, 1)), np.arange(300.0), terms[:1])
    assert traces._turns(single)[0].max() == 0


def test_directions_that_do_not_move_v_are_not_free():
    rng = np.random.default_rng(1)
    values = np.column_stack([np.ones(40), rng.normal(size=40)])
    terms = [TermRows(np.arange(40) % 8, values, 8), TermRows(np.arange(40) // 8, values[:, :1], 5)]
    cp = CrossProducts.from_rows(np.ones((40, 1)), rng.normal(size=40), terms)
    system = prepare(cp)

    def free(theta):
        return information_of(
            solve(system, covpar.unpack(theta, [2, 1]), reml=True)
        ).free_directions()

    assert free(np.array([1.0, 0.3, 0.5, 0.7])).shape == (4, 4)
    assert free(np.array([1.0, 0.3, 0.5, 0.0])).shape == (4, 3)
    perfect = free(np.array([1.0, 0.3, 0.0, 0.0]))
    assert perfect.shape == (4, 2)
    assert np.all(perfect[2:] == 0.0)
    # The second effect's variance alone: its column of Lambda can be turned.
    assert free(np.array([0.0, 0.3, 0.5, 0.7])).shape == (4, 3)
    assert free(np.zeros(4)).shape == (4, 0)


def test_no_terms():
    system = prepare(CrossProducts.from_rows(np.ones((4, 1)), np.arange(4.0), []))
    found = information_of(solve(system, [], reml=True))
    assert found.hessian() == pytest.approx(np.array([[4.0 * 3 / (5.0 / 3.0)]]))
    assert found.expected() == pytest.approx(np.array([[3.0]]))
