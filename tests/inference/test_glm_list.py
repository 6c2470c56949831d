"""A generalised linear model of each group."""

from __future__ import annotations

import json
import time
import warnings
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
import statsmodels.formula.api as smf
from tolerances import GLM_OF_R, LEAST_SQUARES

import merextras as mx
from merextras.exceptions import (
    ConvergenceWarning,
    InvalidArgumentError,
    RankDeficientWarning,
    UnsupportedModelError,
)

REFERENCE = json.loads(
    (Path(__file__).parents[1] / "reference" / "lm_list" / "expected.json").read_text()
)
EXPECTED = REFERENCE["generalised"]
SOME_DISTRICTS, SOME_HERDS = [1, 6, 14, 25, 30, 46], [1, 3, 5, 6, 7, 11]
WOMEN, SLEEP = "use ~ age + urban | district", "Reaction ~ Days | Subject"
CASES = {
    "logit": (WOMEN, "binomial"),
    "probit": (WOMEN, "binomial(probit)"),
    "cloglog": (WOMEN, "binomial(cloglog)"),
    "cbind": ("cbind(incidence, size - incidence) ~ big | herd", "binomial"),
    "poisson": ("Count ~ Days + offset(Exposure) | Subject", "poisson"),
    "gamma": (SLEEP, "gamma(log)"),
    "gamma_inverse": (SLEEP, "gamma(inverse)"),
    "inverse_gaussian": (SLEEP, "inverse_gaussian(log)"),
    "gaussian_log": (SLEEP, "gaussian(log)"),
}


def rows_of(name):
    women, cbpp = mx.load_dataset("contraception"), mx.load_dataset("cbpp")
    sleep = mx.load_dataset("sleepstudy")
    if name == "cbind":
        return cbpp[cbpp["herd"].isin(SOME_HERDS)].assign(big=lambda d: d["size"] / 10)
    if CASES[name][0] == WOMEN:
        return women[women["district"].isin(SOME_DISTRICTS)]
    return sleep.assign(Count=np.round(sleep["Reaction"] / 20), Exposure=np.log1p(sleep["Days"]))


@pytest.mark.parametrize("name", CASES)
def test_against_lme4(name):
    expected, (formula, family) = EXPECTED[name], CASES[name]
    fits = mx.lm_list(formula, rows_of(name), family=family)
    assert sorted(fits.levels.astype(str)) == sorted(expected["groups"])
    order = [fits.levels.astype(str).tolist().index(g) for g in expected["groups"]]
    terms = [
        {"(Intercept)": "Intercept", "urbanY": "urban[T.Y]"}.get(t, t) for t in expected["terms"]
    ]
    np.testing.assert_allclose(fits.coef()[terms].iloc[order], expected["coef"], rtol=GLM_OF_R)
    own = fits.std_error(pooled=False)[terms].iloc[order]
    np.testing.assert_allclose(own, expected["std_error"], rtol=GLM_OF_R)
    np.testing.assert_allclose(fits.deviance[order], expected["deviance"], rtol=GLM_OF_R)
    np.testing.assert_allclose(fits.sigmas.iloc[order] ** 2, expected["dispersion"], rtol=GLM_OF_R)
    assert fits.df[order].tolist() == expected["df"]
    if not fits.dispersed:
        p_value = fits.to_frame().pivot(index="level", columns="term", values="p_value")
        p_value = p_value.loc[fits.levels[order], terms]
        np.testing.assert_allclose(p_value, expected["p_value"], rtol=1e-6)
        assert fits.sigma == 1.0
        return
    pooled = np.average(expected["dispersion"], weights=expected["df"])
    assert fits.sigma**2 == pytest.approx(pooled, rel=GLM_OF_R)
    assert f"Pooled dispersion {pooled:.4g}" in repr(fits)


