"""Resampling whole groups: the designs of a cases bootstrap."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from merextras.engine.elimination.plan import nested_in
from merextras.engine.products.term_rows import TermRows
from merextras.exceptions import UnsupportedModelError
from merextras.foundation.aliases import IntArray
from merextras.model.columns.levels import labels_of
from merextras.model.design.design import Design, RowDesign, Term
from merextras.model.design.resample_rows import rows_of


def outermost(design: Design) -> Term:
    """The term on whose factor whole groups can be resampled: all others are nested in it.

    Raises
    ------
    UnsupportedModelError
        The factors are crossed: a resample of one tears the other's groups apart.
    """
    design = design.require_rows("kind='cases'", "X'WX and y'Wy of each group are needed")
    for term in reversed(design.terms):
        codes = term.rows.codes
        if all(nested_in(other.rows.codes, codes) for other in design.terms):
            return term
    raise UnsupportedModelError(
        f"the factors {', '.join(design.factors)} are crossed: no whole groups of one can be "
        "resampled without tearing another's apart. Use kind='parametric' or 'semiparametric'"
    )


def resampled(design: Design, generator: np.random.Generator) -> RowDesign:
    """A design of as many groups of the outermost factor, drawn with replacement.

    A group drawn twice makes two groups, and so do the groups nested in it. The levels of plain
    factors are numbered, in the frame too, and those of ``a:b`` made from the numbers.
    """
    return of_groups(design, *draw_groups(design, generator))


def draw_groups(design: Design, generator: np.random.Generator) -> tuple[IntArray, IntArray]:
    """The rows of groups that are drawn, and the number of the draw that each belongs to, (m,)."""
    outer = outermost(design).rows.codes
    order = np.argsort(outer, kind="stable")
    groups = np.split(order, np.flatnonzero(np.diff(outer[order])) + 1)
    drawn = [groups[g] for g in generator.integers(len(groups), size=len(groups))]
    rows = np.concatenate(drawn)
    return rows, np.repeat(np.arange(len(drawn)), [len(group) for group in drawn])


def of_groups(given: Design, rows: IntArray, copy: IntArray) -> RowDesign:
    """The design of groups that were drawn, see `resampled`."""
    design = given.require_rows("kind='cases'", "groups of rows are drawn")
    frame = design.frame.iloc[rows].reset_index(drop=True)
    terms = [_renumbered(term, rows, copy) for term in design.terms]
    for term in terms:
        if len(term.columns) == 1 and term.columns[0] not in design.fixed.variables:
            frame[term.columns[0]] = term.rows.codes
    return replace(
        design,
        y=design.y[rows],
        x=design.x[rows],
        terms=tuple(_labelled(term, frame) for term in terms),
        index=frame.index,
        frame=frame,
        weights=rows_of(design.weights, rows),
        residual=None if design.residual is None else design.residual.at(rows),
        offset=rows_of(design.offset, rows),
        frequencies=rows_of(design.frequencies, rows),
        options=design.options.at(rows),
        user_rows=None,
    )


def _renumbered(term: Term, rows: IntArray, copy: IntArray) -> Term:
    codes, pairs = pd.factorize(copy * len(term.levels) + term.rows.codes[rows])
    new = TermRows(codes.astype(np.intp), term.rows.values[rows], len(pairs))
    return replace(term, levels=pd.RangeIndex(len(pairs)), rows=new)


def _labelled(term: Term, frame: pd.DataFrame) -> Term:
    """The term with the labels that several columns of the frame make, if they tell all levels."""
    if len(term.columns) == 1:
        return term
    codes, labels = pd.factorize(labels_of(frame, term.columns))
    if len(labels) != len(term.levels):
        return term
    rows = TermRows(codes.astype(np.intp), term.rows.values, len(labels))
    return replace(term, levels=pd.Index(labels, dtype=object), rows=rows)
