"""Frames of arrow's batches are what pandas makes of them, column by column."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa

from merextras.model.frame.arrow_batches import ArrowBatches
from merextras.model.frame.read import from_arrow, read_columns

COLUMNS = {
    "float": pa.array([1.5, None, float("nan"), 2.0]),
    "single": pa.array([1.5, 2.5, None, 2.0], pa.float32()),
    "whole": pa.array([1, 2**60 + 1, 3, 4]),
    "some missing": pa.array([1, None, 2**60 + 1, 4]),
    "unsigned": pa.array([1, 2**64 - 1, 3, 4], pa.uint64()),
    "small": pa.array([1, -2, 127, -128], pa.int8()),
    "truth": pa.array([True, False, True, True]),
    "truth missing": pa.array([True, None, True, True]),
    "text": pa.array(["a", None, "b", "a"]),
    "date": pa.array(pd.to_datetime(["2020-01-01", None, "2021-02-03", "2022-01-01"])),
    "none": pa.nulls(4),
    "labels": pa.DictionaryArray.from_arrays([1, None, 0, 1], ["b", "a", "never"]),
    "ids": pa.DictionaryArray.from_arrays(pa.array([1, 0, 0, 1], pa.int8()), [30, 10]),
    "ordered": pa.DictionaryArray.from_arrays([1, 0, 0, 1], ["b", "a"], ordered=True),
}


def test_frames_are_those_of_pandas():
    frames = ArrowBatches()
    whole = pa.RecordBatch.from_pydict(COLUMNS)
    for batch in (whole, whole.slice(1, 2), whole.slice(0, 0)):
        found = read_columns(frames.frame(batch), list(COLUMNS))
        expected = read_columns(from_arrow(batch, ignore_index=True), list(COLUMNS))
        pd.testing.assert_frame_equal(found, expected)


def test_categories_are_made_once_for_a_dictionary():
    frames = ArrowBatches()

    def made(labels):
        codes = np.arange(3, dtype=np.int32)
        column = pa.DictionaryArray.from_arrays(codes, labels)
        return frames.frame(pa.RecordBatch.from_pydict({"g": column}))["g"]

    first, again, other = made(["a", "b", "c"]), made(["a", "b", "c"]), made(["c", "b", "a"])
    assert first.cat.categories is again.cat.categories
    assert other.tolist() == ["c", "b", "a"]
    assert first.tolist() == again.tolist() == ["a", "b", "c"]
