"""Cross-products in a file: numpy arrays beside a JSON header with their checksums.

The file is a zip of ``.npy`` members (numpy's ``.npz``), read without pickle. The header holds the
formula as text, the names, and what the formula engine has learnt as numbers and strings.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

import numpy as np
import pandas as pd
import scipy.sparse as sp

from merextras._files import atomically
from merextras.engine.products.basis import Basis
from merextras.engine.products.crossprod import CrossProducts
from merextras.engine.products.effects import EffectBasis
from merextras.exceptions import InvalidArgumentError, UnsupportedModelError
from merextras.model.columns.coded import Block, CodedPart, Computed, Factor
from merextras.model.columns.fixed import FixedPart
from merextras.model.columns.levels import Coder
from merextras.model.columns.plain_columns import PlainPart
from merextras.model.structure.column_summaries import Facts
from merextras.model.structure.ranges import Numbers
from merextras.model.structure.structure import Effects, Structure, Value

_FORMAT = "merextras cross-products"
_VERSION = 2
# Files of version 1 have the effects as the user counts them.
_READABLE = (1, 2)
_HEADER = "header"

Arrays = dict[str, "np.ndarray[Any, Any]"]


def write(made: Any, path: Path) -> None:
    """Write a `ModelProducts`."""
    arrays: Arrays = {}
    header = _described(made, arrays)
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


# Writing ---------------------------------------------------------------------------------------


def _described_facts(facts: Facts) -> dict[str, Any]:
    return {
        "n": facts.n,
        "low": facts.low,
        "high": facts.high,
        "numbers": {name: asdict(found) for name, found in facts.numbers.items()},
    }


def _described(made: Any, arrays: Arrays) -> dict[str, Any]:
    structure, cp, facts = made.structure, made.products, made.facts
    for t in range(len(cp.own)):
        arrays[f"own{t}"], arrays[f"to_xy{t}"] = cp.own[t], cp.to_xy[t]
        arrays[f"seen{t}"], arrays[f"effects{t}"] = made.seen[t], facts.effects[t]
    for (s, t), block in cp.cross.items():
        for name in ("data", "indices", "indptr"):
            arrays[f"cross{s}_{t}_{name}"] = getattr(block, name)
    for t, own in enumerate(cp.basis.effects):
        arrays[f"effects_transform{t}"] = own.transform
    arrays.update(xy=cp.xy, rows=made.rows, transform=cp.basis.transform, b0=cp.basis.offset)
    arrays.update(x=facts.x, mean=facts.mean, squares=facts.squares, ones=facts.ones)
    parts: list[FixedPart] = [structure.fixed]
    for term in structure.terms:
        if not any(term.part is part for part in parts):
            parts.append(term.part)
    return {
        "format": _FORMAT,
        "version": _VERSION,
        "n": cp.n,
        "sum_log_w": cp.sum_log_w,
        "n_dropped": made.n_dropped,
        "facts": _described_facts(facts),
        "formula": structure.formula,
        "response_name": structure.response_name,
        "response": _value(structure.response),
        "offsets": [_value(value) for value in structure.offsets],
        "columns": list(structure.columns),
        "variables": list(structure.variables),
        "by_row": dict(structure.by_row),
        "contrasts": dict(structure.contrasts),
        "parts": [_part(part) for part in parts],
        "terms": [
            {
                "part": next(i for i, part in enumerate(parts) if part is term.part),
                "columns": list(term.columns),
                "coder": _coder(term.coder, arrays, t),
            }
            for t, term in enumerate(structure.terms)
        ],
    }


def _coder(coder: Coder, arrays: Arrays, t: int) -> dict[str, Any]:
    kinds = []
    for i, labels in enumerate(coder.parts):
        arrays[f"labels{t}_{i}"], kind = _labels(labels, coder.columns[i])
        kinds.append(kind)
    for i, pairs in enumerate(coder.pairs):
        arrays[f"pairs{t}_{i}"] = pairs
    return {"columns": list(coder.columns), "labels": kinds}


def _labels(labels: pd.Index, column: str) -> tuple[np.ndarray[Any, Any], str]:
    """Labels as an array: numbers as they are, strings as JSON."""
    if labels.dtype.kind in "biuf":
        return labels.to_numpy(), "numbers"
    texts = list(labels)
    if not all(isinstance(text, str) for text in texts):
        kinds = sorted({type(text).__name__ for text in texts})
        raise UnsupportedModelError(
            f"the labels of {column!r} are of type {' and '.join(kinds)}; a file holds numbers and "
            "strings: convert the column before"
        )
    return np.frombuffer(json.dumps(texts).encode(), dtype=np.uint8), "strings"


def _value(value: Value) -> dict[str, Any]:
    return {"code": value.code, "column": value.column, "learnt": _learnt(value.computed)}


def _learnt(computed: Computed | None) -> Any:
    if computed is None:
        return None
    return {"code": computed.code, "state": _jsoned(computed.stored())}


def _jsoned(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return {"array": value.tolist()}
    return {k: _jsoned(v) for k, v in value.items()} if isinstance(value, Mapping) else value


def _part(part: FixedPart) -> dict[str, Any]:
    if isinstance(part, PlainPart):
        return {"kind": "plain", "columns": part.variables, "intercept": part.intercept}
    assert isinstance(part, CodedPart)
    return {
        "kind": "coded",
        "formula": part.formula,
        "names": part.names,
        "variables": part.variables,
        "labels": dict(part.labels),
        "factors": [
            {
                "code": f.code,
                "column": f.column,
                "levels": None if f.levels is None else _categories(f),
                "width": f.width,
                "learnt": _learnt(f.computed),
            }
            for f in part.factors
        ],
        "terms": [
            [label, own, [[b.factors, [_jsoned(c) for c in b.contrasts]] for b in blocks]]
            for label, own, blocks in part.terms
        ],
    }


def _categories(factor: Factor) -> list[Any]:
    assert factor.levels is not None
    found = [v.item() if isinstance(v, np.generic) else v for v in factor.levels]
    if not all(isinstance(v, (str, bool, int, float)) for v in found):
        kinds = sorted({type(v).__name__ for v in found})
        raise UnsupportedModelError(
            f"the categories of {factor.code!r} are of type {' and '.join(kinds)}; a file holds "
            "numbers and strings: convert the column before"
        )
    return found


# Reading ---------------------------------------------------------------------------------------


def read(path: Path, kind: Any, *, trust_formula: bool) -> Any:
    """Read what `write` wrote into an object of `kind`."""
    if not isinstance(trust_formula, bool):
        raise InvalidArgumentError(f"trust_formula={trust_formula!r}: True or False")
    if not path.is_file():
        raise InvalidArgumentError(f"path: there is no file {str(path)!r}")
    try:
        with path.open("rb") as file:
            header, arrays = _checked(file, path)
        return _made(header, arrays, kind, trust_formula)
    except InvalidArgumentError:
        raise
    except (
        zipfile.BadZipFile,
        OSError,
        EOFError,
        ValueError,
        KeyError,
        TypeError,
        IndexError,
        AttributeError,
        NotImplementedError,
    ) as err:
        raise InvalidArgumentError(
            f"path: {str(path)!r} is not a whole file of cross-products: "
            f"{type(err).__name__}: {str(err).splitlines()[0] if str(err) else ''}"
        ) from err


def _checked(file: IO[bytes], path: Path) -> tuple[dict[str, Any], Arrays]:
    with np.load(file, allow_pickle=False) as members:
        arrays: Arrays = {name: members[name] for name in members.files}
    text = arrays.pop(_HEADER).tobytes()
    if hashlib.sha256(text).digest() != arrays.pop("header_checksum").tobytes():
        raise InvalidArgumentError(f"path: the header of {str(path)!r} is not what was written")
    header = json.loads(text.decode())
    if header["format"] != _FORMAT or header["version"] not in _READABLE:
        raise InvalidArgumentError(
            f"path: {str(path)!r} has format {header['format']!r}, version {header['version']!r}; "
            f"this package reads {_FORMAT!r}, versions {_READABLE[0]} to {_VERSION}"
        )
    found = {name: _checksum(array) for name, array in arrays.items()}
    wrong = sorted(
        name
        for name in {*found, *header["checksums"]}
        if found.get(name) != header["checksums"].get(name)
    )
    if wrong:
        raise InvalidArgumentError(
            f"path: {str(path)!r} does not hold what was written: {', '.join(wrong)}"
        )
    return header, arrays


def _made(header: dict[str, Any], arrays: Arrays, kind: Any, trusted: bool) -> Any:
    parts = [_part_of(part, trusted) for part in header["parts"]]
    terms = tuple(
        Effects(_coder_of(each["coder"], arrays, t), parts[each["part"]], tuple(each["columns"]))
        for t, each in enumerate(header["terms"])
    )
    structure = Structure(
        header["formula"],
        _value_of(header["response"], trusted),
        header["response_name"],
        parts[0],
        terms,
        tuple(_value_of(value, trusted) for value in header["offsets"]),
        tuple(header["columns"]),
        tuple(header["variables"]),
        header["by_row"],
        header["contrasts"],
    )
    every, p = range(len(terms)), len(parts[0].names)
    if not terms or f"own{len(terms)}" in arrays:
        raise ValueError("the header has other terms than the arrays")
    sizes = [levels * k for levels, k in structure.shapes]
    cross = {}
    for t in every:
        for s in range(t):
            block = [arrays[f"cross{s}_{t}_{name}"] for name in ("data", "indices", "indptr")]
            cross[s, t] = sp.csc_array(tuple(block), shape=(sizes[s], sizes[t]))
    cp = CrossProducts(
        tuple(arrays[f"own{t}"] for t in every),
        cross,
        tuple(arrays[f"to_xy{t}"] for t in every),
        arrays["xy"],
        header["n"],
        header["sum_log_w"],
        Basis(arrays["transform"], arrays["b0"], _effects(structure, arrays)),
    )
    if list(cp.shapes) != structure.shapes or cp.p != p or cp.basis.offset.shape != (p,):
        raise ValueError("the arrays have other shapes than the header says")
    facts = _facts(header["facts"], arrays, len(terms))
    seen = tuple(arrays[f"seen{t}"] for t in every)
    return kind(structure, cp, arrays["rows"], facts, seen, header["n_dropped"])


def _effects(structure: Structure, arrays: Arrays) -> tuple[EffectBasis, ...]:
    """Coordinates of the terms' effects."""
    out = []
    for t, (_, k) in enumerate(structure.shapes):
        own = EffectBasis(arrays.get(f"effects_transform{t}", np.eye(k)))
        transform = own.transform
        if (
            transform.shape != (k, k)
            or not np.all(np.isfinite(transform))
            or np.any(np.tril(transform, -1))
            or not np.all(np.diag(transform) > 0.0)
        ):
            raise ValueError("the coordinates of a term's effects are no triangular matrix")
        out.append(own)
    return tuple(out)


