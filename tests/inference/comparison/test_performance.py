import warnings

import numpy as np
import pandas as pd
import pytest
from lmer_models import quiet
from performance_models import CASES, MODELS, REFERENCE, data_of, model_of
from tolerances import LMER_CRITERION, LMER_SIGMA, TEST_STATISTIC, VARIANCE_SHARE

import merextras as mx
from merextras.exceptions import InvalidArgumentError, RefitWarning

COLUMNS = ["aic", "aicc", "bic", "r2_conditional", "r2_marginal", "icc", "rmse", "sigma"]
SLEEP = mx.load_dataset("sleepstudy")


@pytest.mark.parametrize(("name", "how"), CASES)
def test_one_model(name, how):
    m, theirs = model_of(name, how), MODELS[name][how]["performance"]
    frame = mx.performance(m)
    assert (list(frame), len(frame)) == (COLUMNS, 1)
    row = frame.iloc[0]
    if name not in {
        "students",
        "nested_students",
    }:  # the twin has other residuals to the last digit
        for key in ("aic", "bic"):
            assert row[key] == pytest.approx(theirs[key], rel=LMER_CRITERION * 10)
        correction = theirs["aicc_insight"] - theirs["aic_insight"]
        assert row["aicc"] - row["aic"] == pytest.approx(correction, rel=1e-9)
    assert row["sigma"] == pytest.approx(theirs["sigma"], rel=LMER_SIGMA)
    if name != "weights":
        assert row["rmse"] == pytest.approx(theirs["rmse"], rel=LMER_SIGMA)
    assert row["rmse"] == pytest.approx(mx.rmse(m), rel=1e-10)
    assert row["icc"] == mx.icc(m).adjusted
    assert row["r2_marginal"] == mx.r2(m).marginal
    assert row["r2_conditional"] == mx.r2(m).conditional


def test_insight_takes_the_restricted_likelihood_of_every_fit():
    """Of an ML fit it reports the criteria of REML; ours are those of the fit."""
    theirs = MODELS["slopes"]["ML"]["performance"]
    m = model_of("slopes", "ML")
    assert mx.performance(m)["aic"].item() == pytest.approx(m.aic(), rel=1e-15)
    restricted = -2 * m.log_lik(reml=True) + 2 * m.n_parameters
    assert theirs["aic_insight"] == pytest.approx(restricted, rel=1e-9)
    assert abs(theirs["aic_insight"] - m.aic()) > 5


def test_no_aicc_for_few_rows():
    frame = pd.DataFrame({"y": [1.0, 2.0, 4.0, 3.5], "g": ["a", "a", "b", "b"]})
    m = quiet("y ~ 1 + (1 | g)", frame)
    row = mx.performance(m).iloc[0]
    assert np.isnan(row["aicc"])
    assert np.isfinite(row["aic"])


def models(key, how="REML"):
    formulas = REFERENCE["compared"][key]["formulas"]
    return [mx.lmer(formula, SLEEP, reml=how == "REML") for formula in formulas]


@pytest.mark.parametrize("key", ["fixed", "random"])
def test_compare_by_ml(key):
    theirs = REFERENCE["compared"][key]["ml"]
    frame = mx.compare(*models(key, "ML"))
    for name in ("aic", "bic"):
        np.testing.assert_allclose(frame[name], theirs[name], rtol=1e-9)
        np.testing.assert_allclose(frame[f"{name}_weight"], theirs[f"{name}_weight"], rtol=1e-6)
    np.testing.assert_allclose(frame["aicc"], theirs["aicc"], rtol=1e-9)
    assert list(frame.index) == [m.design.formula for m in models(key)]


def test_reml_fits_with_other_fixed_effects_are_refitted():
    fits = models("fixed")
    with pytest.warns(RefitWarning, match=r"2 model\(s\) refitted by ML .* the fixed effects diff"):
        frame = mx.compare(*fits, names=["days", "none"])
    np.testing.assert_allclose(frame["aic"], REFERENCE["compared"]["fixed"]["ml"]["aic"], rtol=1e-9)
    # The rest is of the fits as they were given.
    assert frame["sigma"].tolist() == [m.sigma() for m in fits]
    assert list(frame.index) == ["days", "none"]
    # R's are the ML likelihood at the REML estimates, which is not the maximum.
    theirs = np.array(REFERENCE["compared"]["fixed"]["reml"]["aic"])
    at_reml = [-2 * m.log_lik(reml=False) + 2 * m.n_parameters for m in fits]
    np.testing.assert_allclose(theirs, at_reml, rtol=1e-9)
    assert (theirs > frame["aic"] + 0.01).all()


def test_reml_fits_with_the_same_fixed_effects_are_compared_as_they_are():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        frame = mx.compare(*models("random"))
    expected = np.array(REFERENCE["compared"]["random"]["reml_aic"])
    np.testing.assert_allclose(frame["aic"], expected, rtol=1e-9)
    weights = np.exp(-0.5 * (expected - expected.min()))
    np.testing.assert_allclose(frame["aic_weight"], weights / weights.sum(), rtol=TEST_STATISTIC)
    assert frame["aic_weight"].sum() == pytest.approx(1)


def test_one_by_reml_and_one_by_ml():
    one, two = models("random")[0], models("random", "ML")[1]
    with pytest.warns(RefitWarning, match="1 model.* as the others are not REML fits"):
        frame = mx.compare(one, two)
    np.testing.assert_allclose(frame["aic"], REFERENCE["compared"]["random"]["ml"]["aic"][:2],
                               rtol=1e-9)  # fmt: skip


def test_units_of_a_predictor_shift_reml():
    """The restricted likelihoods of one model in two units differ: both are refitted."""
    milli = SLEEP.assign(Days=SLEEP["Days"] * 1000)
    one = mx.lmer("Reaction ~ Days + (1 | Subject)", SLEEP)
    two = mx.lmer("Reaction ~ Days + (1 | Subject)", milli)
    with pytest.warns(RefitWarning):
        frame = mx.compare(one, two)
    assert list(frame.index) == [
        "1: Reaction ~ Days + (1 | Subject)", "2: Reaction ~ Days + (1 | Subject)"
    ]  # fmt: skip
    np.testing.assert_allclose(frame["aic_weight"], 0.5, atol=1e-6)


def test_far_weights_do_not_underflow_to_nan():
    frame = mx.compare(model_of("students"), model_of("nested_students"))
    assert frame["aic_weight"].tolist() == [0.0, 1.0]


@pytest.mark.parametrize(
    ("fits", "keywords", "message"),
    [
        ([], {}, "models: 0 given; a comparison needs two or more"),
        (["slopes"], {}, "models: 1 given"),
        (["slopes", "intercept"], {"names": "ab"}, "names='ab': expected 2 names"),
        (["slopes", "intercept"], {"names": ["a"]}, "expected 2 names"),
        (["slopes", "nested"], {}, "compare: the models are of different data"),
        (["interaction", "categories"], {}, "compare: the models are of different data"),
        (["weights", "slope_and_crossed"], {}, "compare: the weights of"),
    ],
)
def test_compare_refuses(fits, keywords, message):
    with pytest.raises(InvalidArgumentError, match=message):
        mx.compare(*(model_of(name) for name in fits), **keywords)


def test_shares_of_reference():
    row = mx.performance(model_of("slopes")).iloc[0]
    assert row["r2_conditional"] == pytest.approx(0.799218907596373, abs=VARIANCE_SHARE)
    assert len(data_of("sleepstudy")) == 180
