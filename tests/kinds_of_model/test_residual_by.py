"""``residual_by=``: what it means, from which tables it is had, and what is refused."""

from __future__ import annotations

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from chunk_models import table
from properties.compare import close
from residual_by_school import CROSSED, STUDENTS, assert_same, crossed, model, students
from scipy import stats
from tolerances import CHUNKS_DEVIANCE, GRADIENT, LEFT_OUT, OPTIMUM_DEFAULT

import merextras as mx
from merextras.exceptions import (
    InvalidArgumentError,
    MerextrasWarning,
    RefitWarning,
)


@pytest.fixture(autouse=True)
def _quiet():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", (RefitWarning,))
        yield


# Where the rows come from --------------------------------------------------------------------


def test_pickling():
    again = pickle.loads(pickle.dumps(model()))
    assert_same(again, model())
    close(again.point.gradient(), np.zeros(again.criterion.parameters.n), 1e-4, scale=1.0)


def test_a_fit_of_statsmodels():
    fit = smf.mixedlm("extro ~ open + agree + social", students(), groups="school").fit()
    assert_same(mx.MerMod(fit).update(residual_by="school"), model())
    back = mx.MerMod(fit).update(residual_by="school").update(residual_by=[])
    assert isinstance(back.sigma(), float)
    assert back.log_lik() == pytest.approx(mx.lmer(STUDENTS, students()).log_lik())


# What it means ---------------------------------------------------------------------------------


def test_groups_alike_are_one():
    """Of strata with the same rows the standard deviations are the same, and the others' fit."""
    sleep = mx.load_dataset("sleepstudy")
    both = pd.concat([sleep.assign(copy=c) for c in "ab"], ignore_index=True)
    m = mx.lmer("Reaction ~ Days + (1 | Subject)", both, residual_by="copy")
    plain = mx.lmer("Reaction ~ Days + (1 | Subject)", both)
    assert m.log_lik() == pytest.approx(plain.log_lik(), rel=CHUNKS_DEVIANCE)
    np.testing.assert_allclose(m.sigma(), plain.sigma(), rtol=OPTIMUM_DEFAULT)
    table = plain.anova(m)
    assert (table["df"].iloc[1], table["p_value"].iloc[1]) == (1.0, pytest.approx(1.0, abs=1e-4))


def test_several_columns_are_their_combinations():
    m = crossed("cb")
    assert list(m.sigma().index) == ["u:False", "u:True", "v:False", "v:True", "w:False", "w:True"]
    assert m.sigma().index.name == "c:b"
    joined = table().assign(cb=table().c + table().b.astype(str))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MerextrasWarning)
        same = mx.lmer(CROSSED, joined, residual_by="cb")
    np.testing.assert_allclose(same.sigma(), m.sigma(), rtol=OPTIMUM_DEFAULT)


def test_weights_on_top():
    """A row's residual variance is sigma_h**2 / w: in another unit of w they are larger."""
    rng = np.random.default_rng(3)
    w = rng.uniform(0.5, 2.0, 1200)
    one = mx.lmer(STUDENTS, students(), residual_by="school", weights=w)
    two = mx.lmer(STUDENTS, students(), residual_by="school", weights=4.0 * w)
    np.testing.assert_allclose(two.sigma(), 2.0 * one.sigma(), rtol=OPTIMUM_DEFAULT)
    assert two.log_lik() == pytest.approx(one.log_lik(), rel=CHUNKS_DEVIANCE)
    np.testing.assert_allclose(two.vcov(), one.vcov(), rtol=1e-6)
    scaled = one.residuals("pearson", scaled=True)
    expected = one.residuals() * np.sqrt(w) / one.sigma()[students().school].to_numpy()
    np.testing.assert_allclose(scaled, expected, rtol=1e-12)


def test_frequencies_are_repeated_rows():
    counts = 1 + np.arange(1200) % 3
    twice = students().loc[students().index.repeat(counts)].reset_index(drop=True)
    found = mx.lmer(STUDENTS, students(), residual_by="school", freq_weights=counts)
    expected = mx.lmer(STUDENTS, twice, residual_by="school")
    np.testing.assert_allclose(found.sigma(), expected.sigma(), rtol=OPTIMUM_DEFAULT)
    assert found.log_lik() == pytest.approx(expected.log_lik(), rel=CHUNKS_DEVIANCE)


