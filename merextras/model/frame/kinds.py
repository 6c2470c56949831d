"""The kind of a data column, and its values as numbers.

Everything that asks whether a column is of numbers asks here, so that all ways into a model give
the same answer.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from merextras.exceptions import InvalidArgumentError
from merextras.foundation.aliases import Array

_DAY = np.timedelta64(1, "D")
_EPOCH = np.datetime64("1970-01-01", "D")

#: What a message calls the kinds that are neither numbers nor labels, and what to do with them.
_INSTEAD = {
    "durations": "give them as numbers, such as column.dt.total_seconds()",
    "times with a time zone": "take the zone off, column.dt.tz_localize(None), or give numbers",
    "periods": "give dates, column.dt.to_timestamp(), or numbers",
    "times of day": "give numbers, such as hours",
    "complex numbers": "give real numbers",
    "objects": "give numbers or text",
    "integers beyond 64 bits": "give ids as text, quantities as floats",
}


def kind_of(column: pd.Series) -> str:
    """What a column in its normal form (see `read`) holds.

    Returns
    -------
    str
        ``"numbers"``, ``"booleans"``, ``"dates"`` (and times of day on them, without a time zone),
        ``"categories"``, ``"labels"`` (text and what else can be a level), ``"mixture"`` (text and
        numbers), or a kind that no model takes as a predictor: ``"durations"``, ``"times with a
        time zone"``, ``"periods"``, ``"times of day"``, ``"complex numbers"``, ``"objects"``,
        ``"integers beyond 64 bits"``.
    """
    dtype = column.dtype
    if isinstance(dtype, np.dtype):
        plain = _NUMPY.get(dtype.kind)
        return _kind_of_objects(column) if plain is None else plain
    return _kind_of_extension(dtype)


_NUMPY = {
    "i": "numbers",
    "u": "numbers",
    "f": "numbers",
    "b": "booleans",
    "M": "dates",
    "m": "durations",
    "c": "complex numbers",
}


def _kind_of_extension(dtype: Any) -> str:
    if isinstance(dtype, pd.CategoricalDtype):
        return "categories"
    if isinstance(dtype, pd.DatetimeTZDtype):
        return "times with a time zone"
    if isinstance(dtype, pd.PeriodDtype):
        return "periods"
    if isinstance(dtype, (pd.StringDtype, pd.IntervalDtype)):
        return "labels"
    if pd.api.types.is_bool_dtype(dtype):
        return "booleans"
    return "numbers" if pd.api.types.is_numeric_dtype(dtype) else "objects"


#: What pandas calls the contents of an object column, in our words.
_OBJECTS = {
    "string": "labels",
    "boolean": "booleans",
    "bytes": "labels",
    "empty": "labels",
    "interval": "labels",
    "mixed-integer": "mixture",
    "timedelta": "durations",
    "timedelta64": "durations",
    "time": "times of day",
    "period": "periods",
    "complex": "complex numbers",
    "integer": "integers beyond 64 bits",
    "datetime": "times with a time zone",  # those without have become dates
    "datetime64": "times with a time zone",
}


def _kind_of_objects(column: pd.Series) -> str:
    inferred = pd.api.types.infer_dtype(column, skipna=True)
    if inferred != "mixed":
        return _OBJECTS.get(inferred, "objects")
    present = column.dropna()
    if any(isinstance(value, str) for value in present):
        return "mixture"
    return "labels" if _hashable(present) else "objects"


def _hashable(values: pd.Series) -> bool:
    try:
        hash(tuple(values.head(1000)))
    except TypeError:
        return False
    return True


def is_number(column: pd.Series) -> bool:
    """Whether a model takes a column as a number: numbers, and dates as numbers of days.

    True and False are not numbers but categories.
    """
    dtype = column.dtype
    if isinstance(dtype, np.dtype) and dtype.kind != "O":
        return dtype.kind in "iufM"
    return kind_of(column) in {"numbers", "dates"}


def are_dates(column: pd.Series) -> bool:
    """Whether a column in its normal form is of dates, by its dtype alone; see `kind_of`."""
    return isinstance(column.dtype, np.dtype) and column.dtype.kind == "M"


def is_text(column: pd.Series) -> bool:
    """Whether a column holds text; of objects, text alone, none of them missing."""
    dtype = column.dtype
    if isinstance(dtype, np.dtype) and dtype.kind == "O":
        return bool(pd.api.types.infer_dtype(column, skipna=False) == "string")
    return isinstance(dtype, pd.StringDtype)


def days(column: pd.Series) -> Array:
    """Dates as days since 1970-01-01, R's number of a Date; NaN where missing."""
    values = column.to_numpy()
    out: Array = (values - _EPOCH.astype(values.dtype)) / _DAY
    return out