def _facts(described: dict[str, Any], arrays: Arrays, n_terms: int) -> Facts:
    return Facts(
        n=described["n"],
        low=described["low"],
        high=described["high"],
        x=arrays["x"],
        mean=arrays["mean"],
        squares=arrays["squares"],
        ones=arrays["ones"],
        effects=tuple(arrays[f"effects{t}"] for t in range(n_terms)),
        numbers={name: Numbers(**found) for name, found in described["numbers"].items()},
    )


def _coder_of(described: dict[str, Any], arrays: Arrays, t: int) -> Coder:
    labels = []
    for i, kind in enumerate(described["labels"]):
        array = arrays[f"labels{t}_{i}"]
        labels.append(pd.Index(json.loads(array.tobytes()) if kind == "strings" else array))
    pairs = [arrays[f"pairs{t}_{i}"] for i in range(len(labels) - 1)]
    return Coder.from_parts(described["columns"], labels, pairs)


def _value_of(described: dict[str, Any], trusted: bool) -> Value:
    computed = _computed_of(described["learnt"], trusted)
    return Value(described["code"], described["column"], computed)


def _computed_of(learnt: Any, trusted: bool) -> Computed | None:
    if learnt is None:
        return None
    return Computed.from_stored(learnt["code"], _unjsoned(learnt["state"]), trusted=trusted)


def _unjsoned(value: Any) -> Any:
    if isinstance(value, dict) and set(value) == {"array"}:
        return np.array(value["array"], dtype=float)
    return {k: _unjsoned(v) for k, v in value.items()} if isinstance(value, dict) else value


def _part_of(described: dict[str, Any], trusted: bool) -> FixedPart:
    if described["kind"] == "plain":
        return PlainPart(described["columns"], intercept=described["intercept"])
    factors = tuple(
        Factor(
            f["code"],
            f["column"],
            None if f["levels"] is None else pd.Index(f["levels"]),
            f["width"],
            _computed_of(f["learnt"], trusted),
        )
        for f in described["factors"]
    )
    terms = tuple(
        (label, tuple(own), tuple(Block(tuple(f), tuple(map(_unjsoned, c))) for f, c in blocks))
        for label, own, blocks in described["terms"]
    )
    return CodedPart(
        described["formula"],
        tuple(described["names"]),
        tuple(described["variables"]),
        factors,
        terms,
        described["labels"],
    )
