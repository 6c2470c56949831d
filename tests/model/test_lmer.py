"""`lmer`: its arguments, which rows are used, and what it says of bad input."""

from __future__ import annotations

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from lmer_models import csv, model_of, quiet
from properties.compare import close
from tolerances import LMER_CRITERION, SAME_ROWS

from merextras.exceptions import (
    ConvergenceWarning,
    InvalidArgumentError,
    RankDeficientWarning,
    SingularFitWarning,
    UnsupportedModelError,
)
from merextras.mermod import MerMod, lmer
from merextras.model.control import LmerControl

SLOPES = "Reaction ~ Days + (Days | Subject)"
FORMULAIC = LmerControl(formula_engine="formulaic")


def same(a, b, tolerance=SAME_ROWS):
    """The same estimates, whatever the rows are called."""
    close(a.reml_crit(), b.reml_crit(), LMER_CRITERION)
    close(a.theta, b.theta, tolerance)
    close(a.fixef(), b.fixef(), tolerance)
    close(a.vcov(), b.vcov(), tolerance)
    close(a.sigma(), b.sigma(), tolerance)
    assert a.nobs() == b.nobs()


@pytest.fixture(scope="module")
def forms():
    return csv("forms")


@pytest.fixture(scope="module")
def plain(sleep):
    return lmer(SLOPES, sleep)


# --- rows ----------------------------------------------------------------------------------------


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


class Table:
    """A table of another library."""

    def __init__(self, frame):
        self._frame = frame

    def to_pandas(self):
        return self._frame


def test_other_tables(sleep, plain):
    same(lmer(SLOPES, Table(sleep)), plain)
    same(lmer(SLOPES, {name: list(sleep[name]) for name in sleep}), plain)


def test_integers_that_may_miss_values(sleep, plain):
    data = sleep.astype({"Days": "Int64", "Reaction": "Float64", "Subject": "Int64"})
    same(lmer(SLOPES, data), plain)
    data.loc[5, "Days"] = pd.NA
    assert lmer(SLOPES, data).n_dropped == 1


# --- weights -------------------------------------------------------------------------------------

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
    with pytest.raises(InvalidArgumentError, match="'pair' of .* has one level"):
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


# --- offset --------------------------------------------------------------------------------------


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
    with pytest.raises(InvalidArgumentError, match="newdata: needs the column.*'off'"):
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


# --- the formula's words -------------------------------------------------------------------------


def test_contrasts(forms):
    formula = "y ~ x + f * e + (1 | g)"
    m = lmer(formula, forms, contrasts={"f": "Sum", "e": "Sum"})
    assert {"f[S.a]", "e[S.u]", "f[S.a]:e[S.u]"} <= set(m.fixef().index)
    close(m.fitted(), lmer(formula, forms).fitted(), 1e-6)
    other = lmer(formula, forms, contrasts={"f": "Treatment('b')"})
    assert {"f[T.a]", "f[T.c]"} <= set(other.fixef().index)
    close(m.predict(forms.head(9)), m.fitted().head(9), 1e-12)


def test_contrasts_stay_in_updates(forms):
    m = lmer("y ~ x + f + (1 | g)", forms, contrasts={"f": "Sum", "e": "Sum"})
    for up in (
        m.update(". ~ . + z", data=forms),
        m.update(data=forms),
        m.refit_ml(),
        m.refit(forms["y"]),
    ):
        assert {"f[S.a]", "f[S.b]"} <= set(up.fixef().index)
    assert m.update(". ~ . - f").fixef().index.tolist() == ["Intercept", "x"]
    back = m.update(". ~ . - f").update(". ~ . + e", data=forms)
    assert "e[T.v]" in back.fixef().index  # e was not in the model: nothing is known of it


@pytest.mark.parametrize(
    ("formula", "name"),
    [
        ("y ~ `f` + (1 | g)", "f[S.a]"),
        ("y ~ Q('f') + (1 | g)", "f[S.a]"),
        ("y ~ (f + x) + (1 | g)", "f[S.a]"),
        ("y ~ C(f) + (1 | g)", "C(f)[T.b]"),
        ("y ~ np.where(f == 'a', x, z) + (1 | g)", "np.where(f == 'a', x, z)"),
    ],
)
def test_contrasts_are_of_a_variable_by_itself(forms, formula, name):
    assert name in lmer(formula, forms, contrasts={"f": "Sum"}).fixef()


