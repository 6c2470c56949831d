"""`lmer`: what its formula may say, and the names that it sees."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from lmer_models import FORMULAIC, SLOPES, csv, model_of, quiet, same
from properties.compare import close
from tolerances import LMER_CRITERION

from merextras.exceptions import (
    SingularFitWarning,
)
from merextras.fit_lmer import lmer


@pytest.fixture(scope="module")
def forms():
    return csv("forms")


@pytest.fixture(scope="module")
def plain(sleep):
    return lmer(SLOPES, sleep)


# --- the formula's words --------------------------------------------------------------------------


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


def test_updates_with_odd_names(sleep):
    data = sleep.rename(columns={"Days": "days of it", "Subject": "class"})
    m = lmer("Reaction ~ `days of it` + (1 | class)", data)
    up = m.update(". ~ . + I(`days of it`**2)")
    assert up.fixef().index.tolist() == ["Intercept", "days of it", "I(days of it ** 2)"]
    assert up.formula() == "Reaction ~ `days of it` + I(`days of it` ** 2) + (1 | class)"
    assert up.update(". ~ . - `days of it`").design.formula.count("`") == 2


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


# --- the caller's names ---------------------------------------------------------------------------


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
    shift = 1e9  # noqa: F841 (the fit does not look again)
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
    factor = 2.0  # noqa: F841 (the formula uses it)
    m = lmer("y ~ I(factor * x) + (1 | g)", forms)
    assert set(m.design.options.scope._names) == {"np", "factor"}
    assert len(ballast) == 10


def test_the_callers_c_and_q_do_not_matter(forms):
    C, Q, I = 1.0, 2.0, 3.0  # noqa: E741
    m = lmer("y ~ I(x**2) + `f` + (1 | g)", forms, contrasts={"f": "Sum"})
    assert m.fixef().index.tolist() == ["Intercept", "f[S.a]", "f[S.b]", "I(x ** 2)"]
    assert C + Q + I == 6.0