def numbers(
    column: pd.Series, name: object, what: str = "newdata", *, dates: bool = False
) -> Array:
    """A column's values as floats, NaN where missing.

    Parameters
    ----------
    column : Series
        In its normal form or not.
    name : str
        Of the column, for messages.
    what : str
        The argument that messages speak of.
    dates : bool
        Whether dates will do, as days since 1970-01-01: where the fit had dates.

    Raises
    ------
    InvalidArgumentError
        It is not of numbers.
    """
    dtype = column.dtype
    if isinstance(dtype, np.dtype):
        if dtype.kind in "iuf":
            return np.asarray(column.to_numpy(), dtype=float)
        if dtype.kind == "M" and dates:
            return days(column)
    elif kind_of(column) == "numbers":
        return np.asarray(column.to_numpy(dtype=float, na_value=np.nan))
    if len(column) and isinstance(dtype, np.dtype) and column.isna().all():
        return np.full(len(column), np.nan)
    raise not_numeric(column, name, what)


def responses(column: pd.Series, name: object, what: str) -> Array:
    """The values of a response or weight: numbers or truth values, NaN where missing.

    Raises
    ------
    InvalidArgumentError
        Something else, dates too.
    """
    dtype = column.dtype
    if isinstance(dtype, np.dtype) and dtype.kind in "iufb":
        return np.array(column.to_numpy(), dtype=float)  # a copy: may be the user's
    if kind_of(column) not in {"numbers", "booleans"}:
        raise InvalidArgumentError(f"{what} {name!r} must be numeric, not {column.dtype}")
    return np.array(column.to_numpy(dtype=float, na_value=np.nan))


def not_numeric(column: pd.Series, name: object, what: str) -> InvalidArgumentError:
    """The error on a column that should be of numbers, with what it is."""
    kind = kind_of(column)
    instead = f": {_INSTEAD[kind]}" if kind in _INSTEAD else ""
    held = kind if kind in _INSTEAD or kind == "mixture" else str(column.dtype)
    held = "a mixture of numbers and text" if held == "mixture" else held
    return InvalidArgumentError(f"{what}: column {name!r} must be numeric, not {held}{instead}")


def check_predictor(column: pd.Series, name: object, what: str = "data") -> None:
    """Refuse a column that is neither numbers nor categories.

    Raises
    ------
    InvalidArgumentError
        Durations, periods, times with a zone, complex numbers, other objects, or text among
        numbers; the message says what to do.
    """
    kind = kind_of(column)
    if kind == "mixture":
        texts = sorted({value for value in column.dropna() if isinstance(value, str)})
        raise InvalidArgumentError(
            f"{what}: column {name!r} holds numbers and text ({texts[:5]}), so that it is neither "
            "a number nor a category; make it one, with pd.to_numeric(column, errors='coerce') or "
            "column.astype(str)"
        )
    if kind in _INSTEAD:
        raise InvalidArgumentError(
            f"{what}: column {name!r} holds {kind}, which a formula can't use; {_INSTEAD[kind]}"
        )


def check_level(column: pd.Series) -> None:
    """Refuse a column whose values can't be levels of a grouping factor.

    Raises
    ------
    InvalidArgumentError
        Complex numbers, or objects such as lists.
    """
    kind = kind_of(column)
    if kind in {"complex numbers", "objects"}:
        raise InvalidArgumentError(
            f"data: the grouping factor {column.name!r} holds {kind}; {_INSTEAD['objects']}"
        )
