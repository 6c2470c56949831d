"""A Dask DataFrame as a source: Dask maps its partitions and adds up what they become."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from merextras.engine.products.accumulate import reindexed
from merextras.exceptions import InvalidArgumentError, MerextrasError
from merextras.model.columns.fixed import FORMULA_WORDS
from merextras.model.columns.levels import LevelCounter
from merextras.model.frame.kinds import kind_of
from merextras.model.source.chunks import CHUNK_SIZE, Source
from merextras.model.source.learn import LearntSchema, SchemaLearner, learn
from merextras.model.source.reduce import (
    PartitionProducts,
    Reduced,
    check_count,
    check_memory,
    strata_of,
)
from merextras.model.source.request import ModelRequest
from merextras.model.structure.structure import Structure

#: Rows that are an example of all.
_ROWS = 100


@dataclass(frozen=True, eq=False)
class PartitionSchema:
    """What a partition's rows tell: counts, an example, levels."""

    n_rows: int
    n_dropped: int
    head: pd.DataFrame | None
    numbers: frozenset[tuple[str, str]]
    grouping: Mapping[tuple[str, ...], LevelCounter]
    seen: Mapping[str, LevelCounter]

    def __add__(self, other: PartitionSchema) -> PartitionSchema:
        if self.head is None or other.head is None:
            full = self if other.head is None else other
            n_dropped = self.n_dropped + other.n_dropped
            return replace(full, n_rows=self.n_rows + other.n_rows, n_dropped=n_dropped)
        if self.numbers != other.numbers:
            columns = sorted({name for name, _ in self.numbers ^ other.numbers})
            raise InvalidArgumentError(
                f"source: the column(s) {columns} have numbers in some partitions and something "
                "else in others; give them one type"
            )
        return PartitionSchema(
            self.n_rows + other.n_rows,
            self.n_dropped + other.n_dropped,
            _longer(self.head, other.head),
            self.numbers,
            {key: seen.combine(other.grouping[key]) for key, seen in self.grouping.items()},
            {key: seen.combine(other.seen[key]) for key, seen in self.seen.items()},
        )


def _longer(head: pd.DataFrame, more: pd.DataFrame) -> pd.DataFrame:
    """The first rows, of further partitions too where one has few."""
    if len(head) >= _ROWS:
        return head
    return pd.concat([head, more], ignore_index=True).head(_ROWS)


def _note(frame: pd.DataFrame, asked: ModelRequest, columns: Sequence[str]) -> PartitionSchema:
    learner = SchemaLearner(asked, columns)
    learner.take(frame.reset_index(drop=True))
    head = learner.head if learner.head is not None else pd.DataFrame()
    learner.check_by_row(None)
    return PartitionSchema(
        learner.n_rows,
        learner.n_dropped,
        learner.head,
        frozenset((c, kind_of(head[c])) for c in learner.numbers),
        learner.grouping,
        learner.seen,
    )


def _reduce(
    frame: pd.DataFrame, structure: Structure, names: Mapping[str, Any]
) -> PartitionProducts:
    structure.with_names(names)
    return PartitionProducts.of(structure, frame.reset_index(drop=True))


def _add(left: Any, right: Any) -> Any:
    return left + right


