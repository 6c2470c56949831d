"""A given residual standard deviation: the numbers, against the dense likelihood, metafor, nlme."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from known_scale_models import EXPECTED, bcg, crossed, dense, given, meta, two_factors
from scipy import optimize, stats
from tolerances import (
    DENSE_OPTIMUM,
    KNOWN_SCALE,
    METAFOR,
    NLME_OPTIMUM,
    NUMERIC_HESSIAN,
)

import merextras as mx
from merextras.exceptions import InvalidArgumentError, UnsupportedModelError

THETAS = [[1.0, 0.2, 0.5, 0.7], [0.3, -0.8, 1.4, 0.0], [0.0, 0.0, 0.0, 2.0]]


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("theta", THETAS)
def test_the_criterion_at_a_theta_is_the_marginal_likelihood(reml, theta):
    m = crossed(reml=reml)
    expected = dense(m, given(m, theta), reml=reml)[0]
    assert m.as_function()(theta) == pytest.approx(expected, rel=KNOWN_SCALE)


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("sigma", [0.2, 0.9, 1.3])
def test_the_estimates_are_those_of_the_marginal_likelihood(reml, sigma):
    m = crossed(reml=reml, sigma=sigma)
    deviance, beta, covariance = dense(m, m.covariances, reml=reml)
    assert m.sigma() == sigma
    assert m.deviance() == pytest.approx(deviance, rel=KNOWN_SCALE)
    np.testing.assert_allclose(m.fixef(), beta, rtol=1e-9)
    np.testing.assert_allclose(m.vcov(), covariance, rtol=1e-8)

    def at(theta):
        return dense(m, given(m, theta), reml=reml)[0]

    found = optimize.minimize(at, m.theta, method="BFGS", options={"gtol": 1e-9})
    assert m.deviance() <= found.fun + DENSE_OPTIMUM


def test_known_at_its_estimate_it_changes_no_estimate():
    free = crossed(sigma=None)
    known = crossed(sigma=free.sigma())
    np.testing.assert_allclose(known.theta, free.theta, rtol=1e-6)
    np.testing.assert_allclose(known.vcov(), free.vcov(), rtol=1e-6)
    assert known.deviance() == pytest.approx(free.deviance(), rel=1e-10)
    assert known.n_parameters == free.n_parameters - 1
    assert known.aic() == pytest.approx(free.aic() - 2.0, abs=1e-6)


def test_only_the_variance_of_a_row_matters():
    data = two_factors()
    scaled = mx.lmer(
        "y ~ x + (1 + x | g) + (1 | h)", data, weights=data["w"] * 10.0, sigma=1.3 * 10.0**0.5
    )
    m = crossed()
    assert scaled.deviance() == pytest.approx(m.deviance(), rel=1e-10)
    for ours, theirs in zip(scaled.covariances, m.covariances, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5)


@pytest.mark.parametrize(
    ("formula", "reml", "published"),
    [
        ("y ~ 1 + (1 | study)", True, [0.3132, -0.7145, 0.1798]),
        ("y ~ 1 + (1 | study)", False, [0.2800, -0.7112, 0.1719]),
        ("y ~ ablat + (1 | study)", True, [0.0764, 0.2515, 0.2491, -0.0291, 0.0072]),
    ],
)
def test_the_vaccine_trials_as_published(formula, reml, published):
    """metafor's rma(measure="RR", data=dat.bcg), in its help and in Viechtbauer (2010)."""
    m = meta(formula, reml=reml)
    pairs = zip(m.fixef(), np.sqrt(np.diag(m.vcov())), strict=True)
    found = [m.covariances[0][0, 0], *(number for pair in pairs for number in pair)]
    np.testing.assert_allclose(found, published, atol=METAFOR)


