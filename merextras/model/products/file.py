"""Cross-products in a file: numpy arrays beside a JSON header with their checksums.

The file is a zip of ``.npy`` members (numpy's ``.npz``), read without pickle. The header holds the
formula as text, the names, and what the formula engine has learnt as numbers and strings. Read
`container` (the arrays), `described` (writing the header), `fields` and `header` (reading it) and
`blocks` (the arrays against the header).
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from merextras.exceptions import InvalidArgumentError, TooLargeError
from merextras.foundation.files import atomically
from merextras.model.products.blocks import Blocks, products_of_arrays
from merextras.model.products.container import Arrays, read_arrays
from merextras.model.products.described import FORMAT, READABLE, described
from merextras.model.products.header import read_header

_HEADER = "header"
#: What reading bytes that were not written here can raise.
_NOT_WHOLE = (
    zipfile.BadZipFile,
    OSError,
    EOFError,
    ValueError,
    KeyError,
    TypeError,
    IndexError,
    AttributeError,
    OverflowError,
    RuntimeError,  # RecursionError and NotImplementedError among them
)


def write(made: Any, path: Path) -> None:
    """Write a `ModelProducts`."""
    arrays: Arrays = {}
    header = described(made, arrays)
    header["checksums"] = {name: _checksum(array) for name, array in arrays.items()}
    text = json.dumps(header, ensure_ascii=False, allow_nan=False, sort_keys=True).encode()
    arrays[_HEADER] = np.frombuffer(text, dtype=np.uint8)
    arrays["header_checksum"] = np.frombuffer(hashlib.sha256(text).digest(), dtype=np.uint8)

    def to(place: Path) -> None:
        with place.open("wb") as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]

    atomically(path, to)


def _checksum(array: np.ndarray[Any, Any]) -> str:
    what = f"{array.dtype.str} {array.shape} ".encode()
    return hashlib.sha256(what + np.ascontiguousarray(array).tobytes()).hexdigest()


def read(path: Path, kind: Any, *, trust_formula: bool) -> Any:
    """Read what `write` wrote into an object of `kind`.

    Every size is compared with the file's own before it is believed, every value of the header and
    every array with what it must be, and the header with its formula; then nothing is left that
    fits and is missing from it.
    """
    if not isinstance(trust_formula, bool):
        raise InvalidArgumentError(f"trust_formula={trust_formula!r}: True or False")
    if not path.is_file():
        raise InvalidArgumentError(f"path: there is no file {str(path)!r}")
    try:
        header, arrays = _checked_arrays(read_arrays(path), path)
        blocks = Blocks(arrays)
        structure, facts = read_header(header, blocks, trusted=trust_formula)
        made = products_of_arrays(header, structure, facts, blocks, kind)
        blocks.check_all_taken()
        return made
    except (InvalidArgumentError, TooLargeError):
        raise
    except _NOT_WHOLE as err:
        raise InvalidArgumentError(
            f"path: {str(path)!r} is not a whole file of cross-products: "
            f"{type(err).__name__}: {str(err).splitlines()[0][:500] if str(err) else ''}"
        ) from err


def _checked_arrays(arrays: Arrays, path: Path) -> tuple[dict[str, Any], Arrays]:
    text = arrays.pop(_HEADER).tobytes()
    if hashlib.sha256(text).digest() != arrays.pop("header_checksum").tobytes():
        raise InvalidArgumentError(f"path: the header of {str(path)!r} is not what was written")
    header = json.loads(text.decode(), parse_constant=_no_number)
    if header["format"] != FORMAT or header["version"] not in READABLE:
        raise InvalidArgumentError(
            f"path: {str(path)!r} has format {str(header['format'])[:100]!r}, version "
            f"{str(header['version'])[:100]}; this package reads {FORMAT!r}, versions "
            f"{READABLE[0]} to {READABLE[-1]}"
        )
    found = {name: _checksum(array) for name, array in arrays.items()}
    written = header["checksums"]
    wrong = sorted(n for n in {*found, *written} if found.get(n) != written.get(n))
    if wrong:
        raise InvalidArgumentError(
            f"path: {str(path)!r} does not hold what was written: {', '.join(wrong)[:500]}"
        )
    return header, arrays


def _no_number(text: str) -> None:
    raise ValueError(f"the header has {text}, which is no number")
