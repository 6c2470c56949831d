"""Resampling rows: the designs of a bootstrap of single observations."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from merextras.engine.products.term_rows import TermRows
from merextras.exceptions import InvalidArgumentError
from merextras.foundation.aliases import Array, IntArray
from merextras.model.design.design import RowDesign, Term
from merextras.model.design.rank import dependent_columns


def sampled(design: RowDesign, n: int, generator: np.random.Generator) -> RowDesign:
    """A design of n of the observations, drawn with replacement; levels without rows are left out.

    A row that stands for several observations is drawn as often, each draw a row of its own; one of
    weight zero is not.

    Raises
    ------
    InvalidArgumentError
        The rows that were drawn do not determine all fixed effects.
    """
    return of_rows(design, draw_rows(design, n, generator))


def draw_rows(design: RowDesign, n: int, generator: np.random.Generator) -> IntArray:
    """The numbers of n of the observations, drawn with replacement."""
    used = np.arange(design.n)[design.observed]
    share = None
    if design.frequencies is not None:
        share = design.frequencies[used] / np.sum(design.frequencies[used])
    return np.asarray(generator.choice(used, size=n, p=share), dtype=np.intp)


def of_rows(design: RowDesign, rows: IntArray) -> RowDesign:
    """The design of rows that were drawn, see `sampled`."""
    x = design.x[rows]
    lost = dependent_columns(x) if len(rows) >= x.shape[1] else [x.shape[1] - 1]
    if lost:
        name = design.fixed.names[lost[0]]
        raise InvalidArgumentError(f"the resampled rows do not determine the fixed effect {name!r}")
    frame = design.frame.iloc[rows].reset_index(drop=True)
    return replace(
        design,
        y=design.y[rows],
        x=x,
        terms=tuple(_sampled(term, rows) for term in design.terms),
        index=frame.index,
        frame=frame,
        weights=rows_of(design.weights, rows),
        residual=None if design.residual is None else design.residual.at(rows),
        offset=rows_of(design.offset, rows),
        frequencies=None,
        options=replace(design.options.at(rows), frequencies=None),
        user_rows=None,
    )


def rows_of(values: Array | None, rows: IntArray) -> Array | None:
    """Some rows of what each row has, if it has it."""
    return None if values is None else values[rows]


def _sampled(term: Term, rows: IntArray) -> Term:
    there, codes = np.unique(term.rows.codes[rows], return_inverse=True)
    own = TermRows(codes.astype(np.intp), term.rows.values[rows], len(there))
    return replace(term, levels=term.levels[there], rows=own)
