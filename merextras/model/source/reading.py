"""Errors in reading files, with the file's name."""

from __future__ import annotations

import lzma
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from merextras.exceptions import InvalidArgumentError, MerextrasError

_UNREADABLE = (
    OSError,
    ValueError,
    TypeError,
    KeyError,
    EOFError,
    ImportError,
    NotImplementedError,
    zlib.error,
    lzma.LZMAError,
    zipfile.BadZipFile,
)


@contextmanager
def reading(what: str) -> Iterator[None]:
    """Let errors of the libraries that read a file be ours, with the file's name."""
    try:
        yield
    except MerextrasError:
        raise
    except _UNREADABLE as err:
        text = str(err).strip().split("\n", 1)[0] or type(err).__name__
        raise InvalidArgumentError(f"source: {what} can't be read: {text}") from err


def check_there(path: str, names: Sequence[str], columns: Sequence[str]) -> None:
    """Raise if a file has not all the columns that are wanted."""
    missing = [c for c in columns if c not in names]
    if missing:
        raise InvalidArgumentError(
            f"source: {path!r} lacks the column(s) {missing}; it has {list(names)}"
        )
