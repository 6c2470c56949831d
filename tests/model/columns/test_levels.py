"""Levels of a grouping factor from its column."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from merextras.model.columns.levels import grouped, without_unused


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
