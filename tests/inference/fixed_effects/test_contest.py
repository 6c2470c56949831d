"""Contrasts: how they are given, what they give, what is refused."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from ddf_models import CASES, F_COLUMNS, IDS, as_r, expected, fit, frame_of, gap
from scipy import stats
from tolerances import TEST_STATISTIC

import merextras as mx
from merextras.datasets import load_dataset
from merextras.exceptions import (
    InvalidArgumentError,
    RankDeficientWarning,
    UnsupportedModelError,
)

JOINT = {
    "joint_satterthwaite": {},
    "joint_rhs": {"rhs": [1, 2]},
    "joint_kenward_roger": {"ddf": "kenward-roger"},  # by REML only
}


@pytest.mark.parametrize(
    ("name", "reml", "key", "options"),
    [
        pytest.param(name, reml, key, options, id=f"{case}-{key}")
        for (name, reml), case in zip(CASES, IDS, strict=True)
        for key, options in JOINT.items()
        if key in expected(name, reml)
    ],
)
def test_joint_as_lmertest(name, reml, key, options):
    wanted = expected(name, reml)
    m = fit(name, reml)
    order = [wanted["beta"]["names"].index(as_r(n)) for n in m.design.fixed.names]
    found = mx.contest(m, np.array(wanted["L"])[:, order], **options)
    assert list(found.columns) == list(F_COLUMNS)
    assert found.index.tolist() == [0]
    for column, (theirs, tolerance) in F_COLUMNS.items():
        assert gap(found[column], frame_of(wanted[key])[theirs]) < tolerance, column


@pytest.fixture(scope="module")
def m():
    return fit("two_factors")


ONE = {"phase[T.b]": 1.0, "phase[T.c]": -1.0}


def row(m, weights):
    return np.array([weights.get(name, 0.0) for name in m.design.fixed.names])


def test_ways_to_write_a_contrast(m):
    array = mx.contest(m, row(m, ONE))
    assert list(array.columns) == [
        "estimate", "std_error", "df", "statistic", "p_value", "conf_low", "conf_high",
    ]  # fmt: skip
    for same in (ONE, pd.Series(ONE), list(row(m, ONE))):
        pd.testing.assert_frame_equal(mx.contest(m, same), array)
    frame = pd.DataFrame([ONE], index=["b - c"])
    named = mx.contest(m, frame, joint=False)
    assert named.index.tolist() == ["b - c"]
    np.testing.assert_array_equal(named, array)
    both = {"phase[T.b]": [1, 0], "phase[T.c]": [0, 1]}
    np.testing.assert_allclose(
        mx.contest(m, both), mx.contest(m, pd.DataFrame(both)), rtol=TEST_STATISTIC
    )
    assert mx.contest(m, both, joint=False).shape == (2, 7)


@pytest.mark.parametrize("ddf", ["satterthwaite", "kenward-roger", "asymptotic"])
def test_f_of_one_contrast_is_t_squared(m, ddf):
    t = mx.contest(m, ONE, ddf=ddf, rhs=3.0).iloc[0]
    f = mx.contest(m, row(m, ONE)[None], ddf=ddf, rhs=3.0).iloc[0]
    assert f["statistic"] == pytest.approx(t["statistic"] ** 2)
    assert f["p_value"] == pytest.approx(t["p_value"])
    assert (f["num_df"], f["den_df"]) == (1, pytest.approx(t["df"]))
    assert f["mean_sq"] == pytest.approx(f["statistic"] * m.sigma() ** 2)


def test_interval_and_right_hand_side(m):
    found = mx.contest(m, ONE, level=0.9).iloc[0]
    half = stats.t.isf(0.05, found["df"]) * found["std_error"]
    assert found["conf_high"] - found["estimate"] == pytest.approx(half)
    at_bound = mx.contest(m, ONE, rhs=found["conf_low"]).iloc[0]
    assert at_bound["p_value"] == pytest.approx(0.1)
    assert at_bound["estimate"] == found["estimate"]


def test_asymptotic_is_normal(m):
    found = mx.contest(m, ONE, ddf="asymptotic").iloc[0]
    assert found["p_value"] == pytest.approx(2 * stats.norm.sf(abs(found["statistic"])))
    rows = np.eye(9)[1:4]
    joint = mx.contest(m, rows, ddf="asymptotic").iloc[0]
    gaps, spread = rows @ m.solution.beta, rows @ m.vcov().to_numpy() @ rows.T
    wald = gaps @ np.linalg.solve(spread, gaps)
    assert joint["statistic"] == pytest.approx(wald / 3)
    assert joint["p_value"] == pytest.approx(stats.chi2.sf(wald, 3))


@pytest.mark.parametrize("ddf", ["satterthwaite", "kenward-roger", "asymptotic"])
def test_dependent_rows_do_not_count(m, ddf):
    rows = np.eye(9)[[1, 2]]
    once = mx.contest(m, rows, ddf=ddf).iloc[0]
    more = mx.contest(m, np.vstack([rows, rows[0] - 2 * rows[1]]), ddf=ddf).iloc[0]
    assert more["num_df"] == 2
    assert more["statistic"] == pytest.approx(once["statistic"])
    assert mx.contest(m, np.vstack([rows[0]] * 3), ddf=ddf)["num_df"].tolist() == [1]


def test_rank_does_not_depend_on_units():
    sleep = load_dataset("sleepstudy")
    long = mx.lmer("Reaction ~ D + (1 | Subject)", sleep.assign(D=sleep["Days"] * 1e9))
    assert mx.contest(long, np.eye(2))["num_df"].tolist() == [2]


def test_raw_fits(m):
    fit = smf.mixedlm("Reaction ~ Days", load_dataset("sleepstudy"), groups="Subject").fit()
    assert mx.contest(fit, {"Days": 1})["df"].iloc[0] == pytest.approx(161, rel=1e-4)
    with pytest.raises(UnsupportedModelError, match="OLS"):
        mx.contest(smf.ols("Reaction ~ Days", load_dataset("sleepstudy")).fit(), {"Days": 1})


@pytest.mark.parametrize(
    ("given", "options", "message"),
    [
        ([1, 0], {}, r"expected 9 weights per contrast, one for each of \['Intercept'"),
        (np.zeros((2, 3)), {}, r"got shape \(2, 3\)"),
        (np.zeros((1, 1, 9)), {}, r"got shape \(1, 1, 9\)"),
        (5.0, {}, r"got shape \(\)"),
        (object(), {}, "expected an array, a mapping of names"),
        ({"phase[T.d]": 1}, {}, r"'phase\[T.d\]' is no fixed effect.*did you mean"),
        (pd.DataFrame({"nothing": [1]}), {}, "'nothing' is no fixed effect"),
        ({"phase[T.b]": "a"}, {}, "weights must be numbers"),
        ({"phase[T.b]": [1], "phase[T.c]": [1, 2]}, {}, "L: "),
        ({"phase[T.b]": np.nan}, {}, "missing or infinite"),
        (np.full(9, np.inf), {}, "missing or infinite"),
        ({}, {}, "no weight that is not zero"),
        (np.zeros(9), {}, "no weight that is not zero"),
        (np.empty((0, 9)), {}, "no weight that is not zero"),
        (ONE, {"rhs": [1, 2]}, r"rhs=\[1, 2\]: expected a finite number, or 1"),
        (ONE, {"rhs": np.nan}, "rhs=nan"),
        (ONE, {"rhs": "a"}, "rhs='a'"),
        (ONE, {"level": 95}, r"level=95.*write level=0.95"),
        (ONE, {"ddf": "kenward"}, r"ddf='kenward': .*'kenward-roger'"),
        (ONE, {"ddf": None}, r"ddf=None: allowed: 'satterthwaite'"),
        (np.eye(9)[[1, 1]], {"rhs": [0, 1]}, "contradict each other"),
    ],
)
def test_what_is_refused(m, given, options, message):
    with pytest.raises(InvalidArgumentError, match=message):
        mx.contest(m, given, **options)


def test_not_estimable():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RankDeficientWarning)
        m = fit("missing_cell")
    (dropped,) = m.design.fixed.dropped
    with pytest.raises(InvalidArgumentError, match="is not estimable: its column was dropped"):
        mx.contest(m, {dropped: 1})
