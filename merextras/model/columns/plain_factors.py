"""Formulas that are sums of numeric and of categorical columns, made without a formula engine.

With an intercept and no products each categorical column has R's treatment contrasts, its first
level's column left out: ``1 + age + urban``. What patsy makes of such a formula is known without
asking it, and asking takes longer than many a fit.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd

from merextras.foundation.aliases import Array
from merextras.model.columns.blocks import Block
from merextras.model.columns.coded import CodedPart, Factor
from merextras.model.columns.levels import as_categories
from merextras.model.frame.kinds import is_number, is_text

_PIECE = re.compile(
    r"\s*(?:(?P<one>1)|(?P<name>[^\W\d]\w*)|C\(\s*(?P<category>[^\W\d]\w*)\s*\))\s*"
)


def treatment_part(rhs: str, columns: Mapping[str, pd.Series]) -> CodedPart | None:
    """The part of a formula that is a sum of columns with an intercept; None if it is more.

    Parameters
    ----------
    rhs : str
        One-sided.
    columns : mapping
        Complete columns in their normal form, without categories that do not occur; text is left
        to an engine, see `TextAsCategories`.
    """
    factors: dict[str, Factor] = {}
    for piece in rhs.split("+"):
        match = _PIECE.fullmatch(piece)
        if match is None:
            return None
        if match["one"]:
            continue
        category = match["name"] is None
        column = str(match["category"] if category else match["name"])
        if column not in columns:
            return None
        code = f"C({column})" if category else column
        found = _factor(code, column, columns[column], category=category)
        if found is None:
            return None
        factors.setdefault(code, found)
    return _part(rhs, list(factors.values()), columns)


class TextAsCategories(Mapping[str, pd.Series]):
    """Columns by name, those of text as categoricals of their labels, sorted; each made once."""

    def __init__(self, columns: Mapping[str, pd.Series]) -> None:
        self._columns, self._made = columns, dict[str, pd.Series]()

    def __getitem__(self, name: str) -> pd.Series:
        found = self._made.get(name)
        if found is None:
            column = self._columns[name]
            found = self._made[name] = as_categories(column) if is_text(column) else column
        return found

    def __contains__(self, name: object) -> bool:
        return name in self._columns

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __len__(self) -> int:
        return len(self._columns)


def _factor(code: str, name: str, column: pd.Series, *, category: bool) -> Factor | None:
    dtype = column.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        levels = dtype.categories
    elif not isinstance(dtype, np.dtype) or not is_number(column):
        return None
    elif not category:
        return Factor(code, name, None)
    else:
        levels = pd.Index(np.unique(column.to_numpy()))
    # What other levels are called is an engine's to say.
    known = len(levels) > 1 and all(isinstance(level, (str, int, float)) for level in levels)
    return Factor(code, name, levels) if known else None


def _part(rhs: str, factors: list[Factor], columns: Mapping[str, pd.Series]) -> CodedPart:
    """The terms in patsy's order: the intercept, categories, numbers."""
    names, made = ["Intercept"], [_term("", (), ())]
    for i in sorted(range(len(factors)), key=lambda i: factors[i].levels is None):
        code, levels = factors[i].code, factors[i].levels
        if levels is None:
            names.append(code)
            made.append(_term(code, (i,), (None,)))
            continue
        names += [f"{code}[T.{level}]" for level in levels[1:]]
        made.append(_term(code, (i,), (np.eye(len(levels))[:, 1:],)))
    read = {factor.column for factor in factors}
    variables = tuple(c for c in columns if c in read)
    return CodedPart(rhs, tuple(names), variables, tuple(factors), tuple(made))


def _term(
    label: str, factors: tuple[int, ...], contrasts: tuple[Array | None, ...]
) -> tuple[str, tuple[int, ...], tuple[Block, ...]]:
    return label, factors, (Block(factors, contrasts),)
