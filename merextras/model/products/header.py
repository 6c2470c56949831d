"""The header of a file, every value of it checked before it is used."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from merextras.engine.covariance.tags import KINDS, Tag
from merextras.foundation.aliases import Array
from merextras.model.columns.blocks import Block
from merextras.model.columns.coded import CodedPart, Factor
from merextras.model.columns.levels import LevelCoder
from merextras.model.columns.part import FixedPart
from merextras.model.columns.plain_columns import PlainPart
from merextras.model.evaluation.computed import Computed
from merextras.model.products.blocks import Blocks
from merextras.model.products.described import WITH_STRUCTURES
from merextras.model.products.fields import Field
from merextras.model.products.formula_of import check_formula
from merextras.model.structure.column_summaries import ColumnSummaries
from merextras.model.structure.ranges import Numbers
from merextras.model.structure.structure import BY_ROW, RandomTerm, Structure, Value

_FIELDS = (
    *("format", "version", "checksums", "n", "sum_log_w", "n_dropped", "facts", "formula"),
    *("response_name", "response", "offsets", "columns", "variables", "by_row", "contrasts"),
    *("parts", "terms"),
)


def read_header(
    header: dict[str, Any], blocks: Blocks, *, trusted: bool
) -> tuple[Structure, ColumnSummaries]:
    """The structure and the facts that a header describes, with the arrays that they have.

    Raises
    ------
    ValueError
        A value that is not of its kind, out of its range, or not what the header's own formula has.
    TooLargeError
        Labels that would not fit in memory.
    """
    given = {name: value for name, value in header.items() if name != "strata"}
    found = Field(given).fields(*_FIELDS)
    columns = found["columns"].texts()
    parts = [_part(each, columns, trusted) for each in found["parts"].items()]
    if not parts:
        found["parts"].refuse("must not be empty")
    every = found["terms"].items()
    if header["version"] < WITH_STRUCTURES:
        every = [each.with_value("covariance", {"name": "us", "hom": False}) for each in every]
    terms = [_term(each, parts, columns, blocks, t) for t, each in enumerate(every)]
    if not terms:
        found["terms"].refuse("must not be empty")
    if [t.shape[0] for t in terms] != sorted((t.shape[0] for t in terms), reverse=True):
        found["terms"].refuse("must have those with many levels first")
    structure = Structure(
        found["formula"].text(),
        _value(found["response"], columns, trusted),
        found["response_name"].text(),
        parts[0],
        tuple(terms),
        tuple(_value(each, columns, trusted) for each in found["offsets"].items()),
        columns,
        found["variables"].texts(columns),
        {Field(k).text(BY_ROW): v.text(columns) for k, v in found["by_row"].mapping().items()},
        {Field(k).text(columns): v.text() for k, v in found["contrasts"].mapping().items()},
        trusted,
    )
    if "strata" in header:
        field = Field(header["strata"], "strata").fields("coder")["coder"]
        structure = replace(structure, residual=_coder(field, columns, blocks, len(terms)))
    check_formula(structure, parts)
    return structure, _facts(found["facts"], structure, blocks)


def _term(
    field: Field, parts: Sequence[FixedPart], columns: Collection[str], blocks: Blocks, t: int
) -> RandomTerm:
    found = field.fields("part", "columns", "coder", "covariance")
    part = parts[found["part"].whole(0, len(parts) - 1)]
    own = found["columns"].wholes(len(part.names) - 1)
    if not own:
        found["columns"].refuse("must not be empty")
    written = found["covariance"].fields("name", "hom")
    tag = Tag(written["name"].text(KINDS), written["hom"].flag())
    if len(own) < tag.kind.least:
        found["columns"].refuse(f"must be at least {tag.kind.least} for {tag.name}()")
    return RandomTerm(_coder(found["coder"], columns, blocks, t), part, own, tag)


def _coder(field: Field, columns: Collection[str], blocks: Blocks, t: int) -> LevelCoder:
    coder = field.fields("columns", "labels")
    names = coder["columns"].texts(columns)
    kinds = [each.text(("numbers", "strings")) for each in coder["labels"].items(len(names))]
    if not names:
        coder["columns"].refuse("must not be empty")
    return blocks.coder(t, names, kinds)


def _value(field: Field, columns: Collection[str], trusted: bool) -> Value:
    found = field.fields("code", "column", "learnt")
    column = found["column"].optional()
    learnt = _computed(found["learnt"], trusted)
    if (column is None) == (learnt is None):
        field.refuse("must have either a column or code")
    code = found["code"].text()
    if learnt is not None and learnt.code != f"I({code})":
        field.refuse("has learnt of other code")
    return Value(code, None if column is None else column.text(columns), learnt)


def _computed(field: Field, trusted: bool) -> Computed | None:
    if field.optional() is None:
        return None
    found = field.fields("code", "state")
    state = {}
    for name, each in found["state"].mapping().items():
        one = each.fields("class", "state")
        learnt = {k: _learnt(v) for k, v in one["state"].mapping().items()}
        state[name] = {"class": one["class"].text(), "state": learnt}
    return Computed.from_stored(found["code"].text(), state, trusted=trusted)


def _learnt(field: Field) -> Any:
    """What a transform remembers: an array, a number, a text, nothing."""
    if isinstance(field.value, dict):
        return _array(field.fields("array")["array"])
    if field.value is None or isinstance(field.value, bool):
        return field.value
    return field.text() if isinstance(field.value, str) else _kept_number(field)


def _kept_number(field: Field) -> float:
    number = field.number()
    return field.value if isinstance(field.value, int) else number


def _array(field: Field) -> Array:
    """An array of numbers, in lists of one or two dimensions or a number alone."""
    if not isinstance(field.value, list):
        return np.array(field.number())
    if field.value and isinstance(field.value[0], list):
        width = len(field.value[0])
        rows = [[each.number() for each in row.items(width)] for row in field.items()]
        return np.array(rows, dtype=float).reshape(len(rows), width)
    return np.array([each.number() for each in field.items()], dtype=float)


def _part(field: Field, columns: Collection[str], trusted: bool) -> FixedPart:
    if isinstance(field.value, dict) and field.value.get("kind") == "plain":
        found = field.fields("kind", "columns", "intercept")
        return PlainPart(found["columns"].texts(columns), intercept=found["intercept"].flag())
    found = field.fields("kind", "formula", "names", "variables", "labels", "factors", "terms")
    found["kind"].text(("coded",))
    factors = tuple(_factor(each, columns, trusted) for each in found["factors"].items())
    part = CodedPart(
        found["formula"].text(),
        found["names"].texts(),
        found["variables"].texts(columns),
        factors,
        tuple(_coded_term(each, factors) for each in found["terms"].items()),
        {name: each.text() for name, each in found["labels"].mapping().items()},
    )
    used = {i for _, own, _ in part.terms for i in own}
    if used != set(range(len(factors))):
        found["factors"].refuse("must all be in some term")
    if sum(span.stop - span.start for span in part.spans()) != len(part.names):
        found["names"].refuse("must be as many as the columns of the terms")
    return part


def _factor(field: Field, columns: Collection[str], trusted: bool) -> Factor:
    found = field.fields("code", "column", "levels", "width", "learnt")
    code, column = found["code"].text(), found["column"].optional()
    computed = _computed(found["learnt"], trusted)
    levels = found["levels"].optional()
    if (column is None) == (computed is None):
        field.refuse("must have either a column or code")
    if computed is not None and computed.code != code:
        field.refuse("has learnt of other code")
    return Factor(
        code,
        None if column is None else column.text(columns),
        None if levels is None else _levels(levels),
        found["width"].whole(1, 1 if levels is not None or computed is None else 2**20),
        computed,
    )


def _levels(field: Field) -> pd.Index:
    """Categories: texts, truth values or numbers, of one kind."""
    found = field.items()
    kinds = {type(each.value) for each in found}
    if len(kinds) != 1:
        field.refuse("must be a list of texts or of numbers")
    if kinds == {str}:
        return pd.Index(field.texts())
    values = [v.flag() if kinds == {bool} else _level_number(v) for v in found]
    if len(set(values)) < len(values):
        field.refuse("must not have a category twice")
    return pd.Index(values)


def _level_number(field: Field) -> int | float:
    if isinstance(field.value, int):
        return field.whole(-(2**63), 2**64 - 1)
    return field.number()


def _coded_term(
    field: Field, factors: Sequence[Factor]
) -> tuple[str, tuple[int, ...], tuple[Block, ...]]:
    label, own, blocks = field.items(3)
    used = own.wholes(len(factors) - 1)
    return label.text(), used, tuple(_block(each, used, factors) for each in blocks.items())


def _block(field: Field, used: Sequence[int], factors: Sequence[Factor]) -> Block:
    first, second = field.items(2)
    own = first.wholes(len(factors) - 1)
    if not set(own) <= set(used):
        first.refuse("must be of the term's factors")
    contrasts: list[Array | None] = []
    for each, i in zip(second.items(len(own)), own, strict=True):
        levels = factors[i].levels
        if (each.optional() is None) != (levels is None):
            each.refuse("must be there for categories, and for them alone")
        if levels is None:
            contrasts.append(None)
            continue
        made = _array(each.fields("array")["array"])
        if made.ndim != 2 or len(made) != len(levels) or made.shape[1] == 0:
            each.refuse("must have a row for each category")
        contrasts.append(made)
    return Block(own, tuple(contrasts))


def _facts(field: Field, structure: Structure, blocks: Blocks) -> ColumnSummaries:
    found = field.fields("n", "low", "high", "numbers")
    low, high = found["low"].number(), found["high"].number()
    if low > high:
        field.refuse("must have low below high")
    numbers = {
        Field(name, "facts.numbers").text(structure.columns): _numbers(each)
        for name, each in found["numbers"].mapping().items()
    }
    return blocks.facts(structure, found["n"].whole(1), low, high, numbers)


def _numbers(field: Field) -> Numbers:
    found = field.fields("count", "mean", "low", "high", "two")
    count, mean, low, high = (found[name].number() for name in ("count", "mean", "low", "high"))
    if count <= 0.0 or low > high:
        field.refuse("must have a count, and low below high")
    return Numbers(count, mean, low, high, found["two"].flag())
