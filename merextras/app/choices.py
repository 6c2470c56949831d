"""The controls of cases, and the cases that they mean."""

from __future__ import annotations

from typing import Any

import pandas as pd

from merextras.app.controls import Choice, Control, Number, Pick, Values
from merextras.exceptions import MerextrasError
from merextras.reporting.cases import Cases, numeric, rows_of

KEY = "cases"
#: Rows that can be picked by name; beyond this a list is no help.
_NAMED = 100_000
#: No subset.
_ALL = "all rows"
#: A number with more values than this is no subset's.
_VALUES = 30


def case_controls(m: Any, data: Any) -> tuple[Control, ...]:
    """The controls: which kind, how many, from which rows.

    Parameters
    ----------
    m : MerMod
    data : DataFrame or None

    Returns
    -------
    tuple of Control
        Empty if there are no rows to take cases from.
    """
    try:
        rows = rows_of(m, data)
    except MerextrasError:
        return ()
    columns = [name for name in m.design.columns if _divides(m, rows, name)]
    kinds = {"random": "some at random", "average": "the average case", "chosen": "chosen rows"}
    subset = {name: name for name in columns}
    labels = list(rows.index[:_NAMED])
    return (
        Choice("kind", "Cases", options=kinds, default="random"),
        Number("count", "How many", ("kind", ("random",)), default=6, low=1, high=60, whole=True),
        Number("seed", "Seed", ("kind", ("random",)), default=1, low=0, high=2**31, whole=True),
        Pick("chosen", "Rows", ("kind", ("chosen",)), pool=lambda _: labels, hint="by their index"),
        Choice(
            "column", "Only rows with", ("kind", ("random", "average")),
            options={_ALL: _ALL, **subset}, default=_ALL,
        ),
        Pick(
            "values", "Values", ("column", tuple(subset)), follows="column",
            pool=lambda values: _values(rows, values), hint="all",
        ),
    )  # fmt: skip


def cases_of(values: Values) -> Cases:
    """The cases that the controls mean."""
    picked = values.get("values") or []
    subset = {values["column"]: picked} if picked else {}
    return Cases(
        kind=values["kind"],
        count=values.get("count", 1),
        seed=values.get("seed", 1),
        chosen=values.get("chosen", ()),
        subset=subset,
    )


def _divides(m: Any, rows: pd.DataFrame, name: str) -> bool:
    """Whether a column can say which rows are meant: grouping, labels, or few numbers."""
    if name == m.design.response:
        return False
    grouping = {column for term in m.design.terms for column in term.columns}
    return name in grouping or not numeric(rows[name]) or rows[name].nunique() <= _VALUES


def _values(rows: pd.DataFrame, values: Values) -> list[Any]:
    column = values.get("column", _ALL)
    if column not in rows:
        return []
    found: list[Any] = list(pd.Series(rows[column].dropna().to_numpy(dtype=object)).unique())
    try:
        return sorted(found)
    except TypeError:  # labels of several kinds have no order
        return found
