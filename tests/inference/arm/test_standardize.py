"""The model on standardised inputs."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from arm_models import MODELS, WITH_PREDICTORS, data_of, model, plain, raw_fit
from properties.compare import close
from tolerances import ARM, ARM_DEVIANCE, INVARIANCE

from merextras import MerMod, lmer
from merextras.exceptions import (
    InvalidArgumentError,
    RankDeficientWarning,
    UnsupportedModelError,
)
from merextras.inference.arm.standardize import standardize
from merextras.model.statsmodels.mixedlm import as_fitted


def assert_as_arm(have, want):
    """Everything the reference has of a standardised fit."""
    assert re.sub(r"Q\('([^']*)'\)", r"\1", have.formula()).replace("1 + ", "") == want[
        "formula"
    ].replace("1 + ", "")
    assert list(have.fixef().index) == plain(want["beta"]["names"])
    se = np.sqrt(np.diag(have.vcov()))
    np.testing.assert_allclose(se, want["se"], rtol=ARM)
    # An intercept that is zero has only its standard error for a scale.
    assert np.max(np.abs(have.fixef() - want["beta"]["values"]) / se) < ARM
    np.testing.assert_allclose(have.sigma(), want["sigma"], rtol=ARM)
    np.testing.assert_allclose(have.get_me("theta"), want["theta"]["values"], rtol=ARM)
    table = have.var_corr().to_frame()
    np.testing.assert_allclose(table["vcov"], [row["vcov"] for row in want["var_corr"]], rtol=ARM)
    np.testing.assert_allclose(have.deviance(), want["criterion"], rtol=0, atol=ARM_DEVIANCE * 6000)


@pytest.mark.parametrize(("name", "how"), WITH_PREDICTORS)
def test_as_arm(name, how):
    assert_as_arm(standardize(model(name, how)), MODELS[name][how]["standardize"])


@pytest.mark.parametrize(("name", "how"), WITH_PREDICTORS)
def test_with_the_response_as_arm(name, how):
    have = standardize(model(name, how), standardize_y=True)
    assert_as_arm(have, MODELS[name][how]["standardize_y"])


@pytest.mark.parametrize("how", ["center", "0/1", "-0.5,0.5", "full"])
def test_binary_inputs_as_arm(how):
    have = standardize(model("students_binary"), binary_inputs=how)
    assert_as_arm(have, MODELS["students_binary"]["REML"]["binary_inputs"][how])


@pytest.mark.parametrize("unchanged", ["open", ["open"], ("open",)])
def test_unchanged_as_arm(unchanged):
    have = standardize(model("students_binary"), unchanged=unchanged)
    assert_as_arm(have, MODELS["students_binary"]["REML"]["unchanged_open"])


@pytest.mark.parametrize("name", ["students", "students_binary", "sleepstudy"])
def test_raw_fit_gives_a_model_with_methods(name):
    have = standardize(raw_fit(name))
    assert isinstance(have, MerMod)
    assert isinstance(as_fitted(raw_fit(name)), MerMod)
    assert_as_arm(have, MODELS[name]["REML"]["standardize"])


def test_nothing_to_standardise():
    """arm stops here ("arguments imply differing number of rows")."""
    m = model("pastes")
    np.testing.assert_allclose(standardize(m).log_lik(), m.log_lik(), rtol=ARM_DEVIANCE)


def test_does_not_change_the_model():
    m = model("sleepstudy")
    before = m.fixef()
    standardize(m, standardize_y=True)
    assert m.fixef().equals(before)
    assert list(m.model_frame().columns) == ["Reaction", "Days", "Subject"]


def varied():
    rng = np.random.default_rng(3)
    n = 240
    return pd.DataFrame(
        {
            "y": rng.normal(size=n),
            "x": rng.exponential(size=n),
            "w": rng.normal(50.0, 9.0, n),
            "two": rng.choice(["u", "v"], n),
            "three": rng.choice(["a", "b", "c"], n),
            "flag": rng.random(n) > 0.4,
            "five": np.where(rng.random(n) > 0.3, 5, 7),
            "ones": 1.0,
            "class": rng.normal(size=n),
            "odd name": rng.normal(size=n),
            "g": np.arange(n) % 12,
        }
    ).assign(y=lambda d: d["y"] + d["g"] + (0.5 + (d["g"] * 5) % 12) * d["x"])


def columns_of(m):
    return list(m.fixef().index)


def test_kinds_of_inputs():
    m = standardize(lmer("y ~ x + two + three + flag + five + (1 | g)", varied()))
    names = ["Intercept", "three[T.b]", "three[T.c]", "z.x", "c.two", "c.flag", "c.five"]
    assert sorted(columns_of(m)) == sorted(names)
    frame, data = m.model_frame(), varied()
    x = data["x"]
    np.testing.assert_allclose(frame["z.x"], (x - x.mean()) / (2 * x.std()), atol=1e-12)
    np.testing.assert_allclose(frame["c.five"], data["five"] - data["five"].mean(), atol=1e-12)
    two = (data["two"] == "v") - (data["two"] == "v").mean()
    np.testing.assert_allclose(frame["c.two"], two, atol=1e-12)


@pytest.mark.parametrize(("how", "low", "high"), [("0/1", 0.0, 1.0), ("-0.5,0.5", -0.5, 0.5)])
def test_binary_values(how, low, high):
    """arm leaves a 5 / 7 at 4.5 / 6.5 and categories at 0.5 / 1.5 for "-0.5,0.5"."""
    m = standardize(lmer("y ~ two + flag + five + (1 | g)", varied()), binary_inputs=how)
    frame = m.model_frame()
    for name in ("c.two", "c.flag", "c.five"):
        assert sorted(frame[name].unique()) == [low, high]


def test_full_treats_binary_inputs_as_the_others():
    m = standardize(lmer("y ~ flag + (1 | g)", varied()), binary_inputs="full")
    assert columns_of(m) == ["Intercept", "z.flag"]
    assert m.model_frame()["z.flag"].std() == pytest.approx(0.5)


def test_categories_order_a_binary_input():
    data = varied().assign(two=lambda d: pd.Categorical(d["two"], categories=["v", "u"]))
    m = standardize(lmer("y ~ two + (1 | g)", data), binary_inputs="0/1")
    assert (m.model_frame()["c.two"] == (data["two"] == "u")).all()


def test_declared_factors_stay_unless_binary():
    data = varied().assign(level=lambda d: d["g"] % 4)
    m = standardize(lmer("y ~ C(level) + C(flag) + C(five) + x + (1 | g)", data))
    assert {"C(level)[T.1]", "c.flag", "c.five", "z.x"} <= set(columns_of(m))


def test_interactions_powers_and_constants():
    m = standardize(lmer("y ~ 0 + ones + x * w + I(x ** 2) + (1 | g)", varied()))
    have = set(columns_of(m))
    assert have == {"ones", "z.x", "z.w", "z.x:z.w", "I(z.x ** 2)"}


def test_the_fit_is_the_same_model():
    """Full rank with all lower terms: the same fitted values, by ML the same likelihood."""
    m = lmer("y ~ x * w + flag + (1 + x | g)", varied(), reml=False)
    s = standardize(m)
    close(s.fitted(), m.fitted(), 1e-6)
    np.testing.assert_allclose(s.log_lik(), m.log_lik(), rtol=1e-10)
    ratio = m.sigma() / s.sigma()
    assert ratio == pytest.approx(1.0, rel=1e-6)


def test_dropped_columns_are_said_once():
    """When the model is fitted, not again when it is standardised."""
    with pytest.warns(RankDeficientWarning, match="dropped 1 column"):
        m = lmer("y ~ x + I(2 * x) + (1 | g)", varied())
    s = standardize(m)
    assert columns_of(s) == ["Intercept", "z.x"]
    assert s.fixef(add_dropped=True).isna().tolist() == [False, False, True]
    with pytest.warns(RankDeficientWarning, match="dropped 2 column"):
        s.update(". ~ . + I(3 * `z.x`)")


def test_names_that_need_quoting():
    m = standardize(lmer("y ~ class + `odd name` + (1 | g)", varied()))
    assert columns_of(m) == ["Intercept", "z.class", "z.odd name"]
    assert m.update(". ~ . - Q('z.class')").fixef().index.tolist() == ["Intercept", "z.odd name"]


def test_quoted_by_statsmodels():
    fit = smf.mixedlm("y ~ Q('class') + C(Q('two'))", varied(), groups="g").fit()
    assert sorted(columns_of(standardize(fit))) == ["Intercept", "c.two", "z.class"]


def test_slope_without_fixed_effect():
    m = standardize(lmer("y ~ x + (0 + w || g)", varied()))
    assert list(m.ranef()["g"].columns) == ["z.w"]


def test_twice_changes_nothing_but_names():
    m = standardize(lmer("y ~ x + w + (1 | g)", varied()))
    again = standardize(m)
    assert columns_of(again) == ["Intercept", "z.z.x", "z.z.w"]
    close(again.fixef(), m.fixef(), INVARIANCE * 1e3)


@pytest.mark.parametrize(
    ("term", "call"), [("np.log(x)", "np.log"), ("np.sqrt(I(x) + 1)", "np.sqrt")]
)
def test_functions_of_inputs_are_refused(term, call):
    m = lmer(f"y ~ w + {term} + (1 | g)", varied())
    with pytest.raises(InvalidArgumentError, match=rf"'x' stands in {call}\(.*unchanged=\['x'\]"):
        standardize(m)
    assert columns_of(standardize(m, unchanged="x"))[1] == "z.w"


def test_unknown_unchanged():
    with pytest.raises(InvalidArgumentError, match=r"unchanged='opne'.*did you mean 'open'"):
        standardize(model("students"), unchanged=["opne"])


def test_unknown_binary_inputs():
    with pytest.raises(InvalidArgumentError, match=r"binary_inputs='centre'.*'center'"):
        standardize(model("students"), binary_inputs="centre")


def test_weights_and_offset_are_kept():
    data = varied().assign(prior=lambda d: 1.0 + d["g"] % 3)
    m = lmer("y ~ x + offset(0.1 * w) + (1 | g)", data, weights="prior", reml=False)
    s = standardize(m)
    np.testing.assert_allclose(s.log_lik(), m.log_lik(), rtol=1e-10)
    assert columns_of(s) == ["Intercept", "z.x"]
    with pytest.raises(UnsupportedModelError, match="offset"):
        standardize(m, standardize_y=True)


def test_frequencies_count():
    """A row that stands for three is three rows in the mean and standard deviation."""
    data = varied().assign(n=lambda d: 1 + d["g"] % 3)
    rows = data.loc[data.index.repeat(data["n"])].reset_index(drop=True)
    options = {"standardize_y": True}
    a = standardize(lmer("y ~ x + flag + (1 | g)", data, freq_weights="n"), **options)
    b = standardize(lmer("y ~ x + flag + (1 | g)", rows), **options)
    close(a.fixef(), b.fixef(), 1e-8)
    np.testing.assert_allclose(a.log_lik(), b.log_lik(), rtol=1e-9)


def test_response_that_is_an_expression():
    m = lmer("np.log(y + 20) ~ x + (1 | g)", varied())
    have = standardize(m, standardize_y=True)
    y = np.log(varied()["y"] + 20)
    np.testing.assert_allclose(have.get_me("y"), (y - y.mean()) / (2 * y.std()), atol=1e-12)
    assert have.formula().startswith("Q('z.np.log(y + 20)') ~ ")


def test_other_fits_are_refused():
    with pytest.raises(UnsupportedModelError, match="expected the fit"):
        standardize(smf.ols("y ~ x", varied()).fit())


def test_missing_rows_stay_out():
    data = varied()
    data.loc[[3, 17], "x"] = np.nan
    s = standardize(lmer("y ~ x + (1 | g)", data))
    x = data["x"].dropna()
    np.testing.assert_allclose(s.model_frame()["z.x"], (x - x.mean()) / (2 * x.std()), atol=1e-12)
    assert s.model_frame().index.equals(x.index)


def test_sleepstudy_slope_in_gelmans_units():
    """Two standard deviations of Days are 5.76 days."""
    m = model("sleepstudy")
    days = data_of("sleepstudy")["Days"]
    assert standardize(m).fixef()["z.Days"] == pytest.approx(2 * days.std() * m.fixef()["Days"])
