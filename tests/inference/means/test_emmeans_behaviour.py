"""Estimated marginal means by hand: grids, weights, offsets, custom contrasts, refusals."""

from __future__ import annotations

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from emmeans_models import data_of, fit
from scipy import stats
from tolerances import EMMEANS_TAIL, P_VALUE

import merextras as mx
from merextras.exceptions import (
    InvalidArgumentError,
    RankDeficientWarning,
    SingularFitWarning,
    UnsupportedModelError,
)


@pytest.mark.parametrize("name", ["intercept", "slopes", "covariates", "missing_cell", "curved"])
def test_formulaic_gives_the_same(name):
    pytest.importorskip("formulaic")
    if name == "covariates":
        data = data_of("students").rename(columns={"class": "room"})
        text = "extro ~ agree + open * room + (1 | school)"
        ours, other = (
            mx.lmer(text, data, control=mx.LmerControl(formula_engine=engine))
            for engine in ("patsy", "formulaic")
        )
        specs = "room"
    else:
        ours, other, specs = fit(name), fit(name, formula_engine="formulaic"), "grp"
    a, b = mx.emmeans(ours, specs), mx.emmeans(other, specs)
    pd.testing.assert_frame_equal(a.to_frame(), b.to_frame(), rtol=1e-5)
    assert a.notes == b.notes


def test_fits_of_statsmodels():
    frame = data_of("thinned")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        raw = smf.mixedlm("Reaction ~ phase * grp", frame, groups="Subject").fit()
    found = mx.emmeans(raw, "phase").to_frame()
    pd.testing.assert_frame_equal(
        found, mx.emmeans(fit("intercept"), "phase").to_frame(), rtol=1e-5
    )


def test_by_hand():
    """The mean is that of the predictions over the grid."""
    m = fit("covariates")
    data = data_of("students")
    grid = pd.DataFrame(
        {"class": ["b"], "agree": data["agree"].mean(), "open": data["open"].mean(), "school": "I"}
    )
    found = mx.emmeans(m, "class").to_frame().set_index("class")
    assert found.loc["b", "estimate"] == pytest.approx(m.predict(grid, re_form="NA").iloc[0])
    held = mx.emmeans(m, "class", at={"open": 3.5, "class": ["b", "d"]}).to_frame()
    assert held["class"].tolist() == ["b", "d"]
    wanted = m.predict(grid.assign(open=3.5), re_form="NA").iloc[0]
    assert held["estimate"].iloc[0] == pytest.approx(wanted)


def test_weights_are_counts_of_observations():
    """Frequency weights count and precision weights do not; a row of weight zero is none."""
    frame = data_of("thinned").reset_index(drop=True)
    n = np.arange(len(frame))
    options = {"specs": "grp", "weights": "proportional", "ddf": "asymptotic"}
    formula = "Reaction ~ phase * grp + (1 | Subject)"
    counts = 1 + n % 2
    repeated = mx.lmer(formula, frame.loc[np.repeat(n, counts)].reset_index(drop=True))
    weighted = mx.lmer(formula, frame, freq_weights=counts)
    one = mx.emmeans(repeated, **options).to_frame()
    pd.testing.assert_frame_equal(mx.emmeans(weighted, **options).to_frame(), one, rtol=1e-5)
    zero = np.where(n % 4 == 0, 0.0, 1.0)
    left = mx.emmeans(mx.lmer(formula, frame, weights=zero), **options).to_frame()
    kept = mx.emmeans(mx.lmer(formula, frame[zero > 0]), **options).to_frame()
    pd.testing.assert_frame_equal(left, kept, rtol=1e-5)


def test_covariate_means_are_of_observations():
    frame = data_of("thinned").reset_index(drop=True)
    zero = np.where(frame["Days"] > 7, 0.0, 1.0)
    m = mx.lmer("Reaction ~ Days + grp + (1 | Subject)", frame, weights=zero)
    assert f"Days = {frame['Days'][zero > 0].mean():.6g}" in mx.emmeans(m, "grp").notes[0]