@pytest.mark.parametrize("name", EXPECTED["models"])
def test_against_nlme(name):
    expected = EXPECTED["models"][name]
    if name == "sleep":
        data = mx.load_dataset("sleepstudy").assign(y=lambda d: d["Reaction"] / 30.0)
        m = mx.lmer("y ~ Days + (Days | Subject)", data, sigma=1, reml=False)
    else:
        m = meta(f"y ~ {'1' if name == 'mean' else name} + (1 | study)", reml=False)
    np.testing.assert_allclose(m.covariances[0], expected["covariance"], rtol=NLME_OPTIMUM)
    np.testing.assert_allclose(m.fixef(), expected["fixef"], rtol=NLME_OPTIMUM)
    std_error = np.sqrt(np.diag(m.vcov()))
    np.testing.assert_allclose(std_error, expected["std_error"], rtol=NLME_OPTIMUM)
    assert m.log_lik() == pytest.approx(expected["log_lik"], rel=1e-9)
    assert m.n_parameters == expected["df"]


@pytest.mark.parametrize("reml", [True, False])
def test_gradient_and_hessian(reml):
    m = crossed(reml=reml)
    f, theta = m.as_function(), np.array([0.8, 0.3, 0.6, 0.9])
    point = m.criterion.at(m.criterion.from_user(theta))
    steps = 1e-5 * np.eye(4)
    expected = [(f(theta + s) - f(theta - s)) / 2e-5 for s in steps]
    np.testing.assert_allclose(point.user_gradient(theta), expected, rtol=1e-6, atol=1e-6)
    information = m.information.hessian()
    at = m.point.theta
    assert information.shape == (4, 4)
    expected = np.array([
        (m.criterion.at(at + s).gradient() - m.criterion.at(at - s).gradient()) / 2e-5
        for s in steps
    ])  # fmt: skip
    np.testing.assert_allclose(information, expected, rtol=NUMERIC_HESSIAN, atol=1e-3)


def test_satterthwaite_of_the_marginal_likelihood():
    """2 v**2 / (g'Ag) with v a function of the between-study variance alone."""
    m = meta()
    tau2, beta = m.covariances[0][0, 0], m.vcov().to_numpy()[0, 0]

    def variance(t):
        return 1.0 / np.sum(1.0 / (bcg()["v"] + t))

    def criterion(t):
        return dense(m, [np.array([[t]])], reml=True)[0]

    h = 1e-4
    slope = (variance(tau2 + h) - variance(tau2 - h)) / (2 * h)
    bend = (criterion(tau2 + h) - 2 * criterion(tau2) + criterion(tau2 - h)) / h**2
    expected = 2.0 * beta**2 / (slope**2 * 2.0 / bend)
    found = mx.contest(m, [1.0], joint=False, ddf="satterthwaite")["df"].iloc[0]
    assert found == pytest.approx(expected, rel=1e-5)


def test_kenward_roger_of_one_variance():
    """From the expected information of tau**2: tr(PP) / 2 with P of the weights."""
    m = meta()
    tau2 = m.covariances[0][0, 0]
    w = 1.0 / (bcg()["v"].to_numpy() + tau2)
    total = w.sum()
    p = np.diag(w) - np.outer(w, w) / total
    own = 2.0 / np.sum(p * p)
    phi, q, first = 1.0 / total, np.sum(w**3), np.sum(w**2)
    adjusted = phi + 2.0 * phi * own * (q - first * phi * first) * phi
    assert mx.vcov_adj(m).iloc[0, 0] == pytest.approx(adjusted, rel=1e-7)
    df = mx.contest(m, [1.0], joint=False, ddf="kenward-roger")["df"].iloc[0]
    moved = phi * first * phi / phi
    assert df == pytest.approx(2.0 / (own * moved**2), rel=1e-6)


@pytest.mark.parametrize("parameter", ["sd_Intercept|study", "Intercept"])
def test_profile_of_the_marginal_likelihood(parameter):
    m = meta()
    low, high = m.confint(parm=[parameter]).to_numpy()[0]
    y, v = bcg()["y"].to_numpy(), bcg()["v"].to_numpy()

    def deviance(sd, mean):
        return -2.0 * np.sum(stats.norm.logpdf(y, mean, np.sqrt(v + sd**2)))

    def best(value):
        if parameter == "Intercept":
            inner = optimize.minimize_scalar(
                lambda sd: deviance(sd, value), bounds=(0, 5), method="bounded",
                options={"xatol": 1e-10},
            )  # fmt: skip
            return inner.fun
        w = 1.0 / (v + value**2)
        return deviance(value, np.sum(w * y) / np.sum(w))

    limit = meta(reml=False).deviance() + stats.chi2.isf(0.05, 1)
    for end in (low, high):
        assert best(end) == pytest.approx(limit, abs=1e-4)
    assert list(m.profile().curves) == ["sd_Intercept|study", "Intercept"]


