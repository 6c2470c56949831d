"""Checks of arguments, each with a message that says what was given and what is allowed."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd

from merextras.exceptions import InvalidArgumentError

#: What messages on a name that is no column have in common.
NOT_A_COLUMN = "is not a column of the data"
#: Coverage of intervals where it is not said.
LEVEL = 0.95


def check_level(level: float, name: str = "level") -> float:
    """A confidence level, strictly between 0 and 1."""
    is_number = isinstance(level, (int, float, np.number)) and not isinstance(level, bool)
    if not is_number or not 0.0 < float(level) < 1.0:
        hint = ""
        if is_number and 1.0 < float(level) < 100.0:
            hint = f"; for {level:g} % write {name}={float(level) / 100:g}"
        raise InvalidArgumentError(
            f"{name}={level!r}: a level is a number strictly between 0 and 1{hint}"
        )
    return float(level)


def check_ci(ci: object, level: float, allowed: Sequence[str]) -> tuple[str | None, float]:
    """How intervals are asked for everywhere: None, a method, or R's number, which is their level.

    Returns
    -------
    method : str or None
        One of `allowed`; the first of them where a number was given. ``"boot"`` is ``"bootstrap"``.
    level : float
    """
    if isinstance(ci, (int, float, np.number)) and not isinstance(ci, bool):
        if level not in (LEVEL, ci):
            raise InvalidArgumentError(f"ci={ci!r}, level={level!r}: two levels; give one")
        return allowed[0], check_level(float(ci), "ci")
    level = check_level(level)
    if ci is None:
        return None, level
    word = ci.lower() if isinstance(ci, str) else ci
    word = "bootstrap" if word == "boot" else word
    return check_choice(word if word in allowed else ci, allowed, "ci"), level


def check_count(value: int, name: str) -> int:
    """A positive whole number."""
    if not isinstance(value, (int, np.integer)) or isinstance(value, bool) or value < 1:
        raise InvalidArgumentError(f"{name}={value!r}: must be a positive whole number")
    return int(value)


def check_flag(value: object, name: str) -> bool:
    """True or False, and nothing that merely counts as such."""
    if not isinstance(value, (bool, np.bool_)):
        raise InvalidArgumentError(f"{name}={value!r}: True or False")
    return bool(value)


def check_models(
    models: Sequence[object], names: Sequence[str] | None = None
) -> tuple[list[object], Sequence[str] | None]:
    """Models given one by one, in one list, or in one mapping, whose keys are their names."""
    given = list(models)
    if len(given) == 1 and isinstance(given[0], Mapping):
        if names is not None:
            raise InvalidArgumentError("names: the mapping of models has names already")
        names, given = [str(name) for name in given[0]], list(given[0].values())
    elif len(given) == 1 and isinstance(given[0], (list, tuple)):
        given = list(given[0])
    return given, names


def check_jobs(n_jobs: int) -> int:
    """A number of processes as joblib takes it: positive, or -1 for all cores."""
    is_int = isinstance(n_jobs, (int, np.integer)) and not isinstance(n_jobs, bool)
    if not is_int or n_jobs == 0:
        raise InvalidArgumentError(
            f"n_jobs={n_jobs!r}: the number of processes, or -1 for all cores"
        )
    return int(n_jobs)


def check_choice(value: object, allowed: Sequence[str], name: str) -> str:
    """One of the allowed words."""
    if isinstance(value, str) and value in allowed:
        return value
    raise InvalidArgumentError(f"{name}={value!r}: {one_of(value, allowed)}")


def one_of(value: object, allowed: Sequence[str]) -> str:
    """The end of a message: what is allowed, and a near miss if there is one."""
    near = difflib.get_close_matches(str(value), allowed, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return f"allowed: {', '.join(map(repr, allowed)) or 'nothing'}{hint}"


def unknown_column(name: str, columns: Iterable[object]) -> str:
    """The end of a message on a name that is no column: a near miss, or what there is."""
    known = [str(column) for column in columns]
    near = [column for column in known if column.casefold() == name.casefold()]
    near += difflib.get_close_matches(name, known, n=1)
    if near:
        return f"{name!r} {NOT_A_COLUMN}; did you mean {near[0]!r}?"
    shown = ", ".join(map(repr, known[:20])) + (", ..." if len(known) > 20 else "")
    return f"{name!r} {NOT_A_COLUMN}; its columns: {shown}"


def check_frame(data: object, name: str) -> pd.DataFrame:
    """A DataFrame with rows and without repeated column names."""
    if not isinstance(data, pd.DataFrame):
        kind = type(data).__name__
        raise InvalidArgumentError(f"{name}: expected a pandas DataFrame, got {kind}")
    if len(data) == 0:
        raise InvalidArgumentError(f"{name}: the frame has no rows")
    if not data.columns.is_unique:
        repeated = data.columns[data.columns.duplicated()]
        raise InvalidArgumentError(
            f"{name}: column names must be unique; repeated: {sorted(set(map(str, repeated)))}"
        )
    return data


def check_columns(data: pd.DataFrame, needed: Iterable[str], name: str) -> None:
    """All needed columns are there."""
    missing = [column for column in needed if column not in data.columns]
    if missing:
        hints = "".join({in_index(column, data): None for column in missing})
        raise InvalidArgumentError(
            f"{name}: needs the column(s) {missing}, which are not among {list(data.columns)}"
            f"{hints}"
        )


def in_index(name: str, data: pd.DataFrame) -> str:
    """The end of a message on a name that is no column, but one of the index; else empty."""
    return "; it is in the index: data.reset_index()" if name in data.index.names else ""