def test_offsets():
    """By the formula it is followed, by the argument at its mean; here these are the same."""
    frame = data_of("thinned")
    plain = "Reaction ~ grp + (1 | Subject)"
    column = mx.emmeans(mx.lmer(plain, frame, offset="off"), "grp").to_frame()
    formula = mx.emmeans(
        mx.lmer("Reaction ~ grp + offset(off) + (1 | Subject)", frame), "grp"
    ).to_frame()
    array = mx.emmeans(mx.lmer(plain, frame, offset=frame["off"].to_numpy()), "grp").to_frame()
    pd.testing.assert_frame_equal(column, formula, rtol=1e-6)
    pd.testing.assert_frame_equal(array, formula, rtol=1e-6)
    m = mx.lmer("Reaction ~ grp + offset(off) + (1 | Subject)", frame)
    held = mx.emmeans(m, "grp", at={"off": 0.0}).to_frame()
    np.testing.assert_allclose(
        formula["estimate"] - held["estimate"], frame["off"].mean(), rtol=1e-6
    )
    both = mx.lmer(
        "Reaction ~ grp + offset(off) + (1 | Subject)", frame, offset=np.ones(len(frame))
    )
    pd.testing.assert_frame_equal(mx.emmeans(both, "grp").to_frame(), formula, rtol=1e-6)
    slope = mx.emtrends(m, "grp", "off").to_frame()
    np.testing.assert_allclose(slope["estimate"], 1.0, rtol=1e-9)
    assert (slope["std_error"] == 0.0).all()


def test_levels_that_occur():
    """Unused categories have no mean, and the order is that of the fit."""
    frame = data_of("thinned").assign(
        phase=lambda d: pd.Categorical(d["phase"], ["c", "unused", "a", "b"]),
        flag=lambda d: d["Days"] > 4,
        year=lambda d: 2000 + d["Days"] % 3,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RankDeficientWarning)
        m = mx.lmer("Reaction ~ phase + flag + C(year) + (1 | Subject)", frame)
    found = mx.emmeans(m, "phase").to_frame()
    assert found["phase"].tolist() == ["c", "a", "b"]
    assert found["estimate"].notna().all()
    assert mx.emmeans(m, "flag").to_frame()["flag"].tolist() == [False, True]
    assert mx.emmeans(m, "year").to_frame()["year"].tolist() == [2000, 2001, 2002]


def test_missing_cell_says_why():
    means = mx.emmeans(fit("missing_cell"), "phase")
    assert np.isnan(means.to_frame()["estimate"].iloc[2])
    assert "1 of 3 are not estimable" in means.to_text()
    pairs = means.contrasts().to_frame()
    assert pairs["p_value"].isna().tolist() == [False, True, True]


def test_trend_of_a_line_is_its_slope():
    m = fit("slopes")
    found = mx.emtrends(m, "grp", "Days").to_frame()
    wanted = [m.fixef()["Days"], m.fixef()["Days"] + m.fixef()["Days:grp[T.y]"]]
    np.testing.assert_allclose(found["estimate"].iloc[:2], wanted, rtol=1e-9)
    logged = fit("logged")
    at = {"Days": [0.5, 3.0]}
    found = mx.emtrends(logged, "Days", "Days", at=at).to_frame()
    wanted = logged.fixef()["np.log(Days + 1)"] + np.mean(
        [0.0, *logged.fixef()[["np.log(Days + 1):grp[T.y]", "np.log(Days + 1):grp[T.z]"]]]
    )
    np.testing.assert_allclose(found["estimate"], wanted / np.array([1.5, 4.0]), rtol=1e-8)


def test_custom_contrasts():
    m = fit("intercept")
    means = mx.emmeans(m, "phase")
    weights = {"b - a": [-1, 1, 0], "line": [-0.5, 0, 0.5]}
    found = means.contrasts(weights)
    assert found.adjust == "none"
    frame = found.to_frame()
    pairs = means.contrasts(adjust="none").to_frame()
    assert frame["estimate"].iloc[0] == pytest.approx(-pairs["estimate"].iloc[0])
    assert frame["df"].iloc[0] == pytest.approx(pairs["df"].iloc[0])
    assert frame["p_value"].iloc[1] == pytest.approx(pairs["p_value"].iloc[1])
    table = pd.DataFrame(list(weights.values()), index=list(weights))
    pd.testing.assert_frame_equal(means.contrasts(table).to_frame(), frame)
    array = means.contrasts(np.array(list(weights.values()))).to_frame()
    assert array["contrast"].tolist() == ["C1", "C2"]
    within = mx.emmeans(m, "phase", "grp").contrasts(weights).to_frame()
    assert within["grp"].tolist() == ["x", "x", "y", "y", "z", "z"]


