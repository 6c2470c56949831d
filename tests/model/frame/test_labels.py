"""Levels by value and kind."""

import numpy as np
import pandas as pd
import pytest

from merextras.model.frame.labels import codes_in, other_kind

DAYS = pd.to_datetime(["2024-01-01", "2024-01-02"])


@pytest.mark.parametrize(
    ("labels", "levels", "codes"),
    [
        ([2, 1, 7], [1, 2], [1, 0, -1]),
        ([2.0, 1.0, np.nan], [1, 2], [1, 0, -1]),
        ([2, 1], [1.0, 2.0], [1, 0]),
        (["1", "2"], [1, 2], [-1, -1]),
        ([1, 2], ["1", "2"], [-1, -1]),
        ([True, False], [0, 1], [-1, -1]),
        ([0, 1], [False, True], [-1, -1]),
        ([True, False], [False, True], [1, 0]),
        (pd.array([2, None], dtype="Int64"), [1, 2], [1, -1]),
        (pd.array(["b", None], dtype="string"), ["a", "b"], [1, -1]),
        (pd.Categorical(["b", "c", None]), ["a", "b"], [1, -1, -1]),
        (pd.Categorical([2, 1]), [1, 2], [1, 0]),
        (pd.Categorical(["1", "2"]), [1, 2], [-1, -1]),
        (DAYS.as_unit("ns"), DAYS.as_unit("s"), [0, 1]),
        (["2024-01-01"], DAYS, [-1]),
        ([1.5], pd.interval_range(0, 3), [-1]),
        ([2**53 + 1], np.array([2.0**53, 1.0]), [-1]),
        ([2**53 + 1, 2**53], np.array([2**53, 2**53 + 1]), [1, 0]),
        (np.array([2**53 + 1], dtype="uint64"), np.array([2**53, 2**53 + 1]), [1]),
        ([10, 5, 6, 11], np.arange(5, 11), [5, 0, 1, -1]),
        (["a", 1, 2.0], pd.Index([1, 2, "a"], dtype=object), [2, 0, 1]),
        ([], [1, 2], []),
    ],
)
def test_codes(labels, levels, codes):
    assert codes_in(pd.Series(labels), pd.Index(levels)).tolist() == codes


@pytest.mark.parametrize(
    ("given", "known", "word"),
    [
        (["308"], [308, 309], "they are of type int, not str: 308 is not '308'"),
        ([308], ["308"], "they are of type str, not int"),
        ([308.0], ["308"], "they are of type str, not float"),
        ([True], [1], "they are of type int, not bool"),
        (["2024-01-01"], DAYS, "they are of type Timestamp, not str"),
        (["x", "308"], [308], "308 is not '308'"),
    ],
)
def test_a_word_where_only_the_kind_differs(given, known, word):
    assert word in other_kind(given, known)


def test_no_word_for_what_is_new():
    assert other_kind(["310", "x"], [308, 309]) == ""