def test_influence_is_a_refit_without_the_study():
    m = meta()
    found = m.influence("study")
    for i in (0, 7):
        again = m.update(data=bcg().drop(index=i))
        label = bcg()["study"][i]
        assert found.fixef.loc[label].iloc[0] == pytest.approx(again.fixef().iloc[0], rel=1e-6)
        sd = again.var_corr().to_frame()["sdcor"].iloc[0]
        assert found.var_corr.loc[label].iloc[0] == pytest.approx(sd, rel=1e-5)
    assert list(found.var_corr.columns) == ["sd_Intercept|study"]


def test_bootstrap_refits_with_the_known_scale():
    m = crossed()
    found = mx.bootstrap(m, n_sims=5, rng=1)
    y = m.simulate(5, rng=1)
    again = [m.refit(y.iloc[:, i]) for i in range(5)]
    values = np.array([[*a.var_corr().to_frame()["sdcor"].iloc[:1], *a.fixef()] for a in again])
    assert "sigma" not in found.names
    ours = found.replicates[:, [0, *range(len(found.names) - 2, len(found.names))]]
    np.testing.assert_allclose(np.sort(ours, axis=0), np.sort(values, axis=0), rtol=1e-4)
    assert all(a.sigma() == 1.3 for a in again)


def test_draws_leave_sigma_where_it_is():
    found = mx.sim(crossed(), n_sims=50, rng=1)
    np.testing.assert_array_equal(found.sigma, 1.3)


def test_chunks_give_the_same():
    data = two_factors()
    formula = "y ~ x + (1 + x | g) + (1 | h)"
    streamed = mx.lmer(formula, [data.iloc[:70], data.iloc[70:]], weights="w", sigma=1.3)
    m = crossed()
    assert streamed.deviance() == pytest.approx(m.deviance(), rel=1e-9)
    smaller = streamed.update("y ~ x + (1 | g) + (1 | h)")
    expected = crossed(formula="y ~ x + (1 | g) + (1 | h)")
    assert smaller.sigma() == 1.3
    assert smaller.deviance() == pytest.approx(expected.deviance(), rel=1e-9)
    products = mx.cross_products(formula, data, weights="w")
    pooled = mx.MerMod.from_cross_products(products, sigma=1.3)
    assert pooled.deviance() == pytest.approx(m.deviance(), rel=1e-9)


def test_what_is_refitted_keeps_it():
    m = meta()
    other = m.update("y ~ ablat + (1 | study)", data=bcg())
    assert m.refit_ml().sigma() == other.sigma() == 1.0
    table = mx.ranova(m)
    expected = dense(m, [np.zeros((1, 1))], reml=True)[0]
    assert table["log_lik"].iloc[1] == pytest.approx(-0.5 * expected, rel=1e-9)
    assert "The residual standard deviation is given, 1." in str(m.summary())
    assert m.call() == 'lmer("y ~ 1 + (1 | study)", data, weights="w", sigma=1.0)'


def test_equal_estimates_have_no_variance_between_them():
    data = bcg().assign(y=[0.1 + 1e-3 * i for i in range(13)])
    with pytest.warns(mx.exceptions.SingularFitWarning):
        m = mx.lmer("y ~ 1 + (1 | study)", data, weights="w", sigma=1)
    w = data["w"]
    assert m.fixef().iloc[0] == pytest.approx(np.sum(w * data["y"]) / np.sum(w), rel=1e-10)
    assert m.vcov().iloc[0, 0] == pytest.approx(1.0 / np.sum(w), rel=1e-10)
    test = mx.contest(m, [1.0], joint=False, ddf="satterthwaite")
    assert test["df"].iloc[0] == np.inf
    assert m.summary(ddf="satterthwaite").coefficients["df"].iloc[0] == np.inf
    assert np.isinf(m.anova(type=3, ddf="satterthwaite")["den_df"]).all()


