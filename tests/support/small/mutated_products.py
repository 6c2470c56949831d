"""Files of cross-products with one thing in them changed, and checksums that fit."""

from __future__ import annotations

import copy
import hashlib
import json

import numpy as np

#: Values that no field of the header may have without a check, by kind.
ODD = [
    *(None, True, False, 0, 1, -1, 2, 10**6, 2**63, 10**400, 0.5, -0.5, 1e308, "", "x", "1"),
    *("\ud800", "a" * 5000, [], {}, [[]], ["x"], [0], [None], {"x": 1}, [1, 2, 3], "NaN"),
]


def opened(path):
    """The header and the arrays of a file."""
    with np.load(path) as members:
        arrays = {name: members[name] for name in members.files}
    del arrays["header_checksum"]
    return json.loads(arrays.pop("header").tobytes()), arrays


def closed(path, header, arrays):
    """Write them with checksums that fit."""
    sums = {}
    for name, array in arrays.items():
        what = f"{array.dtype.str} {array.shape} ".encode()
        sums[name] = hashlib.sha256(what + np.ascontiguousarray(array).tobytes()).hexdigest()
    if isinstance(header, dict) and header.get("checksums") is not None:
        header = {**header, "checksums": sums}
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    raw(path, text, arrays)


def raw(path, text, arrays):
    """Write a header's bytes and arrays as they are."""
    header = np.frombuffer(text, dtype=np.uint8)
    digest = np.frombuffer(hashlib.sha256(text).digest(), dtype=np.uint8)
    with open(path, "wb") as file:
        np.savez(file, **{**arrays, "header": header, "header_checksum": digest})


def places(value, at=()):
    """The path of everything in a header, from the root."""
    yield at
    if isinstance(value, dict):
        for key in value:
            yield from places(value[key], (*at, key))
    elif isinstance(value, list):
        for i, each in enumerate(value):
            yield from places(each, (*at, i))


def got(header, at):
    for step in at:
        header = header[step]
    return header


def with_value(header, at, value):
    """The header with another value at a place."""
    if not at:
        return value
    out = copy.deepcopy(header)
    got(out, at[:-1])[at[-1]] = value
    return out


def without(header, at):
    """The header without what is at a place."""
    out = copy.deepcopy(header)
    del got(out, at[:-1])[at[-1]]
    return out


def other_arrays(name, array, rng):
    """(what, array): the array with other types, shapes and values."""
    for dtype in ("f4", "c16", "i1", "u8", "i8", "?", "U3", "f8", ">f8"):
        with np.errstate(all="ignore"):
            yield f"as {dtype}", array.astype(dtype)
    yield "no dimension", np.array(1.0)
    yield "one more", np.concatenate([array, array[:1]])
    yield "one less", array[:-1]
    yield "empty", array[:0]
    yield "another axis", array[..., None]
    yield "flat", array.reshape(-1)
    yield "turned", np.ascontiguousarray(array.T)
    yield "by columns", np.asfortranarray(array)
    yield "reversed", array[::-1].copy()
    if not array.size:
        return
    values = [np.nan, np.inf, -1e300, 1e300, 1e-300, 0.0, -1.0]
    if array.dtype.kind in "iu":
        info = np.iinfo(array.dtype)
        values = [info.min, info.max, 0, 1, array.max() + 1, array.size]
    if array.dtype.kind == "b":
        values = [True, False]
    for value in values:
        for at in {0, array.size - 1, int(rng.integers(array.size))}:
            changed = array.copy()
            changed.reshape(-1)[at] = value
            yield f"{value} at {at}", changed
        yield f"all {value}", np.full_like(array, value)
    yield "shuffled", rng.permutation(array.reshape(-1)).reshape(array.shape)
    if array.dtype.kind == "f":
        noise = rng.normal(size=array.shape)
        yield "others", noise
        if array.ndim > 1 and array.shape[-1] == array.shape[-2]:
            yield "other products", noise + np.swapaxes(noise, -1, -2)
            yield "indefinite", np.ones(array.shape) - np.eye(array.shape[-1])
        yield "a little", array * (1.0 + 0.1 * noise)
        yield "a million times", array * 1e6
