"""A linear model of each group."""

from __future__ import annotations

import json
import time
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from tolerances import LEAST_SQUARES

import merextras as mx
from merextras.exceptions import InvalidArgumentError, RankDeficientWarning

EXPECTED = json.loads(
    (Path(__file__).parents[1] / "reference" / "lm_list" / "expected.json").read_text()
)["models"]


def fits_of(name):
    data = mx.load_dataset("sleepstudy")
    if name == "sleep":
        return mx.lm_list("Reaction ~ Days | Subject", data)
    gone = [0, 1, 2, 3, 32, 56, 57, 58, 59, 60, 89]
    return mx.lm_list("Reaction ~ Days + I(Days**2) | Subject", data.drop(index=data.index[gone]))


@pytest.mark.parametrize("name", EXPECTED)
def test_against_lme4(name):
    expected, fits = EXPECTED[name], fits_of(name)
    assert fits.levels.astype(str).tolist() == expected["groups"]
    np.testing.assert_allclose(fits.coef(), expected["coef"], rtol=LEAST_SQUARES)
    np.testing.assert_allclose(fits.std_error(), expected["std_error"], rtol=LEAST_SQUARES)
    assert fits.sigma == pytest.approx(expected["sigma"], rel=LEAST_SQUARES)
    assert fits.df_residual == expected["df"]
    shape = fits.coef().shape
    low = fits.confint()["conf_low"].to_numpy().reshape(shape)
    np.testing.assert_allclose(low, expected["low"], rtol=LEAST_SQUARES)
    own = fits.confint(pooled=False)["conf_low"].to_numpy().reshape(shape)
    np.testing.assert_allclose(own, expected["own_low"], rtol=LEAST_SQUARES)
    p_value = fits.to_frame()["p_value"].to_numpy().reshape(shape)
    np.testing.assert_allclose(p_value, expected["p_value"], rtol=1e-6)


def test_weights_and_factors_as_statsmodels():
    data = mx.load_dataset("students").assign(w=lambda d: 1.0 + d["open"] / 50.0)
    fits = mx.lm_list("extro ~ open + C(class_) | school", data.rename(columns={"class": "class_"}),
                      weights="w")  # fmt: skip
    one = data[data["school"] == "III"].rename(columns={"class": "class_"})
    expected = smf.wls("extro ~ open + C(class_)", one, weights=one["w"]).fit()
    found = fits.coef().loc["III"]
    np.testing.assert_allclose(found, expected.params[found.index], rtol=1e-9)
    own = fits.std_error(pooled=False).loc["III"]
    np.testing.assert_allclose(own, expected.bse[found.index], rtol=1e-9)
    assert fits.sigmas["III"] == pytest.approx(np.sqrt(expected.scale), rel=1e-9)


def test_groups_that_do_not_determine_all():
    data = pd.DataFrame({
        "y": [1.0, 2.0, 4.0, 3.0, 5.0, 6.0, 7.0], "x": [0.0, 1.0, 2.0, 5.0, 5.0, 5.0, 1.0],
        "g": list("aaabbbc"),
    })  # fmt: skip
    with pytest.warns(RankDeficientWarning, match=r"2 of 3 groups \('b', 'c'\) do not determine"):
        fits = mx.lm_list("y ~ x | g", data)
    coef = fits.coef()
    assert coef["x"].isna().tolist() == [False, True, True]
    np.testing.assert_allclose(coef["Intercept"], [5.0 / 6.0, 14.0 / 3.0, 7.0], rtol=1e-12)
    assert fits.df.tolist() == [1, 2, 0]
    assert fits.df_residual == 3
    assert np.isnan(fits.sigmas["c"])
    assert "2 group(s) do not determine" in repr(fits)


def test_far_from_zero_costs_no_digits():
    data = mx.load_dataset("sleepstudy").assign(t=lambda d: d["Days"] + 1e7)
    far, near = mx.lm_list("Reaction ~ t | Subject", data), fits_of("sleep")
    np.testing.assert_allclose(far.coef()["t"], near.coef()["Days"], rtol=1e-6)


def test_beside_a_mixed_model_it_is_shrinkage():
    data = mx.load_dataset("sleepstudy")
    m = mx.lmer("Reaction ~ Days + (Days | Subject)", data)
    found, expected = fits_of("sleep").shrinkage(m), mx.shrinkage(m)
    assert list(found.columns) == list(expected.columns)
    numbers = ["n", "no_pooling", "partial_pooling", "complete_pooling"]
    np.testing.assert_allclose(found[numbers], expected[numbers], rtol=1e-9)
    grid = mx.plot_shrinkage(found)
    assert list(grid.axes_dict) == ["Intercept", "Days"]
    intervals = mx.plot_ranef(fits_of("sleep").confint(), level=None)
    assert list(intervals.axes_dict) == [("Subject", "Intercept"), ("Subject", "Days")]
    plt.close("all")
    with pytest.raises(InvalidArgumentError, match="m: expected a mixed model.*'Subject'"):
        fits_of("sleep").shrinkage(mx.lmer("Yield ~ 1 + (1 | Batch)", mx.load_dataset("dyestuff")))


def test_fifty_thousand_groups_in_a_second():
    rng = np.random.default_rng(1)
    data = pd.DataFrame({
        "g": np.repeat(np.arange(50_000), 10), "x": rng.normal(size=500_000),
        "y": rng.normal(size=500_000),
    })  # fmt: skip
    start = time.process_time()
    fits = mx.lm_list("y ~ x | g", data)
    assert time.process_time() - start < 2.0
    one = data[data["g"] == 31_415]
    slope = np.polyfit(one["x"], one["y"], 1)[0]
    assert fits.coef().loc[31_415, "x"] == pytest.approx(slope, rel=1e-9)


@pytest.mark.parametrize(
    "formula", ["y ~ x", "y ~ x + (1 | g)", "y ~ x | g | h", "y ~ x | g + h", "x | g", "y ~ x |"]
)
def test_bad_formulas(formula):
    data = pd.DataFrame({"y": [1.0, 2.0], "x": [0.0, 1.0], "g": [1, 2], "h": [1, 2]})
    with pytest.raises(InvalidArgumentError, match="expected 'y ~ x | g', the grouping factor"):
        mx.lm_list(formula, data)


def test_bad_arguments():
    with pytest.raises(InvalidArgumentError, match="expected a string such as 'y ~ x | g'"):
        mx.lm_list(3, mx.load_dataset("sleepstudy"))
    with pytest.raises(InvalidArgumentError, match="pooled=2"):
        fits_of("sleep").confint(pooled=2)
