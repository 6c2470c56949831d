"""statsmodels' variance components as random-effects terms.

A variance component is, within each group, a matrix whose columns have independent effects of one
variance. Two forms are terms in lme4's sense, and these are recognised by their columns:

- one plain column per group (``"0 + Days"``, ``"1"``): a coefficient that varies by group;
- an indicator column per level (``"0 + C(cls)"``), perhaps times a covariate: a coefficient that
  varies by level within group, ``cls:school``; by level alone if there is just one group.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sp

from merextras._typing import Array, IntArray
from merextras.engine.crossprod import TermRows
from merextras.exceptions import UnsupportedModelError
from merextras.model.covariates import Covariates
from merextras.model.design import Term


@dataclass(frozen=True)
class Label:
    """A column's name taken apart: ``C(cls)[a]:Days`` is level a of cls, covariate Days."""

    variables: tuple[str, ...]
    levels: tuple[str, ...]
    covariate: str


@dataclass(frozen=True)
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


def parse_label(name: str) -> Label:
    """Take a design column's name apart."""
    variables, levels, covariates = [], [], []
    for piece in re.split(r":(?![^\[(]*[\])])", name):
        match = re.fullmatch(r"(?P<code>.+?)\[(?:T\.)?(?P<level>.*)\]", piece)
        if match:
            variables.append(_bare(match["code"]))
            levels.append(match["level"])
        else:
            covariates.append(piece)
    return Label(tuple(variables), tuple(levels), ":".join(covariates) or "Intercept")


def _bare(code: str) -> str:
    """``C(x)``, ``C(Q('x'), Treatment)`` and ``Q("x")`` are all x."""
    match = re.match(r"C\(\s*(?P<inner>Q\(.*?\)|[^,)]+)", code)
    code = match["inner"] if match else code
    match = re.match(r"Q\(\s*(['\"])(?P<inner>.*)\1\s*\)", code)
    return match["inner"] if match else code.strip("` ")


def vc_term(name: str, mats: list[Any], colnames: list[list[str]], groups: Groups, n: int, frame: pd.DataFrame) -> Term:
    """The term of one variance component.

    Raises
    ------
    UnsupportedModelError
        Several columns of a row are not zero: no level to put the row in.
    """
    labels = [[parse_label(str(column)) for column in columns] for columns in colnames]
    plain = all(len(row) == 1 and not row[0].variables for row in labels)
    column, values = np.zeros(n, dtype=np.intp), np.zeros(n)
    for rows, mat in zip(groups.rows, mats, strict=True):
        column[rows], values[rows] = _one_per_row(name, mat)
    if plain:
        covariates = Covariates((labels[0][0].covariate,))
        rows_ = TermRows(groups.codes, values[:, None], len(groups.levels))
        return Term(groups.name, (groups.name,), groups.levels, covariates, rows_)
    return _by_level(name, labels, column, values, groups, frame)


def _one_per_row(name: str, mat: Any) -> tuple[IntArray, Array]:
    """Column and value of the one nonzero of each row (column 0 where a row is zero)."""
    coo = sp.coo_array(mat)
    coo.eliminate_zeros()
    if len(np.unique(coo.row)) != coo.nnz:
        raise UnsupportedModelError(
            f"variance component {name!r}: a row has several columns that are not zero, so that it "
            "belongs to several levels; merextras has terms with one level a row. Write one "
            "component per column, or '0 + C(factor)' for a factor"
        )
    column = np.zeros(coo.shape[0], dtype=np.intp)
    values = np.zeros(coo.shape[0])
    column[coo.row], values[coo.row] = coo.col, coo.data
    return column, values


def _by_level(
    name: str,
    labels: list[list[Label]],
    column: IntArray,
    values: Array,
    groups: Groups,
    frame: pd.DataFrame,
) -> Term:
    """A term with a level for each column of each group that has a row."""
    first = labels[0][0]
    known = {(lab.variables, lab.covariate) for row in labels for lab in row}
    if len(known) != 1 or not first.variables:
        raise UnsupportedModelError(
            f"variance component {name!r} mixes columns of different kinds "
            f"({sorted(':'.join((*v, c)) for v, c in known)[:5]}); write one component for each"
        )
    # Number the distinct labels over all groups, then the (label, group) pairs that occur.
    texts = pd.unique(pd.Series([":".join(lab.levels) for row in labels for lab in row]))
    texts, restored = _in_column_order(np.asarray(texts, dtype=object), first.variables, frame)
    number = {text: i for i, text in enumerate(texts)}
    own = [np.array([number[":".join(lab.levels)] for lab in row]) for row in labels]
    label_of = np.empty(len(column), dtype=np.intp)
    for group, rows in enumerate(groups.rows):
        label_of[rows] = own[group][column[rows]]
    n_groups = len(groups.levels)
    pairs, codes = np.unique(label_of * n_groups + groups.codes, return_inverse=True)
    variables = first.variables if n_groups == 1 else (*first.variables, groups.name)
    if n_groups == 1:
        levels = pd.Index(restored[pairs])
    else:
        levels = pd.Index(
            [f"{texts[i]}:{groups.levels[j]}" for i, j in zip(*divmod(pairs, n_groups), strict=True)],
            dtype=object,
        )
    rows_ = TermRows(codes.reshape(-1).astype(np.intp), values[:, None], len(levels))
    return Term(":".join(variables), variables, levels, Covariates((first.covariate,)), rows_)


def _in_column_order(
    texts: Array, variables: tuple[str, ...], frame: pd.DataFrame
) -> tuple[Array, Array]:
    """Level names sorted as the column they come from sorts, and that column's own values.

    Design columns only have the levels' text; if the column is at hand its integers are restored.
    """
    if len(variables) == 1 and variables[0] in frame.columns:
        series = frame[variables[0]]
        is_categorical = isinstance(series.dtype, pd.CategoricalDtype)
        own = list(series.cat.categories) if is_categorical else sorted(pd.unique(series.dropna()))
        by_text = {str(value): value for value in own}
        if set(texts) <= set(by_text):
            kept = [text for text in by_text if text in set(texts)]
            values = np.empty(len(kept), dtype=object)
            values[:] = [by_text[text] for text in kept]
            return np.asarray(kept, dtype=object), values
    ordered = np.asarray(sorted(texts), dtype=object)
    return ordered, ordered
