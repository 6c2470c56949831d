"""arm's standard errors and standard deviations."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from arm_models import CASES, MODELS, as_ours, data_of, frame, model, plain, raw_fit
from properties.compare import close
from tolerances import ARM, INVARIANCE

from merextras import lmer
from merextras.datasets import load_dataset
from merextras.exceptions import SingularFitWarning, UnsupportedModelError
from merextras.inference.arm.standard_errors import se_coef, se_fixef, se_ranef, sigma_hat

FUNCTIONS = (se_fixef, se_ranef, se_coef, sigma_hat)


def expected(name, how, what):
    return MODELS[name][how][what]


@pytest.mark.parametrize(("name", "how"), CASES)
def test_fixed_effects_as_arm(name, how):
    want = expected(name, how, "se_fixef")
    have = se_fixef(model(name, how))
    assert list(have.index) == plain(want["names"])
    np.testing.assert_allclose(have, want["values"], rtol=ARM)


@pytest.mark.parametrize(("name", "how"), CASES)
def test_random_effects_as_arm(name, how):
    want = expected(name, how, "se_ranef")
    have = se_ranef(model(name, how))
    assert list(have) == list(want)
    for factor, table in want.items():
        wanted = frame(table)
        assert as_ours(have[factor].index) == as_ours(wanted.index)
        assert list(have[factor].columns) == list(wanted.columns)
        np.testing.assert_allclose(have[factor], wanted, rtol=ARM)


@pytest.mark.parametrize(("name", "how"), CASES)
def test_both_in_one_mapping_as_arm(name, how):
    want = expected(name, how, "se_coef")
    have = se_coef(model(name, how))
    assert list(have) == list(want)
    np.testing.assert_allclose(have["fixef"], want["fixef"], rtol=ARM)
    for factor in list(want)[1:]:
        np.testing.assert_allclose(have[factor], frame(want[factor]), rtol=ARM)


@pytest.mark.parametrize(("name", "how"), CASES)
def test_standard_deviations_as_arm(name, how):
    want = expected(name, how, "sigma_hat")
    have = sigma_hat(model(name, how))
    np.testing.assert_allclose(have.data, want["sigma"]["data"], rtol=ARM)
    factors = [factor for factor in want["sigma"] if factor != "data"]
    assert list(have.sigma) == list(have.cors) == factors
    for factor in factors:
        assert list(have.sigma[factor].index) == plain(want["sigma"][factor]["names"])
        np.testing.assert_allclose(have.sigma[factor], want["sigma"][factor]["values"], rtol=ARM)
        cors = want["cors"][factor]
        close(have.cors[factor], [[1.0]] if cors is None else cors, ARM)


@pytest.mark.parametrize("name", list(MODELS))
def test_a_raw_fit_gives_the_same(name):
    """statsmodels puts the terms of nested factors in its own words; the factors are the same."""
    have, want = se_coef(raw_fit(name)), se_coef(model(name))
    assert [f.split(":")[-1] for f in have] == [f.split(":")[-1] for f in want]
    for (_, a), (_, b) in zip(have.items(), want.items(), strict=True):
        np.testing.assert_allclose(np.ravel(a), np.ravel(b), rtol=ARM)
    np.testing.assert_allclose(sigma_hat(raw_fit(name)).data, sigma_hat(model(name)).data, rtol=ARM)


def test_several_terms_on_one_factor():
    """arm::se.ranef stops here ("'dims' cannot be of length 0")."""
    m = lmer("Reaction ~ Days + (Days || Subject)", load_dataset("sleepstudy"))
    se = se_ranef(m)["Subject"]
    assert se.shape == (18, 2)
    np.testing.assert_allclose(se["Days"] ** 2, m.ranef().post_var["Subject"][:, 1, 1], rtol=1e-15)
    # arm 1.13-1 says 25.56528, 25.05133, 5.988187.
    have = sigma_hat(m)
    assert list(have.sigma) == ["Subject", "Subject.1"]
    values = [have.data, have.sigma["Subject"].iloc[0], have.sigma["Subject.1"].iloc[0]]
    np.testing.assert_allclose(values, [25.56528, 25.05133, 5.988187], rtol=1e-4)


def test_a_variance_of_zero():
    data = data_of("pastes")
    data = data.assign(g=np.arange(len(data)) % 2)
    with pytest.warns(SingularFitWarning):
        m = lmer("strength ~ 1 + (1 | batch) + (1 | g)", data)
    assert sigma_hat(m).sigma["g"].iloc[0] == 0.0
    assert (se_ranef(m)["g"] == 0.0).all(axis=None)


def test_no_fixed_effects():
    m = lmer("strength ~ 0 + (1 | batch)", data_of("pastes"))
    assert se_fixef(m).empty
    assert list(se_coef(m)) == ["fixef", "batch"]


def test_units_of_the_response():
    data = data_of("sleepstudy")
    m, scaled = (
        lmer("Reaction ~ Days + (Days | Subject)", data.assign(Reaction=data["Reaction"] * s))
        for s in (1.0, 1000.0)
    )
    close(se_ranef(scaled)["Subject"], 1000.0 * se_ranef(m)["Subject"], 1e4 * INVARIANCE)
    close(sigma_hat(scaled).cors["Subject"], sigma_hat(m).cors["Subject"], 1e4 * INVARIANCE)


def test_results_are_theirs_alone():
    m = model("sleepstudy")
    series, table = se_fixef(m), se_ranef(m)["Subject"]
    series.iloc[0] = -1.0
    table.iloc[0, 0] = -1.0
    assert (se_fixef(m) > 0).all()
    assert (se_ranef(m)["Subject"] > 0).all(axis=None)


def test_sigma_hat_prints_pickles_and_has_a_frame():
    have = sigma_hat(model("sleepstudy"))
    assert have.to_text().splitlines()[:2] == [
        "data: 25.592",
        "Subject: Intercept 24.74, Days 5.9221",
    ]
    assert repr(pickle.loads(pickle.dumps(have))) == repr(have)
    table = have.to_frame()
    assert table.columns.tolist() == ["group", "term", "estimate"]
    assert table["group"].tolist() == ["Subject", "Subject", "Residual"]
    assert "data:" in have._repr_html_()


def test_unknown_factor_says_what_there_is():
    with pytest.raises(KeyError, match=r"'class'; there are \['school'\]"):
        se_ranef(model("students"))["class"]


@pytest.mark.parametrize("function", FUNCTIONS)
def test_other_fits_are_refused(function):
    ols = smf.ols("extro ~ open", data_of("students")).fit()
    with pytest.raises(UnsupportedModelError, match="expected the fit of a statsmodels MixedLM"):
        function(ols)
    with pytest.raises(UnsupportedModelError, match="DataFrame"):
        function(pd.DataFrame())
