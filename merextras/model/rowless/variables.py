"""The variables of a fixed part: which are categorical, with which levels, which are numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import patsy

from merextras._typing import Array
from merextras.exceptions import NoRowsError, UnsupportedModelError
from merextras.model.columns.coded import CodedPart
from merextras.model.columns.fixed import FixedPart, FormulaPart
from merextras.model.design.design import Design
from merextras.model.design.effects import effects_of
from merextras.model.design.rank import KeptColumns
from merextras.model.formula.names import bare
from merextras.model.formula.parse import parse
from merextras.model.formula.translate import as_code, names_in, take_offsets
from merextras.model.frame.kinds import is_number, numbers
from merextras.model.rowless.design import StreamedDesign
from merextras.model.rowless.effects import whole_effects
from merextras.model.structure.ranges import Numbers


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
    if isinstance(design, StreamedDesign):
        return _streamed(design)
    part, frame = whole_part(design), design.frame
    effects = effects_of(part, frame).effects
    coded = {code for effect in effects for code in effect.factors}
    codes = {bare(code): code for code in coded if bare(code) in part.variables}
    found = []
    for name in dict.fromkeys([*part.variables, *offset_variables(design)]):
        column = frame[name][design.observed]
        if name in codes or not is_number(column):
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
    if isinstance(design, StreamedDesign):
        values = design.structure.offsets
        read = {n for v in values for n in ({v.column} if v.column else names_in(v.code))}
        return [c for c in design.columns if c in read]
    if design.offset is None:
        return []
    columns = [str(c) for c in design.frame.columns]
    _, codes = take_offsets(as_code(parse(design.formula), columns, {}).fixed)
    return [c for c in columns if any(c in names_in(code) for code in codes)]


def term_variables(design: Design) -> list[frozenset[str]]:
    """The variables of each term of the fixed part, as sets of columns, the dropped ones too."""
    part = whole_part(design)
    if isinstance(design, StreamedDesign):
        effects = whole_effects(design).effects
    else:
        effects = effects_of(part, design.frame).effects
    return [
        frozenset(part.variables) & frozenset().union(*(names_in(c) for c in effect.variables))
        for effect in effects
    ]


def _streamed(design: StreamedDesign) -> tuple[Variable, ...]:
    """The variables where no rows are kept, from what the formula engine has learnt."""
    part = whole_part(design)
    levels: dict[str, tuple[Any, ...]] = {}
    for factor in part.factors if isinstance(part, CodedPart) else ():
        column = factor.column or bare(factor.code)
        if factor.levels is not None and column not in part.variables:
            raise UnsupportedModelError(
                f"the factor {factor.code!r} is computed in the formula; make it a column of the "
                "data, so that its levels are known"
            )
        if factor.levels is not None:
            levels[column] = tuple(factor.levels)
    names = {*part.variables, *offset_variables(design)}
    return tuple(Variable(c, levels.get(c)) for c in design.columns if c in names)


def typical_values(design: Design, variable: Variable) -> tuple[Any, ...]:
    """What a variable is held at: its levels, two values that it has only, or its mean.

    Raises
    ------
    NoRowsError
        The model keeps no rows, and not what is needed of this variable.
    """
    if variable.levels is not None:
        return variable.levels
    if isinstance(design, StreamedDesign):
        return _numbers(design, variable.name).typical
    few = _few(design, variable.name)
    return few if few else (mean_of(design, variable.name),)


def mean_of(design: Design, name: str) -> float:
    """The mean of a numeric variable over the observations.

    Raises
    ------
    NoRowsError
        The model keeps no rows, and not what is needed of this variable.
    """
    if isinstance(design, StreamedDesign):
        return _numbers(design, name).mean
    column = numbers(design.frame[name], name, dates=True)
    return float(np.average(column, weights=observation_counts(design)))


def _few(design: Design, name: str) -> tuple[Any, ...]:
    """The values of a number that has two at most, else none."""
    column = numbers(design.frame[name], name, dates=True)
    few = np.unique(column[design.observed][:10_000])
    if len(few) <= 2 and len(few := np.unique(column[design.observed])) <= 2:
        return tuple(few.tolist())
    return ()


def spread_of(design: Design, name: str) -> float:
    """The range of a numeric variable over the observations."""
    if isinstance(design, StreamedDesign):
        found = _numbers(design, name)
        return found.high - found.low
    column = design.frame[name][design.observed]
    return float(np.ptp(numbers(column, name, dates=True)))


def _numbers(design: StreamedDesign, name: str) -> Numbers:
    if name not in design.facts.numbers:
        raise NoRowsError(
            f"the model keeps no rows, and the values of {name!r} are not among what was kept; "
            f"say which to take by at={{{name!r}: ...}}"
        )
    return design.facts.numbers[name]


def dtype_of(design: Design, variable: Variable) -> Any:
    """The dtype of a variable in the data; where no rows are kept, one that does as well."""
    if not isinstance(design, StreamedDesign):
        return design.frame[variable.name].dtype
    return np.dtype(float) if variable.levels is None else pd.Index(variable.levels).dtype


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
