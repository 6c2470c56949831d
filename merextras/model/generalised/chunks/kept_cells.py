"""Rows of a source that are kept as cells, where that is few of them.

Rows with the same predictors and levels are one row to a generalised model (`engine.generalised.
cells`). Where a source's covariates have few values, all of it is kept so after one pass, and no
step reads it again; where they have many, every step does.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from merextras.engine.generalised.rows.cells import joined
from merextras.engine.generalised.rows.passes import Rows
from merextras.model.generalised.chunks.streamed import SourceRows
from merextras.model.generalised.families import FamilyChoice

#: Rows that are joined at a time, and below which it does not matter that they can't be.
_AT_ONCE, _FEW = 1 << 20, 20_000


class KeptCells:
    """One pass over the rows for each call, over cells once all are known.

    Parameters
    ----------
    read : SourceRows
        One pass over the rows.
    choice : FamilyChoice
    most : int
        Cells that may be kept.
    """

    def __init__(self, read: SourceRows, choice: FamilyChoice, most: float) -> None:
        self.read, self._choice, self._most = read, choice, most
        self._kept: list[Rows] | None = None
        self._too_many = False

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_kept": None}

    @property
    def keeps(self) -> bool:
        """Whether no pass reads the source any more."""
        return self._kept is not None

    def __call__(self) -> Iterator[Rows]:
        """The rows, or their cells."""
        if self._kept is not None:
            yield from self._kept
            return
        kept: list[Rows] = []
        waiting: list[Rows] = []
        for rows in self.read():
            if self._too_many:
                yield rows
                continue
            waiting.append(rows)
            if sum(len(each.x) for each in waiting) < _AT_ONCE:
                continue
            yield from self._taken(waiting, kept)
            waiting = []
        if waiting:
            yield from self._taken(waiting, kept)
        if not self._too_many:
            self._kept = [replace(rows, kept=True) for rows in kept]

    def _taken(self, waiting: list[Rows], kept: list[Rows]) -> list[Rows]:
        """Rows as cells, kept if they are few; else as they are."""
        cells = self._cells(waiting)
        if cells is None:
            self._too_many = True
            return waiting
        kept.append(cells)
        if sum(len(each.x) for each in kept) > self._most:
            self._too_many = True
        return [cells]

    def _cells(self, waiting: list[Rows]) -> Rows | None:
        rows = self._stacked(waiting)
        found = joined(rows.x, rows.terms, rows.offset, rows.family, levels=False)
        if found is None:
            return rows if len(rows.x) < _FEW else None
        cells, family = found
        at = cells.rows
        terms = [replace(t, codes=t.codes[at], values=t.values[at]) for t in rows.terms]
        offset = None if rows.offset is None else rows.offset[at]
        return Rows(rows.x[at], terms, offset, family, cells.counts)

    def _stacked(self, waiting: list[Rows]) -> Rows:
        """Rows below each other."""
        if len(waiting) == 1:
            return waiting[0]
        first = waiting[0]
        terms = [
            replace(
                term,
                codes=np.concatenate([rows.terms[t].codes for rows in waiting]),
                values=np.concatenate([rows.terms[t].values for rows in waiting]),
            )
            for t, term in enumerate(first.terms)
        ]
        offsets = [rows.offset for rows in waiting if rows.offset is not None]
        trials = [rows.family.largest for rows in waiting if rows.family.largest is not None]
        family = self._choice.of(
            np.concatenate([rows.family.y for rows in waiting]),
            np.concatenate(trials) if trials else None,
        )
        x = np.concatenate([rows.x for rows in waiting])
        return Rows(x, terms, np.concatenate(offsets) if offsets else None, family)
