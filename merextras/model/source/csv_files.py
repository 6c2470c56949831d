"""CSV files, read in chunks."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from merextras.exceptions import InvalidArgumentError
from merextras.model.source.chunks import Source
from merextras.model.source.reading import check_there, reading

#: Bytes at the end of a CSV file among which its last line is looked for.
_TAIL = 2**16
_ENCODINGS = {b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}
#: What stands for a missing value: pandas' own list.
_MISSING = [
    *("", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN"),
    *("<NA>", "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null"),
]


def csv_source(paths: Sequence[str], size: int) -> Source:
    """The rows of CSV files, integers as integers."""

    def read(columns: Sequence[str]) -> Iterator[pd.DataFrame]:
        for path in paths:
            check_there(path, _csv_names(path), columns)
            # All columns are read, or pandas would drop the fields that a row has too many; and
            # rows are read whole, so that a type is not guessed anew within a chunk.
            with (
                reading(repr(path)),
                pd.read_csv(
                    path,
                    chunksize=size,
                    low_memory=False,
                    index_col=False,
                    dtype_backend="numpy_nullable",
                    keep_default_na=False,
                    na_values=_MISSING,
                ) as reader,
            ):
                for frame in reader:
                    yield _without_markers(frame[list(columns)])

    return Source(_csv_names(paths[0]), read, None, size)


def _csv_names(path: str) -> tuple[str, ...]:
    """The columns of a CSV file that is text, has as many fields in its first row, and an end.

    Raises
    ------
    InvalidArgumentError
        It is empty, no UTF-8, has a name twice, has more fields in its first row than columns
        (pandas would take the first for an index), or ends within a row.
    """
    with reading(repr(path)):
        with Path(path).open("rb") as file:
            head = file.read(_TAIL)
        mark = head[:2]
        if mark in _ENCODINGS:
            raise InvalidArgumentError(
                f"source: {path!r} is {_ENCODINGS[mark]} text; CSV files are read as UTF-8: write "
                "it again as UTF-8"
            )
        if not head:
            raise InvalidArgumentError(f"source: {path!r} is empty")
        # refuses rows longer than the header
        top = pd.read_csv(path, header=None, nrows=2, dtype=str, keep_default_na=False)
        _check_unique(path, top.iloc[0].tolist())
        names = tuple(map(str, pd.read_csv(path, nrows=0, index_col=False).columns))
        plain = path.lower().endswith(".csv")  # a compressed file is no text itself
        if any("\0" in name for name in names) or (plain and b"\0" in head):
            raise InvalidArgumentError(
                f"source: {path!r} is not UTF-8 text (it has null characters); write it again as "
                "UTF-8"
            )
        _check_end(path, len(names))
    return names


def _check_unique(path: str, header: Sequence[str]) -> None:
    """Refuse names that stand twice: pandas would rename the second and take the first."""
    repeated = sorted({name for name in header if name and header.count(name) > 1})
    if repeated:
        raise InvalidArgumentError(
            f"source: {path!r} has names twice in its header: {repeated}; column names must be "
            "unique"
        )


def _check_end(path: str, n_columns: int) -> None:
    """Refuse a file that ends within a row."""
    if not path.lower().endswith(".csv"):
        return  # a compressed file that is cut off can't be read at all
    with Path(path).open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - _TAIL))
        lines = file.read().splitlines(keepends=True)
    last = lines[-1].decode("utf-8", errors="replace")
    if last.endswith(("\n", "\r")) or last.count('"') % 2 or (size > _TAIL and len(lines) == 1):
        return
    n_fields = len(next(csv.reader([last]), []))
    if n_fields < n_columns:
        raise InvalidArgumentError(
            f"source: {path!r} is cut off: its last line has {n_fields} field(s) of {n_columns} "
            "and no end"
        )


def _without_markers(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame without what pandas has left of missing values.

    It leaves them as text, ``NA`` or nothing, in a column with an integer that only ``uint64``
    holds. Where the rest are integers, it becomes a column of those.
    """
    made: dict[str, Any] = {}
    for name, column in frame.items():
        if (
            not isinstance(column.dtype, pd.StringDtype)
            or not (left := column.isin(_MISSING)).any()
        ):
            continue
        known = column.mask(left)
        whole = known.dropna()
        if whole.str.fullmatch(r"[0-9]{1,20}").all() and max(map(int, whole), default=0) < 2**64:
            values = [None if gone else int(v) for v, gone in zip(column, left, strict=True)]
            known = pd.Series(pd.array(values, dtype="UInt64"), index=frame.index)
        made[str(name)] = known
    return frame.assign(**made) if made else frame
