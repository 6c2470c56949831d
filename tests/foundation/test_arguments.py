"""Checks of arguments: what they let through, and what their messages say."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from merextras.exceptions import InvalidArgumentError, MerextrasError
from merextras.foundation.arguments import (
    check_choice,
    check_columns,
    check_count,
    check_frame,
    check_level,
    one_of,
)


def test_the_error_is_a_value_error():
    assert issubclass(InvalidArgumentError, ValueError)
    assert issubclass(InvalidArgumentError, MerextrasError)


@pytest.mark.parametrize("level", [0.5, 0.95, 1e-9, np.float64(0.9), np.float32(0.5)])
def test_levels(level):
    assert check_level(level) == pytest.approx(float(level))
    assert type(check_level(level)) is float


@pytest.mark.parametrize("level", [0, 1, 0.0, 1.0, -0.1, 2, 100, np.nan, np.inf, "0.9", None, True])
def test_no_levels(level):
    with pytest.raises(InvalidArgumentError, match=r"^p=.*: a level is a number strictly between"):
        check_level(level, "p")


@pytest.mark.parametrize(("level", "hint"), [(95, "0.95"), (99.9, "0.999"), (2, "0.02")])
def test_a_level_in_per_cent(level, hint):
    with pytest.raises(InvalidArgumentError, match=f"for {level} % write level={hint}$"):
        check_level(level)


def test_no_hint_for_nonsense():
    with pytest.raises(InvalidArgumentError, match=r"between 0 and 1$"):
        check_level(150)


@pytest.mark.parametrize("count", [1, 10**9, np.int64(3)])
def test_counts(count):
    assert check_count(count, "n") == count
    assert type(check_count(count, "n")) is int


@pytest.mark.parametrize("count", [0, -1, 1.0, 2.5, "3", None, True, np.nan])
def test_no_counts(count):
    with pytest.raises(InvalidArgumentError, match=r"^n=.*: must be a positive whole number$"):
        check_count(count, "n")


def test_choices():
    assert check_choice("b", ("a", "b"), "which") == "b"
    for bad in ("c", "A", None, 3, ["a"]):
        with pytest.raises(InvalidArgumentError, match=r"^which=.*: allowed: 'a', 'b'"):
            check_choice(bad, ("a", "b"), "which")


def test_near_misses():
    allowed = ("pearson", "response")
    assert one_of("pearsn", allowed) == "allowed: 'pearson', 'response'; did you mean 'pearson'?"
    assert one_of("xyz", allowed) == "allowed: 'pearson', 'response'"
    assert one_of(3, allowed) == "allowed: 'pearson', 'response'"


def test_frames():
    frame = pd.DataFrame({"x": [1]})
    assert check_frame(frame, "data") is frame
    with pytest.raises(InvalidArgumentError, match=r"^data: the frame has no rows$"):
        check_frame(frame.head(0), "data")
    with pytest.raises(
        InvalidArgumentError, match=r"^data: expected a pandas DataFrame, got list$"
    ):
        check_frame([frame], "data")
    with pytest.raises(InvalidArgumentError, match=r"^data: .*unique; repeated: \['1', 'x'\]$"):
        check_frame(pd.DataFrame([[0] * 5], columns=["x", "x", 1, 1, "y"]), "data")


def test_columns():
    frame = pd.DataFrame({"x": [1], "y": [2]})
    check_columns(frame, ["x"], "data")
    check_columns(frame, [], "data")
    with pytest.raises(
        InvalidArgumentError, match=r"^data: needs the column\(s\) \['z'\], .*'y'\]"
    ):
        check_columns(frame, ["x", "z"], "data")
