"""Tests by term where rows are weighted: a weight of zero is no row, a frequency is so many."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from tolerances import INVARIANCE

import merextras as mx

FORMULA = "y ~ a * b + x + (1 | g)"
# Beside rounding of the two fits' cross-products there is that of their optimum.
SAME_FIT = 1e4 * INVARIANCE


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(8)
    n = 240
    frame = pd.DataFrame(
        {
            "g": rng.integers(0, 12, n),
            "a": rng.choice(list("pqr"), n, p=[0.5, 0.3, 0.2]),
            "b": rng.choice(["no", "yes"], n, p=[0.7, 0.3]),
            "x": rng.gamma(2.0, 1.0, n),
        }
    )
    effect = rng.normal(size=12)[frame["g"]] + 0.5 * (frame["a"] == "q") + 0.3 * frame["x"]
    return frame.assign(y=effect + rng.normal(size=n), k=rng.integers(0, 4, n))


def tables(m):
    return {
        **{kind: m.anova(ddf="satterthwaite", type=kind) for kind in (1, 2, 3)},
        "lme4": m.anova(),
        "drop1": m.drop1(),
        "drop1 f": m.drop1(test="f"),
        "ranova": mx.ranova(m),
    }


def assert_same(found, wanted):
    for name, table in tables(wanted).items():
        pd.testing.assert_frame_equal(tables(found)[name], table, rtol=SAME_FIT, atol=1e-9)


def test_frequencies_are_rows(rows):
    again = rows.loc[rows.index.repeat(rows["k"])].reset_index(drop=True)
    assert_same(mx.lmer(FORMULA, rows, freq_weights="k"), mx.lmer(FORMULA, again))


def test_frequencies_are_rows_in_chunks(rows):
    whole = mx.lmer(FORMULA, rows, freq_weights="k")
    parts = mx.lmer(FORMULA, rows, freq_weights="k", chunk_size=50)
    for kind in (1, 2, 3):
        found = parts.anova(ddf="satterthwaite", type=kind)
        wanted = whole.anova(ddf="satterthwaite", type=kind)
        pd.testing.assert_frame_equal(found, wanted, rtol=SAME_FIT)


@pytest.mark.parametrize("engine", ["patsy", "formulaic"])
@pytest.mark.parametrize("name", ["weights", "freq_weights"])
def test_cell_whose_rows_have_weight_zero_is_empty(rows, name, engine):
    """Its interaction is dropped, and no table may take the cell for one that was seen."""
    weight = np.where((rows["a"] == "r") & (rows["b"] == "yes"), 0, 1)
    control = mx.LmerControl(formula_engine=engine)
    with pytest.warns(mx.exceptions.RankDeficientWarning):
        found = mx.lmer(FORMULA, rows, control=control, **{name: weight})
    with pytest.warns(mx.exceptions.RankDeficientWarning):
        wanted = mx.lmer(FORMULA, rows[weight > 0], control=control)
    assert_same(found, wanted)


def test_nested_factors_are_tested_as_crossed_ones(rows):
    """The means are the same; lmerTest tests a where b is "no" instead, the contrast below."""
    nested = mx.lmer("y ~ a / b + x + (1 | g)", rows)
    found = nested.anova(ddf="kenward-roger", type=3)
    wanted = mx.lmer(FORMULA, rows).anova(ddf="kenward-roger", type=3)
    np.testing.assert_allclose(found.loc["a"], wanted.loc["a"], rtol=SAME_FIT)
    at_no = pd.DataFrame({"a[T.q]": [1, 0], "a[T.r]": [0, 1]})
    theirs = mx.contest(nested, at_no, ddf="kenward-roger")
    assert abs(theirs["statistic"].iloc[0] / found.loc["a", "statistic"] - 1.0) > 0.05


def test_normality_of_residuals_by_frequency(rows):
    again = rows.loc[rows.index.repeat(rows["k"])].reset_index(drop=True)
    found = mx.check_normality(mx.lmer(FORMULA, rows, freq_weights="k"), what="residuals")
    wanted = mx.check_normality(mx.lmer(FORMULA, again), what="residuals")
    names = ["n", "statistic", "p_value", "skewness", "kurtosis"]
    np.testing.assert_allclose(found.table[names], wanted.table[names], rtol=SAME_FIT)


def test_too_many_observations_for_a_test_of_normality(rows):
    m = mx.lmer(FORMULA, rows.assign(k=10**6 * rows["k"]), freq_weights="k")
    row = mx.check_normality(m, what="residuals").table.iloc[0]
    assert np.isnan(row["p_value"])
    assert row["note"] == "frequency weights stand for more than 10000000 observations"
