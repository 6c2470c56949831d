"""Checks of a term's effects against its covariance structure: their number and order."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from merextras.engine.covariance.tags import Tag
from merextras.exceptions import DataWarning, InvalidArgumentError
from merextras.foundation.aliases import Array
from merextras.model.columns.coded import CodedPart
from merextras.model.columns.fixed import FormulaPart
from merextras.model.columns.part import FixedPart
from merextras.model.frame.labels import warn_user

# Steps that differ by less than this share of the largest are equal.
_SAME = 1e-9


def check_effects_of(tag: Tag, part: FixedPart, what: str) -> None:
    """Raise where a structure has no meaning for the effects that a formula's part makes.

    Parameters
    ----------
    tag : Tag
    part : FixedPart
        Left of the bar.
    what : str
        The term as it was written.

    Raises
    ------
    InvalidArgumentError
        Too few effects for a correlation; effects without an order where one is needed.

    Warns
    -----
    DataWarning
        Steps between the levels are not equal, or their order is that of text.
    """
    kind, names = tag.kind, list(part.names)
    if len(names) < kind.least:
        raise InvalidArgumentError(
            f"formula: {what}: {tag.name}() is of the correlation of effects, and {names} is one "
            f"alone: {tag.name}(0 + f | g) takes the levels of a factor; a number is made one by "
            "C(x); of one effect write (x | g)"
        )
    if not kind.ordered:
        return
    found = _levels(part)
    if found is None:
        raise InvalidArgumentError(
            f"formula: {what}: the effects of {tag.name}() are the levels of one factor in their "
            f"order, {tag.name}(0 + t | g), here they are {names}; a number is made a factor by "
            "C(x)"
        )
    _say_order(*found, what)


def _levels(part: FixedPart) -> tuple[str, pd.Index] | None:
    """The factor's code and its levels, if the effects are one for each level of one factor."""
    if isinstance(part, CodedPart):
        return _of_coded(part)
    if not isinstance(part, FormulaPart):
        return None
    terms = list(part.known.terms())
    if len(terms) != 1 or len(terms[0][0]) != 1:
        return None
    code = terms[0][0][0]
    levels = part.known.categories().get(code)
    if levels is None or len(levels) != len(part.names):
        return None
    if not all(map(_is_indicator, part.known.codings())):
        return None
    return part.label(code), pd.Index(list(levels))


def _of_coded(part: CodedPart) -> tuple[str, pd.Index] | None:
    blocks = [block for _, _, found in part.terms for block in found]
    if len(blocks) != 1 or len(blocks[0].factors) != 1:
        return None
    factor, contrast = part.factors[blocks[0].factors[0]], blocks[0].contrasts[0]
    if factor.levels is None or contrast is None or not _is_indicator(contrast):
        return None
    return factor.code, factor.levels


def _is_indicator(coding: Any) -> bool:
    made = np.asarray(coding)
    return made.shape[0] == made.shape[1] and np.array_equal(made, np.eye(len(made)))


def _say_order(code: str, levels: pd.Index, what: str) -> None:
    """Say what of an order may not be what is meant."""
    steps = _steps(levels)
    if steps is None or len(steps) < 2:
        return
    shown = ", ".join(str(level) for level in levels[:12]) + (", ..." if len(levels) > 12 else "")
    if np.any(steps <= 0):
        warn_user(
            f"{what}: the levels of {code} are in the order {shown}, which is not that of the "
            "numbers; make them numbers, or an ordered categorical if it is meant",
            DataWarning,
        )
    elif np.ptp(steps) > _SAME * float(np.max(steps)):
        warn_user(
            f"{what}: the levels of {code} are not equally far apart ({shown}), and each is taken "
            "for one step from that before it",
            DataWarning,
        )


def _steps(levels: pd.Index) -> Array | None:
    """Differences of numbers, dates or text that is numbers; None of other labels."""
    kind = levels.dtype.kind
    if kind == "M":
        return np.asarray(np.diff(levels.to_numpy().astype("datetime64[ns]").astype(np.int64)))
    numbers = pd.to_numeric(pd.Series(list(levels)), errors="coerce").to_numpy(dtype=float)
    return None if np.any(np.isnan(numbers)) else np.asarray(np.diff(numbers))
