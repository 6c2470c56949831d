"""Replicates through one factor: each ends where its own fit does, wherever that is."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from properties.compare import close
from tolerances import MANY_DEVIANCE, MANY_THETA

import merextras as mx
from merextras.engine.derivatives.gradient import factor_slopes
from merextras.engine.replicates import search
from merextras.engine.replicates.iterated import IteratedProblem
from merextras.inference.intervals.replicates import reduced
from merextras.model.state.fitting import refit_start
from merextras.model.statsmodels.mixedlm import as_fitted

MODELS = {
    "crossed": ("y ~ x + (1 | g) + (1 | h)", {}),
    "crossed, ML": ("y ~ x + (1 | g) + (1 | h)", {"reml": False}),
    "weights": ("y ~ x + (1 | g) + (1 | h)", {"weights": "w"}),
    "slopes": ("y ~ x + (1 + x || g) + (1 | h)", {}),
    "no fixed part": ("y ~ 0 + (1 | g) + (1 | h)", {}),
}
#: Replicates that a common part is made for: as many as are worth it in each of these models.
MANY = 1000


def table(rows: int = 1500, groups: int = 150, others: int = 60) -> pd.DataFrame:
    rng = np.random.default_rng(1)
    g, h = rng.integers(0, groups, rows), rng.integers(0, others, rows)
    x = rng.standard_normal(rows)
    mean = 1 + 0.5 * x + 0.8 * rng.standard_normal(groups)[g]
    mean += 0.5 * x * rng.standard_normal(groups)[g] + 0.6 * rng.standard_normal(others)[h]
    w = rng.uniform(0.5, 2.0, rows)
    return pd.DataFrame({"y": mean + rng.standard_normal(rows), "x": x, "g": g, "h": h, "w": w})


@pytest.fixture(scope="module", params=MODELS)
def fitted(request):
    formula, options = MODELS[request.param]
    m = mx.lmer(formula, table(), **options)
    model = as_fitted(m)
    common = search.common_part(model.criterion, refit_start(model), MANY)
    assert common is not None
    return m, model, common


def responses_of(m, model, count: int):
    drawn = [m.simulate(rng=seed).to_numpy().reshape(-1) for seed in range(count)]
    return reduced(model, np.column_stack(drawn))


def alone(model, responses, which):
    start, control = refit_start(model), search.Control()
    rows = [responses.take(np.array([r])) for r in which]
    return search.stacked(
        [search._alone(model.criterion, row, start, control) for row in rows],
        len(start),
        model.solution.p,
    )


def same(found, expected, criterion):
    assert np.all(found.converged)
    assert np.all(expected.converged)
    theta = criterion.to_user(expected.theta)
    np.testing.assert_allclose(found.deviance, expected.deviance, rtol=0, atol=MANY_DEVIANCE)
    close(found.theta, theta, MANY_THETA)
    close(found.beta, expected.beta, MANY_THETA)
    close(found.sigma2, expected.sigma2, MANY_THETA)


def test_ends_are_those_of_fits(fitted, monkeypatch):
    """Of replicates near the estimate none is fitted by itself."""
    m, model, common = fitted
    responses = responses_of(m, model, 12)
    expected = alone(model, responses, range(12))
    outside = []
    one = search._alone
    monkeypatch.setattr(search, "_alone", lambda *a: (outside.append(1), one(*a))[1])
    start = refit_start(model)
    found = search.minimise_many(model.criterion, responses, start, common=common)
    assert len(outside) <= 1
    same(found, expected, model.criterion)


def test_gradient_and_curvature(fitted):
    """Against elimination at the same theta, and differences of the gradient."""
    m, model, common = fitted
    responses = responses_of(m, model, 3)
    problem = IteratedProblem(model.criterion, common, responses)
    which, rng = np.arange(3), np.random.default_rng(2)
    theta = refit_start(model) * rng.uniform(0.9, 1.1, (3, len(refit_start(model))))
    point = problem.at(which, theta)
    gradient, hessian, _ = problem.local_model(which, point)
    for r in range(3):
        one = model.criterion.on(responses.system(model.criterion.system, r)).at(theta[r])
        assert abs(point.deviance[r] - one.value()) < MANY_DEVIANCE
        close(gradient[r], one.gradient(), MANY_DEVIANCE, scale=np.abs(hessian[r]).max())
        close(hessian[r], one.criterion.differenced(theta[r]), 1e-4)


def test_the_part_of_no_response(fitted):
    """Values and derivatives of the polynomials where no node was."""
    _, model, common = fitted
    shared, criterion = common.shared, model.criterion
    rng = np.random.default_rng(3)
    thetas = shared.start * np.exp(rng.uniform(-0.3, 0.3, (5, len(shared.start))) * shared.half)
    assert shared.covers(thetas).all()
    assert not shared.covers(shared.start[None] * 10.0).any()
    assert not shared.covers(0.0 * shared.start[None]).any()
    step = 1e-5 * shared.start
    for theta in thetas:
        solution = criterion.solution_at(theta, criterion.covariances.factors(theta))
        exact = solution.log_det + (solution.log_det_fixed if criterion.reml else 0.0)
        assert abs(shared.value(theta[None])[0] - exact) < MANY_DEVIANCE
        p = solution.p
        weight = np.zeros((p + 1, p + 1))
        if criterion.reml:
            weight[:p, :p] = solution.basis_covariance()
        slopes = criterion.covariances.gradient(theta, factor_slopes(solution, weight))
        close(shared.gradient(theta[None])[0], slopes, 1e-7)
        ends = np.stack([theta + np.diag(step), theta - np.diag(step)])
        change = [shared.gradient(end) for end in ends]
        second = (change[0] - change[1]) / (2.0 * step[:, None])
        close(shared.hessian(theta[None])[0], second, 1e-6)


def test_ends_outside_are_found_alone(fitted):
    """Responses of another variance altogether, one without any."""
    _, model, common = fitted
    data = table()
    noise = np.random.default_rng(5).standard_normal((len(data), 1))
    strong = (
        data[["y"]].to_numpy() * 3.0
        + 4.0 * np.random.default_rng(6).standard_normal(60)[data["h"].to_numpy()][:, None]
    )
    responses = reduced(model, np.hstack([noise, strong]))
    expected = alone(model, responses, [0, 1])
    start = refit_start(model)
    found = search.minimise_many(model.criterion, responses, start, common=common)
    np.testing.assert_array_equal(found.theta, model.criterion.to_user(expected.theta))
    np.testing.assert_array_equal(found.deviance, expected.deviance)


def test_few_refits_have_nothing_in_common():
    model = as_fitted(mx.lmer("y ~ x + (1 | g) + (1 | h)", table()))
    assert search.common_part(model.criterion, refit_start(model), 20) is None
    small = as_fitted(mx.lmer("y ~ x + (1 | h)", table()))
    assert search.common_part(small.criterion, refit_start(small), 1000) is None


def test_bootstrap_through_one_factor(monkeypatch):
    """The same replicates as one by one, whatever the blocks and processes."""
    m = mx.lmer("y ~ x + (1 | g) + (1 | h)", table())
    found = mx.bootstrap(m, n_sims=60, rng=1)
    monkeypatch.setattr("merextras.inference.intervals.bootstrap.common_of", lambda *_: None)
    monkeypatch.setattr(search, "shared_part", lambda *_: None)
    expected = mx.bootstrap(m, n_sims=60, rng=1)
    close(found.replicates, expected.replicates, MANY_THETA)
    assert found.failures == expected.failures
