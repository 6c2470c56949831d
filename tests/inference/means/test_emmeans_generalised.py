"""`emmeans` of generalised models against R's emmeans and the model's own predictions."""

from __future__ import annotations

import functools
import json
from pathlib import Path

import glmm_models as models
import numpy as np
import pandas as pd
import pytest
from glmer_pieces import EXPECTED, districts
from scipy import special, stats
from tolerances import GLMM_AGAINST_LME4

import merextras as mx
from merextras.exceptions import InvalidArgumentError, UnsupportedModelError

#: lme4's covariance is of differences of its criterion, with three digits.
_VCOV = 2e-3


def test_probabilities_are_rs():
    found = mx.emmeans(models.cbpp(), "period", type="response").to_frame()
    expected = models.expected()["lme4"]["means"]
    np.testing.assert_allclose(found["estimate"], expected["prob"], rtol=GLMM_AGAINST_LME4)
    for ours, theirs in (("std_error", "se"), ("conf_low", "low"), ("conf_high", "high")):
        np.testing.assert_allclose(found[ours], expected[theirs], rtol=_VCOV)


def test_odds_ratios_are_rs():
    means = mx.emmeans(models.cbpp(), "period", type="response")
    found = means.contrasts("pairwise", adjust="none")
    expected = models.expected()["lme4"]["odds"]
    frame = found.to_frame()
    np.testing.assert_allclose(frame["estimate"], expected["ratio"], rtol=1e-4)
    np.testing.assert_allclose(frame["std_error"], expected["se"], rtol=_VCOV)
    np.testing.assert_allclose(frame["statistic"], expected["z"], rtol=_VCOV)
    assert "odds ratio" in repr(found)
    link = mx.emmeans(models.cbpp(), "period").contrasts(adjust="none").to_frame()
    np.testing.assert_allclose(np.exp(link["conf_low"]), frame["conf_low"])
    np.testing.assert_array_equal(link["p_value"], frame["p_value"])


@pytest.mark.parametrize(
    "family", ["binomial(probit)", "binomial(cloglog)", "binomial"]
)  # fmt: skip
def test_means_are_predictions_at_zero(family):
    m = models.cbpp(family)
    found = mx.emmeans(m, "period", type="response").to_frame()
    rows = found[["period"]].copy()
    exact = m.predict(rows, re_form="NA", se_fit=True)
    for ours, theirs in (
        ("estimate", "fit"), ("std_error", "std_error"), ("conf_low", "lower"),
        ("conf_high", "upper"),
    ):  # fmt: skip
        np.testing.assert_allclose(found[ours], exact[theirs], rtol=1e-10)


def test_what_is_refused_and_said():
    m = models.cbpp("binomial(probit)")
    with pytest.raises(UnsupportedModelError, match="ddf='asymptotic'"):
        mx.emmeans(m, "period", ddf="satterthwaite")
    assert "probit link" in repr(mx.emmeans(m, "period"))
    assert "probit link" in repr(mx.emmeans(m, "period", type="response").contrasts())


@functools.cache
def _expected_of_trends():
    path = Path(__file__).resolve().parents[2] / "reference" / "glmer_influence" / "expected.json"
    return json.loads(path.read_text(encoding="utf-8"))


@functools.cache
def _women():
    formula = "use ~ age * urban + livch + (1 | district)"
    return mx.glmer(formula, mx.load_dataset("contraception"))


@functools.cache
def exposed(form: str):
    """Counts with an exposure: by the formula, a column or an array."""
    rng = np.random.default_rng(5)
    rows = pd.DataFrame({"g": np.repeat(np.arange(12), 10), "t": np.tile(list("ab"), 60)})
    rows["lE"] = rng.normal(1.0, 0.5, 120)
    mean = np.exp(
        0.3 + 0.5 * (rows["t"] == "b") + rows["lE"] + 0.4 * rng.normal(size=12)[rows["g"]]
    )
    rows["y"] = rng.poisson(mean)
    if form == "formula":
        return rows, mx.glmer("y ~ t + offset(lE) + (1 | g)", rows, "poisson")
    given = "lE" if form == "column" else rows["lE"].to_numpy()
    return rows, mx.glmer("y ~ t + (1 | g)", rows, "poisson", offset=given)


