"""Whether columns of models that keep no rows span others': seen on rows that are made up.

Columns made from the same factors (the same code, the same categories) depend on each other in the
same way on any rows with enough different values. Rows with every factor at random show how; what
they can't show is that two pieces of code happen to make the same numbers of the data.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy.linalg as la

from merextras._typing import Array
from merextras.model.columns.coded import CodedPart, Factor
from merextras.model.columns.combinations import CombinedPart
from merextras.model.columns.fixed import FixedPart
from merextras.model.columns.plain_columns import PlainPart
from merextras.model.formula.translate import unquoted
from merextras.model.rowless.design import StreamedDesign
from merextras.model.structure.structure import Effects

#: Made-up rows for each column, and how far from another span a column may be.
_EACH, _OUTSIDE = 20, 1e-8


def fixed_columns(designs: Sequence[StreamedDesign]) -> list[Array]:
    """The fixed-effects columns of each design, (rows, p), on the same made-up rows."""
    made = _made([design.structure.fixed for design in designs])
    out = []
    for design, x in zip(designs, made, strict=True):
        every = design.structure.fixed.names
        out.append(x[:, [every.index(name) for name in design.fixed.names]])
    return out


def term_columns(terms: Sequence[Effects]) -> list[Array]:
    """The columns of random-effects terms, (rows, k), on the same made-up rows."""
    made = _made([term.part for term in terms])
    return [x[:, list(term.columns)] for x, term in zip(made, terms, strict=True)]


def combinations(columns: Array, of: Array) -> Array | None:
    """C with ``columns = of @ C``, or None if some column is not in their span."""
    found = np.asarray(la.lstsq(of, columns)[0]) if of.shape[1] else np.zeros((0, columns.shape[1]))
    rest = np.linalg.norm(columns - of @ found, axis=0)
    if np.any(rest > _OUTSIDE * np.linalg.norm(columns, axis=0)):
        return None
    return np.asarray(np.where(np.abs(found) < _OUTSIDE, 0.0, found))


def _made(parts: Sequence[FixedPart]) -> list[Array]:
    rng = np.random.default_rng(0)
    n = max(200, _EACH * max(len(part.names) for part in parts))
    values: dict[object, Array] = {}
    return [_columns(part, n, values, rng) for part in parts]


def _columns(
    part: FixedPart, n: int, values: dict[object, Array], rng: np.random.Generator
) -> Array:
    if isinstance(part, PlainPart):
        columns = [_value((name, 1), n, values, rng) for name in part.variables]
        return np.hstack([*([np.ones((n, 1))] if part.intercept else []), *columns])
    if isinstance(part, CombinedPart):
        return _columns(part.part, n, values, rng) @ part.combinations
    assert isinstance(part, CodedPart)
    found = []
    for factor in part.factors:
        if factor.levels is None:
            found.append(_value(_key(factor), n, values, rng))
        else:
            key = (factor.column or factor.code, tuple(factor.levels))
            if key not in values:
                values[key] = rng.integers(0, len(factor.levels), (n, 1)).astype(float)
            found.append(values[key])
    return part.product(found, n)


def _key(factor: Factor) -> object:
    if factor.computed is None:
        return unquoted(str(factor.column)), factor.width
    return factor.code, factor.width, repr(factor.computed.stored())


def _value(key: object, n: int, values: dict[object, Array], rng: np.random.Generator) -> Array:
    assert isinstance(key, tuple)
    if key not in values:
        values[key] = rng.standard_normal((n, key[1]))
    return values[key]
