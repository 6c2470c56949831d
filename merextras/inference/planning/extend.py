"""A larger or smaller table of the same kind: more groups, or more rows in each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from merextras.exceptions import InvalidArgumentError
from merextras.foundation.aliases import IntArray
from merextras.foundation.arguments import check_count, check_frame, unknown_column
from merextras.model.columns.levels import grouping
from merextras.model.design.design import RowDesign
from merextras.model.frame.read import as_pandas
from merextras.model.state.fitted import FittedModel

__all__ = ["extend"]


def extend(
    data: Any,
    *,
    n: int,
    along: str | None = None,
    within: str | None = None,
    nested: str | Sequence[str] | None = None,
) -> pd.DataFrame:
    """More groups, or more rows in each group, simr's ``extend``.

    Parameters
    ----------
    data : DataFrame (pandas or polars) or MerMod
        Of a model its variables, with the columns of its weights and offset.
    n : int
        How many levels there are then, or how many rows each level has. Fewer than now are the
        first ones.
    along : str
        The grouping column that gets n levels: those there are, then copies of them in their order,
        with all their rows, under new labels.
    within : str
        The grouping column whose levels get n rows each: those there are, then copies of them in
        their order.
    nested : str or sequence of str, optional
        With `along`, columns whose levels are a group's own (classes of a school) and get new
        labels in a copy too. By default all columns that are not numbers and of whose levels none
        is in two groups.

    Returns
    -------
    DataFrame
        With a new index; rows of a level together, in the order of the data.

    Raises
    ------
    InvalidArgumentError
        An unknown column, both or none of `along` and `within`, a grouping column with missing
        values, an n that is not a positive whole number.

    Notes
    -----
    R: ``simr::extend(object, along, within, n)``. New labels of whole numbers go on from the
    largest; of others they are the old one with ``.2``, ``.3``, ... The response is copied with the
    rows and means nothing there: `make_model` puts the model's own in its place.

    Examples
    --------
    >>> import merextras as mx
    >>> sleep = mx.load_dataset("sleepstudy")
    >>> more = mx.extend(sleep, along="Subject", n=25)
    >>> more["Subject"].nunique(), len(more)
    (25, 250)
    >>> len(mx.extend(sleep, within="Subject", n=4))
    72
    """
    n = check_count(n, "n")
    if (along is None) == (within is None):
        raise InvalidArgumentError("extend: give one of along= (more levels) and within= (rows)")
    if isinstance(data, FittedModel):
        data = _frame_of(data.design.require_rows("extend", "rows are copied"))
    frame = check_frame(as_pandas(data), "data")
    name, column = ("along", along) if within is None else ("within", within)
    if not isinstance(column, str) or column not in frame.columns:
        raise InvalidArgumentError(f"{name}: {unknown_column(str(column), frame.columns)}")
    if frame[column].isna().any():
        raise InvalidArgumentError(f"{name}: the column {column!r} has missing values")
    _, codes = grouping(frame, [column])
    if within is not None:
        if nested is not None:
            raise InvalidArgumentError("nested: it is for along=, which makes new levels")
        return _more_rows(frame, codes, n)
    return _more_levels(frame, column, codes, n, _nested(frame, column, codes, nested))


def _frame_of(design: RowDesign) -> pd.DataFrame:
    """The variables of a model, with the columns that its arguments by row were."""
    options = design.options
    by_row = {"weights": options.weights, "freq_weights": options.frequencies}
    by_row["offset"] = options.offset
    columns = {
        column: by_row[name]
        for name, column in options.columns.items()
        if column not in design.frame.columns
    }
    return design.frame.assign(**columns)


def _by_level(codes: IntArray) -> list[IntArray]:
    """The rows of each level, levels in the order in which they appear."""
    order = np.argsort(codes, kind="stable")
    parts = np.split(order, np.flatnonzero(np.diff(codes[order])) + 1)
    return sorted(parts, key=lambda rows: int(rows[0]))


def _more_rows(frame: pd.DataFrame, codes: IntArray, n: int) -> pd.DataFrame:
    rows = [part[np.arange(n) % len(part)] for part in _by_level(codes)]
    return frame.iloc[np.concatenate(rows)].reset_index(drop=True)


def _more_levels(
    frame: pd.DataFrame,
    column: str,
    codes: IntArray,
    n: int,
    nested: list[str],
) -> pd.DataFrame:
    parts = _by_level(codes)
    chosen = [parts[i % len(parts)] for i in range(n)]
    rows = np.concatenate(chosen)
    copy = np.repeat(np.arange(n) // len(parts), [len(part) for part in chosen])
    out = frame.iloc[rows].reset_index(drop=True)
    for name in [column, *nested]:
        out[name] = _relabelled(frame[name], out[name], copy)
    return out


def _nested(frame: pd.DataFrame, column: str, codes: IntArray, given: Any) -> list[str]:
    """The columns whose levels are a group's own."""
    if given is not None:
        names = [given] if isinstance(given, str) else list(given)
        for name in names:
            if name not in frame.columns or name == column:
                raise InvalidArgumentError(f"nested: {unknown_column(str(name), frame.columns)}")
        return names
    out = []
    for name in frame.columns:
        values = frame[name]
        kind = values.dtype
        if name == column or pd.api.types.is_numeric_dtype(kind):
            continue
        if pd.api.types.is_datetime64_any_dtype(kind):
            continue
        groups = pd.Series(codes).groupby(pd.factorize(values)[0]).nunique()
        if len(groups) and int(groups.max()) == 1:
            out.append(str(name))
    return out


def _relabelled(before: pd.Series, values: pd.Series, copy: IntArray) -> pd.Series:
    """New labels in copies; a label of copy c is another in each c."""
    if not np.any(copy):
        return values
    kind = before.cat.categories.dtype if hasattr(before, "cat") else before.dtype
    known = pd.Index(before.dropna().unique())
    if pd.api.types.is_integer_dtype(kind):
        shift = int(known.max()) - int(known.min()) + 1
        made = pd.Series(values.astype(int).to_numpy() + copy * shift, index=values.index)
    else:
        text = [
            value if c == 0 or pd.isna(value) else f"{value}.{c + 1}"
            for value, c in zip(values.astype(object), copy, strict=True)
        ]
        made = pd.Series(text, index=values.index, dtype=object)
        new = pd.Index(made[copy > 0].dropna().unique())
        clash = new.intersection(known.astype(str))
        if len(clash):
            raise InvalidArgumentError(
                f"extend: the new label {clash[0]!r} of {before.name!r} is there already; rename it"
            )
    if not hasattr(before, "cat"):
        return made
    fresh = [value for value in pd.unique(made.dropna()) if value not in set(known)]
    return pd.Series(pd.Categorical(made, [*before.cat.categories, *fresh]), index=values.index)
