"""statsmodels' variance components as random-effects terms.

A variance component is, within each group, a matrix whose columns have independent effects of one
variance. Two forms are terms in lme4's sense, and these are recognised by their columns:

- one plain column per group (``"0 + Days"``, ``"1"``): a coefficient that varies by group;
- an indicator column per level (``"0 + C(cls)"``), perhaps times a covariate: a coefficient that
  varies by level within group, ``cls:school``; by level alone if there is just one group.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from merextras.engine.products.term_rows import TermRows
from merextras.exceptions import UnsupportedModelError
from merextras.foundation.aliases import Array, IntArray
from merextras.model.columns.covariates import Covariates
from merextras.model.columns.levels import grouping
from merextras.model.design.design import INTERCEPT, Term
from merextras.model.formula.names import bare

#: The texts of a variable's values, as far as they are known.
Known = Callable[[str], set[str]]


@dataclass(frozen=True)
class Label:
    """A column's name taken apart: ``C(cls)[a]:Days`` is level a of cls, covariate Days."""

    variables: tuple[str, ...]
    levels: tuple[str, ...]
    covariate: str


@dataclass(frozen=True, eq=False)
class Groups:
    """The model's top-level groups.

    Attributes
    ----------
    name : str
    codes : (n,) integer array
    levels : Index
    rows : list of integer arrays
        The rows of each group, in the order statsmodels keeps them.
    """

    name: str
    codes: IntArray
    levels: pd.Index
    rows: list[IntArray]


def vc_term(
    name: str, mats: list[Any], colnames: list[list[str]], groups: Groups, frame: pd.DataFrame
) -> Term:
    """The term of one variance component.

    Raises
    ------
    UnsupportedModelError
        Several columns of a row are not zero: no level to put the row in.
    """
    labels = _labels(name, colnames, frame)
    column, values = np.zeros(len(frame), dtype=np.intp), np.zeros(len(frame))
    for rows, mat in zip(groups.rows, mats, strict=True):
        column[rows], values[rows] = _one_per_row(name, mat)
    if all(len(row) == 1 and not row[0].variables for row in labels):
        covariates = Covariates((labels[0][0].covariate,))
        rows_ = TermRows(groups.codes, values[:, None], len(groups.levels))
        return Term(groups.name, (groups.name,), groups.levels, covariates, rows_)
    first = _only_kind(name, labels)
    columns = first.variables if len(groups.levels) == 1 else (*first.variables, groups.name)
    # Numbers of the columns' texts, the same text in two groups having the same number.
    texts, numbers = np.unique([_joined(lab) for row in labels for lab in row], return_inverse=True)
    starts = np.concatenate([[0], np.cumsum([len(row) for row in labels])])[:-1]
    own = numbers.reshape(-1)[starts[groups.codes] + column]
    levels, codes = _from_data(columns, frame, texts, own, groups, values != 0.0) or _from_texts(
        texts, own, groups
    )
    rows_ = TermRows(codes, values[:, None], len(levels))
    return Term(":".join(columns), columns, levels, Covariates((first.covariate,)), rows_)


def _joined(label: Label) -> str:
    return ":".join(label.levels)


def _labels(name: str, colnames: list[list[str]], frame: pd.DataFrame) -> list[list[Label]]:
    """The columns' names taken apart, by groups; names without levels are levels of `name`."""
    values: dict[str, set[str]] = {}

    def known(variable: str) -> set[str]:
        if variable not in values:
            there = variable in frame.columns
            values[variable] = set(map(str, frame[variable].unique())) if there else set()
        return values[variable]

    distinct = {str(c): parse_label(str(c), known) for row in colnames for c in row}
    if not any(label.variables for label in distinct.values()) and len(distinct) > 1:
        distinct = {c: Label((name,), (c,), INTERCEPT) for c in distinct}
    return [[distinct[str(c)] for c in row] for row in colnames]


def parse_label(name: str, known: Known = lambda _: set()) -> Label:
    """Take a design column's name apart, with the help of the values that a variable has."""
    variables, levels, covariates = [], [], []
    rest = name
    while rest:
        end = _end_of_code(rest)
        code, rest = rest[:end], rest[end:]
        if rest.startswith("["):
            variables.append(bare(code))
            level, rest = _level(rest, known(variables[-1]))
            levels.append(level)
        else:
            covariates.append(code)
        rest = rest.removeprefix(":")
    return Label(tuple(variables), tuple(levels), ":".join(covariates) or INTERCEPT)