@pytest.mark.parametrize(
    ("family", "of_statsmodels", "code"),
    [
        ("binomial", sm.families.Binomial(), "yes"),
        ("poisson", sm.families.Poisson(), "count"),
        (sm.families.NegativeBinomial(alpha=0.5), sm.families.NegativeBinomial(alpha=0.5), "count"),
        ("inverse_gaussian", sm.families.InverseGaussian(sm.families.links.Log()), "positive"),
    ],
)
def test_groups_as_statsmodels(family, of_statsmodels, code):
    data = _generated()
    fits = mx.lm_list(f"{code} ~ x + c | g", data, family=family)
    for level in ("b", "d"):
        one = data[data["g"] == level]
        expected = smf.glm(f"{code} ~ x + c", one, family=of_statsmodels).fit(tol=1e-14)
        names = fits.coef().columns
        np.testing.assert_allclose(
            fits.coef().loc[level], expected.params[_theirs(names)], rtol=1e-7
        )
        found = fits.std_error(pooled=False).loc[level]
        np.testing.assert_allclose(found, expected.bse[_theirs(names)], rtol=1e-7)


def _theirs(names):
    return list(names)


def _generated():
    rng = np.random.default_rng(8)
    data = pd.DataFrame({"g": np.repeat(list("abcde"), 60), "x": rng.normal(size=300)})
    data["c"] = rng.choice(["u", "v"], 300)
    eta = 0.3 + 0.5 * data["x"] - 0.4 * (data["c"] == "v")
    data["yes"] = rng.binomial(1, 1 / (1 + np.exp(-eta)))
    data["count"] = rng.poisson(np.exp(eta))
    data["positive"] = rng.wald(np.exp(eta), 5.0)
    return data


def test_the_normal_family_is_least_squares():
    sleep = mx.load_dataset("sleepstudy")
    normal, plain = (mx.lm_list(SLEEP, sleep, family=f) for f in ("gaussian", None))
    np.testing.assert_allclose(normal.coef(), plain.coef(), rtol=LEAST_SQUARES)
    np.testing.assert_allclose(normal.std_error(), plain.std_error(), rtol=LEAST_SQUARES)
    np.testing.assert_allclose(normal.rss, plain.rss, rtol=LEAST_SQUARES)
    np.testing.assert_allclose(normal.complete, plain.complete, rtol=LEAST_SQUARES)
    pd.testing.assert_frame_equal(normal.to_frame(), plain.to_frame(), rtol=1e-6)


def test_skewed_groups_come_to_their_maximum():
    """Where the expected information is far from the observed one, with slopes of 12 rows."""
    rng = np.random.default_rng(7)
    data = pd.DataFrame({"g": np.repeat(np.arange(60), 12), "x": rng.normal(size=720)})
    data["y"] = rng.wald(np.exp(0.3 + 0.6 * data["x"]), 1.0)
    fits = mx.lm_list("y ~ x | g", data, "inverse_gaussian(log)")
    assert fits.found.all()
    eta = fits.coef()["Intercept"].to_numpy()[data["g"]]
    eta = eta + fits.coef()["x"].to_numpy()[data["g"]] * data["x"]
    score = (data["y"] - np.exp(eta)) * np.exp(-2.0 * eta)
    for column in (score, score * data["x"]):
        np.testing.assert_allclose(column.groupby(data["g"]).sum(), 0.0, atol=1e-8)


def test_all_forms_of_a_response():
    data = mx.load_dataset("cbpp").assign(
        share=lambda d: d["incidence"] / d["size"], failures=lambda d: d["size"] - d["incidence"]
    )
    data = data[data["herd"].isin(SOME_HERDS)].assign(big=lambda d: d["size"] / 10)
    pairs = mx.lm_list("cbind(incidence, failures) ~ big | herd", data, family="binomial")
    shares = mx.lm_list("share ~ big | herd", data, family="binomial", weights="size")
    np.testing.assert_array_equal(pairs.coef(), shares.coef())
    women = rows_of("logit")
    words = mx.lm_list(WOMEN, women, family="binomial").coef()
    numbers = women.assign(use=(women["use"] == "Y").astype(int))
    pd.testing.assert_frame_equal(words, mx.lm_list(WOMEN, numbers, family="binomial").coef())


def test_separated_groups_are_those_that_glm_leaves_on_the_way():
    data = mx.load_dataset("contraception")
    with pytest.warns(ConvergenceWarning, match=r"of 60 groups \(3, .* are separated"):
        fits = mx.lm_list("use ~ age | district", data, family="binomial")
    named = fits.levels[fits.separated].astype(str)
    assert set(named) == set(REFERENCE["separated"])
    assert fits.coef()[fits.separated].isna().all(axis=None)
    assert fits.coef()[~fits.separated].notna().all(axis=None)
    assert f"{len(named)} group(s) are separated" in repr(fits)


