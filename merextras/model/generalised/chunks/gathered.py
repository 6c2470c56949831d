"""Rows that come in chunks, gathered: of a generalised model only the columns it uses.

The weights of the rows change with every step of a search, so that no sums of a pass serve the
next, as cross-products do for a linear model. What is kept of the rows is the model's own columns,
category columns as codes; rows that are alike are joined afterwards (`engine.generalised.cells`).
Where they would not fit, the rows are read again for each step (`fit_chunks`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd
from pandas.api.types import union_categoricals

from merextras.exceptions import InvalidArgumentError
from merextras.foundation.memory import PART, available_memory
from merextras.model.formula.parse import parse
from merextras.model.formula.r_spelling import written_out
from merextras.model.formula.translate import as_code, names_used, pieces_of, take_offsets
from merextras.model.source.chunks import Source
from merextras.model.source.learn import watched
from merextras.model.state.size import bytes_of_row

# Levels of a factor that are taken for columns of X.
_MOST = 100


def gathered(
    formula: str, source: Source, given: Mapping[str, Any], progress: bool | None
) -> pd.DataFrame | None:
    """The model's columns of the chunks as one frame; None if the fit would take too much memory.

    That is more than half of what is free. Where it is not known how many rows there are, as many
    are read as that tells.

    Parameters
    ----------
    given : mapping from argument to value
        Weights and offset.

    Raises
    ------
    InvalidArgumentError
        A source that can't be read; weights or an offset that is not a column's name.
    """
    for name, value in given.items():
        if value is not None and not isinstance(value, str):
            raise InvalidArgumentError(f"{name}: of data in chunks give the name of a column")
    used = _used(formula, source.names, [value for value in given.values() if value is not None])
    most, kept, n_rows = available_memory(), [], 0
    for frame in watched(source.chunks(used), source, "rows", progress):
        kept.append(frame)
        n_rows += len(frame)
        needed = bytes_of_rows(formula, kept[0], max(n_rows, source.n_rows or 0))
        if most is not None and needed > PART * most:
            return None
    return _joined(kept)


def bytes_of_rows(formula: str, some: pd.DataFrame, n: int) -> float:
    """About the peak of a fit of n rows like some, with their frame and none of them alike."""
    parsed = parse(written_out(formula, some.columns))
    factors = {column for bar in parsed.bars for column in bar.factors}
    columns = [
        1 if pd.api.types.is_numeric_dtype(some[name].dtype) else min(some[name].nunique(), _MOST)
        for name in some.columns
        if name not in factors
    ]
    effects = [1 + len([code for code in pieces_of(bar.effects) if code]) for bar in parsed.bars]
    each = float(some.memory_usage(index=False, deep=True).sum()) / max(len(some), 1)
    return n * (each + bytes_of_row(1 + sum(columns), effects))


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
