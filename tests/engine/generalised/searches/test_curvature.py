"""The working model's Hessian against dense matrices, and what a search does with it."""

from __future__ import annotations

import numpy as np
import pytest
from glmm_tables import KINDS, Case
from oracle.dense import dense_lambda, dense_z
from tolerances import NUMERIC_HESSIAN, ORACLE

import merextras as mx
from merextras.engine.generalised.searches.curvature import differenced, working_hessian
from merextras.engine.generalised.searches.optimum import information
from merextras.engine.generalised.searches.search import optimise


def _dense(case, point):
    """The matrix of the module's docstring, with V written out."""
    criterion, modes = case.criterion, point.modes
    theta, n = criterion.split(point.x)[0], criterion.covariances.n
    z, x = dense_z(criterion.table.terms), criterion.table.x
    lam = dense_lambda(criterion.table.terms, modes.lams)
    precision = np.linalg.inv(np.diag(1.0 / modes.w) + z @ lam @ lam.T @ z.T)
    working = []
    for t, slopes in enumerate(criterion.covariances.covariance_slopes(theta)):
        for slope in slopes:
            parts = [np.zeros_like(own) for own in modes.lams]
            parts[t] = slope
            working.append(z @ dense_lambda(criterion.table.terms, parts) @ z.T @ modes.g)
    f = np.column_stack(working)
    a, c, b = f.T @ precision @ f, x.T @ precision @ f, x.T @ precision @ x
    out = np.zeros((criterion.m, criterion.m))
    m = n + len(b)
    out[:n, :n] = a + c.T @ np.linalg.inv(b) @ c
    out[:n, :n] += criterion.covariances.curvature(theta, point.deviance_slopes())
    out[n:m, :n], out[:n, n:m], out[n:m, n:m] = 2.0 * c, 2.0 * c.T, 2.0 * b
    return out


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("family", ["logit", "poisson", "gamma log"])
def test_working_hessian_is_the_dense_one(family, kind):
    case = Case(family, kind, seed=6, tail="sparse" if kind == "crossed" else "auto")
    point = case.criterion.at(case.vector)
    expected = _dense(case, point)
    size = np.sqrt(np.maximum(np.abs(expected.diagonal()), 1e-300))
    scale = np.outer(size, size)
    np.testing.assert_allclose(working_hessian(point) / scale, expected / scale, atol=ORACLE)


@pytest.mark.parametrize("kind", KINDS)
def test_rows_of_the_fixed_effects_are_exact_for_a_linear_model(kind):
    case = Case("normal", kind, seed=6)
    point, n = case.criterion.at(case.vector), case.criterion.covariances.n
    exact = information(case.criterion, point, np.ones(case.criterion.m, dtype=bool))
    rows = slice(n, n + case.criterion.table.p)
    found = working_hessian(point)[rows, : rows.stop]
    size = np.sqrt(np.abs(exact.diagonal()))
    scale = np.outer(size[rows], size[: rows.stop])
    np.testing.assert_allclose(
        found / scale, exact[rows, : rows.stop] / scale, atol=NUMERIC_HESSIAN
    )


@pytest.mark.parametrize("family", ["logit", "negative binomial"])
def test_rows_by_differences_are_those_of_the_information(family):
    case = Case(family, "crossed", seed=2)
    point, n = case.criterion.at(case.vector), case.criterion.covariances.n
    exact = information(case.criterion, point, np.ones(case.criterion.m, dtype=bool))
    which = [*range(n), *range(n + case.criterion.table.p, case.criterion.m)]
    found = differenced(np.zeros_like(exact), point, point.gradient(), which)
    scale = np.sqrt(np.outer(np.abs(exact.diagonal()), np.abs(exact.diagonal())))
    # One-sided: of first order in the step.
    np.testing.assert_allclose(found[which] / scale[which], exact[which] / scale[which], atol=1e-2)


def test_a_row_without_a_number_is_that_of_the_identity():
    case = Case("gamma inverse", "one", seed=2)
    point = case.criterion.at(case.vector)
    gradient = np.full(case.criterion.m, np.nan)
    found = differenced(np.ones((4, 4)), point, gradient, [0])
    np.testing.assert_array_equal(found[0], [1.0, 0.0, 0.0, 0.0])
    np.testing.assert_array_equal(found[1:, 1:], 1.0)


@pytest.mark.parametrize(
    ("name", "formula", "most"),
    [
        ("cbpp", "incidence / size ~ period + (1 | herd)", 6),
        ("contraception", "use ~ age + I(age**2) + urban + livch + (1 + urban | district)", 8),
        ("verb_agg", "r2 ~ Anger + Gender + btype + situ + (1 | id) + (1 | item)", 7),
    ],
)
def test_a_search_needs_few_evaluations_to_the_exact_optimum(name, formula, most):
    rows = mx.load_dataset(name)
    weights = rows["size"] if name == "cbpp" else None
    fit = mx.glmer(formula, rows, "binomial", weights=weights)
    optimum = fit.optimum
    assert optimum.n_evaluations <= most
    assert optimum.converged
    assert optimum.positive
    # Newton's step with the information of all parameters finds nothing more.
    left = optimum.gradient @ np.linalg.solve(optimum.hessian, optimum.gradient)
    assert 0.0 <= left < 1e-11


@pytest.mark.parametrize("family", ["logit", "poisson", "gamma log", "negative binomial"])
@pytest.mark.parametrize("kind", ["one", "slope", "crossed"])
def test_the_end_is_one_of_the_exact_hessian(family, kind):
    case = Case(family, kind, seed=4)
    optimum = optimise(case.criterion)
    assert optimum.converged
    moving = optimum.free & (optimum.point.x != 0.0)
    inner = optimum.hessian[np.ix_(moving, moving)]
    gradient = optimum.point.gradient()[moving]
    assert abs(gradient @ np.linalg.solve(inner, gradient)) < 1e-8
