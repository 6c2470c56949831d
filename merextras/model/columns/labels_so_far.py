"""The labels of a column that comes chunk by chunk, each with a number, found again in O(1)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import repeat
from typing import Any, Protocol

import numpy as np
import pandas as pd

from merextras.exceptions import InvalidArgumentError
from merextras.foundation.aliases import IntArray
from merextras.model.frame.kinds import check_level, kind_of
from merextras.model.frame.read import read_column

#: Whole numbers up to this are exact as floats.
EXACT = 2**53
#: Whole numbers are looked up by their value in a table of so many places, or so many a label.
_PLACES, _PLACES_EACH = 2**22, 8


class LabelsSoFar:
    """Labels numbered in the order in which they first came; O(1) a row, amortised.

    Parameters
    ----------
    name : str
        The column, for messages.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._pieces: list[pd.Series] = []
        self._table: _Table | None = None
        self._categories: tuple[pd.Index, IntArray] | None = None

    def __len__(self) -> int:
        return sum(map(len, self._pieces))

    def __getstate__(self) -> dict[str, Any]:
        """The labels; the table is made again of them."""
        return {**self.__dict__, "_table": None, "_categories": None}

    def labels(self) -> pd.Series:
        """All labels by their numbers."""
        if len(self._pieces) > 1:
            self._pieces = [pd.concat(self._pieces, ignore_index=True)]
        return self._pieces[0] if self._pieces else pd.Series([], dtype=object)

    def numbers(self, column: pd.Series) -> IntArray:
        """The number of each row's label, (n,); new ones are taken in. None may be missing."""
        if isinstance(column.dtype, pd.CategoricalDtype):
            return self._of_categories(column)
        column = self._of_one_type(column)
        if self._table is None:
            self._table = self._filled(_table_of(column))
        values = _values(column)
        if isinstance(self._table, _ByValue):
            if self._table.reaches(values, len(self)):
                return self._taken(self._table.numbers(values), values)
            self._table = self._filled(_Hashed())
        try:
            codes, labels = pd.factorize(values)
        except TypeError:
            check_level(column)  # says of what kind it is
            raise
        return self._taken(self._table.numbers(labels), labels)[codes]

    def _filled(self, table: _Table) -> _Table:
        if self._pieces:
            table.add(_values(self.labels()), 0)
        return table

    def _of_categories(self, column: pd.Series) -> IntArray:
        """By the categories that occur; one that was there in the chunk before is not looked up."""
        categories, codes = column.cat.categories, column.cat.codes.to_numpy()
        known = self._categories
        if known is None or not (known[0] is categories or known[0].equals(categories)):
            known = categories, np.full(len(categories), -1, dtype=np.intp)
        found = known[1][codes]
        new = pd.unique(codes[found < 0])
        if len(new):
            known[1][new] = self.numbers(pd.Series(categories[new]))
            found = known[1][codes]
        self._categories = known
        return found

    def _taken(self, found: IntArray, labels: Any) -> IntArray:
        """What was found, in which those that are -1 become numbers of new labels."""
        new = np.flatnonzero(found < 0)
        if len(new) == 0:
            return found
        codes, added = pd.factorize(labels[new])
        start = len(self)
        found[new] = start + codes
        self._pieces.append(pd.Series(added))
        assert self._table is not None
        self._table.add(added, start)
        return found

    def _of_one_type(self, column: pd.Series) -> pd.Series:
        """The column in the type of the labels, or both in one that holds them."""
        if not self._pieces or self._pieces[0].dtype == column.dtype or len(column) == 0:
            return column
        known = self.labels()
        kinds = {_kind(known), _kind(column)}
        if len(kinds) > 1:
            raise InvalidArgumentError(
                f"source: the column {self.name!r} has "
                f"{' in some chunks, '.join(sorted(kinds))} in others; give it one type"
            )
        both = stacked(self.name, [known, column])
        if both.dtype != known.dtype:
            self._pieces, self._table = [both.iloc[: len(known)]], None
        return both.iloc[len(known) :]


def _values(column: pd.Series) -> Any:
    """The values as pandas finds them fastest."""
    return column.to_numpy() if isinstance(column.dtype, np.dtype) else column.array


def _kind(column: pd.Series) -> str:
    kind = kind_of(column)
    return {"labels": "strings", "categories": "strings"}.get(kind, kind)


def stacked(name: str, parts: Sequence[pd.Series]) -> pd.Series:
    """Labels of several chunks, one below the other; integers never pass through floats."""
    dtypes = {part.dtype for part in parts}
    if len(dtypes) == 1 or not {dtype.kind for dtype in dtypes} <= set("iuf"):
        return pd.concat(parts, ignore_index=True)
    integers = [part for part in parts if part.dtype.kind in "iu" and len(part)]
    if len(integers) == len(parts):
        return read_column(pd.concat([p.astype(object) for p in parts], ignore_index=True))
    longest = [max(abs(int(part.min())), abs(int(part.max()))) for part in integers]
    if max(longest, default=0) > EXACT:
        raise InvalidArgumentError(
            f"source: the column {name!r} has whole numbers above 2**53 in some chunks, and "
            "floats, which can't tell them apart, in others; give it one type"
        )
    return pd.concat([part.astype(np.float64) for part in parts], ignore_index=True)


