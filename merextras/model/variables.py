"""The variables of a fixed part: which are categorical, with which levels, which are numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import patsy

from merextras._typing import Array
from merextras.exceptions import UnsupportedModelError
from merextras.model.build import as_code, take_offsets
from merextras.model.design import Design
from merextras.model.effects import effects_of
from merextras.model.fixed import FixedPart, FormulaPart, bare, names_in
from merextras.model.formula import parse
from merextras.model.rank import KeptColumns


@dataclass(frozen=True)
class Variable:
    """A column of the data that the fixed part or an offset uses.

    Attributes
    ----------
    name : str
    levels : tuple or None
        Of a categorical one, those that occur among the observations, in the order of the fit; None
        of a number.
    """

    name: str
    levels: tuple[Any, ...] | None


def whole_part(design: Design) -> FixedPart:
    """The fixed part with the columns that were dropped because others determine them."""
    fixed = design.fixed
    return fixed.part if isinstance(fixed, KeptColumns) else fixed


def variables_of(design: Design) -> tuple[Variable, ...]:
    """The variables of the fixed part and of the offset, in the order of the data.

    Raises
    ------
    UnsupportedModelError
        A categorical variable that the formula computes, as in ``C(x > 3)``: its levels are no
        column's.
    """
    part, frame = whole_part(design), design.frame
    effects = effects_of(part, frame).effects
    coded = {code for effect in effects for code in effect.factors}
    codes = {bare(code): code for code in coded if bare(code) in part.variables}
    found = []
    for name in dict.fromkeys([*part.variables, *offset_variables(design)]):
        column = frame[name][design.observed]
        if name in codes or not pd.api.types.is_numeric_dtype(column) or column.dtype == bool:
            known = _categories(part, codes[name]) if name in codes else None
            found.append(Variable(name, _levels(column, known)))
            continue
        computed = [c for c in coded - set(codes.values()) if name in names_in(c)]
        if computed:
            raise UnsupportedModelError(
                f"the factor {computed[0]!r} is computed in the formula; make it a column of the "
                "data, so that its levels are known"
            )
        found.append(Variable(name, None))
    return tuple(found)


def offset_variables(design: Design) -> list[str]:
    """Columns that ``offset(...)`` in the formula uses."""
    if design.offset is None:
        return []
    columns = [str(c) for c in design.frame.columns]
    _, codes = take_offsets(as_code(parse(design.formula), columns, {}).fixed)
    return [c for c in columns if any(c in names_in(code) for code in codes)]


def term_variables(design: Design) -> list[frozenset[str]]:
    """The variables of each term of the fixed part, as sets of columns, the dropped ones too."""
    part = whole_part(design)
    effects = effects_of(part, design.frame).effects
    return [
        frozenset(part.variables) & frozenset().union(*(names_in(c) for c in effect.variables))
        for effect in effects
    ]


def observation_counts(design: Design) -> Array:
    """How many observations each row of the data stands for, (n,)."""
    counts = np.ones(design.n) if design.frequencies is None else design.frequencies.copy()
    return counts if design.weights is None else np.where(design.weights > 0, counts, 0.0)


def _categories(part: FixedPart, code: str) -> Sequence[Any] | None:
    """The categories that the formula engine remembers, in its order."""
    if not isinstance(part, FormulaPart):
        return None
    if isinstance(part.spec, patsy.DesignInfo):
        for factor, info in part.spec.factor_infos.items():
            if factor.name() == code and info.type == "categorical":
                return tuple(info.categories)
        return None
    known = part.spec.encoder_state[code][1].get("categories")
    return None if known is None else tuple(known)


def _levels(column: pd.Series, known: Sequence[Any] | None) -> tuple[Any, ...]:
    present = set(column.dropna())
    if known is None and isinstance(column.dtype, pd.CategoricalDtype):
        known = tuple(column.cat.categories)
    if known is not None and present <= set(known):
        return tuple(level for level in known if level in present)
    try:
        return tuple(sorted(present))
    except TypeError:  # a mixture has no order of its own
        return tuple(column.dropna().unique())