def test_contrasts_of_a_column_with_an_odd_name(forms):
    data = forms.rename(columns={"f": "an f", "e": "class"})
    how = {"an f": "Sum", "class": "Sum"}
    m = lmer("y ~ `an f` * class + (1 | g)", data, contrasts=how)
    assert {"an f[S.a]", "class[S.u]", "an f[S.a]:class[S.u]"} <= set(m.fixef().index)


def test_contrasts_left_of_a_bar(forms):
    m = lmer("y_f ~ f + (f | g)", forms, contrasts={"f": "Sum"})
    assert m.design.terms[0].names == ("Intercept", "f[S.a]", "f[S.b]")
    close(m.predict(forms, re_form="~ (f | g)"), m.fitted(), 1e-12)


@pytest.mark.parametrize("control", [None, FORMULAIC])
def test_odd_names(sleep, plain, control):
    data = sleep.rename(columns={"Days": "days of it", "Subject": "class", "Reaction": "for"})
    m = lmer("for ~ `days of it` + (`days of it` | class)", data, control=control)
    same(m, plain)
    assert m.fixef().index.tolist() == ["Intercept", "days of it"]
    assert m.design.terms[0].names == ("Intercept", "days of it")
    assert m.design.response == "for"
    close(m.predict(data), m.fitted(), 1e-12)
    data["in"] = np.tile(list("ab"), 90)
    both = quiet("for ~ `days of it`:in + (in | `class`)", data, control=control)
    assert both.design.terms[0].names == ("Intercept", "in[T.b]")
    assert "days of it:in[b]" in both.fixef().index or "in[b]:days of it" in both.fixef().index


def test_independent_effects_of_a_category(forms):
    m = lmer("y_f ~ f + x + (f || g)", forms)
    assert [t.names for t in m.design.terms] == [("Intercept",), ("f[T.b]",), ("f[T.c]",)]
    same(m, model_of("category_double_bar"))
    dummies = forms.assign(b=(forms["f"] == "b") * 1.0, c=(forms["f"] == "c") * 1.0)
    same(m, lmer("y_f ~ f + x + (1 | g) + (0 + b | g) + (0 + c | g)", dummies))


def test_terms_in_parentheses(forms):
    m = lmer("y ~ (x + ((x | g) + (1 | h)) + z)", forms)
    same(m, lmer("y ~ x + z + (x | g) + (1 | h)", forms))


def test_nested_factors_are_named_as_lme4_does(forms):
    m = quiet("y ~ x + (1 | h/pair)", forms)
    assert m.design.factors == ["pair:h", "h"]
    assert m.ranef()["pair:h"].index[:2].tolist() == ["left:A", "left:B"]


ENGINE_FORMULAS = [
    "y ~ x + z + (x | g)",
    "y ~ f + x + (1 | g)",
    "y ~ f * e + (1 | g)",
    "y ~ 0 + f + x + (1 | g)",
    "y_f ~ f + (f | g)",
    "y_f ~ f + (0 + f | g)",
    "y_x ~ x + I(x**2) + (np.log(x) | g)",
    "np.exp(y / 10) ~ x + center(z) + (1 | g)",
    "y ~ C(k) + x:e + offset(off) + (1 | g)",
]


@pytest.mark.parametrize("formula", ENGINE_FORMULAS)
def test_formulaic_is_patsy(forms, formula):
    a, b = quiet(formula, forms), quiet(formula, forms, control=FORMULAIC)
    close(a.reml_crit(), b.reml_crit(), LMER_CRITERION)
    close(a.fitted(), b.fitted(), 1e-6)
    close(b.predict(forms.head(20)), b.fitted().head(20), 1e-10)
    assert len(a.fixef()) == len(b.fixef())
    if "center" not in formula:
        assert set(a.fixef().index) == set(b.fixef().index)
        close(a.fixef(), b.fixef()[a.fixef().index], 1e-6)


def test_formulaics_contrasts(forms):
    a, b = (
        lmer("y ~ f + x + (1 | g)", forms, contrasts={"f": "Sum"}, control=control)
        for control in (None, FORMULAIC)
    )
    assert a.fixef().index.tolist() == b.fixef().index.tolist()
    same(a, b)


# --- the caller's names --------------------------------------------------------------------------


def doubled(values):
    return 2 * values


def test_functions_of_the_callers_module(forms):
    m = lmer("y ~ doubled(x) + (1 | g)", forms)
    close(m.fixef()["doubled(x)"], 0.5 * lmer("y ~ x + (1 | g)", forms).fixef()["x"], 1e-7)


