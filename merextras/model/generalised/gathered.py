"""Rows that come in chunks, gathered: of a generalised model only the columns it uses.

The weights of the rows change with every step of a search, so that no sums of a pass serve the
next, as cross-products do for a linear model. What is kept of the rows is the model's own columns,
category columns as codes; rows that are alike are joined afterwards (`engine.generalised.cells`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd
from pandas.api.types import union_categoricals

from merextras.exceptions import InvalidArgumentError, UnsupportedModelError
from merextras.model.formula.parse import parse
from merextras.model.formula.r_spelling import written_out
from merextras.model.formula.translate import as_code, names_used, take_offsets
from merextras.model.frame.read import as_pandas, is_arrow
from merextras.model.products.products import ModelProducts
from merextras.model.source.source import as_source, is_dask, is_source


def in_memory(formula: str, data: Any, given: Mapping[str, Any]) -> pd.DataFrame:
    """The frame, or the model's columns of the chunks as one.

    Parameters
    ----------
    given : mapping from argument to value
        Weights and offset.

    Raises
    ------
    UnsupportedModelError
        Cross-products.
    InvalidArgumentError
        A source that can't be read; weights or an offset that is not a column's name.
    """
    if isinstance(data, ModelProducts):
        raise UnsupportedModelError(
            "data: cross-products are sums over the rows at one set of weights, those of a linear "
            "model; a generalised model's weights change with every step, so that it needs the "
            "rows (chunks are taken). Sites that share no rows can't fit one together"
        )
    if is_arrow(data) or not (is_dask(data) or is_source(data)):
        return as_pandas(data)
    for name, value in given.items():
        if value is not None and not isinstance(value, str):
            raise InvalidArgumentError(f"{name}: of data in chunks give the name of a column")
    extra = [value for value in given.values() if value is not None]
    if is_dask(data):
        used = _used(formula, [str(c) for c in data.columns], extra)
        return as_pandas(data[used].compute())
    source = as_source(data)
    used = _used(formula, source.names, extra)
    return _joined(list(source.chunks(used)))


def _used(formula: str, names: Sequence[str], extra: Iterable[str]) -> list[str]:
    """The columns that the model uses; those that it lacks are told by who builds the design."""
    columns = pd.Index(names)
    parsed = as_code(parse(written_out(formula, columns)), list(names), {})
    fixed, offsets = take_offsets(parsed.fixed)
    wanted = {*names_used(parsed, fixed, offsets, columns), *extra}
    return [name for name in names if name in wanted]


def _joined(chunks: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """The chunks below each other, with the categories of all of them."""
    if len(chunks) == 1:
        return chunks[0].reset_index(drop=True)
    out = pd.concat(chunks, ignore_index=True)
    for name in out.columns:
        parts = [chunk[name] for chunk in chunks]
        if all(isinstance(part.dtype, pd.CategoricalDtype) for part in parts):
            out[name] = pd.Series(union_categoricals(parts), index=out.index)
    return out
