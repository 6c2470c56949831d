"""The offset of a design on other rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from merextras.exceptions import UnsupportedModelError
from merextras.foundation.aliases import Array
from merextras.foundation.arguments import check_columns
from merextras.model.columns.finite import check_finite
from merextras.model.columns.fixed import Scope
from merextras.model.evaluation.whole_column import NO_OTHER_ROWS, refusal
from merextras.model.formula.parse import parse
from merextras.model.formula.translate import as_code, names_in, take_offsets
from merextras.model.settings.options import Options

if TYPE_CHECKING:
    from merextras.model.design.questions import Design


def offset_codes(formula: str, columns: Sequence[str]) -> list[str]:
    """The code of a formula's ``offset(...)``."""
    return list(take_offsets(as_code(parse(formula), list(columns), {}).fixed)[1])


def offset_of(design: Design, data: pd.DataFrame) -> Array | None:
    """The offset of new data, from the formula and the argument; NaN where a value is missing.

    Raises
    ------
    InvalidArgumentError
        A missing column, or an offset by array, which has no values for new data.
    """
    options = design.options.for_data(data, ("offset",))
    return _evaluated(design, data, options)


def formula_offset(design: Design, data: pd.DataFrame) -> Array | None:
    """The formula's offset alone."""
    return _evaluated(design, data, replace(design.options, offset=None, columns={}))


def _evaluated(design: Design, data: pd.DataFrame, options: Options) -> Array | None:
    columns = design.columns
    codes = offset_codes(design.formula, columns)
    if not codes:
        return options.offset
    if design.options.whole:
        raise UnsupportedModelError(refusal(design.options.whole[0], NO_OTHER_ROWS))
    needed = [c for c in columns if any(c in names_in(code) for code in codes)]
    check_columns(data, needed, "newdata")
    complete = data[needed].notna().all(axis=1).to_numpy(dtype=bool)
    given = None if options.offset is None else options.offset[complete]
    out = np.full(len(data), np.nan)
    out[complete] = offset_from(given, codes, data.loc[complete], options.scope)
    return out


def offset_from(
    given: Array | None, codes: Sequence[str], frame: pd.DataFrame, scope: Scope
) -> Array | None:
    """The offset argument plus the formula's ``offset()`` terms."""
    parts = [scope.column(code, frame) for code in codes]
    for values, code in zip(parts, codes, strict=True):
        check_finite(values[:, None], (f"offset({code})",), "formula")
    if given is not None:
        parts.append(given)
    return np.sum(parts, axis=0) if parts else None
