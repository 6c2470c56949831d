"""Levels of factors that come chunk by chunk: what has occurred, and codes once all are known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from merextras.exceptions import DataWarning, InvalidArgumentError
from merextras.foundation.aliases import Array, IntArray
from merextras.foundation.arguments import check_columns
from merextras.model.columns.labels_so_far import EXACT, LabelsSoFar, stacked
from merextras.model.frame.kinds import check_level
from merextras.model.frame.labels import codes_in, warn_user

#: Numbers of combinations are products of numbers of labels, each below this.
_MOST = 2**31
# Rows of a categorical that are looked at together for what categories it has.
_LOOKED_AT = 1 << 16
# Whole numbers have a table of all between the least and the largest if there are at most so many
# for each row.
_WIDE = 4
# Rows of text from which arrow's own codes are worth what asking for them takes.
_LONG = 1 << 13


class LevelCounter:
    """The combinations of labels of some columns that have occurred, numbered as they came.

    O(1) a row, amortised.

    Parameters
    ----------
    columns : sequence of str
    """

    def __init__(self, columns: Sequence[str]) -> None:
        self.columns = tuple(columns)
        self._labels = [LabelsSoFar(c) for c in columns]
        self._pairs = [LabelsSoFar(c) for c in columns[1:]]
        self._categories: dict[str, tuple[pd.Index, bool] | None] = {}

    def __len__(self) -> int:
        return len(self._pairs[-1] if self._pairs else self._labels[0])

    def add(self, frame: pd.DataFrame) -> IntArray:
        """Take in the labels of rows without missing values; the number of each row, (n,)."""
        columns = [frame[c] for c in self.columns]
        for column in columns:
            self._note_categories(column)
        return self._added(columns)

    def _added(self, columns: Sequence[pd.Series]) -> IntArray:
        own = [known.numbers(column) for known, column in zip(self._labels, columns, strict=True)]
        found = own[0]
        for pairs, other in zip(self._pairs, own[1:], strict=True):
            found = pairs.numbers(pd.Series(found * _MOST + other))
        return found

    def _note_categories(self, column: pd.Series) -> None:
        """Remember the categories of a categorical as long as all chunks have the same."""
        name, dtype = str(column.name), column.dtype
        if not isinstance(dtype, pd.CategoricalDtype):
            self._categories[name] = None
            return
        known = self._categories.get(name, (dtype.categories, bool(dtype.ordered)))
        same = known is not None and (
            known[0] is dtype.categories or known[0].equals(dtype.categories)
        )
        if not same and dtype.ordered:
            raise InvalidArgumentError(_OTHER_ORDER.format(name))
        self._categories[name] = known if same else None

    def combine(self, other: LevelCounter) -> LevelCounter:
        """What has occurred here or there; this one is changed."""
        for c, known in other._categories.items():
            if c in self._categories:
                mine = self._categories[c]
                same = known is not None and mine is not None and mine[0].equals(known[0])
                if not same and ((known and known[1]) or (mine and mine[1])):
                    raise InvalidArgumentError(_OTHER_ORDER.format(c))
                known = mine if same else None  # noqa: PLW2901
            self._categories[c] = known
        frame = other._plain_frame()
        self._added([frame[c] for c in self.columns])
        return self

    def frame(self) -> pd.DataFrame:
        """All combinations by their numbers, categories in their order where all chunks agreed."""
        plain, made = self._plain_frame(), {}
        for c in self.columns:
            known = self._categories.get(c)
            if known is not None:
                made[c] = plain[c].astype(pd.CategoricalDtype(known[0], ordered=known[1]))
        return plain.assign(**made) if made else plain

    def _plain_frame(self) -> pd.DataFrame:
        found: list[IntArray] = []
        codes = np.arange(len(self))
        for pairs in self._pairs[::-1]:
            codes, last = np.divmod(pairs.labels().to_numpy(dtype=np.intp)[codes], _MOST)
            found.insert(0, last)
        parts = zip(self.columns, self._labels, [codes, *found], strict=True)
        return pd.DataFrame(
            {c: known.labels().take(at).reset_index(drop=True) for c, known, at in parts}
        )

    def levels(self) -> pd.Index:
        """The levels of the one column, sorted or in the order of the categories."""
        found: pd.Index = grouping(self.frame(), self.columns)[0]
        return found


_OTHER_ORDER = (
    "source: the ordered categorical {!r} has other categories in one chunk than in another; give "
    "all chunks the same ones"
)


def _rows_of(frames: Sequence[pd.DataFrame], columns: Sequence[str]) -> pd.DataFrame:
    """The rows of frames with the same columns, one below the other."""
    return pd.DataFrame({c: stacked(c, [frame[c] for frame in frames]) for c in columns})


@dataclass(frozen=True, eq=False)
class LevelCoder:
    """Codes of a grouping factor's levels, for rows that may have others.

    Attributes
    ----------
    columns : tuple of str
    levels : Index
        Labels, joined by ``:`` for several columns.
    parts : tuple of Index
        Labels of each column.
    pairs : tuple of integer arrays
        For the second column and those after it: the sorted numbers of the combinations so far.
    """

    columns: tuple[str, ...]
    levels: pd.Index
    parts: tuple[pd.Index, ...]
    pairs: tuple[IntArray, ...]

    @classmethod
    def from_parts(
        cls, columns: Sequence[str], parts: Sequence[pd.Index], pairs: Sequence[IntArray]
    ) -> LevelCoder:
        """From the labels of each column and the combinations of them."""
        made = cls(tuple(columns), parts[0], tuple(parts), tuple(pairs))
        if len(parts) == 1:
            return made
        rows = zip(*(made.frame()[c] for c in columns), strict=True)
        levels = pd.Index([":".join(map(label_text, row)) for row in rows])
        return cls(made.columns, levels, made.parts, made.pairs)

    @classmethod
    def from_frame(cls, frame: pd.DataFrame, columns: Sequence[str]) -> LevelCoder:
        """From a frame with a row for each level, at least."""
        return cls.with_codes(frame, columns)[0]

    @classmethod
    def with_codes(cls, frame: pd.DataFrame, columns: Sequence[str]) -> tuple[LevelCoder, IntArray]:
        """The same, and the level of each row of the frame."""
        levels, every = grouping(frame, columns)  # refuses labels that can't be told apart
        if len(columns) == 1:
            return cls(tuple(columns), levels, (levels,), ()), every
        found = [_one_factor(frame[c]) for c in columns]
        codes, pairs = found[0][1], []
        for part, own in found[1:]:
            numbers = codes * len(part) + own
            pairs.append(np.unique(numbers))
            codes = np.searchsorted(pairs[-1], numbers)
        return cls(tuple(columns), levels, tuple(part for part, _ in found), tuple(pairs)), every

    def frame(self) -> pd.DataFrame:
        """The labels of each level, column by column, in the order of the levels."""
        found: list[IntArray] = []
        codes = np.arange(len(self.pairs[-1]) if self.pairs else len(self.parts[0]))
        for part, pairs in zip(self.parts[:0:-1], self.pairs[::-1], strict=True):
            codes, last = np.divmod(pairs[codes], len(part))
            found.insert(0, last)
        labels = [part[at] for part, at in zip(self.parts, [codes, *found], strict=True)]
        return pd.DataFrame(dict(zip(self.columns, labels, strict=True)))

    def union(self, other: LevelCoder) -> LevelCoder:
        """The levels of both; in their common order if they have one, else sorted."""
        both = _rows_of([self.frame(), other.frame()], self.columns).drop_duplicates()
        for c, mine, theirs in zip(self.columns, self.parts, other.parts, strict=True):
            if mine.equals(theirs):
                both[c] = both[c].astype(pd.CategoricalDtype(mine))
        return LevelCoder.from_frame(both.reset_index(drop=True), self.columns)

    def codes(self, frame: pd.DataFrame) -> IntArray:
        """The level of each row, -1 for one that is not known; O(n), whatever the levels."""
        codes = codes_in(frame[self.columns[0]], self.parts[0])
        rest = zip(self.columns[1:], self.parts[1:], self.pairs, strict=True)
        for column, part, pairs in rest:
            other = codes_in(frame[column], part)
            numbers = np.where((codes < 0) | (other < 0), -1, codes * len(part) + other)
            at = np.minimum(np.searchsorted(pairs, numbers), len(pairs) - 1)
            codes = np.where(pairs[at] == numbers, at, -1)
        return codes


def without_unused(column: pd.Series) -> pd.Series:
    """A categorical column without the categories it does not have; itself if it has all."""
    held = column.array
    has_all = _has_all(held.codes, len(held.categories))
    return column if has_all else column.cat.remove_unused_categories()


def _has_all(codes: Array, size: int) -> bool:
    """Whether all of so many codes occur; some rows at a time, of which few are enough as a rule.

    -1 stands for a missing value.
    """
    seen = np.zeros(size + 1, dtype=bool)
    step = max(_LOOKED_AT, size)
    for at in range(0, len(codes), step):
        seen[codes[at : at + step]] = True
        if seen[:-1].all():
            return True
    return size == 0


def grouping(frame: pd.DataFrame, columns: Sequence[str]) -> tuple[pd.Index, IntArray]:
    """Levels and codes of a grouping factor; of several columns, the combinations that occur.

    Levels are in the order of a categorical's categories, otherwise sorted; combinations vary the
    last column fastest and are named ``x:y``, as lme4 does.
    """
    check_columns(frame, columns, "data")
    return grouped([frame[c] for c in columns])


def grouped(columns: Sequence[pd.Series]) -> tuple[pd.Index, IntArray]:
    """Levels and codes of a grouping factor by its columns, as `grouping`."""
    levels, codes = _one_factor(columns[0])
    names: pd.Index | None = None
    for column in columns[1:]:
        other, other_codes = _one_factor(column)
        pairs, codes = np.unique(codes * len(other) + other_codes, return_inverse=True)
        left, right = np.divmod(pairs, len(other))
        own = levels if names is None else names
        texts, others = [[label_text(value) for value in levels] for levels in (own, other)]
        names = pd.Index([f"{texts[i]}:{others[j]}" for i, j in zip(left, right, strict=True)])
        codes = codes.reshape(-1)
    if names is not None and not names.is_unique:
        twice = names[names.duplicated()][0]
        raise InvalidArgumentError(
            f"formula: two levels of {':'.join(str(c.name) for c in columns)!r} are both called "
            f"{twice!r}; rename those that have a ':' in them"
        )
    return (levels if names is None else names), np.asarray(codes, dtype=np.intp)


def _one_factor(column: pd.Series) -> tuple[pd.Index, IntArray]:
    if isinstance(column.dtype, pd.CategoricalDtype):
        held = without_unused(column).array
        return held.categories, np.asarray(held.codes, dtype=np.intp)
    if column.dtype.kind in "OcmV" or not isinstance(column.dtype, np.dtype):
        check_level(column)
    codes, levels = _factorized(column)
    if column.dtype.kind == "f" and len(levels) and np.max(np.abs(levels)) > EXACT:
        warn_user(
            f"the grouping factor {column.name!r} has numbers above 2**53 as floats, which can't "
            "tell neighbouring whole numbers apart: ids may have become one another. Read it as "
            "integers (Int64 where some are missing) or as text",
            DataWarning,
        )
    levels = levels if isinstance(levels, pd.Index) else pd.Index(levels)
    return levels, np.asarray(codes, dtype=np.intp)


def _factorized(column: pd.Series) -> tuple[Any, Any]:
    """``pd.factorize(column, sort=True)``, which takes its time to find out that text is text.

    And to hash whole numbers that are close enough together for a table of them.
    """
    values = column.to_numpy() if column.dtype == np.int64 else np.empty(0)
    if len(values):
        low = int(values.min())
        span = int(values.max()) - low + 1
        if span <= _WIDE * len(values):
            places = values - low
            seen = np.zeros(span, dtype=bool)
            seen[places] = True
            levels = np.flatnonzero(seen)
            number = np.empty(span, dtype=np.intp)
            number[levels] = np.arange(len(levels))
            return number[places], levels + low
    if not isinstance(column.dtype, pd.StringDtype):
        return pd.factorize(column, sort=True)
    codes, levels = _as_they_came(column)
    order = levels.argsort()
    if np.all(order[1:] > order[:-1]):
        return codes, levels
    place = np.append(np.argsort(order), -1)
    return place.astype(np.min_scalar_type(-len(place)))[codes], levels.take(order)


def _as_they_came(column: pd.Series) -> tuple[IntArray, Any]:
    """Codes of text, -1 where missing, and its labels; of long text in arrow's memory by arrow."""
    dtype = column.dtype
    in_arrow = isinstance(dtype, pd.StringDtype) and dtype.storage == "pyarrow"
    if not in_arrow or len(column) < _LONG:
        codes, levels = column.array.factorize()
        return codes, levels
    import pyarrow as pa  # noqa: PLC0415 (it is there if such a column is)

    held = pa.array(column.array).dictionary_encode()
    if isinstance(held, pa.ChunkedArray):
        held = held.combine_chunks()
    codes = held.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    return codes, pd.array(held.dictionary, dtype=dtype)


def as_categories(column: pd.Series) -> pd.Series:
    """A column of labels as the categorical of them, sorted."""
    codes, levels = _factorized(column)
    held = pd.Categorical.from_codes(codes, categories=levels)
    return pd.Series(held, index=column.index, name=column.name)


def labels_of(data: pd.DataFrame, columns: Sequence[str]) -> pd.Index:
    """Level labels: the column's own values, or several columns' joined by ``:``."""
    parts = [np.asarray(data[c], dtype=object) for c in columns]
    values = parts[0]
    if len(parts) > 1:
        values = np.array(
            [":".join(map(label_text, row)) for row in zip(*parts, strict=True)], dtype=object
        )
    return pd.Index(values, dtype=object, tupleize_cols=False)


def label_text(value: object) -> str:
    """A value within a label: ``1`` for 1.0 too, as integers become floats beside a missing one."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)
