"""Arrow's columns as pandas', on the way to numpy: integers never pass through floats.

pyarrow and pandas make floats of integers beside a missing value, and of two ids above 2**53 one.
"""

from __future__ import annotations

from typing import Any

import pandas as pd

#: pandas' dtypes of integers that may be missing, by arrow's name of the type.
_NULLABLE = {
    f"{sign}int{bits}": pd.api.types.pandas_dtype(f"{'U' if sign else ''}Int{bits}")
    for sign in ("", "u")
    for bits in (8, 16, 32, 64)
}


def frame_from_arrow(table: Any, *, use_threads: bool = True) -> pd.DataFrame:
    """A frame of an arrow table or record batch, with integers as integers.

    Parameters
    ----------
    table : pyarrow Table or RecordBatch
    use_threads : bool
        Whether arrow may convert several columns at once, which takes more memory.

    Returns
    -------
    DataFrame
        As by arrow's ``to_pandas``, but that integers of a type that has nulls are pandas' own
        nullable ones (``Int64``).
    """
    types = {
        str(field.type)
        for field, column in zip(table.schema, table.columns, strict=True)
        if str(field.type) in _NULLABLE and column.null_count
    }

    def nullable(kind: Any) -> Any:
        return _NULLABLE[str(kind)] if str(kind) in types else None

    made: pd.DataFrame = table.to_pandas(types_mapper=nullable, use_threads=use_threads)
    return made


def frame_from_nullable(frame: pd.DataFrame) -> pd.DataFrame:
    """Columns of pandas' nullable dtypes as those that it reads by default, integers exact.

    Integers that miss values stay nullable; all others become numpy's, and strings pandas' default.
    """
    made: dict[str, Any] = {}
    for name, column in frame.items():
        plain = getattr(column.dtype, "numpy_dtype", None)
        if plain is None:
            if isinstance(column.dtype, pd.StringDtype):
                made[str(name)] = column.astype(_TEXT)
        elif plain.kind == "f":
            made[str(name)] = column.to_numpy(dtype=plain, na_value=float("nan"))
        elif not column.hasnans:
            made[str(name)] = column.to_numpy(dtype=plain)
    return frame.assign(**made) if made else frame


#: What pandas reads text into: ``object``, from version 3 on ``str``.
_TEXT = pd.Series(["a"]).dtype
