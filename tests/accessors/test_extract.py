"""What merTools extracts of a fit."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from mertools_models import MODELS, NAMES, model, plain, table, text
from properties.compare import close
from sim_models import fitted
from tolerances import MERTOOLS, MERTOOLS_CRITERION

import merextras as mx
from merextras.exceptions import InvalidArgumentError, UnsupportedModelError


@pytest.mark.parametrize("name", NAMES)
def test_wide_frame_of_effects(name):
    theirs = table(MODELS[name]["re_extract"])
    ours = mx.re_extract(model(name))
    assert text(ours["level"]) == theirs["groupID"].tolist()
    assert ours["group"].tolist() == theirs["groupFctr"].tolist()
    assert list(ours.columns) == ["group", "level", *map(plain, theirs.columns[2:])]
    for own, column in zip(ours.columns[2:], theirs.columns[2:], strict=True):
        close(ours[own], theirs[column], MERTOOLS)


def test_factors_with_other_terms_and_two_terms_on_one():
    data = mx.load_dataset("students")
    m = mx.lmer("extro ~ open + (1 | school) + (0 + open | school:class)", data)
    frame = mx.re_extract(m)
    assert list(frame.columns[2:]) == ["open", "Intercept", "open_se", "Intercept_se"]
    assert frame.loc[frame["group"] == "school", ["open", "open_se"]].isna().all(axis=None)
    assert frame.loc[frame["group"] == "school", "Intercept"].notna().all()
    apart = mx.re_extract(mx.lmer("Reaction ~ Days + (Days || Subject)", _sleep()))
    assert apart.shape == (18, 6)


def _sleep():
    return mx.load_dataset("sleepstudy")


@pytest.mark.parametrize("name", NAMES)
def test_covariance_parameters(name):
    given, m = MODELS[name], model(name)
    close(mx.theta_extract(m), given["theta"], MERTOOLS)
    sd = mx.re_sd_extract(m)
    assert sd.index.tolist() == [plain(key) for key in given["sd"]["names"]]
    close(sd, given["sd"]["values"], MERTOOLS)
    corr = mx.re_corr_extract(m)
    # Theirs is the smallest element of the matrices: 1 where there is no correlation.
    close(corr if len(corr) else [1.0], given["corr"], MERTOOLS)


def test_all_correlations_of_a_term():
    data = mx.load_dataset("hsb")
    m = mx.lmer("mathach ~ ses + (ses + minority | schid)", data)
    corr = mx.re_corr_extract(m)
    names = ["schid.Intercept.ses", "schid.Intercept.minority", "schid.ses.minority"]
    assert sorted(corr.index) == sorted(names)
    matrix = mx.sigma_hat(m).cors["schid"]
    for key in names:
        _, one, other = key.split(".")
        np.testing.assert_allclose(corr[key], matrix.loc[one, other])


def test_terms_on_one_factor_have_names_of_their_own():
    m = mx.lmer("Reaction ~ Days + (Days || Subject)", _sleep())
    assert mx.re_sd_extract(m).index.tolist() == ["Subject.Intercept", "Subject.1.Days"]
    assert len(mx.re_corr_extract(m)) == 0


def test_no_variance():
    m = fitted("singular")
    assert mx.re_sd_extract(m).tolist() == [0.0]
    assert mx.theta_extract(m).tolist() == [0.0]
    assert mx.re_extract(m)["Intercept_se"].eq(0).all()
    assert mx.re_quantile(m, 0.5) == "C"


@pytest.mark.parametrize("name", NAMES)
def test_quantiles_of_effects(name):
    """The same where q J is whole; theirs is one lower elsewhere, and none below 1 / J."""
    m = model(name)
    for given in MODELS[name]["re_quantile"]:
        arguments = given["group"], plain(given["term"])
        modes = m.ranef()[given["group"]][arguments[1]].sort_values(kind="stable")
        by_name = modes.set_axis(text(modes.index))
        assert len(given["levels"]) == len(MODELS[name]["quantiles"])
        for q, theirs in zip(MODELS[name]["quantiles"], given["levels"], strict=True):
            ours = mx.re_quantile(m, q, *arguments)
            at = modes.index.get_loc(ours)
            share = q * len(modes)
            assert at == max(0, int(np.ceil(round(share, 9))) - 1)
            if share < 1 - 1e-9:
                assert theirs is None
                continue
            lower = 0 if abs(share - round(share)) < 1e-9 else 1
            # By their values: plates of Penicillin have the same to rounding.
            close(by_name[theirs], modes.iloc[at - lower], MERTOOLS)


def test_the_median_of_three_is_the_middle_one():
    assert mx.re_quantile(model("three"), 0.5) == 310
    assert MODELS["three"]["re_quantile"][0]["levels"][5] == "309"
    assert model("three").ranef()["Subject"]["Intercept"].idxmin() == 309


def test_quantile_at_the_ends_and_by_default():
    m = model("sleepstudy")
    days = m.ranef()["Subject"]["Days"]
    assert mx.re_quantile(m, 0, term="Days") == days.idxmin()
    assert mx.re_quantile(m, 1.0, term="Days") == days.idxmax()
    assert mx.re_quantile(m, np.float64(0.3), None, None) == mx.re_quantile(m, 0.3, "Subject")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((1.5,), "quantile=1.5: a number from 0 to 1"),
        ((-0.1,), "quantile=-0.1"),
        ((50,), "quantile=50"),
        ((float("nan"),), "quantile=nan"),
        (("half",), "quantile='half'"),
        ((True,), "quantile=True"),
        ((0.5, "subject"), "group='subject': allowed: 'Subject'"),
        ((0.5, "Subject", "Hours"), "term='Hours': allowed: 'Intercept', 'Days'"),
    ],
)
def test_bad_quantiles(arguments, message):
    with pytest.raises(InvalidArgumentError, match=message):
        mx.re_quantile(model("sleepstudy"), *arguments)


@pytest.mark.parametrize("name", NAMES)
def test_model_info(name):
    theirs, ours = MODELS[name]["model_info"], mx.model_info(model(name))
    assert list(ours.columns) == ["n_obs", "n_lvls", "aic", "sigma"]
    assert ours[["n_obs", "n_lvls"]].iloc[0].tolist() == [theirs["n.obs"], theirs["n.lvls"]]
    np.testing.assert_allclose(ours["aic"], theirs["AIC"], rtol=MERTOOLS_CRITERION)
    np.testing.assert_allclose(ours["sigma"], theirs["sigma"], rtol=MERTOOLS)


@pytest.mark.parametrize(
    "function",
    [mx.re_extract, mx.theta_extract, mx.re_sd_extract, mx.re_corr_extract, mx.model_info],
)
def test_on_a_raw_fit_and_on_another(function):
    data = mx.load_dataset("students")
    fit = smf.mixedlm("extro ~ open", data, groups="school").fit()
    one, other = function(fit), function(mx.MerMod(fit))
    assert one.equals(other) if isinstance(one, (pd.Series, pd.DataFrame)) else (one == other).all()
    with pytest.raises(UnsupportedModelError, match="OLS"):
        function(smf.ols("extro ~ open", data).fit())


def test_an_effect_called_as_a_column():
    m = mx.lmer("Reaction ~ level + (level | Subject)", _sleep().rename(columns={"Days": "level"}))
    with pytest.raises(InvalidArgumentError, match=r"would be called \['level'\]; use ranef"):
        mx.re_extract(m)
