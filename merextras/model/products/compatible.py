"""Checks that cross-products of two sources are of one model and may be added."""

from __future__ import annotations

from typing import Any

from merextras.exceptions import InvalidArgumentError
from merextras.model.columns.coded import CodedPart
from merextras.model.columns.part import FixedPart
from merextras.model.structure.structure import Structure


def check_same(one: Structure, other: Structure) -> None:
    """Refuse to add cross-products of different models."""

    def refuse(what: str, mine: object, theirs: object, hint: str = "") -> None:
        raise InvalidArgumentError(
            f"cross-products of different models can't be added: {what} {mine!r} and {theirs!r}"
            + hint
        )

    if one.formula != other.formula:
        refuse("the formulas are", one.formula, other.formula)
    if dict(one.by_row) != dict(other.by_row):
        refuse("weights and offsets are", dict(one.by_row), dict(other.by_row))
    by = [() if s.residual is None else s.residual.columns for s in (one, other)]
    if by[0] != by[1]:
        refuse("residual_by is", list(by[0]), list(by[1]))
    if dict(one.contrasts) != dict(other.contrasts):
        refuse("the contrasts are", dict(one.contrasts), dict(other.contrasts))
    _check_parts(one.fixed, other.fixed, refuse)
    terms = {t.key: t for t in other.terms}
    for term in one.terms:
        key = term.key
        if key not in terms:
            refuse("the random-effects terms are", [t.key for t in one.terms], list(terms))
        theirs = terms[key]
        _check_parts(term.part, theirs.part, refuse)
        for column, a, b in zip(
            term.coder.columns, term.coder.parts, theirs.coder.parts, strict=True
        ):
            kinds = [index.dtype.kind in "iufb" for index in (a, b)]
            if kinds[0] != kinds[1]:
                hint = "; give the column one type at all sites"
                refuse(f"the labels of {column!r} are of types", str(a.dtype), str(b.dtype), hint)


def _check_parts(one: FixedPart, other: FixedPart, refuse: Any) -> None:
    """Columns must mean the same: names, levels, contrasts, what transforms remember."""
    fix = (
        "; fix the coding before: cross_products(..., levels={'column': [all its categories]}) at "
        "each site"
    )
    mine = one.coded_factors
    theirs = other.coded_factors
    for a, b in zip(mine, theirs, strict=False):
        if a.levels is not None and b.levels is not None and list(a.levels) != list(b.levels):
            refuse(f"the categories of {a.code!r} are", list(a.levels), list(b.levels), fix)
    if one.names != other.names:
        refuse("the columns are", list(one.names), list(other.names), fix)
    if isinstance(one, CodedPart) != isinstance(other, CodedPart):
        refuse("the columns are of types", type(one).__name__, type(other).__name__)
    for a, b in zip(mine, theirs, strict=True):
        state = [repr(f.computed.stored()) if f.computed is not None else "" for f in (a, b)]
        if state[0] != state[1]:
            hint = "; write the numbers into the formula, as in I(x - 50), the same at each site"
            refuse(f"what {a.code!r} has learnt from its rows is", *state, hint)
