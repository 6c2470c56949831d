"""Sums of numeric columns without a formula engine: what patsy makes of them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import patsy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from merextras.exceptions import InvalidArgumentError
from merextras.model.columns.plain_columns import PlainPart, plain_part
from merextras.model.design.build import build_design

FRAME = pd.DataFrame(
    {
        "x": [1.5, 2.0, -3.0],
        "count": [1, 2, 3],
        "small": np.array([1, 2, 3], dtype=np.int8),
        "single": np.array([0.1, 0.2, 0.3], dtype=np.float32),
        "unsigned": np.array([1, 2, 3], dtype=np.uint16),
        "Größe": [0.0, 1.0, 2.0],
        "_x1": [5.0, 6.0, 7.0],
        "an x": [1.0, 0.0, 1.0],
        "text": list("abc"),
        "flag": [True, False, True],
        "kind": pd.Categorical(list("aba")),
        "nullable": pd.array([1, 2, 3], dtype="Int64"),
    }
)
NUMERIC = ["x", "count", "small", "single", "unsigned", "Größe", "_x1", 'Q("an x")']


def same_as_patsy(formula):
    ours = plain_part(formula, FRAME)
    assert ours is not None
    theirs = patsy.dmatrix(formula, FRAME)
    names = [name.replace('Q("an x")', "an x") for name in theirs.design_info.column_names]
    assert list(ours.names) == names
    np.testing.assert_array_equal(ours.matrix(FRAME), np.asarray(theirs))


@pytest.mark.parametrize(
    "formula",
    [
        "1",
        "0",
        "x",
        "1 + x",
        "0 + x",
        "x + 0",
        "x + 1",
        "x+count",
        "x + x",
        "x + count + x",
        "0 + x + 1",
        "1 + x + 0",
        "  x  +\n count",
        "Größe + _x1",
        'Q("an x") + x',
    ],
)
def test_what_patsy_gives(formula):
    same_as_patsy(formula)


@given(st.lists(st.sampled_from(["0", "1", *NUMERIC]), min_size=1, max_size=6))
def test_any_sum_of_numeric_columns_is_what_patsy_gives(pieces):
    same_as_patsy(" + ".join(pieces))


@pytest.mark.parametrize(
    "formula",
    [
        "text",
        "flag",
        "kind",
        "nullable",
        "x + text",
        "x:count",
        "x * count",
        "x - 1",
        "-1 + x",
        "np.log(x)",
        "I(x)",
        "x**2",
        "(x + count)",
        "2",
        "x + 2",
        "x +",
        "+ x",
        "",
        "unknown",
        "x.y",
        "1x",
        "Q('an x')",
        'Q("unknown")',
        "x count",
    ],
)
def test_what_is_more_is_left_to_an_engine(formula):
    assert plain_part(formula, FRAME) is None


def test_rows_of_new_data():
    part = plain_part("x + count", FRAME)
    assert isinstance(part, PlainPart)
    assert part.variables == ("x", "count")
    new = pd.DataFrame({"count": [1, 2], "x": [np.nan, 1.0], "more": ["a", "b"]}, index=["u", "v"])
    np.testing.assert_array_equal(part.matrix(new), [[1, np.nan, 1], [1, 1, 2]])
    nullable = new.assign(count=pd.array([1, None], dtype="Int64"))
    np.testing.assert_array_equal(part.matrix(nullable)[:, 2], [1, np.nan])
    assert part.matrix(new.iloc[:0]).shape == (0, 3)


def test_rows_that_cannot_be():
    part = plain_part("x + count", FRAME)
    with pytest.raises(InvalidArgumentError, match=r"newdata: needs the column\(s\) \['count'\]"):
        part.matrix(FRAME[["x"]])
    with pytest.raises(InvalidArgumentError, match="newdata: column 'x' must be numeric, not"):
        part.matrix(FRAME.assign(x=["a", "b", "c"]))


def test_names_without_quotes_in_a_design():
    data = FRAME.assign(y=[1.0, 2.0, 4.0], g=[1, 1, 2])
    design, _ = build_design("y ~ `an x` + (`an x` | g)", data)
    assert isinstance(design.fixed, PlainPart)
    assert design.fixed.names == design.terms[0].names == ("Intercept", "an x")


def test_no_columns():
    part = plain_part("0", FRAME)
    assert part.names == ()
    assert part.matrix(FRAME).shape == (3, 0)
