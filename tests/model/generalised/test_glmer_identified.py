"""Variances of generalised models that can't be told apart."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import merextras as mx
from merextras.exceptions import ConvergenceWarning, InvalidArgumentError

TIED = [
    "x + (1 | g) + (1 | copy)",
    "x + (1 | g) + (0 + f | g)",
    "x + (0 + x | g) + (0 + x2 | g)",
    "x + (f | g) + (1 | g:f)",
    "x + (between | g)",
    "x + (0 + third | g)",
    "x + cs(0 + third | g)",
    "x + ar1(0 + third | g)",
]
FREE = [
    "x + (x | g)",
    "x + (1 | g) + (1 | g:f)",
    "x + (between || g)",
    "x + cs(0 + f | g)",
    "x + (far | g)",
]
RESPONSES = {
    "binomial": "cbind(k, 10 - k)",
    "poisson": "count",
    "gamma(log)": "size",
}


@pytest.fixture(scope="module")
def frame():
    rng = np.random.default_rng(1)
    n = 240
    out = pd.DataFrame({"g": rng.integers(0, 24, n), "x": rng.normal(size=n)})
    out["f"] = np.array(list("ab"))[rng.integers(0, 2, n)]
    out["third"] = np.array(list("abc"))[out["g"] % 3]
    out["copy"], out["x2"] = out["g"].astype(str) + "c", 2.0 * out["x"]
    out["between"], out["far"] = (out["g"] % 2).astype(float), out["x"] + 1e4
    effects = rng.normal(size=(24, 2)) @ np.array([[1.0, 0.3], [0.0, 0.6]])
    eta = 0.5 * out["x"] * (1 + effects[out["g"], 1]) + effects[out["g"], 0]
    eta += 0.5 * rng.normal(size=48)[2 * out["g"] + (out["f"] == "a")]
    out["k"] = rng.binomial(10, 1.0 / (1.0 + np.exp(-eta)))
    out["count"], out["size"] = rng.poisson(np.exp(eta)), rng.gamma(4.0, np.exp(eta) / 4.0)
    return out


@pytest.mark.parametrize("family", RESPONSES)
@pytest.mark.parametrize("bars", TIED)
def test_variances_that_nothing_tells_apart_are_refused_wherever_the_search_ended(
    frame, bars, family
):
    with pytest.raises(InvalidArgumentError, match=r"can't be told .*leave"):
        mx.glmer(f"{RESPONSES[family]} ~ {bars}", frame, family)


@pytest.mark.filterwarnings("ignore::merextras.exceptions.SingularFitWarning")
@pytest.mark.parametrize("family", RESPONSES)
@pytest.mark.parametrize("bars", FREE)
def test_others_are_not(frame, bars, family):
    assert np.isfinite(mx.glmer(f"{RESPONSES[family]} ~ {bars}", frame, family).log_lik())


def test_unchecked_they_are_warned_of(frame):
    control = mx.LmerControl(check=False)
    # Rounding says which of the two it is.
    with pytest.warns(ConvergenceWarning, match="can't be told|do not determine all"):
        mx.glmer("cbind(k, 10 - k) ~ x + cs(0 + third | g)", frame, control=control)


@pytest.fixture(scope="module")
def alike():
    """Many levels that are alike in all they have, so that one stands for several."""
    rng = np.random.default_rng(2)
    out = pd.DataFrame({"g": np.repeat(np.arange(1500), 4)})
    out["within"], out["between"] = rng.integers(0, 2, 6000), out["g"] % 2
    eta = rng.normal(size=1500)[out["g"]] + rng.normal(size=1500)[out["g"]] * out["within"]
    out["y"] = rng.binomial(1, 1.0 / (1.0 + np.exp(-eta)))
    return out


def test_of_levels_that_stand_for_several_variances_are_told_apart(alike):
    model = mx.glmer("y ~ within + (within || g)", alike)
    assert model._fit.optimum.point.criterion.table.copies is not None
    assert all(block.to_numpy().min() > 0.1 for block in model.var_corr().values())


def test_of_levels_that_stand_for_several_too_what_nothing_tells_apart_is_refused(alike):
    with pytest.raises(InvalidArgumentError, match=r"can't be told .*leave"):
        mx.glmer("y ~ within + (between | g)", alike)