@pytest.mark.parametrize("control", [None, FORMULAIC])
def test_names_in_a_functions_scope(forms, control):
    shift = 3.0

    def tripled(values):
        return 3 * values

    m = lmer("y_x ~ tripled(x - shift) + (tripled(x) | g)", forms, control=control)
    shift = 1e9  # the fit does not look again
    close(m.predict(forms), m.fitted(), 1e-12)
    up = _somewhere_else(m)
    assert "z" in up.fixef()
    close(up.predict(forms), up.fitted(), 1e-12)
    moved = lmer("y_x ~ tripled(x) + (tripled(x) | g)", forms)
    close(m.fitted(), moved.fitted(), 1e-6)


def _somewhere_else(m):
    """`tripled` and `shift` are not to be seen from here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SingularFitWarning)
        return m.update(". ~ . + z", data=csv("forms")).refit_ml()


def test_an_update_sees_its_callers_names(forms):
    m = lmer("y ~ x + (1 | g)", forms)

    def halved(values):
        return values / 2

    assert "halved(z)" in m.update(". ~ . + halved(z)", data=forms).fixef()


def test_an_update_with_an_offset_of_the_callers(forms):
    def tenth(values):
        return values / 10

    m = lmer("y ~ x + offset(tenth(off)) + (1 | g)", forms, offset="z")
    up = m.update(". ~ . + I(x**2)")
    close(up.design.offset, forms["off"] / 10 + forms["z"], 1e-12)
    close(up.update(". ~ . + e", data=forms).design.offset, forms["off"] / 10 + forms["z"], 1e-12)


def test_a_scope_holds_what_the_formula_uses(forms):
    ballast = np.zeros(10)
    factor = 2.0
    m = lmer("y ~ I(factor * x) + (1 | g)", forms)
    assert set(m.design.options.scope._names) == {"np", "factor"}
    assert len(ballast) == 10


def test_the_callers_c_and_q_do_not_matter(forms):
    C, Q, I = 1.0, 2.0, 3.0  # noqa: E741
    m = lmer("y ~ I(x**2) + `f` + (1 | g)", forms, contrasts={"f": "Sum"})
    assert m.fixef().index.tolist() == ["Intercept", "f[S.a]", "f[S.b]", "I(x ** 2)"]
    assert C + Q + I == 6.0


# --- control -------------------------------------------------------------------------------------


def test_a_given_start(sleep, plain):
    m = lmer(SLOPES, sleep, control=LmerControl(start=plain.theta))
    assert m.opt_summary.initial == tuple(plain.theta)
    assert m.opt_summary.n_iterations <= 2
    same(m, plain)
    same(lmer(SLOPES, sleep, control=LmerControl(start=(5.0, -3.0, 0.001))), plain)
    same(lmer(SLOPES, sleep, control=LmerControl(start=[0, 0, 0])), plain)
    assert "z" not in m.update("Reaction ~ Days + (1 | Subject)").fixef()  # another length


def test_an_unfinished_fit_warns(sleep):
    control = LmerControl(max_iterations=1)
    with pytest.warns(ConvergenceWarning, match="not converged: the deviance could still fall"):
        m = lmer(SLOPES, sleep, control=control)
    assert not m.opt_summary.converged
    with pytest.warns(ConvergenceWarning):
        m.update(". ~ . + I(Days**2)")


def test_a_looser_tolerance_stops_earlier(sleep, plain):
    loose = lmer(SLOPES, sleep, control=LmerControl(tolerance=1e-2))
    assert loose.opt_summary.n_iterations < plain.opt_summary.n_iterations
    close(loose.theta, plain.theta, 0.1)


def test_checks_can_be_left_out(forms):
    formula = "y ~ x + (1 | g) + (x | g)"
    with pytest.raises(InvalidArgumentError, match="the effect 'Intercept' of 'g' is in two terms"):
        lmer(formula, forms)
    with pytest.warns():
        m = lmer(formula, forms, control=LmerControl(check=False))
        m.update(". ~ . + z", data=forms)
    close(m.reml_crit(), quiet("y ~ x + (x | g)", forms).reml_crit(), 1e-9)


def test_rank_deficient_designs(forms):
    data = forms.assign(x2=2 * forms["x"])
    with pytest.warns(RankDeficientWarning, match=r"dropped 1 column\(s\): x2") as caught:
        m = lmer("y ~ x + x2 + (1 | g)", data)
    assert caught[0].filename == __file__
    same(m, lmer("y ~ x + (1 | g)", forms))
    assert m.fixef(add_dropped=True).isna().to_dict() == {
        "Intercept": False,
        "x": False,
        "x2": True,
    }
    close(m.predict(data), m.fitted(), 1e-12)
    strict = LmerControl(rank_deficient="raise")
    with pytest.raises(InvalidArgumentError, match=r"column\(s\) \['x2'\] are determined by"):
        lmer("y ~ x + x2 + (1 | g)", data, control=strict)
    with pytest.raises(InvalidArgumentError, match=r"\['x2'\]"):
        lmer("y ~ x + (1 | g)", data, control=strict).update(". ~ . + x2", data=data)


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"start": (1.0,)}, r"control.start=\(1.0,\): expected 3 finite number"),
        ({"start": (1.0, np.nan, 1.0)}, "control.start"),
        ({"start": "abc"}, "control.start='abc'"),
    ],
)
def test_bad_starts(sleep, keywords, message):
    with pytest.raises(InvalidArgumentError, match=message):
        lmer(SLOPES, sleep, control=LmerControl(**keywords))


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"rank_deficient": "keep"}, "rank_deficient='keep': allowed: 'drop', 'raise'"),
        ({"formula_engine": "r"}, "formula_engine='r': allowed: 'patsy', 'formulaic'"),
        ({"max_iterations": 0}, "max_iterations=0: must be a positive whole number"),
        ({"tolerance": -1.0}, "tolerance=-1.0: a number between 0 and 1"),
        ({"tolerance": "small"}, "tolerance='small'"),
    ],
)
def test_bad_controls(keywords, message):
    with pytest.raises(InvalidArgumentError, match=message):
        LmerControl(**keywords)


# --- warnings, calls, pickles --------------------------------------------------------------------


def test_singular_fits_warn_wherever_they_are_made(forms):
    with pytest.warns(SingularFitWarning, match="singular fit") as caught:
        m = lmer("y_null ~ x + (1 | g) + (1 | h)", forms)
    regular = lmer("y ~ x + (1 | g)", forms)
    with pytest.warns(SingularFitWarning) as more:
        m.refit_ml()
        m.refit(forms["y_null"] + 1)
        m.update(". ~ . + z", data=forms)
        regular.update("y_null ~ x + (1 | g) + (1 | h)", data=forms)
    files = [w.filename for w in [*caught, *more]]
    assert files == [__file__] * 5


@pytest.mark.parametrize(
    ("keywords", "text"),
    [
        ({}, 'lmer("y ~ x + (1 | g)", data)'),
        ({"reml": False}, 'lmer("y ~ x + (1 | g)", data, reml=False)'),
        ({"weights": "w"}, 'lmer("y ~ x + (1 | g)", data, weights="w")'),
        ({"freq_weights": "k", "offset": np.ones(360)}, ', data, freq_weights="k", offset=offset)'),
        ({"contrasts": {"e": "Sum"}}, 'lmer("y ~ x + (1 | g)", data)'),
    ],
)
def test_the_call(forms, keywords, text):
    m = lmer("y ~ x + (1 | g)", forms, **keywords)
    assert m.call().endswith(text)
    assert m.get_me("call") == m.call()


def test_the_call_has_contrasts_that_are_used(forms):
    m = lmer("y ~ e + (1 | g)", forms, contrasts={"e": "Sum"}, reml=False)
    assert m.call() == """lmer("y ~ e + (1 | g)", data, reml=False, contrasts={'e': 'Sum'})"""
    assert m.update(". ~ . + x", data=forms, reml=True).call().startswith('lmer("y ~ e + x')


def test_a_pickled_model_is_the_model(forms):
    formula = "y ~ f + np.log(x) + offset(z) + (x | g) + (1 | h)"
    m = quiet(formula, forms, weights="w", contrasts={"f": "Sum"})
    again = pickle.loads(pickle.dumps(m))
    assert isinstance(again, MerMod)
    assert repr(again) == repr(m)
    close(again.predict(forms), m.predict(forms), 1e-14)
    up, there = again.update(". ~ . + e", data=forms), m.update(". ~ . + e", data=forms)
    assert up.fixef().index.tolist() == there.fixef().index.tolist()
    close(up.fixef(), there.fixef(), 1e-9)


def test_a_pickle_leaves_the_callers_names(forms):
    def local(values):
        return values + 1

    m = lmer("y ~ local(x) + (1 | g)", forms)
    again = pickle.loads(pickle.dumps(m))
    close(again.fitted(), m.fitted(), 0)
    close(again.refit_ml().fixef(), m.refit_ml().fixef(), 1e-9)
    with pytest.raises(UnsupportedModelError, match="can't be evaluated again after unpickling"):
        again.predict(forms.head())


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


# --- bad input -----------------------------------------------------------------------------------

MARKED = [
    ("y ~ x + (1 | g", "'(' is never closed", "(1 | g"),
    ("y ~ x) + (1 | g)", "')' closes nothing", ") + (1"),
    ("y ~ [x) + (1 | g)", "')' closes nothing", ") + (1"),
    ("y ~ x + (1 | g) + `a", "this quote is never closed", "`a"),
    ("y ~ x + (1 | )", "a grouping factor is missing here", " )"),
    ("y ~ x + (1 | g/)", "a grouping factor is missing here", ")"),
    ("y ~ x + ( | g)", "nothing stands left of the bar", "| g)"),
    ("y ~ x + 1 | g", "a bar must stand in parentheses", "| g"),
    ("y ~ x (1 | g)", "a random-effects term must be added, by '+'", "(1"),
    ("y ~ x * (z + (1 | g))", "a random-effects term must be added, by '+'", "(1"),
    ("y ~ x - (1 | g)", "a random-effects term can't be subtracted", "(1"),
    ("y ~ x + (1 | g) +", "nothing stands after this", "+"),
    ("y ~ x + (1 | g | h)", "more than one bar in a term", "| h)"),
    ("y ~ x ~ (1 | g)", "a second '~'", "~ (1"),
]


@pytest.mark.parametrize(("formula", "what", "place"), MARKED)
def test_a_formula_that_cannot_be_read_is_marked(forms, formula, what, place):
    with pytest.raises(InvalidArgumentError) as caught:
        lmer(formula, forms)
    first, text, mark = str(caught.value).split("\n")
    assert first.startswith("formula: ")
    assert what in first
    assert text.strip() == formula
    assert text[mark.index("^") :].startswith(place)


def test_the_mark_is_under_the_place_in_a_formula_of_several_lines(forms):
    with pytest.raises(InvalidArgumentError) as caught:
        lmer("y ~ x +\n\t(1 | g", forms)
    _, text, mark = str(caught.value).split("\n")
    assert text[mark.index("^") :] == "(1 | g"


@pytest.mark.parametrize(
    ("formula", "message"),
    [
        ("x + (1 | g)", "there is no response left of a '~'"),
        ("y ~ x", "there is no random-effects term such as"),
        ("y ~ xx + (1 | g)", r"'xx' is not a column of the data; did you mean 'x'\?"),
        ("y ~ x + (xx | g)", r"'xx' is not a column of the data; did you mean 'x'\?"),
        ("y ~ np.log(Off) + (1 | g)", r"'Off' is not a column of the data; did you mean 'off'\?"),
        ("y ~ `my x` + (1 | g)", "'my x' is not a column of the data; its columns: 'y', 'y_f'"),
        ("y ~ x + offset(Off) + (1 | g)", r"'Off' is not a column .* did you mean 'off'\?"),
        ("Y ~ x + (1 | g)", "'Y' is not a column of the data"),
        ("y ~ x + (1 | G)", "grouping factor 'G' is not a column of the data"),
        ("y ~ x + (1 | pairs)", r"'pairs' is not a column of the data; did you mean 'pair'\?"),
        ("y ~ unheard(x) + (1 | g)", "'unheard' is not defined where the formula is written"),
        ("y ~ unheard.of(x) + (1 | g)", "'unheard' is not defined where the formula is written"),
        ("y ~ x + * z + (1 | g)", "formula: "),
        ("y ~ x + (0 | g)", "has no effects"),
        ("y ~ x - offset(z) + (1 | g)", r"an offset is added; .* write offset\(-\(z\)\)"),
        ("y ~ x + offset(f) + (1 | g)", "'f' must be one numeric column"),
        ("y ~ x + offset(np.where(x > 1, x, np.inf)) + (1 | g)", "infinite or undefined values in"),
        ("f ~ x + (1 | g)", "response 'f' must be numeric"),
        ("y ~ x + (1 | one)", r"'one' of \(1 \| one\) has one level \('1'\)"),
        ("y ~ x + (1 | row)", r"'row' of \(1 \| row\) has 360 levels for 360 observations"),
        ("y ~ x + infinite + (1 | g)", r"infinite or undefined values in \['infinite'\]"),
        ("y ~ x + (infinite | g)", r"infinite or undefined values in \['infinite'\]"),
        ("infinite ~ x + (1 | g)", r"response: infinite or undefined values in \['infinite'\]"),
        ("none ~ x + (1 | g)", r"no row has a value for all variables .*\['none'\] have none"),
        ("one ~ x + (1 | g)", "response: all values are 1; there is no variation to explain"),
    ],
)
@pytest.mark.parametrize("control", [None, FORMULAIC])
def test_bad_formulas(forms, formula, message, control):
    infinite = forms["x"].where(forms.index != 4, np.inf)
    data = forms.assign(one=1, row=range(360), infinite=infinite, none=np.nan)
    with pytest.raises(InvalidArgumentError, match=message):
        lmer(formula, data, control=control)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (lambda d: d.iloc[:0], "data: the frame has no rows"),
        (lambda d: pd.concat([d, d[["x"]]], axis=1), r"column names must be unique; .*\['x'\]"),
        (lambda d: d.to_numpy().tolist(), "data: expected a pandas or polars DataFrame, got list"),
        (lambda d: None, "got NoneType"),
        (lambda d: Table(5), "data: Table did not convert to a DataFrame"),
        (lambda d: {"y": [1, 2], "x": [1], "g": [1]}, "data: the mapping makes no DataFrame"),
        (lambda d: d.iloc[:2], "too few for 2 fixed effects|levels for 2 observations"),
    ],
)
def test_bad_data(forms, data, message):
    with pytest.raises(InvalidArgumentError, match=message):
        lmer("y ~ x + (1 | g)", data(forms))


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"weights": "W"}, "weights: 'W' is not a column of the data; did you mean 'w'"),
        ({"weights": [1.0, 2.0]}, r"weights: expected 360 values, .* got shape \(2,\)"),
        ({"weights": np.ones((360, 1))}, r"got shape \(360, 1\)"),
        ({"weights": np.full(360, -1.0)}, "weights: the values must be finite and not negative"),
        ({"weights": np.full(360, np.inf)}, "weights: the values must be finite and not negative"),
        ({"weights": np.zeros(360)}, "weights: no row has a positive weight"),
        ({"weights": "f"}, "weights: the values must be numeric"),
        ({"weights": pd.Series(1.0, range(1, 361))}, "weights: the Series has another index"),
        ({"freq_weights": np.full(360, 0.5)}, "freq_weights: counts .* must be whole numbers"),
        ({"freq_weights": np.full(360, -1)}, "freq_weights: the values must be finite and not"),
        ({"offset": np.full(360, np.inf)}, "offset: the values must be finite"),
        ({"offset": [1.0]}, "offset: expected 360 values"),
        ({"missing": "omit"}, "missing='omit': allowed: 'drop', 'raise'"),
        ({"control": {}}, "control={}: expected an LmerControl"),
        ({"reml": "ML"}, "reml='ML': True"),
        ({"contrasts": ["f"]}, "contrasts=.*expected a mapping"),
        (
            {"contrasts": {"F": "Sum"}},
            "contrasts: 'F' is not a column of the data; did you mean 'f'",
        ),
        ({"contrasts": {"f": "Sume"}}, "there are no contrasts 'Sume'; there are Treatment, Sum"),
    ],
)
def test_bad_arguments(forms, keywords, message):
    with pytest.raises(InvalidArgumentError, match=message):
        lmer("y ~ x + f + (1 | g)", forms, **keywords)


def test_a_formula_is_a_string(forms):
    with pytest.raises(InvalidArgumentError, match="expected a formula as a string, got int"):
        lmer(5, forms)


def test_one_level_is_refused_in_updates_too(forms):
    m = lmer("y ~ x + (1 | g)", forms)
    with pytest.raises(InvalidArgumentError, match="'g' of .* has one level"):
        m.update(data=forms[forms["g"] == "g05"])


# --- size ----------------------------------------------------------------------------------------


def test_many_groups():
    rng = np.random.default_rng(1)
    codes = rng.integers(0, 50_000, 200_000)
    data = pd.DataFrame({"g": codes, "x": rng.normal(size=200_000)})
    data["y"] = data["x"] + rng.normal(size=50_000)[codes] + rng.normal(size=200_000)
    m = lmer("y ~ x + (1 | g)", data)
    close(m.theta, 1.0, 0.02)
    assert m.opt_summary.n_iterations < 8
