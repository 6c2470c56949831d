"""`lmer`: which rows are used, with which weights and offset."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from lmer_models import SLOPES, Table, csv, model_of, quiet, same
from properties.compare import close
from tolerances import LMER_CRITERION

from merextras.exceptions import (
    InvalidArgumentError,
    RankDeficientWarning,
)
from merextras.fit_lmer import lmer


@pytest.fixture(scope="module")
def forms():
    return csv("forms")


@pytest.fixture(scope="module")
def plain(sleep):
    return lmer(SLOPES, sleep)


# --- rows -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("column", ["Reaction", "Days", "Subject"])
def test_rows_that_miss_a_value_are_dropped_and_counted(sleep, column):
    holes = sleep.assign(**{column: sleep[column].astype(float)})
    holes.loc[[3, 77, 150], column] = np.nan
    m = lmer(SLOPES, holes)
    kept = holes.dropna()
    same(m, lmer(SLOPES, kept))
    assert (m.n_dropped, m.nobs()) == (3, 177)
    assert m.fitted().index.equals(kept.index)
    with pytest.raises(InvalidArgumentError, match="missing='raise': 3 of 180 rows miss a value"):
        lmer(SLOPES, holes, missing="raise")


def test_other_columns_may_miss_values(sleep, plain):
    m = lmer(SLOPES, sleep.assign(note=None), missing="raise")
    same(m, plain)
    assert m.n_dropped == 0
    assert list(m.model_frame()) == ["Reaction", "Days", "Subject"]


def test_refits_and_updates_keep_count(sleep):
    m = lmer(SLOPES, sleep.assign(Reaction=sleep["Reaction"].where(sleep.index > 1)))
    assert m.n_dropped == 2
    assert m.refit_ml().n_dropped == 2
    assert m.refit(m.design.y + 1).n_dropped == 2
    assert m.update(". ~ . + I(Days**2)").n_dropped == 2
    assert m.update(data=sleep).n_dropped == 0


@pytest.mark.parametrize(
    "index",
    [[f"row {i}" for i in range(180)], [0, 1, 1] * 60, pd.date_range("2020-01-01", periods=180)],
)
def test_the_users_index_is_kept(sleep, plain, index):
    data = sleep.set_axis(pd.Index(index), axis=0)
    m = lmer(SLOPES, data)
    same(m, plain)
    for rows in (m.fitted(), m.residuals(), m.predict(), m.predict(data), m.weights()):
        assert rows.index.equals(data.index)
    close(m.predict(data), m.fitted(), 1e-12)


def test_the_order_of_rows_does_not_matter(sleep, plain):
    same(lmer(SLOPES, sleep.sample(frac=1, random_state=1)), plain)


def test_other_tables(sleep, plain):
    same(lmer(SLOPES, Table(sleep)), plain)
    same(lmer(SLOPES, {name: list(sleep[name]) for name in sleep}), plain)


def test_integers_that_may_miss_values(sleep, plain):
    data = sleep.astype({"Days": "Int64", "Reaction": "Float64", "Subject": "Int64"})
    same(lmer(SLOPES, data), plain)
    data.loc[5, "Days"] = pd.NA
    assert lmer(SLOPES, data).n_dropped == 1


# --- weights --------------------------------------------------------------------------------------

WEIGHTED = "y ~ x + z + (x | g) + (1 | h)"


def test_weights_by_array_series_and_name(forms):
    by_name = lmer(WEIGHTED, forms, weights="w")
    same(by_name, lmer(WEIGHTED, forms, weights=forms["w"]))
    same(by_name, lmer(WEIGHTED, forms, weights=forms["w"].to_numpy()))
    same(by_name, lmer(WEIGHTED, forms, weights=list(forms["w"])))
    close(by_name.weights(), forms["w"], 0)
    same(by_name, model_of("weights"))


def test_equal_weights_are_none_but_for_the_scale(forms):
    a, b = lmer(WEIGHTED, forms), lmer(WEIGHTED, forms, weights=np.full(len(forms), 4.0))
    close(a.fixef(), b.fixef(), 1e-7)
    close(a.theta * 0.5, b.theta, 1e-6)
    close(2 * a.sigma(), b.sigma(), 1e-7)
    close(a.reml_crit(), b.reml_crit(), LMER_CRITERION)


@pytest.mark.parametrize("name", ["weights", "freq_weights"])
@pytest.mark.parametrize("reml", [True, False])
def test_a_row_of_weight_zero_is_no_observation(forms, name, reml):
    weights = forms["k"].astype(float).where(forms.index % 5 > 0, 0.0)
    used = weights > 0
    m = lmer(WEIGHTED, forms, reml=reml, **{name: weights})
    same(m, lmer(WEIGHTED, forms[used], reml=reml, **{name: weights[used]}))
    assert m.n_dropped == 0
    assert len(m.fitted()) == len(forms)


def test_a_column_that_varies_in_rows_of_weight_zero_only_is_dropped(forms):
    weights = (forms["f"] != "c").astype(float)
    with pytest.warns(RankDeficientWarning, match=r"f\[T.c\]"):
        m = lmer("y ~ f + x + (1 | g)", forms, weights=weights)
    assert m.fixef().index.tolist() == ["Intercept", "f[T.b]", "x"]


def test_a_group_with_rows_of_weight_zero_only_does_not_count(forms):
    weights = (forms["pair"] == "left").astype(float)
    with pytest.raises(InvalidArgumentError, match=r"'pair' of .* has one level"):
        lmer("y ~ x + (1 | pair)", forms, weights=weights)


def test_frequencies_are_repeated_rows(forms):
    formula = "y_x ~ x + f + (x | g)"
    m = lmer(formula, forms, freq_weights="k")
    same(m, lmer(formula, forms.loc[np.repeat(forms.index, forms["k"])]))
    assert m.nobs() == forms["k"].sum()


def test_weights_and_frequencies_together(forms):
    m = lmer(WEIGHTED, forms, weights="w", freq_weights="k")
    same(m, lmer(WEIGHTED, forms.loc[np.repeat(forms.index, forms["k"])], weights="w"))


def test_missing_weights_drop_the_row(forms):
    weights = forms["w"].where(forms.index != 7)
    m = lmer(WEIGHTED, forms, weights=weights)
    assert m.n_dropped == 1
    same(m, lmer(WEIGHTED, forms.drop(index=7), weights="w"))


def test_new_data_for_arguments_by_row(forms):
    m = lmer(WEIGHTED, forms, weights="w")
    half = forms.iloc[::2]
    same(m.update(data=half), lmer(WEIGHTED, half, weights="w"))
    with pytest.raises(InvalidArgumentError, match="weights: 'w' is not a column"):
        m.update(data=half.drop(columns="w"))
    by_array = lmer(WEIGHTED, forms, weights=forms["w"])
    same(by_array.update(), by_array)
    with pytest.raises(
        InvalidArgumentError, match="weights= by array, whose values for other data"
    ):
        by_array.update(data=half)


# --- offset ---------------------------------------------------------------------------------------


def test_an_offset_is_subtracted(sleep):
    rng = np.random.default_rng(1)
    data = sleep.assign(off=rng.normal(0, 30, 180), more=rng.uniform(1, 5, 180))
    less = lmer(
        SLOPES, data.assign(Reaction=sleep["Reaction"] - data["off"] - np.log(data["more"]))
    )
    formula = "Reaction ~ Days + offset(off) + offset(np.log(more)) + (Days | Subject)"
    m = lmer(formula, data)
    same(m, less)
    same(lmer("Reaction ~ Days + offset(np.log(more)) + (Days | Subject)", data, offset="off"), m)
    close(m.fitted(), less.fitted() + data["off"] + np.log(data["more"]), 1e-9)
    close(m.predict(data), m.fitted(), 1e-12)
    close(m.predict(data, re_form="NA"), m.predict(re_form="NA"), 1e-12)
    assert m.fixef().index.tolist() == ["Intercept", "Days"]
    assert m.terms() == ["Days"] or "Days" in m.terms()


def test_an_offset_within_functions_in_functions(forms):
    m = quiet("y ~ x + offset(np.log(np.abs(np.minimum(z, 9)))) + (1 | g)", forms)
    shift = np.log(np.minimum(forms["z"], 9))
    same(m, quiet("y ~ x + (1 | g)", forms.assign(y=forms["y"] - shift)))


def test_a_large_offset_costs_no_digits(sleep, plain):
    big = 1e8 * (1 + np.random.default_rng(1).normal(size=180))
    m = lmer(SLOPES, sleep.assign(Reaction=sleep["Reaction"] + big), offset=big)
    close(m.reml_crit(), plain.reml_crit(), 1e-9)
    close(m.fixef(), plain.fixef(), 1e-7)
    up = m.update(". ~ . + I(Days**2)")
    close(up.fixef(), plain.update(". ~ . + I(Days**2)").fixef(), 1e-7)


def test_new_data_need_the_offset(sleep):
    data = sleep.assign(off=1.0)
    new = sleep.head(3)
    with pytest.raises(InvalidArgumentError, match=r"newdata: needs the column.*'off'"):
        lmer("Reaction ~ Days + offset(2 * off) + (1 | Subject)", data).predict(new)
    by_column = lmer("Reaction ~ Days + (1 | Subject)", data, offset="off")
    close(
        by_column.predict(new.assign(off=5.0)) - by_column.predict(new.assign(off=2.0)), 3.0, 1e-9
    )
    by_array = lmer("Reaction ~ Days + (1 | Subject)", data, offset=np.ones(180))
    close(by_array.predict(), by_column.predict(), 1e-12)
    with pytest.raises(InvalidArgumentError, match="offset= by array, whose values for other data"):
        by_array.predict(new)


def test_a_missing_offset_gives_a_missing_prediction(sleep):
    m = lmer("Reaction ~ Days + offset(np.sqrt(off)) + (1 | Subject)", sleep.assign(off=4.0))
    new = sleep.head(3).assign(off=[4.0, np.nan, 9.0])
    found = m.predict(new)
    assert found.isna().tolist() == [False, True, False]
    close(found.iloc[0], m.predict().iloc[0], 1e-12)


# --- size -----------------------------------------------------------------------------------------


def test_many_groups():
    rng = np.random.default_rng(1)
    codes = rng.integers(0, 50_000, 200_000)
    data = pd.DataFrame({"g": codes, "x": rng.normal(size=200_000)})
    data["y"] = data["x"] + rng.normal(size=50_000)[codes] + rng.normal(size=200_000)
    m = lmer("y ~ x + (1 | g)", data)
    close(m.theta, 1.0, 0.02)
    assert m.opt_summary.n_iterations < 8
