"""Formulas that are sums of numeric columns, made without a formula engine.

Most are: ``1 + Days``, ``open + agree + social``. A general engine takes milliseconds to find that
out, more than the fit itself for a table of ordinary size.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

import numpy as np
import pandas as pd

from merextras.foundation.aliases import Array, IntArray
from merextras.foundation.arguments import check_columns
from merextras.model.columns.part import FixedPart, PartTerm, Rows
from merextras.model.columns.synthetic_rows import Synthetic, SyntheticRows
from merextras.model.formula.names import in_code
from merextras.model.frame.kinds import is_number, kind_of, numbers

_WORD = re.compile(r"\s*(?:(?P<name>[^\W\d]\w*)|Q\(\"(?P<quoted>[^\"]*)\"\)|(?P<number>[01]))\s*")


class PlainPart(FixedPart):
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
        self._dates = frozenset(dates)
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
        return self.of_columns(data, len(data))

    def of_columns(self, columns: Rows, n: int) -> Array:
        """The same of n rows."""
        out = np.empty((n, len(self.names)), order="F")
        out[:, : self.intercept] = 1.0
        for i, name in enumerate(self.variables):
            out[:, i + self.intercept] = numbers(columns[name], name, dates=name in self._dates)
        return out

    @property
    def dates(self) -> frozenset[str]:
        """The columns that are dates."""
        return self._dates

    @property
    def right_side(self) -> str:
        """The sum of the columns."""
        return " + ".join(["1" if self.intercept else "0", *map(in_code, self.variables)])

    def terms_written(self) -> list[PartTerm]:
        """A term for each column."""
        ones = [PartTerm("Intercept", (), (), (0,))] if self.intercept else []
        first = len(ones)
        own = [PartTerm(n, (), (n,), (first + i,)) for i, n in enumerate(self.variables)]
        return [*ones, *own]

    def synthetic(self, rows: SyntheticRows) -> Synthetic:
        """A number for each column."""
        made = {name: rows.numbers(name, 1) for name in self.variables}
        ones = [np.ones((rows.n, 1))] if self.intercept else [np.empty((rows.n, 0))]
        return Synthetic(np.hstack([*ones, *made.values()]), made)

    def subset(self, at: Sequence[int], columns: IntArray, code: str) -> PlainPart:  # noqa: ARG002
        """Of a term a column."""
        names = [self.names[j] for j in columns if not self.intercept or j > 0]
        dates = self._dates & frozenset(names)
        return PlainPart(names, intercept=self.intercept and 0 in columns, dates=dates)


def plain_part(rhs: str, data: Rows) -> PlainPart | None:
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
