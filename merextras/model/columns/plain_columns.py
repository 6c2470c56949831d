"""Formulas that are sums of numeric columns, made without a formula engine.

Most are: ``1 + Days``, ``open + agree + social``. A general engine takes milliseconds to find that
out, more than the fit itself for a table of ordinary size.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence

import numpy as np
import pandas as pd

from merextras._checks import check_columns
from merextras._typing import Array
from merextras.model.frame.kinds import is_number, kind_of, numbers

_WORD = re.compile(r"\s*(?:(?P<name>[^\W\d]\w*)|Q\(\"(?P<quoted>[^\"]*)\"\)|(?P<number>[01]))\s*")


class PlainPart:
    """Numeric columns, perhaps with a column of ones before them.

    Parameters
    ----------
    columns : sequence of str
    intercept : bool
    dates : collection of str
        The columns that are dates, as numbers of days.
    """

    def __init__(
        self, columns: Sequence[str], *, intercept: bool, dates: Collection[str] = ()
    ) -> None:
        self.dates = frozenset(dates)
        self.intercept = intercept
        self.variables: tuple[str, ...] = tuple(columns)
        self.names: tuple[str, ...] = (*(["Intercept"] if intercept else []), *columns)

    def matrix(self, data: pd.DataFrame) -> Array:
        """The columns for new data, (rows, p); a missing value gives NaN.

        Raises
        ------
        InvalidArgumentError
            A column is missing or not numeric.
        """
        check_columns(data, self.variables, "newdata")
        out = np.ones((len(data), len(self.names)))
        for i, name in enumerate(self.variables):
            out[:, i + self.intercept] = numbers(data[name], name, dates=name in self.dates)
        return out


def plain_part(rhs: str, data: pd.DataFrame | Mapping[str, pd.Series]) -> PlainPart | None:
    """The part of a formula that is nothing but numeric columns, or None if it is more.

    The data are a frame, or its columns by name.
    """
    columns: list[str] = []
    intercept = True
    for piece in rhs.split("+"):
        match = _WORD.fullmatch(piece)
        if match is None:
            return None
        if match["number"]:
            intercept = match["number"] == "1"
            continue
        name = match["name"] or match["quoted"]
        if name not in data or not _is_plain(data[name]):
            return None
        if name not in columns:
            columns.append(name)
    dates = [name for name in columns if kind_of(data[name]) == "dates"]
    return PlainPart(columns, intercept=intercept, dates=dates)


def _is_plain(column: pd.Series) -> bool:
    """Whether a column is numpy's numbers; a formula engine takes booleans as categories."""
    return isinstance(column.dtype, np.dtype) and is_number(column)
