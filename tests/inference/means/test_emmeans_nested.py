"""Nested factors: found, their means and tests against emmeans."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from emmeans_models import EXPECTED, NESTED, data_of, fit, frame_of
from tolerances import DDF, EMMEANS, P_VALUE

import merextras as mx
from merextras.exceptions import InvalidArgumentError, RankDeficientWarning
from merextras.inference.functions.nests import find_nests

MEANS = {
    ("by_data", "sub"): {"specs": "sub"},
    ("by_data", "grp"): {"specs": "grp"},
    ("by_data", "phase"): {"specs": "phase"},
    ("by_data", "cells"): {"specs": ["sub", "phase"]},
    ("by_data", "proportional"): {"specs": "grp", "weights": "proportional"},
    ("interacting", "sub"): {"specs": "sub"},
    ("interacting", "grp"): {"specs": "grp"},
    ("interacting", "phase"): {"specs": "phase"},
    ("by_formula", "phase"): {"specs": "phase"},
    ("by_formula", "grp"): {"specs": "grp"},
}
NUMBERS = {"estimate": EMMEANS, "std_error": EMMEANS, "df": DDF}


def in_order(wanted, found, labels):
    keys = wanted[labels].astype(str).apply("/".join, axis=1)
    return wanted.set_axis(keys).loc[found[labels].astype(str).apply("/".join, axis=1)]


@pytest.mark.parametrize("key", list(MEANS), ids="-".join)
def test_means_as_emmeans(key):
    found = mx.emmeans(fit(key[0]), **MEANS[key]).to_frame()
    wanted = frame_of(EXPECTED["nests"], *key)
    assert len(found) == len(wanted)
    labels = [c for c in ("sub", "grp", "phase") if c in wanted]
    assert labels == [c for c in ("sub", "grp", "phase") if c in found]
    wanted = in_order(wanted, found, labels)
    for column, tolerance in NUMBERS.items():
        np.testing.assert_allclose(found[column], wanted[column], rtol=tolerance, err_msg=column)


@pytest.mark.parametrize(
    ("name", "key", "specs", "by"),
    [
        ("by_data", "pairs", "sub", "grp"),
        ("by_data", "all_pairs", "sub", None),
        ("by_formula", "pairs", "phase", "grp"),
    ],
)
def test_pairs_as_emmeans(name, key, specs, by):
    means = mx.emmeans(fit(name), specs)
    found = means.contrasts("pairwise", by=by, adjust="none").to_frame()
    wanted = frame_of(EXPECTED["nests"][name], key)
    for each in (found, wanted):  # the rows of emmeans are in another order, and so its pairs
        sides = each["contrast"].str.split(" - ")
        each["contrast"] = [" - ".join(sorted(s)) for s in sides]
        turned = np.array([s != sorted(s) for s in sides])
        each.loc[turned, ["estimate", "statistic"]] *= -1.0
    wanted = in_order(wanted, found, ["contrast", *([by] if by else [])])
    for column, tolerance in {**NUMBERS, "statistic": EMMEANS}.items():
        np.testing.assert_allclose(found[column], wanted[column], rtol=50 * tolerance)
    np.testing.assert_allclose(found["p_value"], wanted["p_value"], rtol=P_VALUE)
    assert mx.emmeans(fit(name), specs, by).contrasts(adjust="none").to_frame().shape == found.shape


@pytest.mark.parametrize("name", list(NESTED))
def test_joint_tests_as_emmeans(name):
    found = mx.joint_tests(fit(name), ddf="asymptotic").set_index("term")
    wanted = EXPECTED["nests"][name]["joint"]
    # Of by_data emmeans has a term for the factor itself, ours is named with what it is in.
    ours = {frozenset(term.split(":")): i for i, term in enumerate(found.index)}
    for term, df1, f in zip(wanted["term"], wanted["df1"], wanted["F"], strict=True):
        names = frozenset(term.split(":"))
        at = ours.get(names, ours.get(names | {"grp"}))
        assert at is not None, term
        assert found["num_df"].iloc[at] == df1, term
        assert found["statistic"].iloc[at] == pytest.approx(f, rel=1e-3), term
    assert len(found) == len(wanted["term"])


def test_nothing_is_missing_any_more():
    """All were NaN: means over cells that can't be."""
    m = fit("interacting")
    for specs in ("sub", "grp", "phase", ["sub", "phase"], ()):
        found = mx.emmeans(m, specs)
        assert found.to_frame()["estimate"].notna().all()
        assert "Nested: sub in grp." in found.notes
    flat = mx.emmeans(m, "grp", nesting={}).to_frame()
    assert flat["estimate"].isna().all()
    assert mx.emmeans(m, "sub", nesting={}).to_frame().shape[0] == 7