@pytest.mark.parametrize("form", ["formula", "column", "array"])
def test_an_offset_is_said_and_held(form):
    rows, m = exposed(form)
    mean = rows["lE"].mean()
    name = "offset" if form == "array" else "lE"
    found = mx.emmeans(m, "t", type="response")
    assert found.notes[0] == f"At {name} = {mean:.6g}."
    beta = m.fixef().to_numpy()
    np.testing.assert_allclose(
        found.to_frame()["estimate"], np.exp([beta[0] + mean, beta.sum() + mean]), rtol=1e-12
    )
    rates = np.exp([beta[0], beta.sum()])
    without = mx.emmeans(m, "t", type="response", offset=0)
    np.testing.assert_allclose(without.to_frame()["estimate"], rates, rtol=1e-12)
    assert "offset = 0" in without.notes[0]
    of_population = {"type": "response", "re_form": "population"}
    whole = mx.emmeans(m, "t", **of_population).to_frame()["estimate"]
    at_zero = mx.emmeans(m, "t", offset=0, **of_population).to_frame()["estimate"]
    np.testing.assert_allclose(whole / at_zero, np.exp(mean), rtol=1e-9)
    if name == "lE":
        held = mx.emmeans(m, "t", type="response", at={"lE": 0}).to_frame()
        np.testing.assert_allclose(held["estimate"], rates, rtol=1e-12)
    for wrong in ("x", np.nan, [0.0], True):
        with pytest.raises(InvalidArgumentError, match=r"offset=.*: a finite number"):
            mx.emmeans(m, "t", offset=wrong)
    if form == "column":
        with pytest.raises(InvalidArgumentError, match="'lE' is the offset; give one value"):
            mx.emmeans(m, "t", at={"lE": [0, 1]})


def test_an_offset_of_chunks_is_said_and_held():
    rows, whole = exposed("column")
    m = mx.glmer("y ~ t + (1 | g)", rows, "poisson", offset="lE", chunk_size=50)
    for options in ({}, {"at": {"lE": 0.0}}, {"offset": 1.0}):
        found, same = (mx.emmeans(each, "t", **options) for each in (m, whole))
        assert found.notes == same.notes
        np.testing.assert_allclose(
            found.to_frame()["estimate"], same.to_frame()["estimate"], rtol=1e-6
        )


def test_trends_and_joint_tests_are_rs():
    found, expected = mx.emtrends(_women(), "urban", "age"), _expected_of_trends()
    frame = found.to_frame()
    assert frame["urban"].tolist() == expected["slopes"]["urban"]
    np.testing.assert_allclose(frame["estimate"], expected["slopes"]["estimate"], rtol=1e-4)
    np.testing.assert_allclose(frame["std_error"], expected["slopes"]["se"], rtol=_VCOV)
    assert "logit link" in repr(found)
    tests = mx.joint_tests(_women()).set_index("term")
    ours = tests.loc[expected["tests"]["term"]]
    # emmeans shows three decimals.
    np.testing.assert_allclose(ours["statistic"], expected["tests"]["f"], rtol=5e-3, atol=6e-4)
    np.testing.assert_allclose(ours["p_value"], expected["tests"]["p"], rtol=2e-2)
    assert ours["num_df"].tolist() == expected["tests"]["df1"]
    assert np.isinf(ours["den_df"]).all()


def test_wald_tests_of_contrasts():
    m = models.cbpp()
    names = list(m.fixef().index)
    found = mx.contest(m, np.eye(4)[1:])
    exact = m.anova()
    np.testing.assert_allclose(found.iloc[0], exact.iloc[0], rtol=1e-9)
    one = mx.contest(m, {names[1]: 1.0, names[2]: -1.0}).iloc[0]
    row = np.array([0.0, 1.0, -1.0, 0.0])
    se = np.sqrt(row @ m.vcov().to_numpy() @ row)
    np.testing.assert_allclose(one["std_error"], se, rtol=1e-10)
    np.testing.assert_allclose(one["p_value"], 2 * stats.norm.sf(abs(row @ m.fixef() / se)))
    text = mx.contest(m, "period[2] = period[3]", joint=False).iloc[0]
    np.testing.assert_allclose(text["estimate"], one["estimate"], rtol=1e-10)
    for ask in (mx.contest, mx.joint_tests):
        given = [np.eye(4)[1]] if ask is mx.contest else []
        with pytest.raises(UnsupportedModelError, match="ddf='CR1'"):
            ask(m, *given, ddf="CR2")
    with pytest.raises(UnsupportedModelError, match="ddf='asymptotic'"):
        mx.contest(m, np.eye(4)[1], ddf="kenward-roger")