@pytest.mark.parametrize("sigma", [0, -1.0, np.inf, np.nan, True, "1", [1.0]])
def test_bad_sigma(sigma):
    with pytest.raises(InvalidArgumentError, match="sigma=.*a positive number"):
        mx.lmer("y ~ 1 + (1 | study)", bcg(), weights="w", sigma=sigma)


@pytest.mark.parametrize("outlier", [1e3, 1e5, 1e7])
def test_an_outlier_beside_it(outlier):
    """Of balanced groups the likelihood is a formula: that of their means."""
    groups, m = 10, 8
    rng = np.random.default_rng(3)
    data = pd.DataFrame({"g": np.repeat(np.arange(groups), m), "y": rng.normal(size=groups * m)})
    data.loc[5, "y"] = outlier
    found = mx.lmer("y ~ 1 + (1 | g)", data, sigma=1, reml=False)
    means = data.groupby("g")["y"].mean()
    between = m * float(np.mean((means - means.mean()) ** 2))
    within = float(np.sum((data["y"] - data["g"].map(means)) ** 2))
    expected = groups * (np.log(between) + 1.0) + within + groups * m * np.log(2.0 * np.pi)
    assert found.deviance() == pytest.approx(expected, rel=1e-12)
    assert found.theta[0] ** 2 == pytest.approx((between - 1.0) / m, rel=1e-3)


@pytest.mark.parametrize("formula", ["y ~ x + (1 | g)", "y ~ x + (1 + x | g)"])
def test_where_no_digit_is_left_beside_it(formula):
    data = two_factors().copy()
    data.loc[5, "y"] = 1e149
    with pytest.raises(InvalidArgumentError, match=r"sigma=0.001: beside it.*outlier.*unit"):
        mx.lmer(formula, data, sigma=1e-3)
    with pytest.raises(InvalidArgumentError, match=r"sigma=0.001: beside it.*outlier.*unit"):
        mx.lmer(formula, two_factors(), sigma=1e-3).refit(data["y"])


def test_refusals_say_what_to_do():
    with pytest.raises(InvalidArgumentError, match="unless that is known .sigma=1"):
        mx.lmer("y ~ 1 + (1 | study)", bcg(), weights="w")
    with pytest.raises(UnsupportedModelError, match="known residual standard.*pb_modcomp"):
        mx.exact_rlrt(meta())
    with pytest.raises(UnsupportedModelError, match="known residual standard.*pb_modcomp"):
        mx.exact_lrt(meta(reml=False))
    with pytest.raises(UnsupportedModelError, match="MixedLM estimates the residual variance"):
        crossed().to_statsmodels()
    with pytest.raises(UnsupportedModelError, match="standardize_y.*rescale both"):
        mx.standardize(crossed(), standardize_y=True)


def test_one_row_a_study_can_be_told_apart_only_where_sigma_is_known():
    doubled = pd.concat([bcg(), bcg()], ignore_index=True)
    m = mx.lmer("y ~ 1 + (1 | study)", doubled, weights="w", sigma=1)
    assert m.ngrps()["study"] == 13
    with pytest.raises(InvalidArgumentError, match="can't be told"):
        mx.lmer("y ~ 1 + (1 | study) + (1 | other)", bcg().assign(other=bcg()["study"]),
                weights="w", sigma=1)  # fmt: skip


def test_power_of_another_meta_analysis():
    """Assumed parameters of a model with a known sigma: one row a study is enough."""
    m = mx.make_model(meta(), fixef=[-0.5], var_corr={"study": 0.4})
    assert m.sigma() == 1.0
    assert m.fixef().iloc[0] == pytest.approx(-0.5, rel=1e-12)
    assert m.covariances[0][0, 0] == pytest.approx(0.16, rel=1e-12)
    y = m.simulate(4000, rng=1).to_numpy()
    spread = np.sqrt(bcg()["v"].to_numpy() + 0.16)
    assert np.max(np.abs(y.std(axis=1) / spread - 1.0)) < 0.06
    found = mx.power(m, "Intercept", n_sims=300, rng=1)
    exact = stats.norm.sf(1.96 - 0.5 / np.sqrt(1.0 / np.sum(1.0 / spread**2)))
    assert abs(found.power - exact) < 0.12
    with pytest.raises(InvalidArgumentError, match="known residual standard deviation, 1"):
        mx.make_model(meta(), sigma=2.0)