def test_residuals_over_their_own_sd():
    m, sd = model(), model().sigma()[students().school].to_numpy()
    np.testing.assert_allclose(m.residuals(scaled=True), m.residuals() / sd)
    np.testing.assert_allclose(m.residuals("pearson", scaled=True), m.residuals() / sd)
    np.testing.assert_allclose(m.rstudent(), m.residuals() / sd / np.sqrt(1 - m.hatvalues()))
    assert m.residuals("pearson").groupby(students().school).std().max() < 1.1 * m.sigma()["I"]


def test_likelihood_and_parameters():
    ml, plain = model(reml=False), mx.lmer(STUDENTS, students(), reml=False)
    table = plain.anova(ml)
    assert list(table["npar"]) == [6, 11]
    assert table["df"].iloc[1] == 5
    statistic = 2 * (ml.log_lik() - plain.log_lik())
    assert table["statistic"].iloc[1] == pytest.approx(statistic)
    assert table["p_value"].iloc[1] == pytest.approx(stats.chi2.sf(statistic, 5))
    assert ml.aic() == pytest.approx(-2 * ml.log_lik() + 22)
    assert "residual_by='school'" in table.index[1]
    assert plain.df_residual() - ml.df_residual() == 5
    f, v = ml.as_function(), ml.criterion.to_user(ml.point.theta)
    assert f(v) == pytest.approx(ml.deviance())
    assert f(1.01 * v) > ml.deviance()


def test_models_by_groups_that_are_not_within():
    by_class = mx.lmer(STUDENTS, students(), residual_by="class", reml=False)
    with pytest.raises(InvalidArgumentError, match="residual variances differ by groups"):
        model(reml=False).anova(by_class)
    both = mx.lmer(STUDENTS, students(), residual_by=["school", "class"], reml=False)
    assert model(reml=False).anova(both)["df"].iloc[1] == 18


def test_prints():
    text = str(model().summary())
    assert "Residual, by school  I" in text
    assert " 4.293" in text
    frame = model().var_corr().to_frame()
    assert list(frame["var1"][1:]) == ["I", "II", "III", "IV", "V", "VI"]
    np.testing.assert_allclose(frame["sdcor"][1:], model().sigma())
    tidy = mx.tidy(model())
    np.testing.assert_allclose(tidy[tidy.group == "Residual"]["estimate"], model().sigma())
    assert list(tidy[tidy.group == "Residual"]["level"]) == list(model().sigma().index)
    assert "sigma (VI)" in str(mx.compare_table(model()))
    assert 'residual_by="school"' in model().call()
    mean = np.sqrt(np.mean(model().sigma() ** 2))  # as many rows in each school
    assert mx.glance(model())["sigma"].iloc[0] == pytest.approx(mean)
    assert mx.sigma_hat(model()).by_group["I"] == pytest.approx(model().sigma()["I"])


# Intervals -------------------------------------------------------------------------------------


def _unprofiled(m):
    """The criterion as a function of theta, log omega and sigma."""
    criterion = m.criterion

    def value(x):
        solution = criterion.at(x[:-1]).solution
        df, sigma2 = solution.df, x[-1] ** 2
        fixed = solution.log_det_fixed if solution.reml else 0.0
        fit = df * np.log(2 * np.pi * sigma2) + solution.pwrss / sigma2
        return solution.log_det + fixed + fit - solution.cp.sum_log_w

    return value, np.append(m.point.theta, np.sqrt(m.solution.sigma2))


def test_satterthwaite_counts_all_variances():
    """Against derivatives by differences of the covariance and of the criterion."""
    sleep = mx.load_dataset("sleepstudy")
    sleep["late"] = sleep["Days"] >= 5
    m = mx.lmer("Reaction ~ Days + (Days | Subject)", sleep, residual_by="late")
    value, at = _unprofiled(m)
    steps = 1e-3 * np.maximum(np.abs(at), 0.05)
    eye = np.diag(steps)
    hessian = np.array(
        [
            [
                (value(at + a + b) - value(at + a - b) - value(at - a + b) + value(at - a - b))
                for b in eye
            ]
            for a in eye
        ]
    ) / (4 * np.outer(steps, steps))

    def variance(x):
        return x[-1] ** 2 * m.criterion.at(x[:-1]).solution.fixed_covariance()[1, 1]

    slope = np.array([(variance(at + a) - variance(at - a)) for a in eye]) / (2 * steps)
    expected = 2 * variance(at) ** 2 / (slope @ (2 * np.linalg.inv(hessian)) @ slope)
    found = m.summary(ddf="satterthwaite").coefficients["df"]["Days"]
    assert found == pytest.approx(expected, rel=1e-3)