def test_control_and_by():
    means = mx.emmeans(fit("intercept"), "phase", "grp")
    frame = means.contrasts("control", ref="c").to_frame()
    assert frame["contrast"].tolist()[:2] == ["a - c", "b - c"]
    assert means.contrasts("trt.vs.ctrl", ref=2).to_frame().equals(frame)
    among = means.contrasts(by=()).to_frame()
    assert len(among) == 36
    assert list(among.columns[:2]) == ["contrast", "estimate"]
    other = means.contrasts(by="phase").to_frame()
    assert other["contrast"].tolist()[:3] == ["x - y", "x - z", "y - z"]


def test_contrast_agrees_with_contest():
    m = fit("intercept")
    for ddf in ("kenward-roger", "satterthwaite", "asymptotic"):
        found = mx.emmeans(m, "phase", "grp", ddf=ddf).contrasts(adjust="none").to_frame().iloc[0]
        test = mx.contest(m, {"phase[T.b]": -1}, ddf=ddf).iloc[0]
        for column in test.index:
            assert found[column] == pytest.approx(test[column], rel=1e-9), column


def test_results_are_frozen_and_pickle():
    means = mx.emmeans(fit("intercept"), "phase", "grp")
    again = pickle.loads(pickle.dumps(means))
    pd.testing.assert_frame_equal(again.to_frame(), means.to_frame())
    pd.testing.assert_frame_equal(again.contrasts().to_frame(), means.contrasts().to_frame())
    assert repr(again) == repr(means)
    assert means._repr_html_().startswith("<pre>")
    with pytest.raises(ValueError, match="read-only"):
        means.rows[0, 0] = 1.0
    with pytest.raises(AttributeError):
        means.level = 0.5
    assert "Tukey's adjustment, for families of 3." in repr(means.contrasts())
    one = means.contrasts([[1, -1, 0]], adjust="bonferroni")
    assert "No adjustment." in repr(one)
    pd.testing.assert_frame_equal(
        one.to_frame(), means.contrasts([[1, -1, 0]], adjust="none").to_frame()
    )
    narrow = means.to_frame(level=0.5)
    assert np.all(narrow["conf_low"] > means.to_frame()["conf_low"])


def test_many_levels():
    """Sixty levels: 1770 differences in one call, none of which is rounded to zero."""
    rng = np.random.default_rng(3)
    n = 1800
    frame = pd.DataFrame({"kind": rng.integers(0, 60, n).astype(str), "g": rng.integers(0, 30, n)})
    frame["y"] = (
        rng.normal(size=n) + frame["kind"].astype(int) / 3 + rng.normal(size=30)[frame["g"]]
    )
    m = mx.lmer("y ~ kind + (1 | g)", frame)
    pairs = mx.emmeans(m, "kind", ddf="satterthwaite").contrasts().to_frame()
    assert len(pairs) == 1770
    assert pairs["p_value"].min() > 0.0
    some = pairs.iloc[::300]
    wanted = stats.studentized_range.sf(np.sqrt(2) * some["statistic"].abs(), 60, some["df"])
    np.testing.assert_allclose(some["p_value"], wanted, rtol=P_VALUE, atol=EMMEANS_TAIL)


def test_arrays_have_only_numbers():
    fit_ = smf.mixedlm("Reaction ~ Days", data_of("thinned"), groups="Subject").fit()
    from statsmodels.regression.mixed_linear_model import MixedLM

    data = data_of("thinned")
    x = np.column_stack([np.ones(len(data)), data["Days"]])
    arrays = MixedLM(data["Reaction"].to_numpy(), x, groups=data["Subject"].to_numpy()).fit()
    one = mx.emmeans(fit_, "Days", at={"Days": [0, 9]}).to_frame()
    two = mx.emmeans(arrays, "x1", at={"x1": [0, 9]}).to_frame()
    np.testing.assert_allclose(one.to_numpy(), two.to_numpy(), rtol=1e-5)