# Tables -----------------------------------------------------------------------------------------


class _Table(Protocol):
    """Where the number of a label is found."""

    def numbers(self, labels: Any) -> IntArray:
        """The number of each label, -1 for one that is not there."""
        ...

    def add(self, labels: Any, start: int) -> None:
        """Put in labels that are not there, numbered from `start`."""
        ...


def _table_of(column: pd.Series) -> _Table:
    if column.dtype == np.int64:
        return _ByValue()
    numbers = isinstance(column.dtype, np.dtype) and column.dtype.kind != "O"
    return _Hashed() if numbers or _is_text(column) else _Dictionary()


class _ByValue:
    """Whole numbers that lie close: a place for each value between the lowest and the highest."""

    def __init__(self) -> None:
        self._low = 0
        self._places = np.empty(0, dtype=np.intp)

    def reaches(self, values: Any, n_labels: int) -> bool:
        """Whether there are places for these values too, or can be; they are made then."""
        if len(values) == 0:
            return True
        low, high = int(values.min()), int(values.max())
        size = len(self._places)
        if size and self._low <= low and high < self._low + size:
            return True
        if size:
            low, high = min(low, self._low), max(high, self._low + size - 1)
        needed = high - low + 1
        if needed > max(_PLACES, _PLACES_EACH * (n_labels + len(values))):
            return False
        # Room on the side on which there was none, or sorted labels would be copied each time.
        room = min(size, _PLACES_EACH * n_labels)
        below = room if size and low < self._low else 0
        above = room if size and high >= self._low + size else 0
        places = np.full(needed + below + above, -1, dtype=np.intp)
        low -= below
        if size:
            places[self._low - low : self._low - low + size] = self._places
        self._low, self._places = low, places
        return True

    def numbers(self, labels: Any) -> IntArray:
        return np.asarray(self._places[labels - self._low])

    def add(self, labels: Any, start: int) -> None:
        if self.reaches(labels, start):
            self._places[labels - self._low] = np.arange(start, start + len(labels))


class _Hashed:
    """Numbers and text: hash tables, each at least twice as large as the next.

    Text is found by a 64-bit hash and then compared; where two labels have one hash, the second is
    in a dictionary.
    """

    def __init__(self) -> None:
        self._tables: list[tuple[pd.Index, Any, IntArray]] = []
        self._twice = _Dictionary()

    def numbers(self, labels: Any) -> IntArray:
        keys, text = pd.Index(_keys(labels)), _is_text(labels)
        found = np.full(len(keys), -1, dtype=np.intp)
        left = np.arange(len(keys))
        for table, known, numbers in self._tables:
            at = table.get_indexer(keys if len(left) == len(keys) else keys[left])
            there = at >= 0
            if text:
                where = np.flatnonzero(there)
                there[where] = np.asarray(known.take(at[where]) == labels[left[where]], dtype=bool)
            found[left[there]] = numbers[at[there]]
            left = left[~there]
            if len(left) == 0:
                return found
        if self._twice:
            found[left] = self._twice.numbers(labels[left])
        return found

    def add(self, labels: Any, start: int) -> None:
        keys, numbers = pd.Index(_keys(labels)), np.arange(start, start + len(labels))
        if _is_text(labels):
            twice = keys.duplicated()
            for table, _, _ in self._tables:
                twice |= table.get_indexer(keys) >= 0
            self._twice.put(labels[twice], numbers[twice])
            keys, labels, numbers = keys[~twice], labels[~twice], numbers[~twice]
        while self._tables and len(self._tables[-1][0]) < 2 * len(keys):
            before, known, old = self._tables.pop()
            labels = pd.concat([pd.Series(known), pd.Series(labels)], ignore_index=True)
            keys, labels = before.append(keys), _values(labels)
            numbers = np.concatenate([old, numbers])
        if len(keys):
            self._tables.append((keys, labels, numbers))


def _is_text(labels: Any) -> bool:
    return isinstance(labels.dtype, pd.StringDtype)


def _keys(labels: Any) -> Any:
    """Numbers themselves, text's hashes."""
    return _hashes(labels) if _is_text(labels) else labels


def _hashes(labels: Any) -> Any:
    return pd.util.hash_array(np.asarray(labels, dtype=object), categorize=False)


class _Dictionary:
    """What else can be a label."""

    def __init__(self) -> None:
        self._found: dict[Any, int] = {}

    def __bool__(self) -> bool:
        return bool(self._found)

    def numbers(self, labels: Any) -> IntArray:
        each = np.asarray(labels, dtype=object).tolist()
        return np.array(list(map(self._found.get, each, repeat(-1))), dtype=np.intp)

    def add(self, labels: Any, start: int) -> None:
        self.put(labels, np.arange(start, start + len(labels)))

    def put(self, labels: Any, numbers: IntArray) -> None:
        """Put in labels with these numbers."""
        each = np.asarray(labels, dtype=object).tolist()
        self._found.update(zip(each, numbers.tolist(), strict=True))