def test_what_a_separated_group_still_determines():
    """No failure under treatment in one group: its effect is infinite, the others finite."""
    data = pd.DataFrame({
        "g": ["a"] * 24 + ["b"] * 24, "x": np.tile([0.0, 1.0, 2.0, 3.0], 12),
        "treated": np.tile(np.repeat([0, 1], 12), 2),
        "y": [0, 1, 0, 1, 0, 0, 1, 1, 0, 1, 0, 0, *[1] * 12,
              0, 1, 0, 1, 1, 0, 0, 1, 0, 1, 1, 1, 1, 0, 1, 1, 0, 1, 1, 0, 1, 1, 1, 1],
    })  # fmt: skip
    with pytest.warns(ConvergenceWarning, match=r"1 of 2 groups \('a'\) are separated"):
        fits = mx.lm_list("y ~ x + treated | g", data, family="binomial")
    rest = data[(data["g"] == "a") & (data["treated"] == 0)]
    expected = smf.logit("y ~ x", rest).fit(disp=False, tol=1e-12)
    found, error = fits.coef().loc["a"], fits.std_error().loc["a"]
    np.testing.assert_allclose(found[["Intercept", "x"]], expected.params, rtol=1e-7)
    np.testing.assert_allclose(error[["Intercept", "x"]], expected.bse, rtol=1e-6)
    assert np.isnan(found["treated"])
    assert fits.deviance[0] == pytest.approx(-2.0 * expected.llf, rel=1e-9)


def test_saturated_herds():
    """Cells of zero leave the other periods' differences finite."""
    cbpp = mx.load_dataset("cbpp")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.simplefilter("ignore", RankDeficientWarning)
        fits = mx.lm_list(
            "cbind(incidence, size - incidence) ~ C(period) | herd", cbpp, family="binomial"
        )
    for level, coef in fits.coef().iterrows():
        own = cbpp[cbpp["herd"] == level].set_index("period")
        with np.errstate(divide="ignore"):
            logits = np.log(own["incidence"]) - np.log(own["size"] - own["incidence"])
        if 1 not in logits.index:
            continue
        for period in (2, 3, 4):
            expected = logits.get(period, np.nan) - logits[1]
            found = coef[f"C(period)[T.{period}]"]
            if np.isfinite(expected):
                assert found == pytest.approx(expected, abs=1e-7)
            else:
                assert np.isnan(found)


def test_counts_of_zero_and_groups_that_do_not_determine_all():
    data = pd.DataFrame({
        "y": [0, 0, 0, 1, 3, 2, 5, 2, 4], "x": [0.0, 1.0, 2.0, 0.0, 1.0, 2.0, 1.0, 1.0, 1.0],
        "g": list("aaabbbccc"),
    })  # fmt: skip
    with (
        pytest.warns(ConvergenceWarning, match=r"1 of 3 groups \('a'\) are separated"),
        pytest.warns(RankDeficientWarning, match=r"1 of 3 groups \('c'\) do not determine"),
    ):
        fits = mx.lm_list("y ~ x | g", data, family="poisson")
    coef = fits.coef()
    assert coef.loc["a"].isna().all()
    assert coef.loc["c", "Intercept"] == pytest.approx(np.log(11 / 3), rel=1e-12)
    assert np.isnan(coef.loc["c", "x"])
    assert fits.df.tolist() == [1, 1, 2]


def test_ratios():
    fits = mx.lm_list(WOMEN, rows_of("logit"), family="binomial")
    plain, ratios = fits.to_frame(), fits.to_frame(exponentiate=True)
    for name in ("estimate", "conf_low", "conf_high"):
        np.testing.assert_allclose(ratios[name], np.exp(plain[name]))
    np.testing.assert_allclose(ratios["std_error"], plain["std_error"] * ratios["estimate"])
    assert ratios["p_value"].equals(plain["p_value"])
    one = fits.confint(0.9, exponentiate=True)
    np.testing.assert_allclose(one["conf_low"], np.exp(fits.confint(0.9)["conf_low"]))
    probit = mx.lm_list(WOMEN, rows_of("logit"), family="binomial(probit)")
    with pytest.raises(InvalidArgumentError, match="exponentiate=True: with the link 'probit'"):
        probit.confint(exponentiate=True)