REFUSED = [
    ({"specs": "Subject"}, r"specs: 'Subject' is no variable of the fixed part \(it groups"),
    ({"specs": "phas"}, "did you mean 'phase'"),
    ({"specs": "phase", "by": "no"}, "by: 'no' is no variable"),
    ({"specs": "phase", "at": {"no": 1}}, "at: 'no' is no variable"),
    ({"specs": "phase", "at": {"grp": ["q"]}}, r"at: 'grp' has no level 'q'; its levels: \['x'"),
    ({"specs": "phase", "at": {"grp": []}}, "at: no values for 'grp'"),
    ({"specs": "phase", "at": 3}, "at=3: expected a mapping"),
    ({"specs": "phase", "weights": "cells"}, "weights='cells': allowed: 'equal'"),
    ({"specs": "phase", "ddf": "kw"}, "ddf='kw': allowed"),
    ({"specs": "phase", "level": 95}, "for 95 % write level=0.95"),
]


@pytest.mark.parametrize(("options", "message"), REFUSED, ids=[m[:20] for _, m in REFUSED])
def test_refused(options, message):
    with pytest.raises(InvalidArgumentError, match=message):
        mx.emmeans(fit("intercept"), **options)


def test_refused_numbers_and_trends():
    with pytest.raises(InvalidArgumentError, match="at: 'Days' is a number; expected finite"):
        mx.emmeans(fit("slopes"), "grp", at={"Days": ["x"]})
    with pytest.raises(InvalidArgumentError, match="var='grp': there is no slope in what is not"):
        mx.emtrends(fit("slopes"), "grp", "grp")
    with pytest.raises(InvalidArgumentError, match="var: 'no' is no variable"):
        mx.emtrends(fit("slopes"), "grp", "no")
    at = {"Days": -1}
    with np.errstate(all="ignore"), pytest.raises(InvalidArgumentError, match="no finite value at"):
        mx.emmeans(fit("logged"), "grp", at=at)
    with pytest.raises(UnsupportedModelError, match="OLS"):
        mx.emmeans(smf.ols("Reaction ~ phase", data_of("thinned")).fit(), "phase")


def test_computed_factors_are_refused():
    m = mx.lmer("Reaction ~ C(Days > 4) + (1 | Subject)", data_of("thinned"))
    with pytest.raises(UnsupportedModelError, match="computed in the formula; make it a column"):
        mx.emmeans(m, "Days")


def test_too_large_a_grid():
    rng = np.random.default_rng(1)
    frame = pd.DataFrame(rng.integers(0, 40, (2000, 5)).astype(str), columns=list("abcde"))
    frame["y"], frame["g"] = rng.normal(size=2000), rng.integers(0, 20, 2000)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SingularFitWarning)
        m = mx.lmer("y ~ a + b + c + d + e + (1 | g)", frame)
    with pytest.raises(InvalidArgumentError, match="would have 102400000 cells"):
        mx.emmeans(m, "a", ddf="asymptotic")


CONTRASTS = [
    ({"method": "pairs"}, "method='pairs': allowed: 'pairwise'"),
    ({"adjust": "lsd"}, "adjust='lsd': allowed"),
    ({"method": "eff", "adjust": "tukey"}, "adjust='tukey' is for all pairwise differences"),
    ({"method": "control", "ref": "q"}, "ref='q': allowed: 'a', 'b', 'c', or a position"),
    ({"method": "control", "ref": 7}, "ref=7: allowed"),
    ({"ref": "a"}, "only method='control' has a reference"),
    ({"method": {"x": [1, -1]}}, "expected a mapping of names to 3 finite weights"),
    ({"method": [[1, "b", 0]]}, "expected a mapping of names to 3 finite weights"),
    ({"method": {"x": [0, 0, 0]}}, "a contrast has no weight that is not zero"),
    ({"by": "grp"}, "by: 'grp': allowed: 'phase'"),
    ({"level": 0}, "level=0: a level is a number strictly between"),
]


@pytest.mark.parametrize(("options", "message"), CONTRASTS, ids=[m[:20] for _, m in CONTRASTS])
def test_refused_contrasts(options, message):
    with pytest.raises(InvalidArgumentError, match=message):
        mx.emmeans(fit("intercept"), "phase").contrasts(**options)


def test_nothing_to_compare():
    with pytest.raises(InvalidArgumentError, match="one estimate in a family"):
        mx.emmeans(fit("intercept"), ()).contrasts()
