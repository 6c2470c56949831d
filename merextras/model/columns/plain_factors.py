"""Formulas of numeric and of categorical columns alone, whose columns no formula engine makes.

In a sum with an intercept, such as ``1 + age + urban``, each categorical column has R's treatment
contrasts, its first level's column left out: what patsy makes of it is known without asking. Of
products, and without an intercept, patsy says how each column is coded, from its levels alone: its
own evaluation of the columns takes longer than many a fit.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd
import patsy

from merextras.foundation.aliases import Array
from merextras.model.columns.blocks import Block
from merextras.model.columns.coded import CodedPart, Factor
from merextras.model.columns.levels import as_categories
from merextras.model.frame.kinds import are_dates, is_number, is_text

_PIECE = re.compile(
    r"\s*(?:(?P<one>1)|(?P<name>[^\W\d]\w*)|C\(\s*(?P<category>[^\W\d]\w*)\s*\))\s*"
)


def treatment_part(rhs: str, columns: Mapping[str, pd.Series]) -> CodedPart | None:
    """The part of a formula whose terms are columns and their products; None if it is more.

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
            return _products(rhs, columns)
        if match["one"]:
            continue
        found = _factor(match, columns)
        if found is None:
            return None
        factors.setdefault(found.code, found)
    return _part(rhs, list(factors.values()), columns)


def _products(rhs: str, columns: Mapping[str, pd.Series]) -> CodedPart | None:
    """The part of a formula with products, or without an intercept."""
    try:
        terms = patsy.ModelDesc.from_formula(rhs).rhs_termlist
    except patsy.PatsyError:
        return None
    factors: dict[str, Factor] = {}
    for code in dict.fromkeys(factor.name() for term in terms for factor in term.factors):
        match = _PIECE.fullmatch(code)
        found = None if match is None or match["one"] else _factor(match, columns)
        if found is None:
            return None
        factors[code] = found
    return CodedPart.from_factors(rhs, factors, {}, columns, {})


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


def _factor(piece: re.Match[str], columns: Mapping[str, pd.Series]) -> Factor | None:
    """The column of a piece; None where an engine must look at it."""
    category = piece["name"] is None
    name = str(piece["category"] if category else piece["name"])
    if name not in columns:
        return None
    code, column = f"C({name})" if category else name, columns[name]
    dtype = column.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        levels = dtype.categories
    elif not isinstance(dtype, np.dtype) or not is_number(column):
        return None
    elif not category:
        return Factor(code, name, None, dates=are_dates(column))
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