def _end_of_code(text: str) -> int:
    """Where the code of a factor ends: at ``[`` or ``:`` outside parentheses and quotes."""
    depth, quote = 0, ""
    for i, char in enumerate(text):
        if quote:
            quote = "" if char == quote else quote
        elif char in "\"'`":
            quote = char
        elif depth == 0 and char in "[:":
            return i
        else:
            depth += (char in "([{") - (char in ")]}")
    return len(text)


def _level(text: str, known: Iterable[str]) -> tuple[str, str]:
    """The level in ``[level]`` or ``[T.level]``, and what follows; it may have brackets itself."""
    ends = [match.start() for match in re.finditer(r"\](?=:|$)", text)] or [len(text)]
    for end in ends:
        for level in (text[1:end], text[1:end].removeprefix("T.")):
            if level in known:
                return level, text[end + 1 :]
    return text[1 : ends[0]].removeprefix("T."), text[ends[0] + 1 :]


def _one_per_row(name: str, mat: Any) -> tuple[IntArray, Array]:
    """Column and value of the one nonzero of each row (column 0 where a row is zero)."""
    rows, columns, found = _find(mat)
    if len(np.unique(rows)) != len(rows):
        raise UnsupportedModelError(
            f"variance component {name!r}: a row has several columns that are not zero, so that it "
            "belongs to several levels; merextras has terms with one level a row. Write one "
            "component per column, or '0 + C(factor)' for a factor"
        )
    column, values = np.zeros(mat.shape[0], dtype=np.intp), np.zeros(mat.shape[0])
    column[rows], values[rows] = columns, found
    return column, values


def _find(mat: Any) -> tuple[IntArray, IntArray, Array]:
    """Places and values of what is not zero."""
    if not isinstance(mat, np.ndarray):  # use_sparse=True
        coo = mat.tocoo()
        coo.eliminate_zeros()
        return coo.row.astype(np.intp), coo.col.astype(np.intp), np.asarray(coo.data)
    rows, columns = np.nonzero(mat)
    return rows, columns, mat[rows, columns]


def _only_kind(name: str, labels: list[list[Label]]) -> Label:
    """A label of the columns, which must differ by their levels only."""
    known = {(lab.variables, lab.covariate) for row in labels for lab in row}
    first = labels[0][0]
    if len(known) != 1 or not first.variables:
        raise UnsupportedModelError(
            f"variance component {name!r} mixes columns of different kinds "
            f"({sorted(':'.join((*v, c)) for v, c in known)[:5]}); write one component for each"
        )
    return first


def _from_data(
    columns: tuple[str, ...],
    frame: pd.DataFrame,
    texts: Array,
    own: IntArray,
    groups: Groups,
    used: Any,
) -> tuple[pd.Index, IntArray] | None:
    """Levels and codes from the data's own columns, if they are what the fit has."""
    if not all(isinstance(frame.get(c), pd.Series) for c in columns):
        return None
    inner = [c for c in columns if c != groups.name] or list(columns)
    held = [_texts_of(frame, inner, text)[used] for text in (str, repr)]
    if not any(np.array_equal(each, texts[own][used]) for each in held):
        return None  # recoded since the fit
    levels, codes = grouping(frame, columns)
    theirs = own[used] * len(groups.levels) + groups.codes[used]
    pairs = np.unique(np.column_stack([theirs, codes[used]]), axis=0)
    one_to_one = all(len(np.unique(side)) == len(pairs) for side in pairs.T)
    return (levels, codes) if one_to_one and np.all(codes >= 0) else None


def _texts_of(frame: pd.DataFrame, columns: list[str], text: Callable[[object], str]) -> Array:
    """The rows' values in the columns as one text each."""
    rows = frame[columns].itertuples(index=False, name=None)
    return np.array([":".join(map(text, row)) for row in rows], dtype=object)


def _from_texts(texts: Array, own: IntArray, groups: Groups) -> tuple[pd.Index, IntArray]:
    """Levels and codes from the names of the fit's columns."""
    n = len(groups.levels)
    pairs, codes = np.unique(own * n + groups.codes, return_inverse=True)
    if n == 1:
        return pd.Index(texts[pairs].astype(object)), codes.reshape(-1).astype(np.intp)
    text, group = np.divmod(pairs, n)
    names = [f"{texts[i]}:{groups.levels[j]}" for i, j in zip(text, group, strict=True)]
    return pd.Index(names, dtype=object), codes.reshape(-1).astype(np.intp)
