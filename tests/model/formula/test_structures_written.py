"""Covariance structures in a formula: what is read, written again, and refused."""

from __future__ import annotations

import warnings

import pandas as pd
import pytest

import merextras as mx
from merextras.engine.covariance.autoregressive import Autoregressive
from merextras.engine.covariance.compound_symmetry import CompoundSymmetry
from merextras.engine.covariance.diagonal import Diagonal
from merextras.engine.covariance.unstructured import Unstructured
from merextras.exceptions import DataWarning, InvalidArgumentError
from merextras.model.formula.parse import parse
from merextras.model.formula.rewrite import bar_text


@pytest.fixture(scope="module")
def table():
    """Balanced, with a number, a factor and days."""
    sleep = mx.load_dataset("sleepstudy")
    return sleep.assign(
        day=sleep["Days"].astype("category"),
        late=(sleep["Days"] > 4).map({True: "late", False: "early"}),
        date=pd.Timestamp("2024-01-01") + pd.to_timedelta(sleep["Days"], unit="D"),
        half=[i % 2 for i in range(len(sleep))],
    )


@pytest.mark.parametrize(
    ("text", "structure", "again"),
    [
        ("us(x | g)", Unstructured(4), "(x | g)"),
        ("diag(x | g)", Diagonal(4), "diag(x | g)"),
        ("diag(x | g, hom=True)", Diagonal(4, hom=True), "diag(x | g, hom=True)"),
        ("diag(x|g,hom = FALSE)", Diagonal(4), "diag(x | g)"),
        ("cs(0 + f | g)", CompoundSymmetry(4), "cs(0 + f | g)"),
        ("cs(0 + f | g, hom=TRUE)", CompoundSymmetry(4, hom=True), "cs(0 + f | g, hom=True)"),
        ("ar1(0 + f | g)", Autoregressive(4), "ar1(0 + f | g)"),
        ("ar1(0 + f | g, het=True)", Autoregressive(4, hom=False), "ar1(0 + f | g, het=True)"),
    ],
)
def test_what_is_read_and_written_again(text, structure, again):
    (bar,) = parse(f"y ~ z + {text}").bars
    assert bar.tag.structure(4) == structure
    assert bar_text(bar) == again
    (second,) = parse(f"y ~ z + {again}").bars
    assert second.tag == bar.tag


def test_mixed_and_nested():
    parsed = parse("y ~ x + cs(0 + f | a / b, hom=True) + (1 | c) + I(x | z) + diag(x | a:d)")
    assert [bar_text(bar) for bar in parsed.bars] == [
        "cs(0 + f | b:a, hom=True)",
        "cs(0 + f | a, hom=True)",
        "(1 | c)",
        "diag(x | a:d)",
    ]
    assert parsed.fixed == "x + I(x | z)"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("toep(0 + f | g)", "no covariance structure 'toep'; there are us, diag, cs, ar1"),
        ("hetar1(0 + f | g)", r"this one is ar1\(... \| g, het=True\)"),
        ("ar11(0 + f | g)", "no covariance structure 'ar11'"),
        ("diag(x | g, het=True)", r"diag\(\) takes hom=True, not 'het=True'"),
        ("ar1(0 + f | g, hom=True)", r"ar1\(\) takes het=True, not 'hom=True'"),
        ("us(x | g, hom=True)", r"us\(\) takes no keyword"),
        ("cs(0 + f | g, True)", r"cs\(\) takes hom=True, not 'True'"),
        ("cs(0 + f | g, hom=1)", "hom is True or False, not '1'"),
        ("diag(x || g)", "write one bar"),
    ],
)
def test_what_is_refused(text, message):
    with pytest.raises(InvalidArgumentError, match=message):
        parse(f"y ~ x + {text}")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cs(1 | Subject)", "is of the correlation of effects"),
        ("cs(0 + Days | Subject)", "is of the correlation of effects"),
        ("ar1(Days | Subject)", r"the levels of one factor in their order.*C\(x\)"),
        ("ar1(0 + Days | Subject)", r"a number is made one by C\(x\)"),
        ("ar1(late | Subject)", r"here they are \['Intercept', 'late\[T.late\]'\]"),
        ("ar1(0 + late:C(half) | Subject)", "the levels of one factor"),
        ("ar1(0 + C(Days, Sum) | Subject)", "the levels of one factor"),
    ],
)
@pytest.mark.parametrize("chunks", [False, True])
def test_effects_that_a_structure_has_no_meaning_for(table, text, message, chunks):
    source = [table.iloc[:90], table.iloc[90:]] if chunks else table
    with pytest.raises(InvalidArgumentError, match=message):
        mx.lmer(f"Reaction ~ Days + {text}", source)


def test_order_of_an_autoregression(table):
    """By sorted numbers, dates or categories, whichever makes the factor."""
    found = [
        mx.lmer(f"Reaction ~ Days + ar1(0 + {code} | Subject)", table)
        for code in ("day", "C(Days)", "C(date)")
    ]
    assert found[0].log_lik() == pytest.approx(-867.0932339707, abs=1e-8)
    for other in found[1:]:
        assert other.log_lik() == pytest.approx(found[0].log_lik(), abs=1e-9)
    back = table.assign(day=table["day"].cat.set_categories(range(9, -1, -1), ordered=True))
    with pytest.warns(DataWarning, match="which is not that of the numbers"):
        reversed_ = mx.lmer("Reaction ~ Days + ar1(0 + day | Subject)", back)
    assert reversed_.log_lik() == pytest.approx(found[0].log_lik(), abs=1e-9)


@pytest.mark.parametrize("chunks", [False, True])
def test_steps_that_are_not_equal_are_said(table, chunks):
    some = table[~table["Days"].isin([7, 8])]
    source = [some.iloc[:70], some.iloc[70:]] if chunks else some
    with pytest.warns(DataWarning, match=r"not equally far apart \(0, 1, 2, 3, 4, 5, 6, 9\)"):
        mx.lmer("Reaction ~ Days + ar1(0 + C(Days) | Subject)", source)


def test_numbers_as_text_are_in_the_order_of_text(table):
    texts = table.assign(day=(table["Days"] + 1).astype(str))
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        mx.lmer("Reaction ~ Days + ar1(0 + day | Subject)", texts)
    assert any("in the order 1, 10, 2, 3" in str(each.message) for each in found)


def test_updates_keep_the_structure(table):
    m = mx.lmer("Reaction ~ Days + cs(0 + late | Subject)", table)
    assert m.update(". ~ . - Days").formula() == "Reaction ~ 1 + cs(0 + late | Subject)"
    less = m.update(". ~ . + (1 | Subject) - cs(0 + late | Subject)")
    assert less.formula() == "Reaction ~ Days + (1 | Subject)"
    with pytest.raises(InvalidArgumentError, match="there is no term"):
        m.update(". ~ . - (0 + late | Subject)")
    streamed = mx.lmer("Reaction ~ Days + (Days | Subject)", [table.iloc[:90], table.iloc[90:]])
    diag = streamed.update(". ~ . - (Days | Subject) + diag(Days | Subject)")
    assert diag.log_lik() == pytest.approx(
        mx.lmer("Reaction ~ Days + diag(Days | Subject)", table).log_lik(), abs=1e-9
    )
