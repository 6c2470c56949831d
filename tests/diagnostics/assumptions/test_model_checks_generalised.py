"""The checks of a generalised model: exact places, exchangeable ranks, what wrong models show."""

from __future__ import annotations

import pickle

import glmm_models as models
import numpy as np
import pandas as pd
import pytest
from scipy import integrate, special, stats

import merextras as mx
from merextras.diagnostics.residuals.simulated import Simulated
from merextras.exceptions import InvalidArgumentError
from merextras.model.generalised.responses.probabilities import places_over_effects


def test_places_over_the_effects_are_integrals():
    m = models.cbpp()
    found, s = places_over_effects(m), np.sqrt(m.covariances[0][0, 0])
    eta, y, size = m.design.x @ m.fixed_estimates, m.response.y, m.response.trials
    np.testing.assert_allclose(found.below + found.at + found.above, 1.0, rtol=1e-12)
    for i in (0, 5, 40):

        def above(z, i=i):
            return stats.norm.pdf(z) * stats.binom.sf(y[i], size[i], special.expit(eta[i] + s * z))

        exact = integrate.quad(above, -9, 9, epsabs=1e-13)[0]
        np.testing.assert_allclose(found.above[i], exact, atol=1e-11)


def test_places_of_large_counts_and_wide_effects():
    rng = np.random.default_rng(1)
    g = np.repeat(np.arange(40), 5)
    data = pd.DataFrame({"g": g, "y": rng.poisson(np.exp(6 + 1.5 * rng.normal(size=40)[g]))})
    m = mx.glmer("y ~ 1 + (1 | g)", data, "poisson")
    found, s = places_over_effects(m), np.sqrt(m.covariances[0][0, 0])
    eta, y = m.design.x @ m.fixed_estimates, m.response.y
    for i in (0, 50, 199):
        middle = (np.log(y[i] + 1.0) - eta[i]) / s

        def above(z, i=i):
            return stats.norm.pdf(z) * stats.poisson.sf(y[i], np.exp(eta[i] + s * z))

        exact = integrate.quad(above, -8.5, 8.5, epsabs=1e-13, limit=1000, points=[middle])[0]
        np.testing.assert_allclose(found.above[i], exact, atol=1e-9)


@pytest.mark.filterwarnings("ignore::merextras.exceptions.SingularFitWarning")
def test_marginal_quantile_residuals_are_standard_normal():
    m = models.generated("count")
    values = []
    for seed in range(40):
        new = m.refit(m.simulate(1, rng=seed)["sim_1"])
        values.append(new.residuals("quantile", re_form="population", rng=seed))
    whole = np.concatenate(values)
    # 40 responses of 16 groups each: the groups' means are as if from 640 numbers.
    assert abs(whole.mean()) < 0.25
    assert 0.85 < whole.std() < 1.15
    with pytest.raises(InvalidArgumentError, match="re_form"):
        m.residuals("pearson", re_form="population")


def test_ranks_are_uniform_and_shared_among_equal_values():
    m = models.generated("count")
    found = Simulated.of(m, 99, np.random.default_rng(1))
    u = found.uniform
    # Each row's places are 1, 2, ..., 100 in some order.
    np.testing.assert_allclose(np.sort(u, axis=1), np.tile((np.arange(100) + 0.5) / 100, (240, 1)))
    order = np.argsort(u, axis=1)
    assert np.all(np.diff(np.take_along_axis(found.y, order, axis=1), axis=1) >= 0.0)
    np.testing.assert_array_equal(found.y[:, 0], m.response.y)


def test_p_values_are_uniform_under_the_model():
    """Of responses that the model makes at its own parameters, whatever the groups do."""
    m = models.generated("count")
    found = Simulated.of(m, 400, np.random.default_rng(3))
    statistic = np.array([stats.kstest(column, "uniform").statistic for column in found.uniform.T])
    p = np.array([(statistic >= own).mean() for own in statistic])
    assert stats.kstest(p, "uniform").pvalue > 1e-3
    # As if all rows were independent the same test finds a departure in most.
    naive = [stats.kstest(column, "uniform").pvalue for column in found.uniform.T]
    assert np.mean(np.array(naive) < 0.05) > 0.2


def test_what_a_wrong_model_shows():
    rng = np.random.default_rng(4)
    g, x = np.repeat(np.arange(25), 16), rng.normal(size=400)
    mu = np.exp(1.0 + 0.4 * x + 0.4 * rng.normal(size=25)[g])
    y = rng.negative_binomial(0.7, 0.7 / (0.7 + mu))
    data = pd.DataFrame({"g": g, "x": x, "y": y})
    wrong = mx.glmer("y ~ x + (1 | g)", data, "poisson")
    checks = mx.model_checks(wrong, n_sims=30, rng=1)
    bad = checks.to_frame().set_index("check")["ok"]
    assert not bad["normality"]
    assert not bad["overdispersion"]
    assert not bad["zero_inflation"]
    assert "negative_binomial" in repr(checks)
    right = mx.glmer("y ~ x + (1 | g)", data, "negative_binomial")
    good = mx.model_checks(right, n_sims=30, rng=1).to_frame().set_index("check")["ok"]
    assert good[["convergence", "normality", "overdispersion", "zero_inflation"]].all()


