"""Rows copied with other values of some variables, and factors with the levels of a model."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from merextras.exceptions import InvalidArgumentError
from merextras.foundation.arguments import unknown_column
from merextras.model.frame.read import given_frame


def wiggle(data: Any, var_list: str | Sequence[str], values_list: Sequence[Any]) -> pd.DataFrame:
    """Repeat rows for every combination of new values of some variables.

    Parameters
    ----------
    data : DataFrame (pandas or polars)
        Rows to start from, such as those of `draw`.
    var_list : str or sequence of str
        Columns to change.
    values_list : sequence
        For one column its values; for several a sequence of values for each, in the same order.

    Returns
    -------
    DataFrame
        All rows for the first value, all for the second, ...: of several columns the last changes
        slowest. The columns in their order; the index is 0, 1, ... A categorical column stays one,
        with categories for what is new; the dtype of another is that of its values.

    Raises
    ------
    InvalidArgumentError
        `data` is empty or has repeated columns; a column that is not there or is given twice;
        another number of sequences than of columns; a sequence without values.

    See Also
    --------
    merextras.draw : A row to start from.
    merextras.what_if : Cases in other levels of a grouping factor.

    Notes
    -----
    **R counterpart**: ``merTools::wiggle(data, varlist, valueslist)``, with the same order of rows.

    Examples
    --------
    >>> import pandas as pd
    >>> from merextras.prediction.cases.wiggle import wiggle
    >>> row = pd.DataFrame({"open": [40.0], "school": ["I"]})
    >>> wiggle(row, ["open", "school"], [[30.0, 50.0], ["I", "II"]])
       open school
    0  30.0      I
    1  50.0      I
    2  30.0     II
    3  50.0     II
    """
    data = out = given_frame(data, "data")
    for column, values in zip(*_columns_and_values(out, var_list, values_list), strict=True):
        n = len(out)
        out = out.iloc[np.tile(np.arange(n), len(values))].reset_index(drop=True)
        each = np.repeat(np.arange(len(values)), n)
        new: Any = pd.Series(values).take(each).reset_index(drop=True)
        if isinstance(data[column].dtype, pd.CategoricalDtype):
            new = super_factor(new, data[column].cat.categories)
        out[column] = new
    return out


def super_factor(x: Any, full_levels: Iterable[Any]) -> Any:
    """Return a factor that also has levels which do not occur in it.

    Parameters
    ----------
    x : Series, Categorical, array or sequence
        Labels.
    full_levels : iterable
        All labels there can be; the categories of a Categorical, the values of a Series or array.

    Returns
    -------
    Categorical, or Series of one for a Series
        With `full_levels` as categories, in this order, and then those of `x` that are not among
        them. Unordered. Missing values stay missing.

    Raises
    ------
    InvalidArgumentError
        `x` or `full_levels` is a string or no sequence at all.

    Notes
    -----
    **R counterpart**: ``merTools::superFactor(x, fullLev)``.

    Examples
    --------
    >>> from merextras.prediction.cases.wiggle import super_factor
    >>> super_factor(["b", "a"], ["c", "a", "d"]).categories.tolist()
    ['c', 'a', 'd', 'b']
    """
    own, full = _levels(x, "x"), _levels(full_levels, "full_levels")
    levels = pd.Index(list(dict.fromkeys([*full, *own])))
    if isinstance(x, pd.Series):
        made = pd.Categorical(x.astype(object), categories=levels)
        return pd.Series(made, index=x.index, name=x.name)
    return pd.Categorical(np.asarray(x, dtype=object), categories=levels)


def _levels(values: Any, name: str) -> list[Any]:
    """The labels in order: categories, else the sorted values, or as first seen."""
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise InvalidArgumentError(f"{name}={values!r}: expected a sequence of labels")
    categories = getattr(getattr(values, "cat", values), "categories", None)
    if categories is not None:
        return list(categories)
    seen = pd.Series(list(values), dtype=object).dropna().unique().tolist()
    if name == "full_levels":
        return list(seen)
    try:
        return sorted(seen)
    except TypeError:  # numbers and text have no order
        return list(seen)


def _columns_and_values(
    data: Any, var_list: object, values_list: object
) -> tuple[list[str], list[list[Any]]]:
    """Columns and the values of each."""
    one = isinstance(var_list, str)
    columns = [var_list] if one else var_list
    if not isinstance(columns, (list, tuple)) or not columns:
        raise InvalidArgumentError(f"var_list={var_list!r}: a column, or a list of some")
    for column in columns:
        if column not in data.columns:
            raise InvalidArgumentError(f"var_list: {unknown_column(str(column), data.columns)}")
    if len(set(columns)) < len(columns):
        raise InvalidArgumentError(f"var_list={var_list!r}: each column once")
    if isinstance(values_list, str) or not isinstance(values_list, Iterable):
        raise InvalidArgumentError(f"values_list={values_list!r}: expected sequences of values")
    given = list(values_list)
    if one and not (len(given) == 1 and _is_sequence(given[0])):
        given = [given]
    if len(given) != len(columns):
        raise InvalidArgumentError(
            f"values_list: {len(given)} sequences of values for the {len(columns)} column(s) "
            f"{list(columns)}; give one for each"
        )
    for column, values in zip(columns, given, strict=True):
        if not _is_sequence(values) or len(values) == 0:
            raise InvalidArgumentError(
                f"values_list: expected a sequence of values for {column!r}, got {values!r}"
            )
    return list(columns), [list(values) for values in given]


def _is_sequence(values: object) -> bool:
    return isinstance(values, Sequence | np.ndarray | pd.Series | pd.Index) and not isinstance(
        values, str
    )
