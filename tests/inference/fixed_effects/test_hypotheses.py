"""Hypotheses as text: what names stand for, and what is refused."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from ddf_models import data_of, fit

import merextras as mx
from merextras.exceptions import InvalidArgumentError, RankDeficientWarning

EQUAL = 1e-9


@pytest.fixture(scope="module")
def m():
    return fit("two_factors")


@pytest.fixture(scope="module")
def sleep():
    return mx.load_dataset("sleepstudy").assign(
        half=lambda d: np.where(d["Days"] < 5, "early", "late"), shift=lambda d: d["Days"] / 2.0
    )


def test_names_of_coefficients(m):
    found = mx.contest(m, "phase[T.b] = phase[T.c]")
    wanted = mx.contest(m, {"phase[T.b]": 1, "phase[T.c]": -1})
    np.testing.assert_allclose(found, wanted, rtol=EQUAL)
    assert found.index.tolist() == ["phase[T.b] - phase[T.c] = 0"]
    assert found.attrs["notes"] == ()
    scaled = mx.contest(m, "2 * phase[T.b] - phase[T.c] / 4 = 3")
    wanted = mx.contest(m, {"phase[T.b]": 2, "phase[T.c]": -0.25}, rhs=3)
    np.testing.assert_allclose(scaled, wanted, rtol=EQUAL)
    assert scaled.index.tolist() == ["2 * phase[T.b] - 0.25 * phase[T.c] = 3"]


@pytest.mark.parametrize("ddf", ["satterthwaite", "kenward-roger", "asymptotic"])
def test_several_are_one_test(m, ddf):
    found = mx.contest(m, "phase[T.b] = 2, phase[T.c] = 1", ddf=ddf)
    wanted = mx.contest(m, {"phase[T.b]": [1, 0], "phase[T.c]": [0, 1]}, rhs=[2, 1], ddf=ddf)
    np.testing.assert_allclose(found, wanted, rtol=EQUAL)
    assert found.attrs["hypotheses"] == ("phase[T.b] = 2", "phase[T.c] = 1")
    listed = mx.contest(m, ["phase[T.b] = 2", "phase[T.c] = 1"], ddf=ddf)
    pd.testing.assert_frame_equal(found, listed)
    chain = mx.contest(m, "phase[T.b] = phase[T.c] = 0", joint=False, ddf=ddf)
    assert chain.index.tolist() == ["phase[T.b] - phase[T.c] = 0", "phase[T.c] = 0"]


def test_levels_are_marginal_means(m):
    means = mx.emmeans(m, "phase", ddf="satterthwaite")
    for level, row in means.to_frame().set_index("phase").iterrows():
        found = mx.contest(m, f"phase[{level}] = 250").iloc[0]
        for column in ("estimate", "std_error", "df"):
            assert found[column] == pytest.approx(row[column], rel=EQUAL)
        assert found["statistic"] == pytest.approx((row["estimate"] - 250) / row["std_error"])
    pairs = means.contrasts(adjust="none").to_frame().set_index("contrast").loc["a - c"]
    found = mx.contest(m, "phase[a] = phase[c]")
    assert found["estimate"].iloc[0] == pytest.approx(pairs["estimate"], rel=EQUAL)
    assert found["p_value"].iloc[0] == pytest.approx(pairs["p_value"], rel=1e-7)
    assert found.attrs["notes"] == (
        "Marginal means: phase[a], phase[c].",
        "Averaged over the levels of: grp.",
        "These interact with grp: an average may mislead.",
    )


def test_cells(m):
    cells = mx.emmeans(m, ["phase", "grp"], ddf="satterthwaite").to_frame()
    wanted = cells.set_index(["phase", "grp"])["estimate"]
    found = mx.contest(m, "phase[b]:grp[y] - phase[a]:grp[y]")["estimate"].iloc[0]
    assert found == pytest.approx(wanted["b", "y"] - wanted["a", "y"], rel=EQUAL)
    turned = mx.contest(m, "grp[y]:phase[b] - grp[y]:phase[a]")["estimate"].iloc[0]
    assert turned == pytest.approx(found, rel=EQUAL)


def test_a_coefficient_comes_before_a_level(sleep):
    m = mx.lmer("Reaction ~ 0 + half + Days + (1 | Subject)", sleep)
    found = mx.contest(m, "half[early] = half[late]")
    assert found.attrs["notes"] == ()
    np.testing.assert_allclose(
        found["estimate"], m.fixef()["half[early]"] - m.fixef()["half[late]"], rtol=EQUAL
    )
    treatment = mx.lmer("Reaction ~ half + Days + (1 | Subject)", sleep)
    same = mx.contest(treatment, "C(half)[early] = Q('half')[late]")
    np.testing.assert_allclose(same["estimate"], found["estimate"], rtol=1e-7)
    assert same.attrs["notes"][1] == "At Days = 4.5."


def test_an_offset_is_part_of_a_mean(sleep):
    m = mx.lmer("Reaction ~ half + offset(shift) + (1 | Subject)", sleep)
    found = mx.contest(m, "half[early] = 270").iloc[0]
    mean = mx.emmeans(m, "half", ddf="satterthwaite").to_frame().iloc[0]
    assert found["estimate"] == pytest.approx(mean["estimate"], rel=EQUAL)
    assert found["statistic"] == pytest.approx((mean["estimate"] - 270) / mean["std_error"])
    assert found["conf_low"] == pytest.approx(mean["conf_low"], rel=EQUAL)


def test_names_with_quotes_and_functions():
    students = mx.load_dataset("students")
    m = mx.lmer("extro ~ np.log(open) + Q('class') + (1 | school)", students)
    found = mx.contest(m, "np.log(open) = class[b] - class[a]")
    beta = m.fixef()
    np.testing.assert_allclose(found["estimate"], beta.iloc[-1] - beta.iloc[1], rtol=EQUAL)


def test_where_columns_were_dropped():
    frame = data_of("holed").assign(double=lambda d: 2.0 * (d["phase"] == "b"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RankDeficientWarning)
        m = mx.lmer("Reaction ~ phase * grp + double + (1 | Subject)", frame)
        plain = mx.lmer("Reaction ~ phase * grp + (1 | Subject)", frame)
    found = mx.contest(m, "phase[a]:grp[x] = phase[b]:grp[x]")
    wanted = mx.contest(plain, "phase[a]:grp[x] = phase[b]:grp[x]")
    np.testing.assert_allclose(found, wanted, rtol=1e-6)
    with pytest.raises(InvalidArgumentError, match="'double = 0' is not estimable"):
        mx.contest(m, "double = 0")
    with pytest.raises(InvalidArgumentError, match=r"'phase\[c\] = 0' is not estimable"):
        mx.contest(plain, "phase[c] = 0")


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("phase[q] = 0", {}, r"L='phase\[q\] = 0': .*; did you mean 'phase\[[abc]\]'"),
        ("no = 0", {}, "L='no = 0': unrecognized token in constraint at 'no = 0'"),
        ("phase[a] = ", {}, "expected such as 'a = b'"),
        ("phase[a] * phase[b]", {}, "Can't multiply one variable by another"),
        ("1 = 2", {}, "no variables appear in constraint"),
        ("phase[a] = phase[a]", {}, "no variables appear in constraint"),
        ("phase[a] = 1", {"rhs": 1}, "rhs=1: the text has an equals sign"),
        ("phase[a]", {"rhs": "x"}, "rhs='x': expected a finite number, or 1 of them"),
        ("phase[a]", {"rhs": [1, 2]}, "expected a finite number, or 1 of them"),
        ("phase[a]:phase[b] = 0", {}, "has two levels of one factor"),
        ("phase[T.b] = 1, phase[T.b] = 2", {}, "contradict each other"),
    ],
)
def test_refused(m, text, options, message):
    with pytest.raises(InvalidArgumentError, match=message):
        mx.contest(m, text, **options)


def test_a_right_hand_side_without_an_equals_sign(m):
    a, b = mx.contest(m, "phase[a]", rhs=250.0), mx.contest(m, "phase[a] = 250")
    np.testing.assert_allclose(a, b, rtol=EQUAL)


def test_a_cell_that_can_not_be():
    """Of nested factors."""
    frame = data_of("thinned").assign(
        sub=lambda d: d["grp"].astype(str) + (d["Subject"] % 2).astype(str)
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RankDeficientWarning)
        m = mx.lmer("Reaction ~ grp + sub + (1 | Subject)", frame)
    assert np.isfinite(mx.contest(m, "sub[x0] = sub[y1]")["estimate"].iloc[0])
    with pytest.raises(
        InvalidArgumentError, match=r"the cell 'grp\[y\]:sub\[x0\]' is not in the data"
    ):
        mx.contest(m, "grp[y]:sub[x0] = 0")


def test_a_computed_factor_takes_nothing_away(sleep):
    m = mx.lmer("Reaction ~ C(Days > 4) + (1 | Subject)", sleep)
    name = m.fixef().index[1]
    assert mx.contest(m, f"{name} = 0")["estimate"].iloc[0] == pytest.approx(m.fixef().iloc[1])
    with pytest.raises(InvalidArgumentError, match="L='no = 0': unrecognized token"):
        mx.contest(m, "no = 0")