def test_satterthwaite_of_one_variance():
    """By groups with the same rows the degrees of freedom are about those of one variance."""
    sleep = mx.load_dataset("sleepstudy")
    both = pd.concat([sleep.assign(copy=c) for c in "ab"], ignore_index=True)
    m = mx.lmer("Reaction ~ Days + (1 | Subject)", both, residual_by="copy")
    plain = mx.lmer("Reaction ~ Days + (1 | Subject)", both)
    found, expected = (x.summary(ddf="satterthwaite").coefficients["df"] for x in (m, plain))
    # Nothing is known of the difference of two that weigh the same.
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_profile():
    """At the ends of an interval the deviance has risen by what the level says."""
    ci = model().confint(level=0.9)
    rise = stats.chi2.ppf(0.9, 1)
    ml, names = model(reml=False), list(model().sigma().index)
    assert [f"sigma_{name}" for name in names] == [n for n in ci.index if n.startswith("sigma")]
    value, at = _unprofiled(ml)
    for k, end in ((0, ci.loc["sigma_I", "conf_low"]), (2, ci.loc["sigma_III", "conf_high"])):
        assert _least(value, at, k, end) - ml.deviance() == pytest.approx(rise, abs=1e-6)
    assert (ci["conf_low"] < ci["conf_high"]).all()
    assert ci.loc["sigma_I", "conf_low"] < ml.sigma()["I"] < ci.loc["sigma_I", "conf_high"]


def _least(value, at, k, end):
    """The least of the criterion with one sigma held."""
    from scipy import optimize

    def held(x):
        if k == 0:
            return value(np.append(x, end))
        own = np.insert(x[:-1], k, 2 * np.log(x[-1] / end))
        return value(np.append(own, x[-1]))

    start = at[:-1] if k == 0 else np.delete(at, k)
    return optimize.minimize(held, start, method="BFGS", options={"gtol": 1e-6}).fun


def test_prediction_of_a_group():
    rows = students().groupby("school").head(1)
    found = model().predict(rows, interval="prediction", ddf="asymptotic")
    plain = model().predict(rows, se_fit=True, ddf="asymptotic")
    half = (found["upper"] - found["lower"]) / 2 / stats.norm.ppf(0.975)
    expected = np.sqrt(plain["std_error"] ** 2 + model().sigma()[rows.school].to_numpy() ** 2)
    np.testing.assert_allclose(half, expected)
    # The mean needs no group of residuals, an observation does.
    other = rows.assign(school="VII")
    model().predict(other, re_form="NA", se_fit=True)
    with pytest.raises(InvalidArgumentError, match=r"residual_by='school'.*'VII'; known are 'I'"):
        model().predict(other, allow_new_levels="draw", interval="prediction")
    with pytest.raises(InvalidArgumentError, match=r"residual_by='school'.*'VII'"):
        model().simulate(2, newdata=other, allow_new_levels=True)
    with pytest.raises(InvalidArgumentError, match="school"):
        model().predict(rows.drop(columns="school"), re_form="NA", interval="prediction")


def test_degrees_of_freedom_of_an_observation():
    """Those of a new observation are nearly those of its own group's standard deviation."""
    rows = students().groupby("school").head(1)
    found = model().predict(rows, interval="prediction", ddf="satterthwaite")
    normal = model().predict(rows, interval="prediction", ddf="asymptotic")
    ratio = (found["upper"] - found["lower"]) / (normal["upper"] - normal["lower"])
    quantile = stats.t.ppf(0.975, 199) / stats.norm.ppf(0.975)
    np.testing.assert_allclose(ratio, quantile, rtol=2e-3)


def test_simulated_rows_have_their_groups_spread():
    drawn = model().simulate(400, rng=1, use_u=True)
    sd = (drawn.sub(model().fitted(), axis=0) ** 2).mean(axis=1).groupby(students().school).mean()
    np.testing.assert_allclose(np.sqrt(sd), model().sigma(), rtol=0.02)


def test_bootstrap_estimates_all():
    boot = mx.bootstrap(model(), n_sims=60, rng=1)
    sd = boot.std_error[[f"sigma_{name}" for name in model().sigma().index]]
    # The standard error of a standard deviation, sigma / sqrt(2 n_h).
    np.testing.assert_allclose(sd, model().sigma() / np.sqrt(400), rtol=0.5)


