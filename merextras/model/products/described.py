"""The writer of a cross-products file's header."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd

from merextras.exceptions import UnsupportedModelError
from merextras.model.columns.coded import CodedPart, Factor
from merextras.model.columns.levels import LevelCoder
from merextras.model.columns.part import FixedPart
from merextras.model.columns.plain_columns import PlainPart
from merextras.model.evaluation.computed import Computed
from merextras.model.products.container import Arrays
from merextras.model.structure.column_summaries import ColumnSummaries
from merextras.model.structure.structure import Value

FORMAT = "merextras cross-products"
VERSION = 3
#: Files of version 1 have the effects as the user counts them; reading one changes that.
READABLE = (1, 2, 3)
#: The first version that says how the covariances are structured; before it they were free.
WITH_STRUCTURES = 3


def _described_facts(facts: ColumnSummaries) -> dict[str, Any]:
    return {
        "n": facts.n,
        "low": facts.low,
        "high": facts.high,
        "numbers": {name: asdict(found) for name, found in facts.numbers.items()},
    }


def described(made: Any, arrays: Arrays) -> dict[str, Any]:
    """The header of a `ModelProducts`; its arrays are put into `arrays`."""
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
    more = {} if made.strata is None else {"strata": _described_strata(made, arrays)}
    parts: list[FixedPart] = [structure.fixed]
    for term in structure.terms:
        if not any(term.part is part for part in parts):
            parts.append(term.part)
    return {
        **more,
        "format": FORMAT,
        "version": VERSION,
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
                "covariance": {"name": term.tag.name, "hom": term.tag.hom},
            }
            for t, term in enumerate(structure.terms)
        ],
    }


def _described_strata(made: Any, arrays: Arrays) -> dict[str, Any]:
    """Groups with residual variances of their own; their products' arrays start with ``strata``."""
    strata = made.strata
    for t in range(len(strata.sizes)):
        arrays[f"strata_own{t}"] = strata.pairs.own[t]
        arrays[f"strata_to_xy{t}"] = strata.pairs.to_xy[t]
        arrays[f"strata_level{t}"], arrays[f"strata_group{t}"] = strata.level[t], strata.stratum[t]
    for (s, t), block in strata.pairs.cross.items():
        for name in ("data", "indices", "indptr"):
            arrays[f"strata_cross{s}_{t}_{name}"] = getattr(block, name)
    arrays.update(strata_xy=strata.xy, strata_n=strata.n, strata_log_w=strata.sum_log_w)
    return {"coder": _coder(made.structure.residual, arrays, len(strata.sizes))}


def _coder(coder: LevelCoder, arrays: Arrays, t: int) -> dict[str, Any]:
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


def _check_no_dates(part: FixedPart) -> None:
    dates = sorted(part.dates)
    if dates:
        raise UnsupportedModelError(
            f"the predictors {dates} are dates; a file holds numbers and strings: make columns of "
            "days before"
        )


def _part(part: FixedPart) -> dict[str, Any]:
    _check_no_dates(part)
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
