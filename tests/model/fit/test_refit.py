"""Fitting again: another response, ML, another formula, other data."""

from __future__ import annotations

import numpy as np
import pytest
from lme4_fits import adapted, expected, model_of, statsmodels_fit
from properties.compare import close
from tolerances import ADAPTER_CRITERION, ADAPTER_ESTIMATE

from merextras.exceptions import InvalidArgumentError
from merextras.fit_lmer import lmer
from merextras.mermod import MerMod


def same(a, b):
    close(a.deviance(), b.deviance(), ADAPTER_CRITERION)
    close(a.theta, b.theta, ADAPTER_ESTIMATE)
    close(a.fixef(), b.fixef(), ADAPTER_ESTIMATE)


# --- refit ---------------------------------------------------------------------------------------


def test_refit_is_the_fit_of_that_response(slopes, sleep):
    y = sleep["Reaction"] + np.random.default_rng(1).normal(0, 20, 180)
    m = slopes.refit(y)
    direct = adapted(
        statsmodels_fit(
            "Reaction ~ Days", sleep.assign(Reaction=y), groups="Subject", re_formula="~Days"
        )
    )
    same(m, direct)
    same(slopes.refit(y.to_numpy()), m)
    same(slopes.refit(list(y)), m)
    assert isinstance(m, MerMod)
    assert m.is_reml()


def test_the_model_itself_does_not_change(slopes, sleep):
    before = slopes.theta.copy()
    slopes.refit(2 * sleep["Reaction"] + np.random.default_rng(1).normal(0, 9, 180))
    np.testing.assert_array_equal(slopes.theta, before)
    np.testing.assert_array_equal(slopes.model_frame()["Reaction"], sleep["Reaction"])
    np.testing.assert_array_equal(slopes.get_me("y"), sleep["Reaction"])


def test_a_series_is_aligned(slopes, sleep):
    same(slopes.refit(sleep["Reaction"].sample(frac=1, random_state=1)), slopes)


def test_a_series_under_an_index_with_duplicates(sleep):
    data = sleep.set_axis([0, 1] * 90, axis=0)
    m = adapted(statsmodels_fit("Reaction ~ Days", data, groups="Subject"))
    same(m.refit(data["Reaction"]), m)
    with pytest.raises(InvalidArgumentError, match="y: the Series has another index"):
        m.refit(data["Reaction"].iloc[::-1].set_axis([1] * 90 + [0] * 90))


@pytest.mark.parametrize(
    "formula", ["Reaction ~ Days", "np.log(Reaction) ~ Days", "I(Reaction / 2) ~ 1"]
)
def test_an_update_of_a_refit_has_the_new_response(sleep, formula):
    m = adapted(statsmodels_fit(formula, sleep, groups="Subject"))
    new = m.refit(m.get_me("y") + np.random.default_rng(1).normal(0, m.sigma(), 180))
    same(new.update(), new)
    assert new.formula() == m.formula()
    if formula.startswith("Reaction"):
        np.testing.assert_array_equal(new.model_frame()["Reaction"], new.get_me("y"))


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (lambda y: y.set_axis(range(1, 181)), "y: the Series has another index than the rows"),
        (lambda y: y.iloc[:10], "y: the Series has another index than the rows"),
        (lambda _: [1.0, 2.0], r"y: expected 180 values, one per row of the fit, got shape \(2,\)"),
        (lambda y: y.where(y.index > 3), "y: there are missing or infinite values"),
        (lambda y: y.to_numpy() * np.inf, "y: there are missing or infinite values"),
        (lambda _: ["a"] * 180, "y: the response must be numeric"),
        (lambda y: y.to_frame().to_numpy(), r"y: expected 180 values.* got shape \(180, 1\)"),
        (lambda y: y.to_frame().assign(z=1.0), "y: a frame of 2 columns; refit one at a time"),
        (lambda _: None, "y: "),
    ],
)
def test_a_response_that_does_not_fit(slopes, sleep, y, message):
    with pytest.raises(InvalidArgumentError, match=message):
        slopes.refit(y(sleep["Reaction"]))


# --- refit_ml ------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:singular fit")
def test_refit_ml(case):
    m, _ = case
    ml = m.refit_ml()
    assert not ml.is_reml()
    assert (ml is m) is (not m.is_reml())


def test_refit_ml_is_lme4s(slopes):
    lme4 = expected("slopes")["correlated"]["ML"]
    close(slopes.refit_ml().deviance(), lme4["criterion"], ADAPTER_CRITERION)
    close(slopes.refit_ml().theta, lme4["theta"]["values"], ADAPTER_ESTIMATE)