def test_means_by_hand():
    """Of a factor with another nested in it: the plain mean over the levels that it has."""
    m = fit("by_data")
    cells = mx.emmeans(m, ["sub", "phase"]).to_frame()
    by_group = cells.groupby("grp", observed=True)["estimate"].mean()
    found = mx.emmeans(m, "grp").to_frame().set_index("grp")["estimate"]
    np.testing.assert_allclose(found, by_group[found.index], rtol=1e-12)
    by_sub = cells.groupby(["phase", "grp"])["estimate"].mean().groupby("phase").mean()
    found = mx.emmeans(m, "phase").to_frame().set_index("phase")["estimate"]
    np.testing.assert_allclose(found, by_sub[found.index], rtol=1e-12)


def test_contrasts_stay_within_what_a_factor_is_in():
    m = fit("by_data")
    found = mx.emmeans(m, "sub", by="phase").contrasts(by=["grp"]).to_frame()
    assert set(found.columns) >= {"contrast", "grp"}
    within = mx.emmeans(m, ["phase", "sub"]).contrasts(by="sub").to_frame()
    assert list(within.columns[:3]) == ["contrast", "sub", "grp"]


def test_a_model_from_chunks_gives_the_same():
    frame = data_of("thinned")
    halves = [frame.iloc[:70], frame.iloc[70:]]
    with pytest.warns(RankDeficientWarning):
        streamed = mx.lmer(NESTED["by_data"], lambda: iter(halves))
    for specs in ("sub", "grp", "phase"):
        a = mx.emmeans(streamed, specs, ddf="asymptotic").to_frame()
        b = mx.emmeans(fit("by_data"), specs, ddf="asymptotic").to_frame()
        pd.testing.assert_frame_equal(a, b, rtol=1e-6, check_dtype=False)


def test_what_is_nested():
    cells = pd.DataFrame({"a": list("ppqq"), "b": list("wxyz"), "c": list("ijij")})
    a, b, c = ([frozenset(t)] for t in ("a", "b", "c"))
    assert find_nests(cells, a + b + c) == {"b": ("a", "c")}
    crossed = pd.DataFrame(
        [(i, j, k) for i in "pq" for j in "wx" for k in "ij"], columns=list("abc")
    )
    ab, abc = [frozenset("ab")], [frozenset("abc")]
    assert find_nests(crossed, a + b + ab) == {}
    assert find_nests(crossed, a + ab) == {"b": ("a",)}
    assert find_nests(crossed, a + ab + abc) == {"b": ("a",), "c": ("a", "b")}
    assert find_nests(crossed, ab) == {}
    twins = pd.DataFrame({"a": list("pq"), "b": list("wx")})
    assert find_nests(twins, a + b) == {"a": ("b",)}


@pytest.mark.parametrize(
    ("nesting", "message"),
    [
        ("sub", "nesting='sub': expected a mapping such as"),
        ({"no": "grp"}, "nesting: 'no' is no factor of the fixed part; allowed: "),
        ({"sub": "sub"}, "nesting: 'sub' is nested in itself"),
    ],
)
def test_refused(nesting, message):
    with pytest.raises(InvalidArgumentError, match=message):
        mx.emmeans(fit("by_data"), "grp", nesting=nesting)
