"""Sums of categorical and numeric columns without a formula engine, against patsy."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from merextras.exceptions import InvalidArgumentError
from merextras.model.columns.fixed import FormulaPart
from merextras.model.columns.plain_factors import treatment_part


def _frame():
    rng, n = np.random.default_rng(0), 60
    return pd.DataFrame(
        {
            "a": pd.Categorical(rng.choice(list("xyz"), n)),
            "o": pd.Categorical(rng.choice(list("xyz"), n), categories=list("zyx"), ordered=True),
            "b": pd.Categorical(rng.integers(1, 4, n)),
            "f": pd.Categorical(rng.choice([1.0, 2.5], n)),
            "t": pd.Categorical(rng.choice([True, False], n)),
            "n": rng.normal(size=n),
            "i": rng.integers(0, 4, n),
        }
    )


FRAME = _frame()
COLUMNS = {str(name): column for name, column in FRAME.items()}


@pytest.mark.parametrize(
    "rhs",
    ["a", "n + a", "1 + a + n + b", "C(i) + i + n", "C(a)+b + a", "o + C(b)+n", "f + t + n",
     "i + C( i )", "a + n + i + b + n", "n + C(f)"],
)  # fmt: skip
def test_columns_and_terms_are_patsys(rhs):
    ours, theirs = treatment_part(rhs, COLUMNS), FormulaPart.from_formula(rhs, FRAME)
    assert ours is not None
    assert ours.names == theirs.names
    np.testing.assert_array_equal(ours.matrix(FRAME), theirs.matrix(FRAME))
    assert ours.terms_written() == theirs.terms_written()
    assert ours.terms_in_order() == theirs.terms_in_order()
    assert ours.column_order() == theirs.column_order()
    assert ours.variables == theirs.variables
    for term in theirs.terms_written():
        for code in term.codes:
            assert ours.categories(code) == theirs.categories(code)
            np.testing.assert_array_equal(
                ours.full_columns(code, FRAME), theirs.full_columns(code, FRAME)
            )


@pytest.mark.parametrize(
    "rhs", ["0 + a", "a:b", "a * n", "a - 1", "np.log(i)", "C(a, Sum)", "C(n)+unknown", "cut"]
)
def test_anything_else_is_left_to_the_engine(rhs):
    columns = COLUMNS | {"cut": pd.Series(pd.cut(FRAME["n"], 3))}
    assert treatment_part(rhs, columns) is None


def test_new_rows():
    part = treatment_part("a + n", COLUMNS)
    new = pd.DataFrame({"a": ["z", None, "x"], "n": [1.0, 2.0, np.nan]})
    expected = [[1.0, 0.0, 1.0, 1.0], [np.nan] * 4, [np.nan] * 4]
    np.testing.assert_array_equal(part.matrix(new), expected)
    with pytest.raises(InvalidArgumentError, match="categories the model has not seen"):
        part.matrix(pd.DataFrame({"a": ["w"], "n": [1.0]}))