# --- update --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "formula"),
    [
        (None, "Reaction ~ Days + (1 + Days | Subject)"),
        ("~ .", "Reaction ~ Days + (1 + Days | Subject)"),
        (".", "Reaction ~ Days + (1 + Days | Subject)"),
        (". ~ .", "Reaction ~ Days + (1 + Days | Subject)"),
        (". ~ . - Days", "Reaction ~ 1 + (1 + Days | Subject)"),
        (". ~ . - 1 + z", "Reaction ~ 0 + Days + z + (1 + Days | Subject)"),
        (". ~ . + 0 + z", "Reaction ~ 0 + Days + z + (1 + Days | Subject)"),
        (".~.+I(Days**2.)", "Reaction ~ Days + I(Days ** 2.) + (1 + Days | Subject)"),
        (". ~ . * z", "Reaction ~ Days + z + Days:z + (1 + Days | Subject)"),
        (". ~ (. + z)**2", "Reaction ~ Days + z + Days:z + (1 + Days | Subject)"),
        ("np.log(.) ~ .", "np.log(Reaction) ~ Days + (1 + Days | Subject)"),
        (". ~ z + (1 | Subject)", "Reaction ~ z + (1 | Subject)"),
        (". ~ . - (Days | Subject) + (1 | Subject)", "Reaction ~ Days + (1 | Subject)"),
        (
            ". ~ . - (1 + Days | Subject) + (Days || Subject)",
            "Reaction ~ Days + (Days || Subject)",
        ),
        (". ~ . + (1 + Days | Subject)", "Reaction ~ Days + (1 + Days | Subject)"),
        (". ~ . + Q('a . b')", "Reaction ~ Days + Q('a . b') + (1 + Days | Subject)"),
    ],
)
def test_update_of_the_formula(slopes, sleep, change, formula):
    rng = np.random.default_rng(1)
    data = sleep.assign(z=1 + rng.normal(size=180) / 100, **{"a . b": rng.normal(size=180)})
    m = slopes.update(change, data=data)
    assert m.formula() == formula
    same(m, lmer(formula, data))


def test_update_takes_out_one_of_several_terms(nested):
    m = nested.update(". ~ . - (1 | class:school)")
    assert m.formula() == "extro ~ open + agree + social + (1 | school)"
    same(m, model_of("intercept", "students"))
    same(nested.update(". ~ . - (1 | school:class)"), m)


def test_update_of_the_criterion(slopes):
    same(slopes.update(reml=False), slopes.refit_ml())
    same(slopes.update(reml=False).update(reml=True), slopes)
    assert not slopes.refit_ml().update(". ~ . - Days").is_reml()


def test_update_of_the_data(slopes, sleep):
    late = sleep[sleep["Days"] > 2]
    m = slopes.update(data=late)
    assert m.nobs() == len(late)
    assert m.fitted().index.equals(late.index)


@pytest.mark.parametrize(("topic", "name"), [("nested", "pastes"), ("crossed", "penicillin")])
def test_update_of_nothing(topic, name):
    m = model_of(topic, name)
    same(m.update(), m)


def test_update_keeps_weights_and_offset(sleep):
    weights = np.random.default_rng(1).uniform(1, 2, 180)
    formula = "Reaction ~ Days + offset(3 * Days) + (1 | Subject)"
    m = lmer(formula, sleep, weights=weights, offset=np.arange(180.0))
    same(m.update(), m)
    same(m.update(". ~ ."), m)
    late = lmer("Reaction ~ Days + (1 | Subject)", sleep, weights=weights)
    same(late.update(". ~ . + I(Days**2)").update(". ~ . - I(Days**2)"), late)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (". ~ . + nope", "'nope' is not a column of the data"),
        (". ~ . + (1 | nope)", "the grouping factor 'nope' is not a column"),
        ("nope ~ .", "nope"),
        ("Reaction ~ Days", "there is no random-effects term"),
        (". ~ . - (1 + Days | Subject)", "there is no random-effects term"),
        (". ~ . - (1 | Subject)", r"there is no term \(1 \| Subject\) to take out of: \(1 \+ Days"),
        (". ~ . + (1 | Subject", "never closed"),
        (3, "formula: expected a formula as a string, got int"),
    ],
)
def test_an_update_that_cannot_be(slopes, change, message):
    with pytest.raises(InvalidArgumentError, match=message):
        slopes.update(change)


def test_a_variable_that_is_not_in_the_model_frame(students):
    m = adapted(statsmodels_fit("extro ~ open", students, groups="school"))
    with pytest.raises(InvalidArgumentError, match="'agree' is not a column of the data"):
        m.update(". ~ . + agree")
    assert list(m.update(". ~ . + agree", data=students).fixef().index) == [
        "Intercept",
        "open",
        "agree",
    ]


def test_the_frame_of_a_refit_is_its_own(slopes, sleep):
    y = sleep["Reaction"] + np.random.default_rng(1).normal(size=180)
    m = slopes.refit(y)
    y[:] = 0
    assert m.get_me("y").std() > 0.5