@pytest.mark.parametrize("family", ["binomial", "binomial(probit)", "binomial(cloglog)"])
def test_population_means_are_predictions_of_the_population(family):
    m = models.cbpp(family)
    found = mx.emmeans(m, "period", type="response", re_form="population")
    frame = found.to_frame()
    exact = m.predict(frame[["period"]].copy(), re_form="population", se_fit=True)
    for ours, theirs in (
        ("estimate", "fit"), ("std_error", "std_error"), ("conf_low", "lower"),
        ("conf_high", "upper"),
    ):  # fmt: skip
        np.testing.assert_allclose(frame[ours], exact[theirs], rtol=1e-9)
    assert "Over the random effects" in repr(found)


def test_contrasts_of_population_means_are_their_odds_ratios():
    m = models.cbpp()
    means = mx.emmeans(m, "period", type="response", re_form="population")
    odds = special.logit(means.to_frame()["estimate"].to_numpy())
    found = means.contrasts(adjust="none").to_frame()
    np.testing.assert_allclose(found["estimate"].iloc[0], np.exp(odds[0] - odds[1]), rtol=1e-10)
    # By a bootstrap of the parameters around the estimate.
    rng = np.random.default_rng(1)
    draws = rng.multivariate_normal(m.laplace.x, m.optimum.covariance(), size=4000)
    n = len(m.theta)
    x, z = m.design.fixed.matrix(means.to_frame()[["period"]]), np.linspace(-8, 8, 161)
    weight = np.exp(-0.5 * z**2) / np.sum(np.exp(-0.5 * z**2))
    moved = []
    for draw in draws:
        eta = x[:2] @ m.laplace.criterion.beta_of(draw[n : n + 4])
        sd = abs(m.laplace.criterion.user_theta(draw[:n])[0])
        moved.append(special.logit(special.expit(eta[:, None] + sd * z) @ weight))
    spread = np.std(np.diff(moved, axis=1))
    own = found["std_error"].iloc[0] / found["estimate"].iloc[0]
    np.testing.assert_allclose(own, spread, rtol=0.05)


def test_population_means_are_averaged_as_means():
    data = models.rows(n=200)
    m = mx.glmer("yes ~ x + c + (1 + x | g)", data)
    found = mx.emmeans(m, (), type="response", re_form="population").to_frame()
    cells = pd.DataFrame({"c": ["a", "b", "c"], "x": data["x"].mean()})
    exact = m.predict(cells, re_form="population")
    np.testing.assert_allclose(found["estimate"], exact.mean(), rtol=1e-10)
    outside = mx.glmer("yes ~ c + (0 + x | g)", data)
    with pytest.raises(InvalidArgumentError, match="random slope is in a variable"):
        mx.emmeans(outside, "c", type="response", re_form="population")


def test_the_population_is_asked_for_on_its_scale():
    m = models.cbpp()
    with pytest.raises(InvalidArgumentError, match="type='response'"):
        mx.emmeans(m, "period", re_form="population")
    with pytest.raises(InvalidArgumentError, match="re_form"):
        mx.emmeans(m, "period", re_form="none")
    linear = mx.lmer("Reaction ~ Days + (1 | Subject)", mx.load_dataset("sleepstudy"))
    with pytest.raises(UnsupportedModelError, match="already"):
        mx.emmeans(linear, "Days", type="response", re_form="population")


