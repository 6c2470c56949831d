"""Where rows come from: anything that can be gone through several times, chunk by chunk."""

from __future__ import annotations

import glob
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from merextras._checks import check_count, check_frame
from merextras.exceptions import InvalidArgumentError
from merextras.model.frame.read import as_pandas, from_arrow, read_columns

#: Rows read at a time.
CHUNK_SIZE = 100_000
#: Bytes of a column of a parquet file that are read at a time.
_BUFFER = 2**16


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
        """One pass: frames of no more than `size` rows, on a common schema, none empty."""
        for frame in self.read(columns):
            missing = [c for c in columns if c not in frame.columns]
            if missing:
                raise InvalidArgumentError(
                    f"source: a chunk lacks the column(s) {missing}; it has {list(frame.columns)}"
                )
            own = read_columns(frame[list(columns)], columns)
            for at in range(0, len(own), self.size):
                yield own.iloc[at : at + self.size]


def as_source(source: Any, chunk_size: int | None = None) -> Source:
    """What can be read in chunks, from what the user has.

    Parameters
    ----------
    source : DataFrame of pandas or polars, pyarrow Table or Dataset, path or glob, list, callable
        Paths end in ``.parquet``, ``.pq``, ``.csv`` or ``.csv.gz``; a glob or a list of them is
        read in sorted order. A list may also hold frames. A callable without arguments gives an
        iterable of frames each time it is called.
    chunk_size : int, optional
        Rows at a time, 100 000 by default.

    Raises
    ------
    InvalidArgumentError
        None of these, no file, no rows, or an iterator that can be gone through once only.
    """
    size = CHUNK_SIZE if chunk_size is None else check_count(chunk_size, "chunk_size")
    if isinstance(source, (str, Path)) or _is_paths(source):
        return _files(source, size)
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
    names = {cls.__module__.partition(".")[0] for cls in type(data).__mro__}
    return bool(names & ({package, "dask_expr"} if package == "dask" else {package}))


def _is_paths(source: Any) -> bool:
    return (
        isinstance(source, (list, tuple))
        and len(source) > 0
        and all(isinstance(each, (str, Path)) for each in source)
    )


def _frames(make: Callable[[], Iterable[Any]], size: int, n_rows: int | None = None) -> Source:
    def read(columns: Sequence[str]) -> Iterator[pd.DataFrame]:  # noqa: ARG001
        for each in _made(make):
            yield _checked(as_pandas(each))

    first = next(iter(_made(make)), None)
    if first is None:
        raise InvalidArgumentError("source: there are no chunks")
    names = tuple(map(str, _checked(as_pandas(first)).columns))
    return Source(names, read, n_rows, size)


def _made(make: Callable[[], Iterable[Any]]) -> Iterable[Any]:
    found = make()
    if isinstance(found, pd.DataFrame) or not isinstance(found, Iterable):
        raise InvalidArgumentError(
            "source: the function must give an iterable of frames, not "
            f"{'one frame' if isinstance(found, pd.DataFrame) else type(found).__name__}"
        )
    return found


def _checked(frame: pd.DataFrame) -> pd.DataFrame:
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
        # Few batches ahead: all that is read ahead is in memory.
        batches = dataset.to_batches(
            columns=list(columns), batch_size=size, batch_readahead=1, fragment_readahead=1
        )
        for batch in batches:
            yield from_arrow(batch, ignore_index=True)

    return Source(tuple(dataset.schema.names), read, dataset.count_rows(), size)


def _files(source: Any, size: int) -> Source:
    given = [source] if isinstance(source, (str, Path)) else list(source)
    paths = [path for each in given for path in _matches(str(each))]
    kinds = {_kind(path) for path in paths}
    if len(kinds) > 1:
        raise InvalidArgumentError(f"source: the files are of several kinds: {sorted(kinds)}")
    return _parquet(paths, size) if kinds == {"parquet"} else _csv(paths, size)


def _matches(path: str) -> list[str]:
    if Path(path).is_file():
        return [path]
    pattern = str(Path(path) / "*.parquet") if Path(path).is_dir() else path
    found = sorted(glob.glob(pattern, recursive=True))
    if not found:
        raise InvalidArgumentError(f"source: there is no file {pattern!r}")
    return found


def _kind(path: str) -> str:
    suffixes = [s.lower() for s in Path(path).suffixes]
    if suffixes[-1:] in ([".parquet"], [".pq"]):
        return "parquet"
    if ".csv" in suffixes[-2:]:
        return "csv"
    raise InvalidArgumentError(
        f"source: {path!r} is neither parquet (.parquet, .pq) nor CSV (.csv, .csv.gz)"
    )


def _parquet(paths: Sequence[str], size: int) -> Source:
    try:
        import pyarrow as pa  # noqa: PLC0415 (an extra)
        import pyarrow.parquet as pq  # noqa: PLC0415
    except ImportError:
        raise InvalidArgumentError(
            "source: parquet files are read by pyarrow: pip install merextras[arrow]"
        ) from None
    names: list[str] = []
    n_rows = 0
    for path in paths:
        with pq.ParquetFile(path) as file:
            names = names or list(file.schema_arrow.names)
            n_rows += file.metadata.num_rows

    def read(columns: Sequence[str]) -> Iterator[pd.DataFrame]:
        pool = pa.default_memory_pool()
        for path in paths:
            with pq.ParquetFile(path, buffer_size=_BUFFER, pre_buffer=False) as file:
                there = [c for c in columns if c in file.schema_arrow.names]
                for group in range(file.num_row_groups):
                    # One row group at a time: a reader of several holds on to those it has read.
                    batches = file.iter_batches(
                        size, row_groups=[group], columns=there, use_threads=False
                    )
                    for batch in batches:
                        yield from_arrow(batch, ignore_index=True)
                    # The pool keeps what is given back to it.
                    pool.release_unused()

    return Source(tuple(names), read, n_rows, size)


def _csv(paths: Sequence[str], size: int) -> Source:
    names = tuple(map(str, pd.read_csv(paths[0], nrows=0).columns))

    def read(columns: Sequence[str]) -> Iterator[pd.DataFrame]:
        for path in paths:
            # Rows are read whole, so that a type is not guessed anew within a chunk.
            with pd.read_csv(
                path,
                usecols=lambda c: c in columns,
                chunksize=size,
                low_memory=False,
                dtype_backend="numpy_nullable",
            ) as reader:
                yield from reader

    return Source(names, read, None, size)