def test_beside_a_mixed_model_it_is_shrinkage():
    data = rows_of("logit")
    m = mx.glmer("use ~ age + (1 | district) + (0 + age | district)", data, "binomial")
    fits = mx.lm_list("use ~ age | district", data, family="binomial")
    found, expected = fits.shrinkage(m), mx.shrinkage(m)
    numbers = ["n", "no_pooling", "partial_pooling", "complete_pooling"]
    keys = ["term", "level"]
    found, expected = (f.sort_values(keys, ignore_index=True) for f in (found, expected))
    np.testing.assert_allclose(found[numbers], expected[numbers], rtol=1e-6, atol=1e-8)
    grid = mx.plot_ranef(fits.confint(), level=None)
    assert list(grid.axes_dict) == [("district", "Intercept"), ("district", "age")]
    plt.close("all")


def test_ten_thousand_groups_in_a_second():
    rng = np.random.default_rng(1)
    x = rng.normal(size=200_000)
    data = pd.DataFrame({"g": np.repeat(np.arange(10_000), 20), "x": x})
    data["y"] = rng.poisson(np.exp(0.5 + 0.3 * x))
    start = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        fits = mx.lm_list("y ~ x | g", data, family="poisson")
    assert time.process_time() - start < 5.0
    one = smf.glm("y ~ x", data[data["g"] == 3141], family=sm.families.Poisson()).fit(tol=1e-12)
    np.testing.assert_allclose(fits.coef().loc[3141], one.params, rtol=1e-7)


@pytest.mark.parametrize(
    ("formula", "given", "message"),
    [
        ("Reaction ~ 0 | Subject", {"family": "gamma"}, "no coefficient to fit"),
        ("Reaction ~ 0 | Subject", {}, "no coefficient to fit"),
        (SLEEP, {"family": "negative_binomial"}, "size of a group alone.*dispersion="),
        (SLEEP, {"family": "poisson"}, "takes counts"),
        (SLEEP, {"family": "poison"}, "did you mean 'poisson'"),
        (SLEEP, {"family": "poisson(identity)"}, "its links here are"),
        (SLEEP, {"dispersion": 2.0}, "dispersion=2.0"),
        (SLEEP, {"family": "binomial"}, "takes 0 and 1"),
        (SLEEP, {"family": "gamma", "weights": "Days"}, "weights"),
    ],
)
def test_bad_arguments(formula, given, message):
    with pytest.raises(InvalidArgumentError, match=message):
        mx.lm_list(formula, mx.load_dataset("sleepstudy"), **given)


def test_quasi_families_are_refused():
    with pytest.raises(UnsupportedModelError, match="quasi family has no likelihood"):
        mx.lm_list(SLEEP, mx.load_dataset("sleepstudy"), family="quasipoisson")


def test_the_spelling_of_r():
    ours = mx.lm_list(WOMEN, rows_of("logit"), family="binomial")
    theirs = mx.r.lmList(WOMEN, rows_of("logit"), family="binomial")
    pd.testing.assert_frame_equal(ours.to_frame(), theirs.to_frame())


@pytest.mark.parametrize("link", ["logit", "probit", "cloglog"])
def test_rows_whose_probability_is_one_have_no_information(link):
    rng = np.random.default_rng(3)
    x = np.concatenate([np.linspace(-2.0, 2.0, 40), [60.0, 80.0]])
    y = np.concatenate([(rng.random(40) < 0.5 + 0.2 * x[:40]).astype(int), [1, 1]])
    rows = pd.DataFrame({"g": "a", "x": x, "y": y})
    fits = mx.lm_list("y ~ x | g", rows, family=f"binomial({link})")
    inner = mx.lm_list("y ~ x | g", rows[:40], family=f"binomial({link})")
    np.testing.assert_allclose(fits.coef(), inner.coef(), rtol=LEAST_SQUARES)
    np.testing.assert_allclose(fits.std_error(), inner.std_error(), rtol=LEAST_SQUARES)