def test_slopes_of_probabilities_are_rs():
    found = mx.emtrends(districts(), "urban", var="age", type="response").to_frame()
    expected = EXPECTED["trends"]["urban"]
    np.testing.assert_allclose(found["estimate"], expected["trend"], rtol=5e-4)
    np.testing.assert_allclose(found["std_error"], expected["se"], rtol=_VCOV)
    at = {"age": [-10, 10]}
    found = mx.emtrends(districts(), ["urban", "age"], var="age", at=at, type="response").to_frame()
    found = found.sort_values(["age", "urban"])  # R's first factor is the fastest
    expected = EXPECTED["trends"]["at"]
    np.testing.assert_allclose(found["estimate"], expected["trend"], rtol=5e-4)
    np.testing.assert_allclose(found["std_error"], expected["se"], rtol=_VCOV)


@pytest.mark.parametrize("re_form", ["NA", "population"])
@pytest.mark.parametrize("response", ["yes", "count", "size"])
def test_slopes_of_means_are_differences_of_predictions(response, re_form):
    m = models.generated(response, "(1 + x | g)")
    at = {"x": [-0.5, 0.8]}
    options = {"at": at, "type": "response", "re_form": re_form}
    found = mx.emtrends(m, ["c", "x"], var="x", **options)

    def slopes(model):
        rows = found.to_frame()[["c", "x"]]
        ends = [
            model.predict(rows.assign(x=rows["x"] + k * 1e-3), re_form=re_form).to_numpy()
            for k in (1, -1, 2, -2)
        ]
        return (8.0 * (ends[0] - ends[1]) - (ends[2] - ends[3])) / 12e-3

    np.testing.assert_allclose(found.to_frame()["estimate"], slopes(m), rtol=1e-7)
    by = models.differences(m, slopes)
    covariance = by @ m.optimum.covariance() @ by.T
    np.testing.assert_allclose(
        found.to_frame()["std_error"], np.sqrt(np.diag(covariance)), rtol=1e-4
    )
    # The average over the factor's levels is of slopes, not of the slope at an average.
    averaged = mx.emtrends(m, "x", var="x", **options).to_frame()
    cells = found.to_frame().groupby("x")["estimate"].mean()
    np.testing.assert_allclose(averaged["estimate"], cells, rtol=1e-9)
    assert "On the scale of the response" in repr(found)
    contrast = found.contrasts("pairwise", by="x", adjust="none").to_frame()
    assert np.isfinite(contrast["std_error"]).all()


def test_curvature_and_functions_of_a_variable():
    m = mx.glmer("yes ~ x + I(x ** 2) + (1 | g)", models.rows())
    both = mx.emtrends(m, (), var="x", max_degree=2, type="response").to_frame()
    at = models.rows()["x"].mean()
    eta = np.polyval(m.fixef().to_numpy()[::-1], at)
    first = m.fixef().iloc[1] + 2.0 * m.fixef().iloc[2] * at
    p = special.expit(eta)
    slope = p * (1.0 - p) * first
    bend = p * (1.0 - p) * ((1.0 - 2.0 * p) * first**2 + 2.0 * m.fixef().iloc[2])
    np.testing.assert_allclose(both["estimate"], [slope, 0.5 * bend], rtol=1e-6)
    data = models.rows().assign(w=lambda d: np.exp(d["x"]))
    log = mx.glmer("count ~ np.log(w) + (1 | g)", data, "poisson")
    per_log = mx.emtrends(log, (), var="np.log(w)", type="response").to_frame()
    eta = log.fixef().iloc[0] + log.fixef().iloc[1] * np.log(data["w"].mean())
    assert per_log["estimate"].iloc[0] == pytest.approx(log.fixef().iloc[1] * np.exp(eta), rel=1e-8)


def test_slopes_with_robust_errors():
    m = models.generated("count", "(1 | g)")
    for options in ({}, {"re_form": "population"}):
        robust, plain = (
            mx.emtrends(m, "c", var="x", type="response", **options, **ddf).to_frame()
            for ddf in ({"ddf": "CR1"}, {})
        )
        np.testing.assert_allclose(robust["estimate"], plain["estimate"])
        ratio = robust["std_error"] / plain["std_error"]
        assert ((ratio > 0.3) & (ratio < 3.0) & (ratio != 1.0)).all()
    with pytest.raises(InvalidArgumentError, match="type="):
        mx.emtrends(m, "c", var="x", re_form="population")