def reduce_dask(
    data: Any, asked: ModelRequest, *, progress: bool | None
) -> tuple[LearntSchema, Reduced]:
    """Learn and reduce the partitions of a Dask DataFrame, on whatever scheduler is active.

    The sums are over a fixed tree of the partitions, so that the result does not depend on the
    order in which they are done; a partition that was lost with its worker is done again by Dask.
    The rows reduced are counted against those of the first pass.
    """
    columns = [str(c) for c in data.columns]
    learner = SchemaLearner(asked, columns)
    wanted = learner.names - set(columns)
    asked = replace(asked, names={k: v for k, v in asked.names.items() if k in wanted})
    parts = data[list(learner.columns)].to_delayed()
    with _naming_partitions(data, learner.columns):
        learnt = _learn(parts, asked, columns, learner, progress)
    structure = learnt.structure
    check_memory(structure, learnt.n_rows - learnt.n_dropped)
    from dask.delayed import delayed  # noqa: PLC0415 (an extra)

    sent = delayed(structure, name=f"structure-{uuid.uuid4().hex}", traverse=False)
    names = {"np": np, **{k: v for k, v in asked.names.items() if k not in FORMULA_WORDS}}
    with _naming_partitions(data, structure.columns):
        total = _tree([delayed(_reduce, pure=False)(part, sent, names) for part in parts])
    check_count(total.n_rows, 0 if total.facts is None else total.facts.n, learnt)
    assert total.part is not None
    assert total.facts is not None
    structure.with_names(names)
    sizes = [levels for levels, _ in structure.shapes]
    seen = tuple(np.zeros(size, dtype=bool) for size in sizes)
    for flags, at in zip(seen, total.seen, strict=True):
        flags[at] = True
    products = reindexed(total.part.cp, total.part.at, sizes)
    strata = strata_of(structure, total.strata, products.basis)
    return learnt, Reduced(products, total.part.rows, total.facts, seen, strata)


@contextmanager
def _naming_partitions(data: Any, columns: Sequence[str]) -> Iterator[None]:
    """Let errors of Dask, or of what makes its partitions, be ours; the partition is looked for."""
    try:
        yield
    except MerextrasError:
        raise
    except (KeyError, ValueError, OSError) as err:
        raise InvalidArgumentError(_fault(data, columns, err)) from err


def _fault(data: Any, columns: Sequence[str], err: Exception) -> str:
    """The first partition that can't be made or lacks a column, in words."""
    from dask.delayed import delayed  # noqa: PLC0415 (an extra)

    names_of: Callable[..., Any] = delayed(lambda part: [str(c) for c in part.columns], pure=False)
    where = "a partition of the Dask DataFrame"
    for i, part in enumerate(data.to_delayed()):
        try:
            there = names_of(part).compute()
        except (KeyError, ValueError, OSError) as own:
            where, err = f"partition {i}", own
            break
        missing = [c for c in columns if c not in there]
        if missing:
            return f"source: partition {i} lacks the column(s) {missing}; it has {there}"
    return f"source: {where} can't be had: {type(err).__name__}: {' '.join(str(err).split())[:300]}"


def _learn(
    parts: Sequence[Any],
    asked: ModelRequest,
    columns: Sequence[str],
    learner: SchemaLearner,
    progress: bool | None,
) -> LearntSchema:
    from dask.delayed import delayed  # noqa: PLC0415 (an extra)

    note: Callable[..., Any] = delayed(_note, pure=False)
    if learner.has_memory():
        # patsy's transforms learn from one row after the other: partition by partition, here.
        source = Source(
            tuple(columns), lambda _: (part.compute() for part in parts), None, CHUNK_SIZE
        )
        return learn(source, asked, progress=progress)
    noted = _tree([note(part, asked, list(columns)) for part in parts])
    if noted.head is not None:
        learner.begin(noted.head)
    learner.n_rows, learner.n_dropped = noted.n_rows, noted.n_dropped
    learner.grouping, learner.seen = dict(noted.grouping), dict(noted.seen)
    return learner.learnt(learner.coders())


def _tree(made: list[Any]) -> Any:
    """The sum of delayed values, pairwise in their order."""
    from dask.delayed import delayed  # noqa: PLC0415 (an extra)

    if not made:
        raise InvalidArgumentError("source: the Dask DataFrame has no partitions")
    add = delayed(_add, pure=False)
    while len(made) > 1:
        pairs = [made[i : i + 2] for i in range(0, len(made), 2)]
        made = [add(*pair) if len(pair) == 2 else pair[0] for pair in pairs]
    return made[0].compute()
