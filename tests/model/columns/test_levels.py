"""Levels of a grouping factor from its column."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from merextras.model.columns import levels as levels_module
from merextras.model.columns.levels import as_categories, grouped, without_unused
from merextras.model.frame.labels import codes_in, small_codes_in


@pytest.mark.parametrize(
    ("low", "span"), [(0, 5), (-7, 30), (2**62, 40), (-(2**63), 100), (0, 10**9)]
)
def test_whole_numbers_are_levels_in_their_order(low, span):
    """With a table of all between the ends, and without one where they are far apart."""
    values = low + np.random.default_rng(1).integers(0, span, 50)
    levels, codes = grouped([pd.Series(values, name="g")])
    expected_codes, expected = pd.factorize(values, sort=True)
    pd.testing.assert_index_equal(levels, pd.Index(expected), exact=True)
    np.testing.assert_array_equal(codes, expected_codes)


def test_the_ends_of_all_whole_numbers_are_told_apart():
    values = np.array([2**63 - 1, -(2**63), 2**63 - 1])
    levels, codes = grouped([pd.Series(values, name="g")])
    assert (levels.tolist(), codes.tolist()) == ([-(2**63), 2**63 - 1], [1, 0, 1])


def test_categories_that_do_not_occur_go_wherever_the_last_one_is():
    codes = np.zeros(200_000, dtype=int)
    codes[-1] = 2
    column = pd.Series(pd.Categorical.from_codes(codes, categories=["a", "b", "c"]))
    assert without_unused(column).cat.categories.tolist() == ["a", "c"]
    kept = column.cat.remove_unused_categories()
    assert without_unused(kept) is kept
    missing = pd.Series(pd.Categorical.from_codes([-1, -1], categories=["a"]))
    assert without_unused(missing).cat.categories.tolist() == []


@pytest.mark.parametrize("dtype", ["str", "string[python]", "string[pyarrow]", "object"])
@pytest.mark.parametrize("labels", [["b", "a", "c", "a"], ["a", "b"], [], ["b", None, "a", "b"]])
@pytest.mark.parametrize("long", [0, 10**6])
def test_text_as_categories_is_what_pandas_factorizes(labels, dtype, long, monkeypatch):
    """By arrow itself where it is long, too."""
    monkeypatch.setattr(levels_module, "_LONG", long)
    column = pd.Series(
        [*labels, *labels], dtype=dtype, name="t", index=range(3, 3 + 2 * len(labels))
    )
    for own in (column, column[::-1], column.iloc[::2], pd.concat([column, column])):
        codes, levels = pd.factorize(own, sort=True)
        made = as_categories(own)
        assert made.cat.codes.tolist() == codes.tolist()
        assert list(made.cat.categories) == list(levels)
        assert made.index.equals(own.index)
        assert made.name == "t"


def test_codes_of_a_categorical_in_few_bytes():
    column = pd.Series(pd.Categorical(["b", "z", "a", None], categories=["z", "a", "b"]))
    levels = pd.Index(["a", "b"])
    small = small_codes_in(column, levels)
    assert small.dtype == np.int8
    assert small.tolist() == codes_in(column, levels).tolist() == [1, -1, 0, -1]
    assert codes_in(column, levels).dtype == np.intp
    assert small_codes_in(column, column.cat.categories).tolist() == [2, 0, 1, -1]
    many = pd.Index([*"ab", *(str(i) for i in range(300))])
    assert small_codes_in(column, many).dtype == np.int16
    assert small_codes_in(column, many[::-1]).tolist() == [300, -1, 301, -1]
