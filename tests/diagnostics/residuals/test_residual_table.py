import pickle

import numpy as np
import pandas as pd
import pytest
from lmer_models import csv, quiet
from performance_models import model_of
from scipy import stats

import merextras as mx
from merextras.diagnostics.residuals.smooth import trend
from merextras.exceptions import InvalidArgumentError, UnsupportedModelError


def test_columns():
    m = model_of("slope_and_crossed")
    result = mx.residual_table(m)
    frame = result.to_frame()
    assert list(frame) == [
        "observed", "fitted", "residual", "standardized", "leverage", "cooks_distance"
    ]  # fmt: skip
    np.testing.assert_allclose(frame["fitted"], m.fitted())
    np.testing.assert_allclose(frame["residual"], m.residuals())
    np.testing.assert_allclose(frame["leverage"], m.hatvalues(), rtol=1e-12)
    np.testing.assert_allclose(frame["cooks_distance"], m.cooks_distance(), rtol=1e-10)
    scale = m.sigma() * np.sqrt(1 - m.hatvalues())
    np.testing.assert_allclose(frame["standardized"], m.residuals() / scale, rtol=1e-12)
    assert sorted(result.groups) == ["g", "h"]
    for factor in ("g", "h"):
        assert result.groups[factor].tolist() == m.model_frame()[factor].tolist()
    assert result.response == "y"


def test_weights_and_the_users_index():
    frame = csv("forms").assign(w0=lambda d: d["w"].where(d.index % 9 != 0, 0.0))
    frame.index = [f"r{i}" for i in range(len(frame))]
    m = mx.lmer("y ~ x + (1 | g)", frame, weights="w0")
    table = mx.residual_table(m).to_frame()
    assert list(table.index) == list(frame.index[frame["w0"] > 0])
    kept = m.residuals("pearson", scaled=True)[table.index]
    np.testing.assert_allclose(
        table["standardized"], kept / np.sqrt(1 - table["leverage"]), rtol=1e-12
    )


def test_group_means():
    m = model_of("nested")
    result = mx.residual_table(m)
    means = result.group_means("batch").set_index("level")
    expected = m.model_frame().assign(fitted=m.fitted()).groupby("batch")
    np.testing.assert_allclose(means["fitted"], expected["fitted"].mean()[means.index])
    np.testing.assert_allclose(means["observed"], expected["strength"].mean()[means.index])
    assert (means["n"] == 6).all()
    with pytest.raises(InvalidArgumentError, match=r"group='x': the grouping factors are \['cask"):
        result.group_means("x")


def test_frozen_and_printed():
    result = mx.residual_table(model_of("slopes"))
    assert repr(result).startswith("residuals of Reaction, 180 rows\n")
    assert repr(pickle.loads(pickle.dumps(result))) == repr(result)
    frame = result.to_frame()
    frame["residual"] = 0.0
    assert (result.to_frame()["residual"] != 0).all()
    with pytest.raises(AttributeError):
        result.p = 3


def test_qq():
    m = model_of("slopes")
    qq = mx.qq_residuals(m, level=0.9)
    n = 180
    np.testing.assert_allclose(stats.norm.cdf(qq["theoretical"]), (np.arange(n) + 0.5) / n)
    standard = mx.residual_table(m).to_frame()["standardized"]
    np.testing.assert_array_equal(qq["sample"], np.sort(standard))
    np.testing.assert_array_equal(standard[qq.index], qq["sample"])
    # The middle of 180 normal numbers, and the smallest: P(min <= x) = 1 - (1 - Phi(x))^n.
    low, high = qq.iloc[0][["conf_low", "conf_high"]]
    np.testing.assert_allclose(1 - stats.norm.sf([low, high]) ** n, [0.05, 0.95], rtol=1e-8)
    np.testing.assert_allclose(qq["conf_low"], -qq["conf_high"][::-1].to_numpy(), rtol=1e-8)


def test_qq_interval_covers():
    drawn = np.sort(np.random.default_rng(1).normal(size=(400, 30)), axis=1)
    frame = pd.DataFrame({"y": drawn[0], "g": np.arange(30) % 6})
    qq = mx.qq_residuals(quiet("y ~ 1 + (1 | g)", frame), level=0.95)
    inside = (drawn >= qq["conf_low"].to_numpy()) & (drawn <= qq["conf_high"].to_numpy())
    # 400 draws of each: a standard error of 1 %.
    np.testing.assert_allclose(inside.mean(axis=0), 0.95, atol=0.05)


# --- The trend -----------------------------------------------------------------------------------


def test_a_line_is_its_own_trend():
    x = np.random.default_rng(1).uniform(size=1000)
    at, value = trend(x, 3 - 2 * x)
    np.testing.assert_allclose(value, 3 - 2 * at, rtol=1e-10)
    assert (np.diff(at) > 0).all()


def test_a_curve_is_followed():
    rng = np.random.default_rng(2)
    x = rng.uniform(-1, 1, 4000)
    at, value = trend(x, x**2 + 0.1 * rng.normal(size=4000))
    assert value[0] > 0.6
    assert value[-1] > 0.6
    assert value[np.argmin(np.abs(at))] < 0.25


@pytest.mark.parametrize(
    "x", [np.empty(0), np.ones(50), np.array([1.0, 2.0, 3.0]), np.full(9, np.nan)]
)
def test_too_few_points_have_none(x):
    at, value = trend(x, np.zeros(len(x)))
    assert len(at) == len(value) == 0


def test_missing_values_are_left_out():
    x = np.linspace(0, 1, 50)
    y = np.where(np.arange(50) % 5 == 0, np.nan, x)
    at, value = trend(x, y)
    np.testing.assert_allclose(value, at)


@pytest.mark.parametrize("function", [mx.residual_table, mx.qq_residuals])
def test_refused(function):
    with pytest.raises(UnsupportedModelError):
        function(3)


def test_level():
    with pytest.raises(InvalidArgumentError, match="level=2"):
        mx.qq_residuals(model_of("slopes"), level=2)
