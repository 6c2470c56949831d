"""Labels that come chunk by chunk get the numbers that one factorisation of all would give them."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest

from merextras.exceptions import InvalidArgumentError
from merextras.model.columns import labels_so_far
from merextras.model.columns.labels_so_far import LabelsSoFar
from merextras.model.columns.levels import LevelCoder, LevelCounter

N = 4000
KINDS = {
    "close integers": lambda rng: pd.Series(rng.integers(-50, 900, N)),
    "far integers": lambda rng: pd.Series(rng.integers(0, 900, N) * 10**14 - 5),
    "large integers": lambda rng: pd.Series(rng.integers(0, 900, N).astype(np.uint64) + 2**63),
    "floats": lambda rng: pd.Series(rng.integers(0, 900, N) / 7),
    "booleans": lambda rng: pd.Series(rng.random(N) < 0.5),
    "dates": lambda rng: (
        pd.Timestamp("2020-01-01") + pd.to_timedelta(pd.Series(rng.integers(0, 900, N)), unit="D")
    ),
    "text": lambda rng: pd.Series(rng.integers(0, 900, N)).map("k{}".format),
    "tuples": lambda rng: pd.Series([(int(i), "a") for i in rng.integers(0, 90, N)]),
    "sorted": lambda rng: pd.Series(np.sort(rng.integers(0, 900, N))),
    "falling": lambda rng: pd.Series(np.sort(rng.integers(0, 10**6, N))[::-1].copy()),
}


def _numbers(labels, column, size):
    return np.concatenate(
        [labels.numbers(column.iloc[i : i + size]) for i in range(0, len(column), size)]
    )


@pytest.mark.parametrize("size", [1, 37, 1000, N])
@pytest.mark.parametrize("kind", KINDS)
def test_numbers_are_those_of_all_rows(kind, size, monkeypatch):
    monkeypatch.setattr(labels_so_far, "_PLACES", 2**11)
    column = KINDS[kind](np.random.default_rng(3))
    column = column if size > 1 else column.head(300)
    labels = LabelsSoFar("g")
    codes, found = pd.factorize(column)
    np.testing.assert_array_equal(_numbers(labels, column, size), codes)
    assert labels.labels().tolist() == list(found)
    again = pickle.loads(pickle.dumps(labels))
    np.testing.assert_array_equal(again.numbers(column), codes)


def test_labels_with_one_hash_are_told_apart(monkeypatch):
    hashes = labels_so_far._hashes
    monkeypatch.setattr(labels_so_far, "_hashes", lambda labels: hashes(labels) % 50)
    column = KINDS["text"](np.random.default_rng(3))
    codes, found = pd.factorize(column)
    labels = LabelsSoFar("g")
    np.testing.assert_array_equal(_numbers(labels, column, 211), codes)
    assert labels.labels().tolist() == list(found)


def test_integers_that_stop_to_lie_close():
    close, far = pd.Series(np.arange(500)), pd.Series([3, 10**17, -(10**17), 10**17, 499])
    labels = LabelsSoFar("g")
    np.testing.assert_array_equal(labels.numbers(close), np.arange(500))
    np.testing.assert_array_equal(labels.numbers(far), [3, 500, 501, 500, 499])
    np.testing.assert_array_equal(labels.numbers(close), np.arange(500))


def test_types_that_change():
    labels = LabelsSoFar("g")
    np.testing.assert_array_equal(labels.numbers(pd.Series([3, 1])), [0, 1])
    np.testing.assert_array_equal(labels.numbers(pd.Series([1.0, 2.5])), [1, 2])
    np.testing.assert_array_equal(labels.numbers(pd.Series([3, 4])), [0, 3])
    with pytest.raises(InvalidArgumentError, match="'g' has numbers in some chunks, strings in"):
        labels.numbers(pd.Series(["a"]))
    labels = LabelsSoFar("g")
    labels.numbers(pd.Series([2**53 + 1]))
    with pytest.raises(InvalidArgumentError, match=r"whole numbers above 2\*\*53"):
        labels.numbers(pd.Series([0.5]))


def test_categories_and_their_labels_are_the_same_levels():
    labels = LabelsSoFar("g")
    one = pd.Series(pd.Categorical(["b", "a", "b"], categories=["a", "b", "c"]))
    other = pd.Series(pd.Categorical(["c", "b"], categories=["c", "b"]))
    np.testing.assert_array_equal(labels.numbers(one), [0, 1, 0])
    np.testing.assert_array_equal(labels.numbers(other), [2, 0])
    np.testing.assert_array_equal(labels.numbers(pd.Series(["a", "d"])), [1, 3])


def test_combinations_have_the_levels_of_a_coder():
    rng = np.random.default_rng(4)
    frame = pd.DataFrame(
        {
            "a": rng.integers(0, 30, N),
            "b": KINDS["text"](rng),
            "c": pd.Categorical.from_codes(rng.integers(0, 3, N), ["z", "y", "x"]),
        }
    )
    for columns in (("a",), ("c",), ("a", "b"), ("b", "c", "a")):
        seen = LevelCounter(columns)
        numbers = np.concatenate([seen.add(frame.iloc[i : i + 170]) for i in range(0, N, 170)])
        coder, places = LevelCoder.with_codes(seen.frame(), columns)
        np.testing.assert_array_equal(places[numbers], coder.codes(frame))
        whole, codes = LevelCoder.with_codes(frame, columns)
        assert whole.levels.equals(coder.levels)
        np.testing.assert_array_equal(codes, coder.codes(frame))
