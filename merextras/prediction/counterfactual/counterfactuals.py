"""Combinations of levels and of new values that cases are moved to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from merextras.exceptions import InvalidArgumentError
from merextras.foundation.aliases import Array, BoolArray, IntArray
from merextras.foundation.arguments import check_choice, one_of
from merextras.model.columns.levels import labels_of
from merextras.model.design.design import Design
from merextras.model.newdata.rows import NewRows
from merextras.prediction.cases.reassign import chosen_levels, chosen_of, own_levels, values_of

#: What `what_if` takes as its group.
Group = str | Mapping[str, Any] | None
#: What it takes as new values.
Changes = Mapping[str, Any] | None


@dataclass(frozen=True, eq=False)
class Change:
    """One thing that is changed, and what to.

    Attributes
    ----------
    key : str
        A grouping factor, a column that one is made of, or the column of a covariate.
    columns : tuple of str
        The columns that change.
    levels : Index
        Labels of the levels, or the values.
    values : DataFrame
        The columns' values, a row for each of `levels`.
    is_group : bool
    """

    key: str
    columns: tuple[str, ...]
    levels: pd.Index
    values: pd.DataFrame
    is_group: bool

    def label(self, value: object) -> str:
        """A level or value as text."""
        if self.is_group:
            return str(value)
        if isinstance(value, bool) or not isinstance(value, (int, float, np.number)):
            return f"{self.key}={value}"
        # What is asked for is told apart; of a case's own values a few digits do.
        return f"{self.key}={value:.{15 if value in self.levels else 6}g}"

    def own(self, design: Design, cases: pd.DataFrame) -> pd.Index:
        """What the cases have, NaN where that is missing."""
        if self.key in design.factors and self.is_group:
            return own_levels(design, cases, self.key)
        if self.key in cases.columns:
            given = cases[self.key].to_numpy(dtype=object, na_value=np.nan)
            return pd.Index(given, tupleize_cols=False)
        return pd.Index(np.full(len(cases), np.nan), tupleize_cols=False)

    def is_known(self, design: Design, cases: pd.DataFrame, rows: NewRows) -> BoolArray:
        """Whether the model knows the level that a case has; `rows` are the cases'."""
        if not self.is_group:
            return np.ones(len(cases), dtype=bool)
        if self.key in design.factors:
            return np.asarray(rows.codes[design.terms_of(self.key)[0]] >= 0)
        return np.asarray(cases[self.key].isin(design.labels_seen(self.key)), dtype=bool)


@dataclass(frozen=True, eq=False)
class Counterfactuals:
    """All combinations of the moves, the last one changing fastest.

    Attributes
    ----------
    moves : tuple of Change
    along : DataFrame
        Columns that go with the levels, a row for each combination.
    """

    moves: tuple[Change, ...]
    along: pd.DataFrame

    def __len__(self) -> int:
        return int(np.prod([len(move.levels) for move in self.moves]))

    @property
    def columns(self) -> list[str]:
        """All columns that change."""
        return [c for move in self.moves for c in move.columns] + list(self.along.columns)

    @property
    def at(self) -> IntArray:
        """Which level or value of each move, (moves, combinations)."""
        return combinations(self.moves)

    @property
    def is_plain(self) -> bool:
        """Whether there is one factor and nothing else, so that a target is one of its levels."""
        return len(self.moves) == 1 and self.moves[0].is_group

    @property
    def labels(self) -> pd.Index:
        """The targets' names."""
        if self.is_plain:
            return self.moves[0].levels
        names = [
            [move.label(value) for value in move.levels[at]]
            for move, at in zip(self.moves, self.at, strict=True)
        ]
        return pd.Index([", ".join(parts) for parts in zip(*names, strict=True)], dtype=object)

    def new_columns(self) -> dict[str, pd.Series]:
        """The new value of each move as a column, by targets; none if there is one factor alone."""
        if self.is_plain:
            return {}
        parts = zip(self.moves, self.at, strict=True)
        return {f"new_{move.key}": pd.Series(move.levels[at]) for move, at in parts}

    def apply(self, cases: pd.DataFrame) -> pd.DataFrame:
        """Repeat the cases for each combination, with the columns that change."""
        n = len(self)
        again = np.tile(np.arange(n), len(cases))
        out = cases.iloc[np.repeat(np.arange(len(cases)), n)].reset_index(drop=True)
        made: dict[str, Any] = {}
        for move, at in zip(self.moves, self.at, strict=True):
            made |= {c: move.values[c].iloc[at[again]].to_numpy() for c in move.columns}
        made |= {c: self.along[c].iloc[again].to_numpy() for c in self.along.columns}
        return out.assign(**made)

    def own_labels(self, design: Design, cases: pd.DataFrame) -> pd.Index:
        """The names of what the cases have; NaN where something is missing."""
        owns = [move.own(design, cases) for move in self.moves]
        if self.is_plain:
            return owns[0]
        absent = np.any([own.isna() for own in owns], axis=0)
        names = [
            [move.label(value) for value in own.astype(object)]
            for move, own in zip(self.moves, owns, strict=True)
        ]
        made = [", ".join(parts) for parts in zip(*names, strict=True)]
        return pd.Index(pd.Series(made, dtype=object).mask(absent, np.nan).infer_objects())


def combinations(moves: Sequence[Change]) -> IntArray:
    """Places in each of the moves, (moves, combinations), the last one fastest."""
    return np.indices([len(move.levels) for move in moves]).reshape(len(moves), -1)


