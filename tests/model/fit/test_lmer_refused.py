"""`lmer`: what it says of bad input."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from lmer_models import FORMULAIC, Table, csv

from merextras.exceptions import (
    InvalidArgumentError,
)
from merextras.fit_lmer import lmer


@pytest.fixture(scope="module")
def forms():
    return csv("forms")


# --- bad input ------------------------------------------------------------------------------------

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
        ("imaginary ~ x + (1 | g)", "response 'imaginary' must be numeric, not complex128"),
        ("y ~ x + (1 | left:right)", "two levels of 'left:right' are both called '1:2:3'"),
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
    data = data.assign(imaginary=1j, left=["1", "1:2"] * 180, right=["2:3", "3"] * 180)
    with pytest.raises(InvalidArgumentError, match=message):
        lmer(formula, data, control=control)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (lambda d: d.iloc[:0], "data: the frame has no rows"),
        (lambda d: pd.concat([d, d[["x"]]], axis=1), r"column names must be unique; .*\['x'\]"),
        (lambda d: d.to_numpy().tolist(), "data: expected a pandas or polars DataFrame, got list"),
        (lambda _: None, "got NoneType"),
        (lambda _: Table(5), "data: Table did not convert to a DataFrame"),
        (lambda _: {"y": [1, 2], "x": [1], "g": [1]}, "data: the mapping makes no DataFrame"),
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
    with pytest.raises(InvalidArgumentError, match=r"'g' of .* has one level"):
        m.update(data=forms[forms["g"] == "g05"])
