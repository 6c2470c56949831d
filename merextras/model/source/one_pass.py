"""Learning and reducing a source in one pass, where its first rows tell all but grouping levels.

Levels of grouping factors may go on coming: they are numbered as they come, and put in their order
at the end. The columns of X and of the random effects must be known: where a category comes that
the rows before it had not, or a transform learns from all rows, a second pass reduces them.
"""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from merextras.exceptions import InvalidArgumentError
from merextras.foundation.aliases import IntArray
from merextras.model.columns.levels import LevelCoder
from merextras.model.columns.part import FixedPart
from merextras.model.source.chunks import Source
from merextras.model.source.learn import LearntSchema, SchemaLearner, learn, watched
from merextras.model.source.reduce import Reduced, Sums, check_memory, reduce_source
from merextras.model.source.request import ModelRequest
from merextras.model.structure.structure import Structure


def learn_and_reduce(
    source: Source, asked: ModelRequest, *, progress: bool | None
) -> tuple[LearntSchema, Reduced]:
    """What a source's rows tell about a formula, and their cross-products.

    Raises
    ------
    TooLargeError
        What is kept would not fit in memory; said as soon as it is known.
    InvalidArgumentError
        Values that are not allowed, or, where there are two passes, other rows in the second.
    """
    learner = SchemaLearner(asked, source.names)
    if learner.has_memory():
        learnt = learn(source, asked, progress=progress)
        return learnt, reduce_source(source, learnt, progress=progress)
    attempt: _Attempt | None = _Attempt(learner)
    for frame in watched(source.chunks(learner.columns), source, "rows", progress):
        if attempt is None:
            learner.take(frame)
        elif not attempt.take(frame):
            attempt = None
    coders, places = _in_order(learner)
    learnt = learner.learnt(coders)
    if attempt is not None and attempt.was_right(learnt.structure):
        return learnt, attempt.sums.reduced_in_order(learnt.structure, places)
    return learnt, reduce_source(source, learnt, progress=progress)


def _in_order(
    learner: SchemaLearner,
) -> tuple[dict[tuple[str, ...], LevelCoder], dict[tuple[str, ...], IntArray]]:
    """The grouping factors' levels in their order, and the place there of each as it came."""
    coders, places = {}, {}
    for columns, seen in learner.grouping.items():
        if len(seen):
            coders[columns], places[columns] = LevelCoder.with_codes(seen.frame(), columns)
    return coders, places


class _Attempt:
    """Cross-products of rows by what the first of them told of the columns."""

    def __init__(self, learner: SchemaLearner) -> None:
        self._learner = learner
        self._structure: Structure | None = None
        self._known = 0

    def take(self, frame: pd.DataFrame) -> bool:
        """Learn from rows and add them; False, once and for all, if their columns are others."""
        learner = self._learner
        learner.take(frame, grouping=self._structure is None)
        if learner.head is None:
            return True
        if self._structure is None:
            self._structure = learner.structure_of(_in_order(learner)[0])
            self._known = self._n_categories()
            self.sums = Sums(self._structure)
        elif self._n_categories() > self._known:
            learner.take_grouping(frame)
            return False
        try:
            rows = self._structure.rows(frame, growing=learner.grouping)
        except InvalidArgumentError:
            # Said in the second pass, if what all rows tell is no better reason.
            learner.take_grouping(frame)
            return False
        n_rows = learner.n_rows - learner.n_dropped
        held = self.sums.nbytes + rows.x.nbytes
        check_memory(self._structure, n_rows, learner.grouping, held, len(frame))
        self.sums.add(rows)
        return True

    def _n_categories(self) -> int:
        return sum(map(len, self._learner.seen.values()))

    def was_right(self, structure: Structure) -> bool:
        """Whether the columns were those that all rows tell of."""
        return self._structure is not None and _columns(self._structure) == _columns(structure)


def _columns(structure: Structure) -> Mapping[object, object]:
    """Names of columns and levels of categories, of X and by terms."""
    parts: dict[object, FixedPart] = {"": structure.fixed}
    parts.update((term.key, term.part) for term in structure.terms)
    return {
        key: (part.names, [list(f.levels) for f in part.coded_factors if f.levels is not None])
        for key, part in parts.items()
    }
