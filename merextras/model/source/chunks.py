"""Rows in chunks that can be gone through several times."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import pandas as pd

from merextras.exceptions import InvalidArgumentError
from merextras.model.frame.read import read_columns

#: Rows read at a time.
CHUNK_SIZE = 100_000


@dataclass(frozen=True, eq=False)
class Source:
    """Rows to be read in chunks, as often as needed.

    Attributes
    ----------
    names : tuple of str
        The columns there are.
    read : callable columns -> iterator of frames
        One pass over the rows, with these columns.
    n_rows : int or None
        How many rows there are, if that is known without reading them.
    size : int
        Rows at a time.
    """

    names: tuple[str, ...]
    read: Callable[[Sequence[str]], Iterator[pd.DataFrame]]
    n_rows: int | None
    size: int

    def chunks(self, columns: Sequence[str]) -> Iterator[pd.DataFrame]:
        """One pass: frames of no more than `size` rows, in their normal form, none empty."""
        for frame in self.read(columns):
            missing = [c for c in columns if c not in frame.columns]
            if missing:
                raise InvalidArgumentError(
                    f"source: a chunk lacks the column(s) {missing}; it has {list(frame.columns)}"
                )
            own = read_columns(frame[list(columns)], columns)
            for at in range(0, len(own), self.size):
                yield own.iloc[at : at + self.size]
