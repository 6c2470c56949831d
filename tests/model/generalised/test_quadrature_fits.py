"""Fits by quadrature, and the check of Laplace's approximation."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import integrate, optimize, special

import merextras as mx
from merextras.exceptions import ApproximationWarning, InvalidArgumentError, UnsupportedModelError

CBPP = "cbind(incidence, size - incidence) ~ C(period) + (1 | herd)"


@pytest.fixture(scope="module")
def cbpp():
    return mx.load_dataset("cbpp")


def _exact(cbpp):
    """The maximum of cbpp's likelihood by adaptive integration and a simplex."""
    x = np.array(pd.get_dummies(cbpp["period"]), dtype=float)
    x[:, 0] = 1.0
    y, n = cbpp["incidence"].to_numpy(), cbpp["size"].to_numpy()
    constant = special.gammaln(n + 1) - special.gammaln(y + 1) - special.gammaln(n - y + 1)
    groups = [np.flatnonzero(cbpp["herd"] == h) for h in cbpp["herd"].unique()]

    def deviance(p):
        eta, total = x @ p[1:], 0.0
        for rows in groups:

            def density(u, rows=rows):
                at = eta[rows] + p[0] * u
                logs = constant[rows] + y[rows] * at - n[rows] * np.logaddexp(0.0, at)
                return np.exp(logs.sum() - 0.5 * u * u) / np.sqrt(2.0 * np.pi)

            total += np.log(integrate.quad(density, -9.0, 9.0, epsabs=0.0, epsrel=1e-11)[0])
        return -2.0 * total

    return deviance


def test_many_nodes_end_at_the_exact_optimum(cbpp):
    deviance = _exact(cbpp)
    m = mx.glmer(CBPP, cbpp, n_agq=31)
    at = np.concatenate([m.theta, m.fixef()])
    np.testing.assert_allclose(deviance(at), m.deviance(), rtol=1e-9)
    slope = optimize.approx_fprime(at, deviance, 1e-5)
    assert np.max(np.abs(slope)) < 1e-2


def test_the_log_likelihood_is_absolute(cbpp):
    found = [mx.glmer(CBPP, cbpp, n_agq=n).log_lik() for n in (1, 3, 5, 10, 25)]
    # Exact: -91.983369037 by adaptive integration.
    errors = np.abs(np.array(found) + 91.983369037)
    assert np.all(np.diff(errors) < 0.0)
    assert errors[-1] < 1e-7
    with pytest.raises(InvalidArgumentError, match=r"n_agq=1 and 5.*m\.update\(n_agq=1\)"):
        mx.glmer(CBPP, cbpp).anova(mx.glmer(CBPP, cbpp, n_agq=5))


def test_everything_of_a_fit_by_quadrature(cbpp):
    m = mx.glmer(CBPP, cbpp, n_agq=9)
    assert "n_agq=9" in repr(m)
    assert "n_agq=9" in m.call()
    assert m.opt_summary.converged
    assert m.update().log_lik() == m.log_lik()
    assert m.update(n_agq=1).log_lik() == mx.glmer(CBPP, cbpp).log_lik()
    assert m.refit(m.simulate(1, rng=1)["sim_1"]).n_agq == 9
    se = m.summary().coefficients["std_error"]
    np.testing.assert_allclose(
        se, mx.glmer(CBPP, cbpp).summary().coefficients["std_error"], rtol=0.1
    )


def test_two_effects(cbpp):
    rng = np.random.default_rng(1)
    g, x = np.repeat(np.arange(40), 6), rng.normal(size=240)
    eta = 0.3 + 0.5 * x + rng.normal(size=40)[g] + 0.8 * rng.normal(size=40)[g] * x
    data = pd.DataFrame({"y": rng.random(240) < special.expit(eta), "x": x, "g": g})
    laplace = mx.glmer("y ~ x + (1 + x | g)", data)
    nine, fifteen = (mx.glmer("y ~ x + (1 + x | g)", data, n_agq=n) for n in (9, 15))
    np.testing.assert_allclose(nine.log_lik(), fifteen.log_lik(), atol=0.01)
    # Few single trials: Laplace's variances are too small.
    assert np.all(np.diag(laplace.var_corr()["g"]) < np.diag(nine.var_corr()["g"]))


def test_check_laplace(cbpp):
    good = mx.check_laplace(mx.glmer(CBPP, cbpp), n_agq=25)
    assert good.largest_shift < 0.1
    np.testing.assert_allclose(good.log_lik_exact, -91.983369037, atol=1e-7)
    assert good.log_lik_exact >= good.log_lik_at_estimate
    assert list(good.to_frame()) == ["laplace", "quadrature", "shift"]
    rng = np.random.default_rng(5)
    g, t = np.repeat(np.arange(150), 4), np.tile(np.arange(4.0), 150)
    eta = -2.0 - 0.4 * t + 3.5 * rng.normal(size=150)[g]
    data = pd.DataFrame({"y": (rng.random(600) < special.expit(eta)).astype(int), "t": t, "g": g})
    m = mx.glmer("y ~ t + (1 | g)", data)
    with pytest.warns(ApproximationWarning, match=r"poor here.*standard errors.*n_agq=15"):
        poor = mx.check_laplace(m)
    assert poor.largest_shift > 0.1
    again = m.update(n_agq=15)
    np.testing.assert_allclose(poor.exact_estimates, again.fixef(), atol=1e-6)
    np.testing.assert_allclose(poor.log_lik_exact, again.log_lik(), rtol=1e-10)


def test_check_laplace_refuses(cbpp, sleep):
    with pytest.raises(InvalidArgumentError, match="exact"):
        mx.check_laplace(mx.lmer("Reaction ~ Days + (1 | Subject)", sleep))
    with pytest.raises(InvalidArgumentError, match="by quadrature"):
        mx.check_laplace(mx.glmer(CBPP, cbpp, n_agq=3))
    crossed = mx.glmer("r2 ~ Anger + (1 | id) + (1 | item)", mx.load_dataset("verb_agg").head(900))
    with pytest.raises(UnsupportedModelError, match="^check_laplace: quadrature is for one group"):
        mx.check_laplace(crossed)
    with pytest.raises(UnsupportedModelError, match="^n_agq=5: quadrature is for one .* Laplace"):
        crossed.update(n_agq=5)
    with pytest.raises(InvalidArgumentError, match="n_agq=1: is Laplace's .* at least 2 nodes"):
        mx.check_laplace(mx.glmer(CBPP, cbpp), n_agq=1)
    with pytest.raises(InvalidArgumentError, match="at most 300 nodes"):
        mx.check_laplace(mx.glmer(CBPP, cbpp), n_agq=301)
