"""The deviance at a given sigma, the charts of a fixed parameter, and the constrained minimum."""

from __future__ import annotations

import numpy as np
import pytest
from profile_models import model_for, quiet_lmer

from merextras.datasets import load_dataset
from merextras.engine.covariance.covariances import Covariances
from merextras.engine.profile import charts
from merextras.engine.profile.at_sigma import Held, conditional
from merextras.engine.profile.constrained import ProfileProblem, minimum

KS = (3, 1)
MODEL = Covariances.unstructured(KS)
TARGETS = {
    "sd": charts.StandardDeviation(MODEL, 0, (1,)),
    "sd of another term": charts.StandardDeviation(MODEL, 1, (0,)),
    "cor": charts.Correlation(MODEL, 0, (0, 2)),
    "cov": charts.Covariance(MODEL, 0, (1, 2)),
    "sigma": charts.Sigma(MODEL),
    "fixed": charts.FixedEffect(MODEL, column=1),
}


def differences(function, at, step=1e-5):
    columns = []
    for i in range(len(at)):
        change = np.zeros(len(at))
        change[i] = step
        columns.append((function(at + change) - function(at - change)) / (2.0 * step))
    return np.stack(columns, axis=-1)


def some_lams(seed=0):
    rng = np.random.default_rng(seed)
    return [np.tril(rng.uniform(0.2, 1.0, (k, k))) for k in KS]


def squares(lams):
    return [lam @ lam.T for lam in lams]


@pytest.fixture(scope="module")
def system():
    data = load_dataset("students").iloc[::3]
    m = quiet_lmer("extro ~ open + agree + (open + agree | school) + (1 | class)", data)
    return m.solution.factor.system


@pytest.mark.parametrize("target", TARGETS.values(), ids=list(TARGETS))
class TestCharts:
    def start(self, target):
        w = target.parameters(squares(some_lams()), 0.3)
        u, z = target.coordinates(w)
        return w, (0.7 if np.isnan(u) else u), z

    def test_there_and_back(self, target):
        w, u, z = self.start(target)
        again, _ = target.chart(u, z)
        np.testing.assert_allclose(again, w, atol=1e-12)
        for mine, lam in zip(target.covariances.factors(w[:-1]), some_lams(), strict=True):
            np.testing.assert_allclose(mine @ mine.T, lam @ lam.T, atol=1e-12)

    def test_jacobian(self, target):
        _, u, z = self.start(target)
        found = differences(lambda v: target.chart(v[0], v[1:])[0], np.append(u, z))
        np.testing.assert_allclose(target.chart(u, z)[1], found, atol=1e-8)

    def test_bend(self, target):
        w, u, z = self.start(target)
        g = np.random.default_rng(1).normal(size=len(w))
        found = differences(lambda v: g @ target.chart(v[0], v[1:])[1], np.append(u, z))
        np.testing.assert_allclose(target.second_derivatives(w, g), found, atol=1e-8)

    def test_gradient(self, target, system):
        _, u, z = self.start(target)
        problem = ProfileProblem(system, target)
        spot = problem.at(u, z)
        found = differences(lambda v: problem.at(v[0], v[1:]).deviance, np.append(u, z))
        np.testing.assert_allclose(spot.gradient, found, rtol=1e-5, atol=1e-4)


def test_what_is_fixed():
    """u is the standard deviation, the correlation's arc sine, the covariance, log sigma."""
    lams, log_sigma = some_lams(), 0.3
    g = np.exp(2.0 * log_sigma) * lams[0] @ lams[0].T
    sd = np.sqrt(np.diag(g))
    for name, value in {
        "sd": sd[1],
        "cor": np.arcsin(g[0, 2] / sd[0] / sd[2]),
        "cov": g[1, 2],
        "sigma": log_sigma,
    }.items():
        target = TARGETS[name]
        assert target.coordinates(target.parameters(squares(lams), log_sigma))[0] == pytest.approx(
            value
        )


