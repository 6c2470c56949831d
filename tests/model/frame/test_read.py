"""Columns of all libraries and dtypes in one normal form."""

import datetime
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from merextras.exceptions import InvalidArgumentError
from merextras.model.frame.kinds import is_number, kind_of, numbers
from merextras.model.frame.read import as_pandas, from_arrow, read_column, read_columns

LONG = 2**53 + 1
DAY = datetime.date(2024, 1, 2)


@pytest.mark.parametrize(
    ("values", "dtype", "expected"),
    [
        ([1, 2], "uint8", "int64"),
        ([-1, 2], "int8", "int64"),
        ([1, 2**32 - 1], "uint32", "int64"),
        ([1, 2**63 - 1], "uint64", "int64"),
        ([1, 2**64 - 1], "uint64", "uint64"),
        ([1.5, 2.0], "float32", "float64"),
        ([1, LONG], "Int64", "int64"),
        ([1, None, LONG], "Int64", "Int64"),
        ([1, None], "UInt8", "Int64"),
        ([2**64 - 1, None], "UInt64", "UInt64"),
        ([1.5, None], "Float32", "float64"),
        ([True, False], "boolean", "bool"),
        ([True, None], "boolean", "boolean"),
        ([1, LONG], "int64[pyarrow]", "int64"),
        ([1, None, LONG], "int64[pyarrow]", "Int64"),
        ([1, None], "uint8[pyarrow]", "Int64"),
        ([1.5, None], "float[pyarrow]", "float64"),
        ([True, None], "bool[pyarrow]", "boolean"),
        ([1, LONG], object, "int64"),
        ([1, None, LONG], object, "Int64"),
        ([1, np.nan, LONG], object, "Int64"),
        ([1, 2**64 - 1], object, "uint64"),
        ([1, 2.5], object, "float64"),
        ([Decimal("1.5"), None], object, "float64"),
        ([Decimal("1.5"), 2, Fraction(1, 2), np.float32(1)], object, "float64"),
        ([True, 2, 0.5], object, "float64"),
        ([True, False], object, "bool"),
        ([True, None], object, "boolean"),
        ([None, None], object, "float64"),
        ([0.0, 1.0], "Sparse[float64]", "float64"),
        ([0, 1], "Sparse[int8]", "int64"),
    ],
)
def test_numbers_and_truth_values(values, dtype, expected):
    """Exactly, small integers widened, and integers never as floats."""
    column = pd.Series(values, dtype=dtype, index=[7, 3, 5, 9][: len(values)], name="x")
    read = read_column(column)
    assert str(read.dtype) == expected
    assert read.index.equals(column.index)
    for made, given in zip(read, values, strict=True):
        missing = given is None or np.isnan(float(given))
        assert pd.isna(made) if missing else made == given
    assert read_column(read) is read


def test_what_is_in_its_form_is_not_copied():
    frame = pd.DataFrame({"i": [1], "f": [1.5], "b": [True], "c": pd.Categorical(["a"])})
    assert read_columns(frame, set("ifbc")) is frame


@pytest.mark.parametrize(
    "column",
    [
        pd.Series([DAY, None]),
        pd.Series([pd.Timestamp(DAY), None], dtype=object),
        pd.Series([DAY, None], dtype=pd.ArrowDtype(pa.date32())),
        pd.Series([pd.Timestamp(DAY), None], dtype=pd.ArrowDtype(pa.timestamp("us"))),
        pd.Series([pd.Timestamp(DAY), None]),
    ],
    ids=["date", "timestamps", "arrow date", "arrow timestamp", "datetime64"],
)
def test_dates(column):
    """Days since 1970-01-01: R's as.numeric(as.Date("2024-01-02")) is 19724."""
    read = read_column(column)
    assert kind_of(read) == "dates"
    assert is_number(read)
    np.testing.assert_array_equal(numbers(read, "x", dates=True), [19724.0, np.nan])
    with pytest.raises(InvalidArgumentError, match="column 'x' must be numeric, not datetime64"):
        numbers(read, "x")


@pytest.mark.parametrize(
    "column",
    [
        pd.Series(["a", None], dtype=object),
        pd.Series(["a", pd.NA], dtype="string"),
        pd.Series(["a", None], dtype=pd.ArrowDtype(pa.string())),
        pd.Series(["a", None], dtype=pd.ArrowDtype(pa.large_string())),
    ],
)
def test_text(column):
    read = read_column(column)
    assert kind_of(read) == "labels"
    assert read.isna().tolist() == [False, True]
    assert read[0] == "a"
    assert read[1] is not pd.NA


def test_an_arrow_dictionary_is_a_categorical():
    array = pa.array(["b", "a", None]).dictionary_encode()
    read = read_column(pd.Series(array, dtype=pd.ArrowDtype(array.type)))
    assert read.cat.categories.tolist() == ["b", "a"]
    assert read.cat.codes.tolist() == [0, 1, -1]


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (pd.to_timedelta([1, 2], unit="D"), "durations"),
        (pd.Series(pd.to_timedelta([1, 2], unit="D"), dtype=object), "durations"),
        (pd.date_range("2024", periods=2, tz="UTC"), "times with a time zone"),
        (pd.Series(list(pd.date_range("2024", periods=2, tz="UTC")), dtype=object), "times with"),
        (pd.period_range("2024", periods=2, freq="D"), "periods"),
        (np.array([1 + 1j, 2]), "complex numbers"),
        ([datetime.time(1), datetime.time(2)], "times of day"),
        ([[1], [2]], "objects"),
        ([2**64, 2**70], "integers beyond 64 bits"),
        (["a", 1.5], "mixture"),
    ],
)
def test_what_is_no_number(values, kind):
    """Left as it is by the reader and refused where a number is needed, with what to do."""
    column = read_column(pd.Series(values))
    assert kind_of(column).startswith(kind)
    assert not is_number(column)
    with pytest.raises(InvalidArgumentError, match="column 'x' must be numeric, not "):
        numbers(column, "x")


def test_tables_of_other_libraries():
    """One null does not make floats of the integers beside it."""
    values = {"g": [LONG, None, LONG + 2], "b": [True, None, False], "s": ["a", None, "b"]}
    table = pl.DataFrame(values)
    for given in (table, table.to_arrow(), values, table.to_arrow().to_batches()[0]):
        frame = read_columns(as_pandas(given), set("gbs"))
        assert frame["g"].dropna().tolist() == [LONG, LONG + 2]
        assert frame["b"].dropna().tolist() == [True, False]
        assert frame["s"].dropna().tolist() == ["a", "b"]
        assert frame.isna().sum().tolist() == [1, 1, 1]


def test_an_index_in_arrow_metadata():
    table = pa.Table.from_pandas(pd.DataFrame({"x": [1]}, index=pd.Index([5], name="g")))
    assert from_arrow(table).columns.tolist() == ["x"]
    assert from_arrow(table, ignore_index=True).columns.tolist() == ["x", "g"]


def test_what_is_no_table():
    with pytest.raises(InvalidArgumentError, match="got LazyFrame; call .collect"):
        as_pandas(pl.DataFrame({"x": [1]}).lazy())
    with pytest.raises(InvalidArgumentError, match="the mapping makes no DataFrame"):
        as_pandas({"x": [1], "y": [1, 2]})