def counterfactuals_of(
    design: Design, group: Group, levels: object, changes: Changes, along: object
) -> Counterfactuals:
    """Check what cases are to be moved to.

    Raises
    ------
    InvalidArgumentError
        As `what_if`.
    """
    moves = [*_swaps(design, group, levels, changes is not None), *_changed(design, changes)]
    return Counterfactuals(tuple(moves), _along(design, moves, along))


def _swaps(design: Design, group: Group, levels: object, may_be_none: bool) -> list[Change]:
    if group is None and may_be_none:
        asked: dict[str, Any] = {}
    elif isinstance(group, Mapping):
        if not group:
            raise InvalidArgumentError("group={}: give at least one factor with its levels")
        asked = dict(group)
    else:
        asked = {check_choice(group, _keys(design), "group"): levels}
    if levels is not None and not isinstance(group, str):
        raise InvalidArgumentError(
            "levels: only with the name of one factor as group; a mapping has them itself"
        )
    name = "levels" if isinstance(group, str) else "group[{!r}]"
    moves = [_swap(design, key, chosen, name) for key, chosen in asked.items()]
    columns = [column for move in moves for column in move.columns]
    twice = sorted({c for c in columns if columns.count(c) > 1})
    if twice:
        raise InvalidArgumentError(
            f"group: {' and '.join(map(repr, asked))} both change the column(s) {twice}; move one"
        )
    return moves


def _keys(design: Design) -> list[str]:
    """The factors, and the columns that they are made of."""
    return list(dict.fromkeys([*design.factors, *_grouping(design)]))


def _grouping(design: Design) -> list[str]:
    return list(dict.fromkeys(column for term in design.terms for column in term.columns))


def _swap(design: Design, key: object, levels: object, name: str) -> Change:
    key = check_choice(key, _keys(design), "group")
    name = name.format(key)
    if key in design.factors:
        columns = design.terms[design.terms_of(key)[0]].columns
        known = chosen_levels(design, key, None)
    else:
        columns = (key,)
        known = pd.Index(_in_order(design.labels_seen(key)), dtype=object).infer_objects()
    chosen = chosen_of(known, key, levels, name)
    if key in design.factors:
        values = values_of(design, key, list(columns), chosen)
    else:
        values = pd.DataFrame({key: chosen})
    return Change(key, columns, chosen, values, is_group=True)


def _in_order(column: pd.Series) -> list[Any]:
    """The values that occur, sorted if they can be."""
    found = column.dropna().unique().tolist()
    try:
        return sorted(found)
    except TypeError:
        return list(found)


def _changed(design: Design, changes: Changes) -> list[Change]:
    if changes is None:
        return []
    if not isinstance(changes, Mapping) or not changes:
        raise InvalidArgumentError(
            f"changes={changes!r}: expected a mapping of columns to their new values, such as "
            "{'open': [30, 50]}"
        )
    return [_change(design, column, values) for column, values in changes.items()]


def _change(design: Design, column: object, values: object) -> Change:
    if column in _grouping(design):
        raise InvalidArgumentError(
            f"changes: {column!r} is a grouping factor or part of one; put it into group"
        )
    check_covariate(design, column, "changes")
    given: list[Any] = [values]
    if isinstance(values, Iterable) and not isinstance(values, str):
        given = list(values)
    if not given:
        raise InvalidArgumentError(f"changes: no values for {column!r}")
    series = pd.Series(given)
    if series.isna().any() or np.any(np.isinf([v for v in given if isinstance(v, float)])):
        raise InvalidArgumentError(f"changes: missing or infinite values for {column!r}: {given}")
    if series.duplicated().any():
        raise InvalidArgumentError(f"changes: each value of {column!r} once, got {given}")
    name = str(column)
    return Change(name, (name,), pd.Index(series), pd.DataFrame({name: series}), is_group=False)


def check_covariate(design: Design, column: object, name: str) -> None:
    """Check that a column is a predictor of the model."""
    others = {design.response, *_grouping(design), *design.options.columns.values()}
    allowed = [c for c in design.columns if c not in others]
    if "offset" in design.options.columns:
        allowed.append(design.options.columns["offset"])
    if column not in allowed:
        raise InvalidArgumentError(
            f"{name}: {column!r} is no predictor of the model; {one_of(column, allowed)}"
        )


def _along(design: Design, moves: Sequence[Change], along: object) -> pd.DataFrame:
    """The values of columns that go with the levels, a row for each combination."""
    names = [along] if isinstance(along, str) else along
    if not isinstance(names, (list, tuple)):
        raise InvalidArgumentError(f"along={along!r}: a column, or a list of some")
    at = combinations(moves)
    out: dict[str, Array] = {}
    for name in names:
        check_covariate(design, name, "along")
        if any(name in move.columns for move in moves):
            raise InvalidArgumentError(f"along: {name!r} is in changes too")
        for move, places in zip(moves, at, strict=True):
            values = _by_level(design, move, name) if move.is_group else None
            if values is not None:
                out[name] = values[places]
                break
        else:
            raise InvalidArgumentError(
                f"along: {name!r} varies within the levels of "
                f"{[move.key for move in moves if move.is_group]} and does not belong to one"
            )
    return pd.DataFrame(out, index=range(at.shape[1]))


def _by_level(design: Design, move: Change, name: str) -> Any:
    """The value that a column has in each level; None if it varies within one."""
    frame = design.frame
    if move.key in design.factors:
        term = design.terms[design.terms_of(move.key)[0]]
        codes = move.levels.get_indexer(term.levels)[term.rows.codes]
    else:
        codes = move.levels.get_indexer(labels_of(frame, [move.key]))
    known = codes >= 0
    values = frame.loc[known, name]
    first = values.groupby(codes[known]).first().reindex(range(len(move.levels))).to_numpy()
    return None if np.any(first[codes[known]] != values.to_numpy()) else first
