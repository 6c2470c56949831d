"""Numpy arrays in a zip (``.npz``), read without trust in what it says of itself.

Only what `numpy.savez` writes is read: stored members, not compressed ones, whose sizes are what
their shapes say. So nothing is read into more memory than the file has bytes.
"""

from __future__ import annotations

import math
import re
import zipfile
from pathlib import Path
from typing import IO, Any

import numpy as np

Arrays = dict[str, "np.ndarray[Any, Any]"]

#: The start of a ``.npy`` member, version 1.0, and its description.
_MAGIC = b"\x93NUMPY\x01\x00"
_DESCRIPTION = re.compile(
    r"\{'descr': '(?P<dtype>[<>|][biuf][1248])', 'fortran_order': (?P<fortran>True|False), "
    r"'shape': \((?P<shape>(?:\d{1,18}, ?)*(?:\d{1,18})?)\), \} *\n"
)
_BLOCK = 2**20


def read_arrays(path: Path) -> Arrays:
    """The arrays of a file by their names.

    Raises
    ------
    ValueError
        It is not as `numpy.savez` writes one: something is compressed, encrypted or there twice, no
        plain array of numbers, or of another size than it says.
    zipfile.BadZipFile, OSError, EOFError
        It is no zip, or not whole.
    """
    with zipfile.ZipFile(path) as members:
        there = members.infolist()
        if sum(each.file_size for each in there) > path.stat().st_size:
            raise ValueError("its parts say that they are larger than the file")
        arrays: Arrays = {}
        for each in there:
            name, npy, rest = each.filename.rpartition(".npy")
            if not npy or rest or not re.fullmatch(r"\w{1,100}", name) or name in arrays:
                raise ValueError(f"it has an unknown part {each.filename[:100]!r}")
            if each.compress_type != zipfile.ZIP_STORED or each.flag_bits & 1:
                raise ValueError(f"{name} is compressed or encrypted")
            with members.open(each) as member:
                arrays[name] = _array(member, each.file_size, name)
    return arrays


def _array(member: IO[bytes], size: int, name: str) -> np.ndarray[Any, Any]:
    head = member.read(len(_MAGIC) + 2)
    if head[:-2] != _MAGIC:
        raise ValueError(f"{name} is not an array of numpy's format 1.0")
    length = int.from_bytes(head[-2:], "little")
    found = _DESCRIPTION.fullmatch(member.read(length).decode("latin-1"))
    if found is None:
        raise ValueError(f"{name} is not an array of numbers")
    dtype = np.dtype(found["dtype"])
    shape = tuple(int(part) for part in found["shape"].replace(" ", "").split(",") if part)
    n_bytes = dtype.itemsize * math.prod(shape)
    if len(head) + length + n_bytes != size:
        raise ValueError(f"{name} has another size than its shape {shape} says")
    buffer = bytearray(n_bytes)
    view, at = memoryview(buffer), 0
    while at < n_bytes:
        block = member.read(min(_BLOCK, n_bytes - at))
        if not block:
            raise EOFError(f"{name} ends early")
        view[at : at + len(block)] = block
        at += len(block)
    member.read(1)  # at the end, the zip's own checksum is compared
    array: np.ndarray[Any, Any] = np.frombuffer(buffer, dtype)
    return array.reshape(shape[::-1]).T if found["fortran"] == "True" else array.reshape(shape)