class TestConditional:
    @pytest.mark.parametrize("name", ["sleepstudy", "pastes", "penicillin"])
    def test_at_the_optimum(self, name):
        solution = model_for(name).solution
        log_sigma = 0.5 * np.log(solution.sigma2)
        found = conditional(solution.factor.system, solution.factor.lams, log_sigma)
        assert found.deviance == pytest.approx(solution.deviance(reml=False), abs=1e-9)
        np.testing.assert_allclose(found.beta, solution.beta)

    def test_held(self):
        """A held effect is a column less and a response shifted."""
        m = model_for("sleepstudy")
        lams, log_sigma = m.solution.factor.lams, 3.1
        held = conditional(m.solution.factor.system, lams, log_sigma, Held(1, 8.0))
        shifted = load_dataset("sleepstudy").assign(y=lambda d: d["Reaction"] - 8.0 * d["Days"])
        less = quiet_lmer("y ~ 1 + (Days | Subject)", shifted, reml=False)
        plain = conditional(less.solution.factor.system, lams, log_sigma)
        assert held.deviance == pytest.approx(plain.deviance, abs=1e-8)
        np.testing.assert_allclose(held.beta, [plain.beta[0], 8.0])

    def test_held_at_its_estimate(self):
        m = model_for("sleepstudy")
        beta = float(m.solution.beta[0])
        log_sigma = 0.5 * np.log(m.solution.sigma2)
        at = conditional(m.solution.factor.system, m.solution.factor.lams, log_sigma, Held(0, beta))
        assert at.held_slope == pytest.approx(0.0, abs=1e-9)
        assert at.held_curvature == pytest.approx(2.0 / m.vcov().iloc[0, 0])


def test_curvature_is_learned():
    """Rank-one updates bring the average information to the Hessian."""
    m = model_for("sleepstudy")
    target = charts.StandardDeviation(Covariances.unstructured([2]), 0, (0,))
    problem = ProfileProblem(m.solution.factor.system, target)
    w = target.parameters(squares(m.solution.factor.lams), 0.5 * np.log(m.solution.sigma2))
    u, z = target.coordinates(w)
    far = minimum(problem, 0.6 * u, z)
    assert far.converged
    spot = problem.at(far.u, far.z)
    exact = differences(lambda x: problem.at(far.u, x).gradient[1:], far.z)
    before = np.linalg.norm(spot.hessian[1:, 1:] - exact)
    after = np.linalg.norm(spot.hessian[1:, 1:] + problem.curvature_correction - exact)
    assert after < 0.5 * before


def test_slope_of_the_minimum():
    """The envelope theorem."""
    m = model_for("sleepstudy")
    target = charts.Correlation(Covariances.unstructured([2]), 0, (0, 1))
    problem = ProfileProblem(m.solution.factor.system, target)
    w = target.parameters(squares(m.solution.factor.lams), 0.5 * np.log(m.solution.sigma2))
    u, z = target.coordinates(w)
    at = minimum(problem, u + 0.4, z)
    either = [minimum(problem, u + 0.4 + step, at.z) for step in (1e-3, -1e-3)]
    slope = (either[0].deviance - either[1].deviance) / 2e-3
    np.testing.assert_allclose(at.slope, slope, rtol=1e-4)


def test_the_way_starts_along_the_tangent():
    m = model_for("sleepstudy")
    target = charts.StandardDeviation(Covariances.unstructured([2]), 0, (1,))
    problem = ProfileProblem(m.solution.factor.system, target)
    w = target.parameters(squares(m.solution.factor.lams), 0.5 * np.log(m.solution.sigma2))
    start = minimum(problem, *target.coordinates(w))
    step = 0.02 * start.u
    near = minimum(problem, start.u + step, start.z)
    miss = near.z - start.z - step * start.tangent
    assert np.abs(miss).max() < 0.5 * np.abs(near.z - start.z).max()
