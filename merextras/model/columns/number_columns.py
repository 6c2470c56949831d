"""Columns of new data that a formula reads as numbers, which its engine does not check."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable

import numpy as np
import pandas as pd
from pandas.api.types import is_bool_dtype, is_numeric_dtype

from merextras.exceptions import InvalidArgumentError


def is_number(column: pd.Series) -> bool:
    """Whether a column is of numbers, which True and False are not."""
    return bool(is_numeric_dtype(column) and not is_bool_dtype(column))


def for_powers(data: pd.DataFrame, codes: Iterable[str]) -> pd.DataFrame:
    """The data with the whole numbers that stand under a power in formula code as floats.

    Powers of integers wrap beyond 2**63, and negative ones there are none; R's numbers are floats.
    A column that also makes categories keeps its values, which are their labels.
    """
    codes = list(codes)
    powered = {name for code in codes if "**" in code for name in _under_powers(code)}
    labels = {n for code in codes if "C(" in code for n in powered if re.search(rf"\b{n}\b", code)}
    found = [c for c in data.columns if str(c) in powered - labels]
    whole = [c for c in found if getattr(data[c].dtype, "kind", "") in "iu"]
    return data.assign(**{str(c): data[c].astype(float) for c in whole}) if whole else data


def bools_as_factors(data: pd.DataFrame, codes: Iterable[str]) -> pd.DataFrame:
    """The data with the booleans that stand alone in a formula as categories, for formulaic.

    It takes them for numbers, where R and patsy have a factor: two slopes in ``x:b``, not one.
    """
    codes = list(codes)
    found = [
        c
        for c in map(str, data.columns)
        if c in codes
        and data[c].dtype == bool
        and not any(re.search(rf"\b{re.escape(c)}\b", code) for code in codes if code != c)
    ]
    made = {c: pd.Categorical(data[c], categories=[False, True]) for c in found}
    return data.assign(**made) if made else data


def _under_powers(code: str) -> set[str]:
    """Names in the operands of ``**``."""
    try:
        nodes = list(ast.walk(ast.parse(code.strip(), mode="eval")))
    except SyntaxError:
        return set()
    powers = [n for n in nodes if isinstance(n, ast.BinOp) and isinstance(n.op, ast.Pow)]
    return {n.id for power in powers for n in ast.walk(power) if isinstance(n, ast.Name)}


def in_floats(data: pd.DataFrame, columns: Iterable[str]) -> pd.DataFrame:
    """The data with those of the columns as floats that have a dtype which numpy doesn't know.

    Raises
    ------
    InvalidArgumentError
        One of the columns is not numeric.
    """
    made = {}
    for name in columns:
        column = data[name]
        if not is_number(column):
            raise InvalidArgumentError(
                f"newdata: column {name!r} must be numeric, not {column.dtype}"
            )
        if not isinstance(column.dtype, np.dtype):
            made[name] = column.to_numpy(dtype=float, na_value=np.nan)
    return data.assign(**made) if made else data
