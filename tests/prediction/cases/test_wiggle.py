"""`wiggle` and `super_factor`."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from mertools_models import EXPECTED, table

from merextras import super_factor, wiggle
from merextras.datasets import load_dataset
from merextras.exceptions import InvalidArgumentError


@pytest.fixture
def rows():
    return pd.DataFrame({"a": [1, 2], "b": ["x", "y"], "z": 9}, index=[7, 8])


def test_merTools_order(rows):
    found = wiggle(rows, ["a", "b"], [[5, 6, 7], ["p", "q"]])
    pd.testing.assert_frame_equal(found, table(EXPECTED["wiggle"]), check_dtype=False)
    assert found.index.tolist() == list(range(12))
    assert rows["a"].tolist() == [1, 2]


def test_what_is_not_changed_is_repeated(rows):
    found = wiggle(rows, "a", [10.5, 11.5])
    assert found["a"].tolist() == [10.5, 10.5, 11.5, 11.5]
    assert found["b"].tolist() == ["x", "y", "x", "y"]
    assert found["z"].dtype == rows["z"].dtype
    assert wiggle(rows, ["a"], [[1]]).equals(wiggle(rows, "a", [1]))
    assert wiggle(rows, "a", [[1, 2]]).equals(wiggle(rows, "a", (1, 2)))
    assert wiggle(rows, "a", np.arange(3))["a"].tolist() == [0, 0, 1, 1, 2, 2]
    assert wiggle(rows, "a", pd.Series([3, 4], index=[9, 9]))["a"].tolist() == [3, 3, 4, 4]


def test_categories_stay_and_grow(rows):
    data = rows.assign(b=pd.Categorical(["x", "y"], ["x", "y", "unused"]))
    found = wiggle(data, "b", ["y", "new"])
    assert found["b"].tolist() == ["y", "y", "new", "new"]
    assert list(found["b"].cat.categories) == ["x", "y", "unused", "new"]


def test_for_predictions():
    import merextras as mx

    m = mx.lmer("extro ~ open + (1 | school)", load_dataset("students"))
    grid = wiggle(mx.average_obs(m), ["open", "school"], [[30, 40, 50], ["I", "VI"]])
    fit = m.predict(grid).to_numpy().reshape(2, 3)
    np.testing.assert_allclose(np.diff(fit, axis=1), 10 * m.fixef()["open"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("c", [1]), "var_list: 'c' is not a column of the data"),
        (([], []), r"var_list=\[\]: a column, or a list of some"),
        ((3, [1]), "var_list=3"),
        ((["a", "a"], [[1], [2]]), "each column once"),
        ((["a", "b"], [[1, 2]]), r"values_list: 1 sequences of values for the 2 column\(s\)"),
        ((["a"], [[1], [2]]), r"values_list: 2 sequences of values for the 1 column\(s\)"),
        ((["a", "b"], [[1], 2]), "expected a sequence of values for 'b', got 2"),
        ((["a", "b"], [[1], "pq"]), "expected a sequence of values for 'b', got 'pq'"),
        (("a", []), r"expected a sequence of values for 'a', got \[\]"),
        (("a", 5), "values_list=5: expected sequences of values"),
        (("a", "xyz"), "values_list='xyz'"),
    ],
)
def test_bad_input(rows, arguments, message):
    with pytest.raises(InvalidArgumentError, match=message):
        wiggle(rows, *arguments)


def test_bad_data(rows):
    with pytest.raises(InvalidArgumentError, match="data: the frame has no rows"):
        wiggle(rows.head(0), "a", [1])
    with pytest.raises(InvalidArgumentError, match="data: expected a pandas DataFrame"):
        wiggle({"a": [1]}, "a", [1])


def test_levels_in_merTools_order():
    found = super_factor(["b", "a"], ["c", "a", "d"])
    assert list(found.categories) == EXPECTED["super_factor"]
    assert list(found) == ["b", "a"]


def test_series_categories_and_missing_values():
    x = pd.Series(["b", None, "a"], index=[3, 4, 5], name="g")
    found = super_factor(x, pd.Categorical(["a"], ["z", "a"]))
    assert found.index.tolist() == [3, 4, 5]
    assert found.name == "g"
    assert list(found.cat.categories) == ["z", "a", "b"]
    assert found.isna().tolist() == [False, True, False]
    numbers = super_factor(np.array([3, 1]), pd.Series([2, 1]))
    assert list(numbers.categories) == [2, 1, 3]
    kept = super_factor(pd.Categorical(["a"], ["q", "a"]), ["a"])
    assert list(kept.categories) == ["a", "q"]
    mixed = super_factor(["x", 1], [1])
    assert list(mixed.categories) == [1, "x"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("ab", ["a"]), "x='ab': expected a sequence of labels"),
        ((["a"], "ab"), "full_levels='ab'"),
        ((["a"], None), "full_levels=None"),
        ((3, ["a"]), "x=3"),
    ],
)
def test_bad_labels(arguments, message):
    with pytest.raises(InvalidArgumentError, match=message):
        super_factor(*arguments)
