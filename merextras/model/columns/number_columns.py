"""Columns of new data that a formula reads as numbers, which its engine does not check."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd
from pandas.api.types import is_bool_dtype, is_numeric_dtype

from merextras.exceptions import InvalidArgumentError


def is_number(column: pd.Series) -> bool:
    """Whether a column is of numbers, which True and False are not."""
    return bool(is_numeric_dtype(column) and not is_bool_dtype(column))


def in_floats(data: pd.DataFrame, columns: Iterable[str]) -> pd.DataFrame:
    """The data with those of the columns as floats that have a dtype which numpy doesn't know.

    Raises
    ------
    InvalidArgumentError
        One of the columns is not numeric.
    """
    made = {}
    for name in columns:
        column = data[name]
        if not is_number(column):
            raise InvalidArgumentError(
                f"newdata: column {name!r} must be numeric, not {column.dtype}"
            )
        if not isinstance(column.dtype, np.dtype):
            made[name] = column.to_numpy(dtype=float, na_value=np.nan)
    return data.assign(**made) if made else data
