"""Files of rows: which there are, and reading them in chunks, with errors that name the file."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from merextras.exceptions import InvalidArgumentError
from merextras.model.frame.arrow_batches import ArrowBatches
from merextras.model.source.chunks import Source
from merextras.model.source.csv_files import csv_source
from merextras.model.source.reading import check_there, reading

#: Bytes of a column of a parquet file that are read at a time.
_BUFFER = 2**16


def file_source(source: Any, size: int) -> Source:
    """The rows of a path, a glob, a folder, or a list of them, in sorted order.

    Raises
    ------
    InvalidArgumentError
        No file, files of several kinds, one that can't be read.
    """
    given = [source] if isinstance(source, (str, Path)) else list(source)
    paths = [path for each in given for path in matches(str(each))]
    kinds = {_kind(path) for path in paths}
    if len(kinds) > 1:
        raise InvalidArgumentError(f"source: the files are of several kinds: {sorted(kinds)}")
    return _parquet(paths, size) if kinds == {"parquet"} else csv_source(paths, size)


# Which files ------------------------------------------------------------------------------------


def matches(path: str) -> list[str]:
    """The files of a path or a pattern, sorted; of a folder those of parquet, or else of CSV.

    As much of the path as exists is taken as it is, so that folders may have ``[ ]`` in their name.
    """
    if Path(path).is_file():
        return [path]
    if Path(path).is_dir():
        for pattern in ("*.parquet", "*.pq", "*.csv", "*.csv.gz"):
            found = glob.glob(pattern, root_dir=path)
            if found:
                return [str(Path(path) / name) for name in sorted(found)]
        raise InvalidArgumentError(
            f"source: the folder {path!r} has no file of parquet (.parquet, .pq) or CSV (.csv, "
            ".csv.gz); of folders in folders give a pattern, as in 'folder/**/*.parquet', or a "
            "pyarrow Dataset"
        )
    parts = Path(path).parts
    there, rest = Path(), list(parts)
    while len(rest) > 1 and (there / rest[0]).is_dir():
        there /= rest.pop(0)
    found = glob.glob(os.path.join(*rest), root_dir=there, recursive=True) if rest else []
    files = sorted(str(there / name) for name in found if (there / name).is_file())
    if not files:
        raise InvalidArgumentError(f"source: there is no file {path!r}")
    return files


def _kind(path: str) -> str:
    suffixes = [s.lower() for s in Path(path).suffixes]
    if suffixes[-1:] in ([".parquet"], [".pq"]):
        return "parquet"
    if ".csv" in suffixes[-2:]:
        return "csv"
    raise InvalidArgumentError(
        f"source: {path!r} is neither parquet (.parquet, .pq) nor CSV (.csv, .csv.gz)"
    )


# Reading ----------------------------------------------------------------------------------------


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
        with reading(repr(path)), pq.ParquetFile(path) as file:
            names = names or list(file.schema_arrow.names)
            n_rows += file.metadata.num_rows

    def read(columns: Sequence[str]) -> Iterator[pd.DataFrame]:
        pool, frames = pa.default_memory_pool(), ArrowBatches()
        for path in paths:
            with (
                reading(repr(path)),
                pq.ParquetFile(path, buffer_size=_BUFFER, pre_buffer=False) as file,
            ):
                check_there(path, file.schema_arrow.names, columns)
                for group in range(file.num_row_groups):
                    # One row group at a time: a reader of several holds on to those it has read.
                    batches = file.iter_batches(
                        size, row_groups=[group], columns=list(columns), use_threads=False
                    )
                    for batch in batches:
                        yield frames.frame(batch)
                    # The pool keeps what is given back to it.
                    pool.release_unused()

    return Source(tuple(names), read, n_rows, size)
