"""The reference grid of a fixed part: levels of its factors by typical values of its numbers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import pandas as pd

from merextras.distributions.uncertainty import estimable
from merextras.exceptions import InvalidArgumentError
from merextras.foundation.aliases import Array
from merextras.foundation.arguments import one_of
from merextras.inference.functions.estimable import null_space
from merextras.inference.functions.nests import Nesting, check_nests, find_nests
from merextras.model.design.design import Design
from merextras.model.design.variables import Variable

# Numbers in the grid's design matrix, 400 MB.
_LARGEST = 5 * 10**7


@dataclass(frozen=True)
class Held:
    """An offset that is the same in all cells of a grid.

    Attributes
    ----------
    value : float
    said : str
        For a note; empty if there is no such offset.
    whole : bool
        Whether it stands for the formula's offset too.
    """

    value: float = 0.0
    said: str = ""
    whole: bool = False


@dataclass(frozen=True, eq=False)
class Grid:
    """The product of the values of all variables.

    Attributes
    ----------
    design : Design
    values : mapping name -> tuple
        What each variable is held at, in the order of the data.
    numbers : tuple of str
        The variables that are not categorical.
    factors : frozenset of str
        Those that are categorical, and numbers that have two values only.
    frame : DataFrame
        A row per cell, the first variable changing most slowly.
    rows : (cells, all columns) array
        X, with the columns that the fit dropped.
    offset : (cells,) array
    nesting : mapping name -> tuple of str
        By factor those that it is nested in; cells of them that are not in the data are left out.
    held : Held
        At what the offset is that is no function of the variables.
    """

    design: Design
    values: Mapping[str, tuple[Any, ...]]
    numbers: tuple[str, ...]
    factors: frozenset[str]
    frame: pd.DataFrame
    rows: Array
    offset: Array
    nesting: Nesting
    held: Held

    def closed(self, names: Sequence[str]) -> tuple[str, ...]:
        """The names, and after them the factors that they are nested in."""
        outer = [o for name in names for o in self.nesting.get(name, ())]
        return tuple(dict.fromkeys([*names, *outer]))

    def names(self, given: str | Iterable[str] | None, argument: str) -> tuple[str, ...]:
        """Variables by name, each once.

        Raises
        ------
        InvalidArgumentError
            A name that is no variable of the fixed part.
        """
        if given is None:
            return ()
        wanted = [given] if isinstance(given, str) else list(given)
        for name in wanted:
            if name not in self.values:
                groups = {c for term in self.design.terms for c in term.columns}
                hint = " (it groups random effects)" if name in groups else ""
                raise InvalidArgumentError(
                    f"{argument}: {name!r} is no variable of the fixed part{hint}; "
                    f"{one_of(name, list(self.values))}"
                )
        return tuple(dict.fromkeys(wanted))

    def counts(self) -> Array:
        """Observations in each cell by its factors, (cells,); numbers do not tell cells apart."""
        by = [name for name in self.values if name in self.factors]
        design = self.design.require_rows("weights", "observations are counted by cell")
        data = design.frame[by].astype(object)
        data = data.assign(**{"": design.counts()})
        if not by:
            return np.full(len(self.frame), float(data[""].sum()))
        found = data.groupby(by, sort=False)[""].sum()
        cells = self.frame[by].astype(object)
        keys: Any = cells[by[0]] if len(by) == 1 else pd.MultiIndex.from_frame(cells)
        return found.reindex(keys).fillna(0.0).to_numpy(dtype=float)


def reference_grid(
    design: Design,
    at: Mapping[str, Any] | None = None,
    nesting: object = None,
    offset: object = None,
) -> Grid:
    """The grid of a design, numbers at their means and factors at all their levels unless `at`.

    `nesting` is found unless it is given, ``{}`` being none. `offset` is a number in place of the
    model's; a column that is the offset by argument may be in `at` too.

    Raises
    ------
    InvalidArgumentError
        Names in `at` or `nesting` that are no variables, levels that do not occur, values
        that are not finite numbers, a grid too large, a formula that can't be evaluated on it.
    """
    variables = design.variables()
    held, at = _held_offset(design, variables, at, offset)
    at = _values_at(at, variables)
    values = {v.name: at[v.name] if v.name in at else design.typical(v) for v in variables}
    numbers = tuple(v.name for v in variables if v.levels is None)
    two = {name for name in numbers if name not in at and len(values[name]) == 2}
    factors = frozenset(values) - frozenset(numbers) | two
    columns = len(design.fixed.whole.names)
    cells = int(np.prod([len(v) for v in values.values()], dtype=float))
    if cells * max(columns, 1) > _LARGEST:
        sizes = {name: len(v) for name, v in values.items() if len(v) > 1}
        raise InvalidArgumentError(
            f"the reference grid would have {cells} cells, by levels {sizes}; hold some at fewer "
            "values by at="
        )
    frame = _cells({v.name: design.dtype_of(v) for v in variables}, values)
    frame, nests = _nested(design, frame, values, factors, nesting)
    rows, offsets = evaluated(design, frame, held)
    return Grid(design, values, numbers, factors, frame, rows, offsets, nests, held)


def _held_offset(
    design: Design, variables: Sequence[Variable], at: Any, offset: object
) -> tuple[Held, Any]:
    """What the offset by argument is held at, and the rest of `at`."""
    if offset is not None:
        is_number = isinstance(offset, (int, float, np.number)) and not isinstance(offset, bool)
        if not is_number or not np.isfinite(float(offset)):  # type: ignore[arg-type]
            raise InvalidArgumentError(
                f"offset={offset!r}: a finite number, in place of the model's offset in all means"
            )
        value = float(offset)  # type: ignore[arg-type]
        return Held(value, f"offset = {value:.6g}", whole=True), at
    mean = design.offset_mean()
    if mean is None:
        return Held(), at
    column = design.options.columns.get("offset")
    mine = all(v.name != column for v in variables)
    if column is not None and mine and isinstance(at, Mapping) and column in at:
        given = at[column]
        values = _numbers(column, [given] if np.ndim(given) == 0 else list(given))
        if len(values) != 1:
            raise InvalidArgumentError(f"at: {column!r} is the offset; give one value, not {given}")
        rest = {name: value for name, value in at.items() if name != column}
        return Held(values[0], f"{column} = {values[0]:.6g}"), rest
    return Held(mean, f"{column or 'offset'} = {mean:.6g}"), at


def _nested(
    design: Design,
    frame: pd.DataFrame,
    values: Mapping[str, tuple[Any, ...]],
    factors: frozenset[str],
    given: object,
) -> tuple[pd.DataFrame, Nesting]:
    """The cells that nesting leaves, and the nesting."""
    several = [name for name in values if name in factors and len(values[name]) > 1]
    if given is not None:
        nests = check_nests(given, several)
        if not nests:
            return frame, nests
    if len(several) < 2:
        return frame, {}
    cells = _occurring(design, frame, several)
    if cells.empty:  # no mean is determined: all will be NaN, and said
        return frame, {}
    if given is None:
        nests = find_nests(cells, design.term_variables())
    for name, outer in nests.items():
        columns = [name, *outer]
        known = pd.MultiIndex.from_frame(cells[columns].drop_duplicates())
        inside = pd.MultiIndex.from_frame(frame[columns].astype(object)).isin(known)
        frame = frame[inside].reset_index(drop=True)
    return frame, nests


def _occurring(design: Design, frame: pd.DataFrame, names: list[str]) -> pd.DataFrame:
    """The combinations of factors' levels in the data, among those of the grid.

    Where no rows are kept, those whose means the data determine.
    """
    if not design.keeps_rows:
        _, null, scale = null_space(design)
        good = estimable(evaluated(design, frame)[0], null, scale)
        return frame.loc[good, names].astype(object).drop_duplicates()
    found = design.frame.loc[design.observed, names].drop_duplicates().astype(object)
    for name in names:
        found = found[found[name].isin(frame[name].astype(object))]
    return found


def evaluated(design: Design, frame: pd.DataFrame, held: Held = Held()) -> tuple[Array, Array]:
    """X with all columns and the offset on a frame of the variables.

    Raises
    ------
    InvalidArgumentError
        A term that is not finite there.
    """
    rows = design.fixed.whole.matrix(frame)
    offset = np.full(len(frame), held.value)
    if not held.whole:
        offset += design.offset_at(frame)
    bad = ~(np.isfinite(rows).all(axis=1) & np.isfinite(offset))
    if np.any(bad):
        where = frame[bad].iloc[0].to_dict()
        raise InvalidArgumentError(
            f"the formula has no finite value at {where}; choose another at="
        )
    return rows, offset


def _values_at(
    at: Mapping[str, Any] | None, variables: Sequence[Variable]
) -> dict[str, tuple[Any, ...]]:
    if at is None:
        return {}
    if not isinstance(at, Mapping):
        raise InvalidArgumentError(f"at={at!r}: expected a mapping of variables to their values")
    known, out = {v.name: v for v in variables}, {}
    for name, given in at.items():
        if name not in known:
            raise InvalidArgumentError(
                f"at: {name!r} is no variable of the fixed part; {one_of(name, list(known))}"
            )
        single = isinstance(given, str) or np.ndim(given) == 0
        values = [given] if single else list(dict.fromkeys(given))
        levels = known[name].levels
        if levels is not None:
            for value in values:
                if value not in levels:
                    raise InvalidArgumentError(
                        f"at: {name!r} has no level {value!r}; its levels: {list(levels)}"
                    )
        else:
            values = _numbers(name, values)
        if not values:
            raise InvalidArgumentError(f"at: no values for {name!r}")
        out[name] = tuple(values)
    return out


def _numbers(name: str, values: Sequence[Any]) -> list[float]:
    try:
        found = [float(value) for value in values]
    except (TypeError, ValueError):
        found = [np.nan]
    if not np.all(np.isfinite(found)):
        raise InvalidArgumentError(
            f"at: {name!r} is a number; expected finite values, not {values}"
        )
    return found


def _cells(dtypes: Mapping[str, Any], values: Mapping[str, tuple[Any, ...]]) -> pd.DataFrame:
    cells = list(product(*values.values()))
    made = {}
    for i, name in enumerate(values):
        dtype = dtypes[name]
        column = pd.Series([cell[i] for cell in cells], dtype=object)
        is_number = pd.api.types.is_numeric_dtype(dtype) and not pd.api.types.is_bool_dtype(dtype)
        whole = is_number and all(float(v).is_integer() for v in values[name])
        # Numbers as floats, unless they are levels, which must be as they are in the data.
        made[name] = column.astype(dtype if whole or not is_number else float)
    return pd.DataFrame(made, index=range(len(cells)))
