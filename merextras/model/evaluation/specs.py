"""What a formula engine knows of a formula it has learnt, whichever engine it is.

A spec is patsy's ``DesignInfo`` or formulaic's ``ModelSpec``.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import patsy

from merextras.model.formula.translate import names_in


def codes_of(spec: Any) -> list[str]:
    """The code of its factors."""
    if isinstance(spec, patsy.DesignInfo):
        return [factor.name() for factor in spec.factor_infos]
    return [str(factor.expr) for factor in spec.factors]


def categorical_codes(spec: Any) -> list[str]:
    """The code of those of its factors that are categorical."""
    if isinstance(spec, patsy.DesignInfo):
        return [f.name() for f, info in spec.factor_infos.items() if info.type == "categorical"]
    states = spec.encoder_state.items()
    return [str(code) for code, (found, _) in states if found.value == "categorical"]


def categories_of(spec: Any) -> dict[str, Any]:
    """The categories of each of its factors by its code; None of numbers."""
    if isinstance(spec, patsy.DesignInfo):
        return {f.name(): info.categories for f, info in spec.factor_infos.items()}
    states = spec.encoder_state.items()
    return {str(code): state.get("categories") for code, (_, state) in states}


def term_codes(spec: Any) -> list[tuple[tuple[str, ...], slice]]:
    """The code of each term's factors and the term's columns; the intercept has no code."""
    found = []
    for term, where in spec.term_slices.items():
        by_patsy = isinstance(spec, patsy.DesignInfo)
        codes = [f.name() if by_patsy else str(f.expr) for f in term.factors]
        found.append((tuple(code for code in codes if code != "1"), where))
    return found


def names_seen(info: patsy.DesignInfo) -> dict[str, Any]:
    """What patsy's code sees besides the data."""
    spaces = [each.state["eval_env"].namespace for each in info.factor_infos.values()]
    used = {name for code in codes_of(info) for name in names_in(code)}
    return {name: space[name] for space in spaces for name in used if name in space}


def variables_of(spec: Any, columns: Iterable[str]) -> list[str]:
    """Columns of the data that are read, in the data's order."""
    used = {name for code in codes_of(spec) for name in names_in(code)}
    if not isinstance(spec, patsy.DesignInfo):
        used |= {str(variable).strip("`") for variable in spec.variables}
    return [str(column) for column in columns if column in used]
