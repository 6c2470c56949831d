"""Frames of arrow's batches: numbers without a copy, the labels of a dictionary made once."""

from __future__ import annotations

from typing import Any

import pandas as pd

from merextras.model.frame.read import from_arrow


class ArrowBatches:
    """What makes frames of the batches of one source, one after the other.

    Numbers are the arrays that arrow has (read-only); a dictionary becomes a categorical, whose
    categories are made again only when the batches come to another dictionary: there are as many of
    them as the whole file has, for however few rows. The rest is left to pandas.
    """

    def __init__(self) -> None:
        self._dictionaries: dict[str, tuple[Any, pd.CategoricalDtype]] = {}

    def frame(self, batch: Any) -> pd.DataFrame:
        """The rows of a RecordBatch, integers and truth values exactly, as `from_arrow`."""
        made: dict[str, Any] = {}
        for name, column in zip(batch.schema.names, batch.columns, strict=True):
            values = self._values(name, column)
            if values is not None:
                made[name] = values
        rest = [name for name in batch.schema.names if name not in made]
        if rest:
            left = from_arrow(batch.select(rest), ignore_index=True)
            made.update((name, left[name]) for name in rest)
        return pd.DataFrame({name: made[name] for name in batch.schema.names}, copy=False)

    def _values(self, name: str, column: Any) -> Any:
        """The column as pandas holds it, None where pandas is to say how."""
        import pyarrow as pa  # noqa: PLC0415 (an extra)

        types, kind = pa.types, column.type
        if types.is_dictionary(kind):
            return self._categorical(name, column)
        whole = types.is_integer(kind) or types.is_boolean(kind)
        if types.is_float32(kind) or types.is_float64(kind) or (whole and not column.null_count):
            return column.to_numpy(zero_copy_only=False)
        return None

    def _categorical(self, name: str, column: Any) -> pd.Categorical | None:
        if column.dictionary.null_count:
            return None
        known = self._dictionaries.get(name)
        if known is None or not known[0].equals(column.dictionary):
            dtype = column.slice(0, 0).to_pandas().dtype
            known = self._dictionaries[name] = column.dictionary, dtype
        codes = column.indices.fill_null(-1) if column.null_count else column.indices
        return pd.Categorical.from_codes(codes.to_numpy(), dtype=known[1], validate=False)
