"""Argument checks that the plots share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from pandas.api.types import is_bool_dtype, is_numeric_dtype

from merextras.exceptions import InvalidArgumentError
from merextras.foundation.arguments import check_columns, check_frame
from merextras.foundation.hints import PLOTS
from merextras.plots.drawing import style

#: More panels than this take minutes to draw and can't be read.
_MAX_PANELS = 200


def listed(values: Iterable[Any], most: int = 12) -> str:
    """Quote the values in a row, leaving out the middle of a long one."""
    quoted = [repr(value) for value in values]
    if len(quoted) > most:
        quoted = [*quoted[: most - 1], f"... ({len(quoted)} in all)"]
    return ", ".join(quoted) or "none"


def as_frame(data: Any, name: str, *, needs: Sequence[str], numeric: Sequence[str]) -> pd.DataFrame:
    """Return the frame that `data` is or makes, after checking its rows and columns."""
    made = data
    if not isinstance(data, pd.DataFrame) and callable(getattr(data, "to_frame", None)):
        made = data.to_frame()
    frame = check_frame(made, name)
    check_columns(frame, [*needs, *numeric], name)
    for column in numeric:
        if not is_numeric_dtype(frame[column]) or is_bool_dtype(frame[column]):
            message = (
                f"{name}[{column!r}] has dtype {frame[column].dtype}; numbers are needed there."
            )
            raise InvalidArgumentError(message)
    return frame


def keyed_frame(data: Any, name: str, keys: list[str], *, numeric: Sequence[str]) -> pd.DataFrame:
    """The same with keys that no two rows share, its rows numbered."""
    frame = as_frame(data, name, needs=keys, numeric=numeric)
    require_keys(frame, name, keys)
    return frame.reset_index(drop=True)


def require_keys(frame: pd.DataFrame, name: str, keys: list[str]) -> None:
    """Raise if a key is missing in a row, or if two rows have the same keys."""
    for key in keys:
        if frame[key].isna().any():
            message = f"{name}[{key!r}] has missing values; every row needs one."
            raise InvalidArgumentError(message)
    twice = frame.duplicated(keys)
    if twice.any():
        first = tuple(frame.loc[twice, keys].iloc[0])
        message = (
            f"{name} has more than one row for ({', '.join(keys)}) = {first}; one row for each "
            "combination is needed."
        )
        raise InvalidArgumentError(message)


def require_positive(value: Any, name: str) -> None:
    """Raise if the value is not a positive finite number."""
    is_number = isinstance(value, (int, float, np.number)) and not isinstance(value, bool)
    if not is_number or not 0 < value < float("inf"):
        message = f"{name}={value!r} is not allowed; it is a positive number."
        raise InvalidArgumentError(message)


def inches(given: float | None, name: str, default: float) -> float:
    """Return the length that was given, or the default one, which grows with the letters."""
    if given is None:
        return default * style.panel_scale()
    require_positive(given, name)
    return float(given)


def refuse_model(given: Any, figure: str) -> None:
    """Raise if the figure's argument is a model: the message has the call that is meant.

    A model is told by what it can do: a plot knows frames and results only.
    """
    raw = hasattr(given, "random_effects") and hasattr(given, "cov_re")
    if not raw and not (callable(getattr(given, "var_corr", None)) and hasattr(given, "ranef")):
        return
    of_fit = " with m = mx.MerMod(fit)" if raw else ""
    message = f"{figure}: a model was given; write mx.{PLOTS[figure]}{of_fit}"
    raise InvalidArgumentError(message)


def require_few_panels(panels: int, name: str, what: str) -> None:
    """Raise if a figure would have more panels than can be drawn."""
    if panels > _MAX_PANELS:
        message = (
            f"{name} would give {panels} panels ({what}); at most {_MAX_PANELS} are drawn. "
            "Pass the rows of fewer of them."
        )
        raise InvalidArgumentError(message)
