"""What is said of responses with which a likelihood has no maximum."""

from __future__ import annotations

import contextlib
import warnings

import numpy as np
import pandas as pd
import pytest
from scipy import integrate, special

import merextras as mx
from merextras.exceptions import (
    ConvergenceWarning,
    MerextrasError,
    MerextrasWarning,
    ProfileError,
    SingularFitWarning,
)
from merextras.model.generalised.separated import unbounded_of, without_maximum


@pytest.fixture
def frame():
    rng = np.random.default_rng(3)
    out = pd.DataFrame({"g": np.repeat(np.arange(20), 10), "x": rng.normal(size=200)})
    out["treated"] = rng.choice(["high", "low", "middle"], 200)
    out["kind"] = rng.choice(list("abc"), 200)
    out["y"] = rng.integers(0, 2, 200)
    return out


def quietly(formula, data, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MerextrasWarning)
        return mx.glmer(formula, data, **options)


@pytest.mark.parametrize(
    ("fixed", "rows", "said"),
    [
        ("treated", "treated == 'high'", r"\(the rows of treated = high\)"),
        ("C(treated, Treatment('low'))", "treated == 'low'", r"\(the rows of treated = low\)"),
        ("x + treated", "treated == 'middle'", r"\['treated\[T.middle\]'\] \(the rows of treated"),
        (
            "treated * kind",
            "treated == 'high' and kind == 'b'",
            r"\(the rows of treated = high and kind = b|\(the rows of kind = b and treated = high",
        ),
        ("x", "x > 0.1", r"separated by \['Intercept', 'x'\]: along"),
    ],
)
def test_separated_levels_are_named_whatever_their_coding(frame, fixed, rows, said):
    chosen = frame.eval(rows)
    frame["y"] = np.where(chosen, 1, 0 if fixed == "x" else frame["y"])
    with (
        pytest.warns(ConvergenceWarning, match=said),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore", SingularFitWarning)
        mx.glmer(f"y ~ {fixed} + (1 | g)", frame)


def exact(sd):
    """The log-likelihood of 20 levels of ten like outcomes each at this SD, without effects."""
    share = integrate.quad(
        lambda z: special.expit(sd * z) ** 10 * np.exp(-0.5 * z * z) / np.sqrt(2.0 * np.pi),
        -12.0, 12.0, points=[0.0], limit=400, epsabs=1e-13,
    )[0]  # fmt: skip
    return 20.0 * np.log(share)


@pytest.mark.parametrize("n_agq", [1, 9, 25])
def test_a_variance_without_bound_is_told(frame, n_agq):
    assert np.all(np.diff([exact(sd) for sd in (5.0, 20.0, 80.0, 320.0)]) > 0.0)
    frame["y"] = frame["g"] % 2
    with pytest.warns(ConvergenceWarning, match=r"every level of 'g' has one outcome .*\(1 \| g\)"):
        model = mx.glmer("y ~ x + (1 | g)", frame, n_agq=n_agq)
    assert "No maximum: every level of 'g'" in str(model)
    assert "has one outcome only" in str(mx.check_convergence(model))


def test_a_level_with_both_outcomes_bounds_it(frame):
    frame["y"] = frame["g"] % 2
    frame.loc[[3, 17], "y"] = 1 - frame.loc[[3, 17], "y"]
    model = quietly("y ~ x + (1 | g)", frame)
    assert model.var_corr()["g"].to_numpy()[0, 0] > 9.0
    assert unbounded_of(model) is None


def test_levels_of_trials_and_those_that_stand_for_several():
    levels = pd.DataFrame({"g": np.arange(400), "k": 5 * (np.arange(400) % 2), "m": 5})
    assert "every level of 'g'" in without_maximum(quietly("cbind(k, m - k) ~ (1 | g)", levels))
    rows = levels.loc[levels.index.repeat(5)].assign(y=lambda d: d["k"] // 5)
    assert "every level of 'g'" in without_maximum(quietly("y ~ (1 | g)", rows))


def test_from_chunks_too(frame):
    frame["y"] = frame["g"] % 2
    chunks = [frame.iloc[:70], frame.iloc[70:]]
    with pytest.warns(ConvergenceWarning, match="every level of 'g' has one outcome"):
        mx.glmer("y ~ x + (1 | g)", lambda: iter(chunks))


def test_of_a_predictor_of_many_values_no_level_is_named():
    rng = np.random.default_rng(4)
    out = pd.DataFrame({"g": np.arange(4_000) % 50, "x": rng.normal(size=4_000)})
    model = quietly("y ~ x + (1 | g)", out.assign(y=(out["x"] > 0.1) * 1))
    assert without_maximum(model).startswith("the response is separated by ['Intercept', 'x']:")


def test_verbs_say_it_again(frame):
    frame.loc[frame["treated"] == "high", "y"] = 1
    model = quietly("y ~ treated + (1 | g)", frame)
    said = pytest.warns(ConvergenceWarning, match=r"bootstrap: .*the rows of treated = high")
    with said, contextlib.suppress(MerextrasError):
        mx.bootstrap(model, n_sims=2, rng=1)
    with pytest.warns(ConvergenceWarning, match=r"influence: .*the rows of treated = high"):
        model.influence("g")
    with pytest.raises(ProfileError, match="not the optimum: the response is separated by"):
        model.confint(method="profile")