def test_spread_of_moved_cases():
    """The residual variance is that of the schools that the cases are moved to."""
    found = mx.what_if_spread(model(), students().head(20), "school", n_sims=None)
    residual = found.set_index("source").loc["residual", "variance"]
    df = model().solution.df
    assert residual == pytest.approx(np.mean(model().sigma() ** 2) * df / (df - 2))
    one = mx.what_if_spread(
        model(), students().head(20), "school", levels=["I", "II"], n_sims=None
    ).set_index("source")
    expected = np.mean(model().sigma()[["I", "II"]] ** 2)
    assert one.loc["residual", "variance"] == pytest.approx(expected * df / (df - 2))


def test_shares_are_of_the_mean_residual_variance():
    between, mean = model().covariances[0][0, 0], np.mean(model().sigma() ** 2)
    assert mx.icc(model()).adjusted == pytest.approx(between / (between + mean))
    by_group = mx.icc(model()).by_residual
    expected = between / (between + model().sigma() ** 2)
    np.testing.assert_allclose(by_group["adjusted"], expected)
    assert list(by_group.index) == list(model().sigma().index)
    fixed = mx.variance_decomposition(model())["variance"].iloc[0]
    by_group = mx.r2(model()).by_residual
    total = fixed + between + model().sigma() ** 2
    np.testing.assert_allclose(by_group["conditional"], (fixed + between) / total)


# Refits ----------------------------------------------------------------------------------------


def test_influence_is_that_of_refits():
    found = model().influence("school")
    for i, school in enumerate(["I", "IV"]):
        left = students()[students().school != school]
        again = mx.lmer(STUDENTS, left, residual_by="school")
        assert found.fixef.loc[school].to_numpy() == pytest.approx(again.fixef(), rel=1e-7)
        sigma = found.var_corr.loc[school].filter(like="sigma").dropna()
        assert list(sigma.index) == [f"sigma_{name}" for name in again.sigma().index], i
        np.testing.assert_allclose(sigma, again.sigma(), rtol=1e-6)
    labels = np.arange(1200) % 4
    cases = model().influence(labels)
    again = mx.lmer(STUDENTS, students()[labels != 2], residual_by="school")
    np.testing.assert_allclose(cases.fixef.loc[2], again.fixef(), rtol=1e-7)
    v = model().criterion.from_user(again.criterion.to_user(again.point.theta))
    there = model().criterion.at(v).solution
    ratio = there.sigma2 / again.solution.sigma2
    rise = there.deviance() - model().deviance() + there.df * (ratio - 1 - np.log(ratio))
    assert cases.displacement[2] == pytest.approx(rise, rel=1e-5)
    assert not cases.measures()["singular"].any()


def test_cross_validation_is_that_of_refits():
    labels = np.arange(1200) % 4
    found = mx.cross_validate(model(), by=labels)
    again = mx.lmer(STUDENTS, students()[labels != 1], residual_by="school")
    rows = students()[labels == 1]
    expected = again.predict(rows, interval="prediction")
    mine = found.rows[labels == 1]
    sd = students()["extro"].std()
    for name in ("fit", "lower", "upper"):
        assert np.max(np.abs(mine[name] - expected[name])) < 100 * LEFT_OUT * sd
    with pytest.raises(Exception, match="no row of the group"):
        mx.cross_validate(model(), by="school")


def test_all_optimisers_agree():
    found = mx.all_fit(model(), n_random=2, rng=1)
    assert found.agree
    assert found.best == pytest.approx(model().deviance(), rel=CHUNKS_DEVIANCE)


def test_many_groups_are_quick():
    """160 groups of some 45 rows: an iteration is one factorisation, and few are needed."""
    rng = np.random.default_rng(2)
    school = np.repeat(np.arange(160), 45)
    x = rng.normal(size=len(school))
    sd = np.exp(rng.normal(0.0, 0.3, 160))
    b = rng.normal(size=(160, 2))[school]
    y = 10 + b[:, 0] + (1 + 0.5 * b[:, 1]) * x + sd[school] * rng.normal(size=len(school))
    data = pd.DataFrame({"y": y, "x": x, "school": school})
    m = mx.lmer("y ~ x + (x | school)", data, residual_by="school")
    assert m.opt_summary.converged
    assert m.opt_summary.n_iterations < 15
    close(m.point.gradient(), np.zeros(m.criterion.parameters.n), GRADIENT * 100, scale=1.0)
    np.testing.assert_allclose(m.sigma(), sd, rtol=0.5)


# Refused ---------------------------------------------------------------------------------------


def test_a_check_proposes_it_by_name():
    plain = mx.lmer(STUDENTS, students())
    advice = "\n".join(mx.check_heteroscedasticity(plain).advice)
    assert "m.update(residual_by='school')" in advice
    after = "\n".join(mx.check_heteroscedasticity(model()).advice)
    assert "residual_by='school')" not in after
