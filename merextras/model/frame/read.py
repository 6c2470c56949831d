"""A user's table, and its columns in their normal form.

The normal form of a column, from whatever library or dtype it comes: numbers are ``int64`` or
``float64`` (``Int64`` where one is missing, ``uint64`` where they need it: integers never pass
through floats, and small ones do not wrap); truth values are ``bool`` (``boolean`` where one is
missing); dates are ``datetime64``; text is pandas' default for text; categoricals stay. Object
columns are what their values are: numbers, decimals, truth values, dates or labels.
"""

from __future__ import annotations

import decimal
import numbers
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from merextras.exceptions import InvalidArgumentError
from merextras.foundation.arguments import check_frame

#: pandas' own dtype for a column of text; object before pandas 3.
_TEXT = pd.Series(["a"]).dtype
_INT64 = np.iinfo(np.int64)
#: Since pandas 3 frames share columns until one of them writes to them.
COPIES_ON_WRITE = int(pd.__version__.split(".")[0]) >= 3


def as_pandas(data: Any, name: str = "data") -> pd.DataFrame:
    """A pandas frame from a pandas, polars or arrow table (anything with ``to_pandas``).

    Raises
    ------
    InvalidArgumentError
        Something else.
    """
    if isinstance(data, pd.DataFrame):
        return data
    if isinstance(data, Mapping):
        return _from_mapping(data, name)
    if is_arrow(data):
        return from_arrow(data)
    if hasattr(data, "to_arrow") and hasattr(data, "to_pandas"):  # polars
        return from_arrow(data.to_arrow())
    if not hasattr(data, "to_pandas"):
        lazy = "; call .collect() first" if hasattr(data, "collect") else ""
        raise InvalidArgumentError(
            f"{name}: expected a pandas or polars DataFrame, got {type(data).__name__}{lazy}"
        )
    frame = data.to_pandas()
    if not isinstance(frame, pd.DataFrame):
        raise InvalidArgumentError(f"{name}: {type(data).__name__} did not convert to a DataFrame")
    return frame


def _from_mapping(data: Mapping[Any, Any], name: str) -> pd.DataFrame:
    try:
        return pd.DataFrame({key: _listed(values) for key, values in data.items()})
    except ValueError as err:
        raise InvalidArgumentError(f"{name}: the mapping makes no DataFrame: {err}") from err


def _listed(values: Any) -> Any:
    """A list as an array; pandas would make floats of integers with a None among them."""
    if not isinstance(values, (list, tuple)):
        return values
    made = read_column(pd.Series(list(values), dtype=object))
    return (made.infer_objects() if made.dtype.kind == "O" else made).array


def is_arrow(data: Any) -> bool:
    """Whether it is an arrow table or batch, in memory; without importing pyarrow."""
    of = type(data).__module__.partition(".")[0]
    return of == "pyarrow" and hasattr(data, "schema") and hasattr(data, "to_pandas")


def from_arrow(table: Any, *, ignore_index: bool = False) -> pd.DataFrame:
    """A pandas frame from an arrow table or batch, integers and truth values exactly.

    Parameters
    ----------
    table : pyarrow Table or RecordBatch
    ignore_index : bool
        Whether a column that was pandas' index stays a column.
    """
    frame: pd.DataFrame = table.to_pandas(
        types_mapper=_nullable().get,
        date_as_object=False,
        ignore_metadata=ignore_index,
        use_threads=False,
    )
    return frame


def _nullable() -> dict[Any, Any]:
    """Pandas' dtypes for arrow types of which pandas would make floats if a value is missing."""
    import pyarrow as pa  # noqa: PLC0415 (an extra)

    names = [f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)]
    own = {
        getattr(pa, name)(): pd.api.types.pandas_dtype(name.replace("i", "I").replace("u", "U"))
        for name in names
    }
    return {**own, pa.bool_(): pd.BooleanDtype()}


def given_frame(data: Any, name: str, columns: Collection[str] = ()) -> pd.DataFrame:
    """A user's rows, checked as `check_frame` does, some columns of them in their normal form."""
    if not isinstance(data, pd.DataFrame) and hasattr(data, "to_pandas"):
        data = as_pandas(data, name)
    return read_columns(check_frame(data, name), columns)


def read_columns(frame: pd.DataFrame, columns: Collection[str]) -> pd.DataFrame:
    """The frame with these of its columns in their normal form; itself where nothing changes."""
    return columns_read(frame, columns)[0]


def columns_read(
    frame: pd.DataFrame, columns: Collection[str], given: Sequence[Any] | None = None
) -> tuple[pd.DataFrame, dict[str, pd.Series]]:
    """The same, and these columns, each taken out of the frame once: that is slow in pandas.

    So it is to go through the names of all columns: `given`, if known.
    """
    made, found = {}, {}
    for name in frame.columns if given is None else given:
        if name in columns:
            column = frame[name]
            found[name] = own = read_column(column)
            if own is not column:
                made[name] = own
    return frame.assign(**made) if made else frame, found


def only_columns(
    frame: pd.DataFrame, columns: Collection[str], given: Sequence[Any] | None = None
) -> pd.DataFrame:
    """These columns of a frame, in its order; by their places, as pandas is slow to find names.

    `given` are the names of all columns, if known.
    """
    names = frame.columns if given is None else given
    return frame.take([i for i, c in enumerate(names) if str(c) in columns], axis=1)


