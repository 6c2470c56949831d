"""Cases moved to other levels of a grouping factor."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from merextras.exceptions import InvalidArgumentError, UnsupportedModelError
from merextras.foundation.arguments import check_columns
from merextras.model.columns.levels import labels_of
from merextras.model.design.design import Design
from merextras.model.newdata.rows import level_codes, unseen
from merextras.simulation.sim import factor_levels


def columns_of(design: Design, group: str) -> tuple[str, ...]:
    """Name the columns that the levels of a factor are made of."""
    return design.terms[design.terms_of(group)[0]].columns


def chosen_levels(design: Design, group: str, levels: object) -> pd.Index:
    """Check the levels that are asked for; all of the factor's for None."""
    return chosen_of(factor_levels(design, group), group, levels)


def chosen_of(known: pd.Index, group: str, levels: object, name: str = "levels") -> pd.Index:
    """Check which of the known levels are asked for; all for None."""
    if levels is None:
        return known
    given: list[object] = [levels]
    if isinstance(levels, Iterable) and not isinstance(levels, str):
        given = list(levels)
    if not given:
        raise InvalidArgumentError(f"{name}=[]: give at least one level, or None for all")
    at = known.get_indexer(pd.Index(given, dtype=object))
    if np.any(at < 0):
        new = [label for label, code in zip(given, at, strict=True) if code < 0]
        raise InvalidArgumentError(f"{name}: {unseen(new, known, group)}")
    if len(set(at)) < len(at):
        twice = [str(label) for label in known[np.flatnonzero(np.bincount(at) > 1)]]
        raise InvalidArgumentError(f"{name}={given!r}: each level once; more than once: {twice}")
    return known[at]


def check_cases(design: Design, cases: pd.DataFrame, group: str, name: str = "cases") -> None:
    """Check that the cases have all that is used, without missing values in predictors.

    Raises
    ------
    InvalidArgumentError
        A column that is not there, a repeated index label, a missing value, or an unseen level of a
        factor that does not move.
    """
    check_others(design, cases, set(columns_of(design, group)), name)


def check_others(design: Design, cases: pd.DataFrame, moving: set[str], name: str) -> None:
    """Check the cases' columns but for those that move; errors as `check_cases`."""
    stays = [term for term in design.terms if not moving & set(term.columns)]
    predictors = dict.fromkeys(design.fixed.variables)
    others = {column for term in design.terms for column in term.columns}
    for term in design.terms:
        of_formula = term.covariates.formula
        names = term.names if of_formula is None else of_formula.variables
        predictors.update(dict.fromkeys(one for one in names if one in design.columns))
    needed = [c for c in dict.fromkeys((*predictors, *sorted(others))) if c not in moving]
    check_columns(cases, needed, name)
    repeated = cases.index[cases.index.duplicated()]
    if len(repeated):
        raise InvalidArgumentError(
            f"{name}: index labels name the cases and must be unique; repeated: "
            f"{[str(label) for label in repeated.unique()[:10]]}. Use {name}.reset_index(drop=True)"
        )
    missing = cases[needed].isna()
    if missing.to_numpy().any():
        where = {c: cases.index[missing[c]].tolist()[:10] for c in needed if missing[c].any()}
        raise InvalidArgumentError(f"{name}: missing values, by column and case: {where}")
    for term in stays:
        level_codes(term, cases, "error", name)


def moved(design: Design, cases: pd.DataFrame, group: str, levels: pd.Index) -> pd.DataFrame:
    """Repeat the cases for each level, with the columns that the level is made of."""
    columns = list(columns_of(design, group))
    each = np.repeat(np.arange(len(cases)), len(levels))
    repeated = cases.iloc[each].reset_index(drop=True)
    values = values_of(design, group, columns, levels)
    again = np.tile(np.arange(len(levels)), len(cases))
    return repeated.assign(**{name: values[name].iloc[again].to_numpy() for name in columns})


def values_of(design: Design, group: str, columns: list[str], levels: pd.Index) -> pd.DataFrame:
    """Values of a factor's columns in each level, as in the data of the model: a row per level."""
    if len(columns) == 1:
        return pd.DataFrame({columns[0]: levels})
    if not set(columns) <= set(design.columns):
        raise UnsupportedModelError(
            f"group={group!r}: the columns {columns} are not in the data of the model, so that a "
            "level can't be taken apart; fit the model from a data frame that has them"
        )
    return design.level_labels(design.terms_of(group)[0]).loc[levels]


def own_levels(design: Design, cases: pd.DataFrame, group: str) -> pd.Index:
    """The cases' own levels of a factor; NaN where a column of it is missing."""
    columns = list(columns_of(design, group))
    labels = pd.Series(np.full(len(cases), np.nan))
    if set(columns) <= set(cases.columns):
        absent = cases[columns].isna().any(axis=1).to_numpy()
        labels = pd.Series(labels_of(cases, columns)).mask(absent).infer_objects()
    found: pd.Index = pd.Index(labels)
    return found
