"""Cases to predict for: the average one, some at random or chosen, from a part of the rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from merextras.exceptions import InvalidArgumentError
from merextras.foundation.arguments import check_choice, check_columns, check_count
from merextras.model.frame.read import given_frame
from merextras.reporting.script import Named, Script, literal
from merextras.reporting.view import MX

KINDS = ("average", "random", "chosen")


@dataclass(frozen=True)
class Cases:
    """Which cases are meant.

    Attributes
    ----------
    kind : {"average", "random", "chosen"}
    count : int
        How many at random.
    seed : int
        Of the draw.
    chosen : sequence
        Index labels.
    subset : mapping column -> values
        Average or draw only rows with these values.
    """

    kind: str = "random"
    count: int = 6
    seed: int = 1
    chosen: Sequence[Any] = ()
    subset: Mapping[str, Sequence[Any]] = field(default_factory=dict)


def rows_of(m: Any, data: Any = None) -> pd.DataFrame:
    """The rows that cases are taken from: the user's that miss nothing, or the model's own.

    Parameters
    ----------
    m : MerMod
    data : DataFrame, optional

    Raises
    ------
    InvalidArgumentError
        `data` is no frame, lacks a variable of the model, or misses values in all rows.
    NoRowsError
        No data, and the model has kept none.
    """
    if data is None:
        return pd.DataFrame(m.model_frame())
    frame, needed = given_frame(data, "data"), m.design.columns
    check_columns(frame, needed, "data")
    complete: pd.DataFrame = frame[frame[needed].notna().all(axis=1)]
    if len(complete) == 0:
        raise InvalidArgumentError(f"data: no row has a value in each of {needed}")
    return complete


def take(script: Script, model: Named, data: Any, cases: Cases) -> Named:
    """Take cases, as a step of a script.

    Raises
    ------
    InvalidArgumentError
        Another `kind`; `chosen` is empty or not in the index; no row in the subset; labels that
        are not unique.
    """
    kind = check_choice(cases.kind, KINDS, "kind")
    rows = _rows(script, model, data, cases.subset)
    if not rows.value.index.is_unique:
        raise InvalidArgumentError(
            "cases: index labels name the cases and must be unique; use data.reset_index(drop=True)"
        )
    if kind == "average":
        return _average(script, model, rows, cases)
    if kind == "random":
        count = min(check_count(cases.count, "count"), len(rows.value))
        return script.call("cases", rows.of("sample"), count, random_state=int(cases.seed))
    labels = list(cases.chosen)
    if not labels:
        raise InvalidArgumentError("cases: choose at least one row")
    missing = [label for label in labels if label not in rows.value.index]
    if missing:
        raise InvalidArgumentError(f"cases: rows {missing[:10]} are not among those to choose from")
    listed = script.let("labels", literal(labels), labels)
    return script.let("cases", f"{rows.text}.loc[{listed.text}]", rows.value.loc[labels])


def _rows(script: Script, model: Named, data: Any, subset: Mapping[str, Sequence[Any]]) -> Named:
    """The rows, and of these the subset's."""
    value = rows_of(model.value, data)
    if data is None:
        rows = script.let("rows", f"{model.text}.model_frame()", value)
    else:
        columns = literal(list(model.value.design.columns))
        rows = script.let("rows", f"data.dropna(subset={columns})", value)
    for column, values in subset.items():
        kept = value[value[column].astype(object).isin(list(values))]
        if len(kept) == 0:
            raise InvalidArgumentError(f"cases: no row has {column!r} among {list(values)[:10]}")
        text = f"rows[rows[{literal(column)}].astype(object).isin({literal(list(values))})]"
        rows = script.let("rows", text, kept)
    return rows


def _average(script: Script, model: Named, rows: Named, cases: Cases) -> Named:
    """The average of the rows; grouping factors at their median level, as `average_obs` says."""
    grouping = {column for term in model.value.design.terms for column in term.columns}
    kept = {column: list(v) for column, v in cases.subset.items() if column in grouping}
    return script.call("cases", MX.of("average_obs"), model, kept or None, rows)


def numeric(column: pd.Series) -> bool:
    """Whether a column is a number that has a range, not a label or a flag."""
    is_number = pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)
    return bool(is_number) and len(np.unique(column.dropna().to_numpy())) > 2