def read_column(column: pd.Series) -> pd.Series:
    """A column in its normal form; itself if it is so already.

    What no model can use (durations, complex numbers) is left as it is, and refused where it is
    used; see `merextras.model.frame.kinds`.
    """
    dtype: Any = column.dtype
    if isinstance(dtype, np.dtype):
        return _from_numpy(column, dtype)
    if isinstance(dtype, pd.SparseDtype):
        return read_column(column.astype(dtype.subtype))
    if isinstance(dtype, pd.StringDtype):
        return column if dtype == _TEXT else _as_text(column)
    if hasattr(dtype, "pyarrow_dtype"):
        return _from_arrow_column(column)
    if hasattr(dtype, "numpy_dtype"):
        return _from_nullable(column, dtype.numpy_dtype)
    return column


def _from_numpy(column: pd.Series, dtype: np.dtype[Any]) -> pd.Series:
    if dtype.kind == "f":
        return column if dtype == np.float64 else column.astype(np.float64)
    if dtype.kind == "i":
        return column if dtype == np.int64 else column.astype(np.int64)
    if dtype.kind == "u":
        fits = dtype.itemsize < 8 or len(column) == 0 or int(column.max()) <= _INT64.max
        return column.astype(np.int64) if fits else column
    return _from_objects(column) if dtype.kind == "O" else column


def _from_nullable(column: pd.Series, dtype: np.dtype[Any]) -> pd.Series:
    """A column with a mask: ``Int8``, ``UInt64``, ``Float32``, ``boolean``."""
    if dtype.kind == "f":
        values = column.to_numpy(dtype=np.float64, na_value=np.nan)
        return pd.Series(values, index=column.index, name=column.name)
    if not column.isna().any():
        return _from_numpy(column.astype(dtype), dtype)
    if dtype.kind == "u":
        fits = dtype.itemsize < 8 or column.isna().all() or int(column.max()) <= _INT64.max
        wanted = "Int64" if fits else "UInt64"
        return (
            column
            if str(column.dtype) == wanted
            else column.astype(pd.api.types.pandas_dtype(wanted))
        )
    return column if dtype.kind == "b" or dtype == np.int64 else column.astype("Int64")


def _from_arrow_column(column: pd.Series) -> pd.Series:
    """A column that pandas keeps in an arrow array."""
    import pyarrow as pa  # noqa: PLC0415 (it is there if such a column is)

    dtype: Any = column.dtype
    kind = dtype.pyarrow_dtype
    types = pa.types
    if types.is_decimal(kind) or types.is_null(kind):
        return _from_objects(column.astype(object).where(column.notna(), None))
    if types.is_date(kind):
        return column.astype("timestamp[ms][pyarrow]").astype("datetime64[ms]")
    if not (_is_text(kind) or types.is_dictionary(kind) or types.is_primitive(kind)):
        return column
    table = pa.table({"column": pa.array(column.array)})
    made = from_arrow(table)["column"].set_axis(column.index, axis=0)
    return made if hasattr(made.dtype, "pyarrow_dtype") else read_column(made)


def _is_text(kind: Any) -> bool:
    return str(kind) in {"string", "large_string", "string_view"}


def _as_text(column: pd.Series) -> pd.Series:
    if not isinstance(_TEXT, pd.StringDtype):
        return column.astype(object).where(column.notna(), np.nan)
    return column.astype(_TEXT)


def _from_objects(column: pd.Series) -> pd.Series:
    """Objects as what they are: numbers, truth values, dates; labels stay."""
    inferred = pd.api.types.infer_dtype(column, skipna=True)
    if inferred == "integer":
        return _from_integers(column)
    if inferred == "boolean":
        return _from_nullable(column.astype("boolean"), np.dtype(bool))
    if inferred in {"datetime", "datetime64", "date"}:
        return _from_dates(column)
    if inferred == "empty":
        return pd.Series(np.full(len(column), np.nan), index=column.index, name=column.name)
    if inferred in {"floating", "decimal", "mixed-integer-float", "mixed", "mixed-integer"}:
        return _from_numbers(column)
    return column


def _from_integers(column: pd.Series) -> pd.Series:
    present = column.dropna()
    low, high = int(present.min()), int(present.max())
    if low < _INT64.min or high > (_INT64.max if low < 0 else np.iinfo(np.uint64).max):
        return column
    to = "Int64" if high <= _INT64.max else "UInt64"
    made = column.where(column.notna(), None).astype(pd.api.types.pandas_dtype(to))
    return _from_nullable(made, np.dtype(to.lower()))


def _from_dates(column: pd.Series) -> pd.Series:
    try:
        made = pd.to_datetime(column)
    except (TypeError, ValueError, OverflowError):  # zones, or dates that pandas has not
        return column
    return made


def _from_numbers(column: pd.Series) -> pd.Series:
    """Numbers of several kinds, such as decimals, as floats; themselves if there are others."""
    missing = column.isna().to_numpy(dtype=bool)
    values = column.to_numpy()[~missing]
    if not all(isinstance(v, (numbers.Real, decimal.Decimal, np.bool_)) for v in values):
        return column
    out = np.full(len(column), np.nan)
    out[~missing] = [float(v) for v in values]
    return pd.Series(out, index=column.index, name=column.name)
