"""Sources of rows: anything that can be read several times, chunk by chunk."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import pandas as pd

from merextras.exceptions import InvalidArgumentError
from merextras.foundation.arguments import check_count, check_frame
from merextras.model.frame.arrow_batches import ArrowBatches
from merextras.model.frame.read import as_pandas
from merextras.model.source.chunks import CHUNK_SIZE, Source
from merextras.model.source.files import file_source
from merextras.model.source.reading import reading


def as_source(source: Any, chunk_size: int | None = None) -> Source:
    """What can be read in chunks, from what the user has.

    Parameters
    ----------
    source : DataFrame of pandas or polars, pyarrow Table or Dataset, path or glob, list, callable
        Paths end in ``.parquet``, ``.pq``, ``.csv`` or ``.csv.gz``; a glob, a folder or a list of
        them is read in sorted order. A list may also hold frames. A callable without arguments
        gives an iterable of frames each time it is called.
    chunk_size : int, optional
        Rows at a time, 100 000 by default.

    Raises
    ------
    InvalidArgumentError
        None of these, no file, one that can't be read or has a row with a field too many, no rows,
        or an iterator that can be gone through once only.
    """
    size = CHUNK_SIZE if chunk_size is None else check_count(chunk_size, "chunk_size")
    if isinstance(source, (str, Path)) or _is_paths(source):
        return file_source(source, size)
    if _comes_from(source, "pyarrow"):
        return _arrow(source, size)
    if isinstance(source, (list, tuple)):
        return _frames(lambda: source, size)
    if isinstance(source, pd.DataFrame) or hasattr(source, "to_pandas"):
        frame = source if isinstance(source, pd.DataFrame) else as_pandas(source)
        return _frames(lambda: [frame], size, len(frame))
    if isinstance(source, Iterator):
        raise InvalidArgumentError(
            f"source: a {type(source).__name__} can be gone through only once, and the rows are "
            "needed at least twice (levels are learnt first); give a function that makes it, "
            "without calling it: lmer(formula, lambda: my_chunks())"
        )
    if callable(source):
        return _frames(source, size)
    raise InvalidArgumentError(
        "source: expected a pandas or polars frame, a pyarrow Table or Dataset, a path or glob of "
        "parquet or CSV files, a list of frames, a function that gives an iterable of frames, or "
        f"a Dask DataFrame, got {type(source).__name__}"
    )


def read_source(data: Any, chunk_size: int | None = None) -> Source:
    """The same, of a Dask DataFrame too: one partition after the other, in this process."""
    if not is_dask(data):
        return as_source(data, chunk_size)
    size = CHUNK_SIZE if chunk_size is None else check_count(chunk_size, "chunk_size")

    def read(columns: Sequence[str]) -> Iterator[pd.DataFrame]:
        for part in data[list(columns)].to_delayed():
            yield part.compute().reset_index(drop=True)

    return Source(tuple(map(str, data.columns)), read, None, size)


def is_source(data: Any) -> bool:
    """Whether rows of this kind are read in chunks without being asked to."""
    return (
        isinstance(data, (str, Path, list, tuple, Iterator))
        or _comes_from(data, "pyarrow")
        or is_dask(data)
        or (callable(data) and not hasattr(data, "to_pandas"))
    )


def is_dask(data: Any) -> bool:
    """Whether it is a Dask DataFrame, without importing Dask."""
    return _comes_from(data, "dask") and hasattr(data, "to_delayed")


def _comes_from(data: Any, package: str) -> bool:
    of: Any = type(data)
    names = _packages(of)
    return package in names or (package == "dask" and "dask_expr" in names)


@lru_cache(maxsize=64)
def _packages(of: type) -> frozenset[str]:
    """The packages that a class and those above it come from."""
    return frozenset(cls.__module__.partition(".")[0] for cls in of.__mro__)


def _is_paths(source: Any) -> bool:
    return (
        isinstance(source, (list, tuple))
        and len(source) > 0
        and all(isinstance(each, (str, Path)) for each in source)
    )


def _frames(make: Callable[[], Iterable[Any]], size: int, n_rows: int | None = None) -> Source:
    def read(columns: Sequence[str]) -> Iterator[pd.DataFrame]:  # noqa: ARG001
        for each in _made(make):
            yield _checked_frame(as_pandas(each))

    first = next(iter(_made(make)), None)
    if first is None:
        raise InvalidArgumentError("source: there are no chunks")
    names = tuple(map(str, _checked_frame(as_pandas(first)).columns))
    return Source(names, read, n_rows, size)


def _made(make: Callable[[], Iterable[Any]]) -> Iterable[Any]:
    found = make()
    if isinstance(found, pd.DataFrame) or not isinstance(found, Iterable):
        raise InvalidArgumentError(
            "source: the function must give an iterable of frames, not "
            f"{'one frame' if isinstance(found, pd.DataFrame) else type(found).__name__}"
        )
    return found


def _checked_frame(frame: pd.DataFrame) -> pd.DataFrame:
    return check_frame(frame, "source") if len(frame) else frame


def _arrow(source: Any, size: int) -> Source:
    import pyarrow.dataset as ds  # noqa: PLC0415 (an extra)

    if hasattr(source, "to_table") and hasattr(source, "schema"):
        dataset = source
    elif hasattr(source, "to_batches") and hasattr(source, "schema"):
        dataset = ds.dataset(source)
    else:
        raise InvalidArgumentError(
            f"source: of pyarrow, a Table or a Dataset can be read more than once, not a "
            f"{type(source).__name__}"
        )

    def read(columns: Sequence[str]) -> Iterator[pd.DataFrame]:
        frames = ArrowBatches()
        # Few batches ahead: all that is read ahead is in memory.
        with reading("a pyarrow Dataset"):
            batches = dataset.to_batches(
                columns=list(columns), batch_size=size, batch_readahead=1, fragment_readahead=1
            )
            for batch in batches:
                yield frames.frame(batch)

    with reading("a pyarrow Dataset"):
        n_rows = dataset.count_rows()
    return Source(tuple(dataset.schema.names), read, n_rows, size)
