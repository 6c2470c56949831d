"""The rows of the user's table beside those of the fit, which has no missing values."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
import pandas as pd

from merextras.exceptions import InvalidArgumentError
from merextras.foundation.aliases import Array, IntArray

S = TypeVar("S", pd.Series, pd.DataFrame)
D = TypeVar("D")

#: How pandas has whole numbers and truth values of which some are missing.
_WITH_MISSING = {"i": pd.Int64Dtype, "u": pd.UInt64Dtype, "b": pd.BooleanDtype}


@dataclass(frozen=True, eq=False)
class UserRows:
    """The table that a fit has some rows of.

    Attributes
    ----------
    index : Index, (N,)
        Of all rows of the table.
    at : (n,) integer array
        The places in it of the rows of the fit, in the table's order.
    kept : bool
        Whether results by row are of all N rows, as ``missing="keep"`` has it.
    """

    index: pd.Index
    at: IntArray
    kept: bool

    def of(self, inner: UserRows | None) -> UserRows:
        """The same table, of whose rows in the fit a later fit has `inner`."""
        return self if inner is None else UserRows(self.index, self.at[inner.at], self.kept)

    def spread(self, values: Array) -> Array:
        """Numbers by row of the fit, (n, ...), by row of the table, (N, ...), others NaN."""
        out = np.full((len(self.index), *values.shape[1:]), np.nan)
        out[self.at] = values
        return out


def in_user_rows(made: S, rows: UserRows | None) -> S:
    """A result by row of the fit as the user gets it, the one place where rows come back.

    Itself, or with ``missing="keep"`` of all rows of the user's table, in its order: those that the
    fit left out are NaN (NA in columns of whole numbers and truth values).
    """
    if rows is None or not rows.kept:
        return made
    places = np.full(len(rows.index), -1, dtype=np.intp)
    places[rows.at] = np.arange(len(rows.at))
    plain = made.set_axis(pd.RangeIndex(len(made)), axis=0)
    if isinstance(plain, pd.Series):
        out: Any = _with_missing(plain).reindex(places)
    else:
        out = plain.apply(_with_missing).reindex(places)
    padded: S = out.set_axis(rows.index, axis=0)
    return padded


def within(design: D, rows: UserRows | None) -> D:
    """A design that was made from the model frame of a fit, beside that fit's table again."""
    if rows is None:
        return design
    made: Any = design
    joined: D = replace(made, user_rows=rows.of(made.user_rows))
    return joined


def _with_missing(column: pd.Series) -> pd.Series:
    kind = column.dtype.kind if isinstance(column.dtype, np.dtype) else ""
    return column.astype(_WITH_MISSING[kind]()) if kind in _WITH_MISSING else column


def rows_of_fit(
    values: Any, index: pd.Index, rows: UserRows | None, argument: str, *, wider: bool = False
) -> Any:
    """A user's values for each row, for the rows of the fit alone.

    Parameters
    ----------
    values : array, Series, DataFrame, or anything with a length
        Of the rows of the fit, or of all rows of its table. A Series or frame is matched by its
        index, in any order; what has none by its place.
    index : Index, (n,)
        Of the rows of the fit.
    rows : UserRows or None
        None if the fit has all rows of the table.
    argument : str
        That messages speak of.
    wider : bool
        Whether a Series may have further rows.

    Raises
    ------
    InvalidArgumentError
        Another length or index; the message has what is allowed.
    """
    if isinstance(values, pd.Series | pd.DataFrame):
        if values.index.equals(index):
            return values
        if rows is not None and values.index.equals(rows.index):
            return values.iloc[rows.at]
        size = wider or len(values) in _lengths(index, rows)
        unique = index.is_unique and values.index.is_unique
        if not (unique and size and index.isin(values.index).all()):
            raise InvalidArgumentError(
                f"{argument}: the {type(values).__name__} has another index than the rows of the "
                f"fit; it has {len(values)} rows, the fit {_allowed(index, rows)}. Give one with "
                "that index (m.model_frame().index is the fit's) or an array"
            )
        return values.loc[index]
    if rows is not None and np.ndim(values) > 0 and len(values) == len(rows.index):
        return np.asarray(values)[rows.at]
    return values


def _lengths(index: pd.Index, rows: UserRows | None) -> tuple[int, ...]:
    return (len(index),) if rows is None else (len(index), len(rows.index))


def _allowed(index: pd.Index, rows: UserRows | None) -> str:
    return f"{len(index)}" if rows is None else f"{len(index)} of the {len(rows.index)} of its data"


def expected(index: pd.Index, rows: UserRows | None, what: str = "values") -> str:
    """How many values an argument by row has, for a message."""
    text = f"{len(index)} {what}, one per row of the fit"
    more = "" if rows is None else f" (or {len(rows.index)}, one per row of its data)"
    return text + more