def test_an_outlier_is_found_by_its_own_distribution():
    data = models.rows(n=240, seed=5)
    data.loc[17, "count"] = 400
    m = mx.glmer("count ~ x + (1 | g) + (1 | h)", data, "negative_binomial")
    found = mx.check_outliers(m)
    table = found.to_frame()
    tail = places_over_effects(m)
    two_sided = np.minimum(2.0 * (np.minimum(tail.below, tail.above) + tail.at), 1.0)
    np.testing.assert_allclose(table["p_value"], np.minimum(240 * two_sided, 1.0))
    assert table["p_value"].idxmin() == 17
    np.testing.assert_allclose(table["residual"], m.rstudent())


def test_the_panel_and_its_numbers():
    import matplotlib.pyplot as plt

    m = models.cbpp()
    checks = mx.model_checks(m, n_sims=20, rng=1)
    again = mx.model_checks(m, n_sims=20, rng=1)
    pd.testing.assert_frame_equal(checks.to_frame(), again.to_frame())
    copied = pickle.loads(pickle.dumps(checks))
    pd.testing.assert_frame_equal(copied.residuals.to_frame(), checks.residuals.to_frame())
    figure = mx.plot_model_check(checks)
    titles = [ax.get_title() for ax in figure.axes]
    assert titles[:2] == ["Predictive check", "Residuals and fitted values"]
    assert figure.axes[1].get_ylabel() == "quantile residual"
    table = checks.residuals.to_frame()
    pearson = m.residuals("pearson") / np.sqrt(1.0 - m.hatvalues())
    np.testing.assert_allclose(table["pearson"], pearson, rtol=1e-10)
    h = m.hatvalues()
    np.testing.assert_allclose(table["cooks_distance"], pearson**2 * h / (1.0 - h) / 4.0)
    single = models.women(slopes=False)
    names = mx.model_checks(single, n_sims=10, rng=1).to_frame()["check"].tolist()
    assert "overdispersion" not in names
    for draw in (m.plot, m.qqmath):
        assert draw() is not None
    plt.close("all")


def test_convergence_singularity_and_collinearity():
    m = models.cbpp()
    found = mx.check_convergence(m)
    assert found.converged
    assert found.advice == ()
    assert found.names == ("herd.Intercept", *m.fixef().index)
    np.testing.assert_allclose(found.theta, [*m.theta, *m.fixef()])
    table = mx.check_singularity(m).to_frame()
    np.testing.assert_allclose(table["relative_sd"], np.sqrt(m.covariances[0][0, 0]))
    vif = mx.check_collinearity(models.women(slopes=False)).vif
    v = models.women(slopes=False).vcov().to_numpy()
    sd = np.sqrt(np.diag(v))
    inner = (v / np.outer(sd, sd))[1:, 1:]
    at = list(models.women(slopes=False).fixef().index).index("age") - 1
    np.testing.assert_allclose(vif["age"], np.linalg.inv(inner)[at, at], rtol=1e-8)


@pytest.mark.filterwarnings("ignore::merextras.exceptions.MerextrasWarning")
def test_a_fit_that_is_none_says_so():
    rng = np.random.default_rng(2)
    data = pd.DataFrame({"g": np.repeat(np.arange(20), 10), "x": rng.integers(0, 2, 200)})
    data["y"] = np.where(data["x"] == 1, 1, rng.integers(0, 2, 200))
    separated = mx.check_convergence(mx.glmer("y ~ x + (1 | g)", data))
    assert not separated.converged
    assert "separated" in repr(separated)
    flat = pd.DataFrame({"g": np.repeat(np.arange(20), 10), "y": rng.poisson(3.0, 200)})
    poisson = mx.check_convergence(mx.glmer("y ~ 1 + (1 | g)", flat, "negative_binomial"))
    assert "dispersion" in poisson.at_bound
    assert any("poisson" in text for text in poisson.advice)


def test_all_optimisers_agree():
    m = models.cbpp()
    found = mx.all_fit(m, n_random=2, rng=1)
    assert found.agree
    frame = found.to_frame()
    np.testing.assert_allclose(frame["criterion"], m.deviance(), atol=1e-6)
    np.testing.assert_allclose(found.theta.to_numpy()[:, 0], m.theta[0], rtol=1e-3)
