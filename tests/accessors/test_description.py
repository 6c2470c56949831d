"""What the model says it is."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from lme4_fits import adapted, statsmodels_fit

from merextras.exceptions import InvalidArgumentError
from merextras.fit_lmer import lmer


@pytest.fixture(scope="module")
def transformed(sleep):
    """Transforms everywhere: response, fixed part, random slope."""
    fit = statsmodels_fit(
        "np.log(Reaction) ~ np.sqrt(Days + 1) * I(Days**2)",
        sleep.assign(unused=1.0),
        groups="Subject",
        re_formula="~np.sqrt(Days + 1)",
    )
    return adapted(fit)


def test_formula(slopes, nested, crossed, uncorrelated):
    assert slopes.formula() == "Reaction ~ Days + (1 + Days | Subject)"
    assert slopes.formula(fixed_only=True) == "Reaction ~ Days"
    assert slopes.formula(random_only=True) == "Reaction ~ (1 + Days | Subject)"
    assert nested.formula(random_only=True) == "extro ~ (1 | class:school) + (1 | school)"
    assert crossed.formula() == "diameter ~ 1 + (1 | plate) + (1 | sample)"
    assert uncorrelated.formula() == "Reaction ~ Days + diag(1 + Days | Subject)"


@pytest.mark.parametrize(
    ("formula", "fixed", "random"),
    [
        ("y ~ x + (1 | g)", "y ~ x", "y ~ (1 | g)"),
        ("y ~ (1 | g) + x", "y ~ x", "y ~ (1 | g)"),
        ("y ~ (1 | g)", "y ~ 1", "y ~ (1 | g)"),
        ("y ~ I(x + 1) + (0 + x || g)", "y ~ I(x + 1)", "y ~ (0 + x || g)"),
        ("y ~ (x + z) + (1 | g)", "y ~ (x + z)", "y ~ (1 | g)"),
    ],
)
def test_parts_of_a_formula_in_any_order(formula, fixed, random):
    m = lmer(formula, _table())
    assert m.formula() == formula
    assert m.formula(fixed_only=True) == fixed
    assert m.formula(random_only=True) == random


def _table():
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({"g": np.repeat(np.arange(20), 6), "x": rng.normal(size=120)})
    frame["z"] = rng.normal(size=120)
    b = rng.normal(size=(20, 2))
    slope = 1.0 + b[frame["g"], 1]
    return frame.assign(y=b[frame["g"], 0] + slope * frame["x"] + rng.normal(size=120))


def test_terms(slopes, transformed):
    assert slopes.terms() == ["Days"]
    assert slopes.terms(fixed_only=False) == ["Days", "(1 + Days | Subject)"]
    root, square = "np.sqrt(Days + 1)", "I(Days ** 2)"
    assert transformed.terms() == [root, square, f"{root}:{square}"]


def test_terms_without_any(crossed):
    assert crossed.terms() == []


def test_model_frame_has_the_variables_and_no_others(transformed, nested, crossed):
    assert list(transformed.model_frame()) == ["Reaction", "Days", "Subject"]
    assert set(nested.model_frame()) == {"extro", "open", "agree", "social", "school", "class"}
    assert list(crossed.model_frame()) == ["diameter", "plate", "sample"]


@pytest.mark.parametrize("response", ["I(Reaction**0.5)", "Reaction", "np.log(Reaction + 1)"])
def test_the_response_is_in_the_model_frame(sleep, response):
    m = adapted(statsmodels_fit(f"{response} ~ Days", sleep, groups="Subject"))
    assert "Reaction" in m.model_frame()
    assert m.formula(fixed_only=True) == f"{response} ~ Days"


def test_model_frame_is_fresh(slopes):
    frame = slopes.model_frame()
    frame["Days"] = 0
    assert slopes.model_frame()["Days"].max() == 9


def test_model_matrix(slopes, sleep):
    x = slopes.model_matrix()
    assert list(x.columns) == ["Intercept", "Days"]
    np.testing.assert_array_equal(x["Days"], sleep["Days"])
    x["Days"] = 0.0
    assert slopes.model_matrix()["Days"].max() == 9
    assert slopes.model_matrix("random").shape == (180, 36)
    with pytest.raises(InvalidArgumentError, match=r"which='fix': .* did you mean 'fixed'"):
        slopes.model_matrix("fix")


def test_kind(slopes):
    assert slopes.family() == "gaussian(identity)"
    assert slopes.is_lmm()
    assert not slopes.is_glmm()
    assert not slopes.is_nlmm()
    assert slopes.weights().tolist() == [1.0] * 180


def test_call(slopes, sleep):
    call = 'mixedlm("Reaction ~ Days", data, groups="Subject", re_formula="1 + Days").fit()'
    assert slopes.call() == call
    ml = adapted(statsmodels_fit("Reaction ~ Days", sleep, groups="Subject", fit={"reml": False}))
    assert ml.call().endswith(".fit(reml=False)")
