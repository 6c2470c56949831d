"""The variables of a fixed part: which are categorical, with which levels, which are numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from merextras.exceptions import UnsupportedModelError
from merextras.model.design.effects import effects_of
from merextras.model.formula.names import bare
from merextras.model.formula.translate import names_in
from merextras.model.frame.kinds import is_number

if TYPE_CHECKING:
    from merextras.model.design.design import RowDesign


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


def variables_of(design: RowDesign) -> tuple[Variable, ...]:
    """The variables of a fixed part and of an offset, as `Design.variables`."""
    part, frame = design.fixed.whole, design.frame
    coded = {code for effect in effects_of(part, frame).effects for code in effect.factors}
    codes = {bare(code): code for code in coded if bare(code) in part.variables}
    found = []
    for name in dict.fromkeys([*part.variables, *design.offset_variables()]):
        column = frame[name][design.observed]
        if name in codes or not is_number(column):
            known = part.categories(codes[name]) if name in codes else None
            found.append(Variable(name, _levels(column, known)))
            continue
        computed = [c for c in coded - set(codes.values()) if name in names_in(c)]
        if computed:
            raise computed_factor(computed[0])
        found.append(Variable(name, None))
    return tuple(found)


def computed_factor(code: str) -> UnsupportedModelError:
    """The error of a factor whose levels are no column's."""
    return UnsupportedModelError(
        f"the factor {code!r} is computed in the formula; make it a column of the data, so that "
        "its levels are known"
    )


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
