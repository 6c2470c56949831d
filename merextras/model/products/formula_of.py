"""A header against its own formula: what a reader sees is what would be evaluated."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
import patsy
from patsy.parse_formula import parse_formula

from merextras.exceptions import InvalidArgumentError
from merextras.model.columns.coded import CodedPart
from merextras.model.columns.part import FixedPart
from merextras.model.columns.plain_columns import plain_part
from merextras.model.formula.parse import parse
from merextras.model.formula.translate import (
    as_code,
    contrast_labels,
    names_in,
    take_offsets,
    unquoted,
)
from merextras.model.structure.structure import Structure, Value

#: Terms that a formula may have when it is multiplied out.
_MOST_TERMS = 10_000
_MANY = 1e300


def check_formula(structure: Structure, parts: Sequence[FixedPart]) -> None:
    """Raise where a structure from a file is not one of its formula.

    Nothing is evaluated, and no power of a sum multiplied out.

    Raises
    ------
    ValueError
    """
    try:
        written = parse(structure.formula)
        parsed = as_code(written, list(structure.columns), structure.contrasts)
        fixed, offsets = take_offsets(parsed.fixed)
    except InvalidArgumentError as err:
        raise ValueError(f"the header's formula can't be read: {err}") from err
    if unquoted(parsed.response) != structure.response_name:
        raise ValueError(f"the header's response_name is not that of {structure.formula[:200]!r}")
    _check_values([structure.response], [parsed.response], "response")
    _check_values(structure.offsets, offsets, "offsets")
    labels = contrast_labels(structure.contrasts)
    _check_part(structure.fixed, fixed, labels, structure.columns)
    bars = {((bar.factors, bar.tag), bar.effects) for bar in parsed.bars}
    for term in structure.terms:
        key = term.coder.columns, term.tag
        matching = [code for own, code in bars if own == key]
        if not any(_is_of(term.part, code, labels, structure.columns) for code in matching):
            raise ValueError(
                f"the header has a term on {term.factor[:200]!r} that its formula has not"
            )
    _check_variables(structure, parts)
    known = {(term.coder.columns, term.tag) for term in structure.terms}
    if known != {(bar.factors, bar.tag) for bar in parsed.bars}:
        raise ValueError("the header's formula has a term that its terms have not")
    for part in parts:
        own = [t.columns for t in structure.terms if t.part is part]
        used = sorted({i for columns in own for i in columns})
        if part is not structure.fixed and used != list(range(len(part.names))):
            raise ValueError("the header has a part with columns of no term")


def _check_variables(structure: Structure, parts: Sequence[FixedPart]) -> None:
    """What is read must be among what is said to be read."""
    used = {column for term in structure.terms for column in term.coder.columns}
    for value in (structure.response, *structure.offsets):
        used |= {value.column} if value.column is not None else names_in(value.code)
    for part in parts:
        used |= set(part.variables)
        for factor in part.coded_factors:
            own = {factor.column} if factor.column is not None else names_in(factor.code)
            if not own & set(structure.columns) <= set(part.variables):
                raise ValueError("the header has a part that reads other columns than it says")
    if not used & set(structure.columns) <= set(structure.variables):
        raise ValueError("the header's variables are not all that its formula reads")


def _check_values(values: Sequence[Value], codes: Sequence[str], what: str) -> None:
    own = [value.column if value.column is not None else value.code for value in values]
    if own != [c if v.column is None else unquoted(c) for c, v in zip(codes, values, strict=False)]:
        raise ValueError(f"the header's {what} are not those of its formula")
    if len(values) != len(codes):
        raise ValueError(f"the header's {what} are not those of its formula")


def _check_part(part: FixedPart, code: str, labels: dict[str, str], columns: Sequence[str]) -> None:
    if not _is_of(part, code, labels, columns):
        raise ValueError(f"the header's columns are not those of its formula's {code[:200]!r}")


def _is_of(part: FixedPart, code: str, labels: dict[str, str], columns: Sequence[str]) -> bool:
    """Whether a part is made of the code of a formula."""
    if not isinstance(part, CodedPart):
        plain = plain_part(code, pd.DataFrame(columns=list(columns), dtype=float))
        return plain is not None and plain.names == part.names
    if part.formula != code or dict(part.labels) != labels:
        return False
    codes, n_terms = _factors_of(code)
    return n_terms <= _MOST_TERMS and {factor.code for factor in part.factors} <= codes


def _factors_of(code: str) -> tuple[set[str], float]:
    """The code of a formula's factors, and how many terms it has at most."""
    try:
        tree = parse_formula(code)
        return _leaves(tree), _count(tree)
    except (patsy.PatsyError, SyntaxError, RecursionError) as err:
        raise ValueError(f"the header's formula can't be read: {code[:200]!r}") from err


def _leaves(tree: Any) -> set[str]:
    found, waiting = set(), [tree]
    while waiting:
        node = waiting.pop()
        if node.type == "PYTHON_EXPR":
            found.add(str(patsy.EvalFactor(node.token.extra).name()))
        waiting += node.args
    return found


def _count(node: Any) -> float:
    """How many terms a tree has when it is multiplied out, at most."""
    if not node.args:
        return 1.0
    counts = [_count(each) for each in node.args]
    if node.type == "**":
        power = getattr(node.args[1].token, "extra", "")
        return float((1.0 + counts[0]) ** int(power)) if power in set("123456789") else _MANY
    left, right = counts[0], counts[-1]
    return {"*": left + right + left * right, ":": left * right, "/": left + left * right}.get(
        node.type, left + right
    )
