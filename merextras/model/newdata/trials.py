"""Numbers of binomial trials for new rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from merextras.exceptions import InvalidArgumentError, MerextrasError
from merextras.foundation.aliases import Array
from merextras.model.design.build import response_of
from merextras.model.generalised.fitted import FittedGlmm
from merextras.model.settings.options import by_row


def trials_of(model: FittedGlmm, newdata: pd.DataFrame | None, weights: Any = None) -> Array | None:
    """Numbers of trials of the model's rows or of new ones, (m,); None for other families.

    Parameters
    ----------
    weights : number, array, Series or column name, optional
        By default one where all of the fit's are; else of new rows the column that the fit's are
        from, or the sum of successes and failures.

    Raises
    ------
    InvalidArgumentError
        Trials of a family without any, that are missing or not whole numbers from one, or that
        `newdata` does not tell.
    """
    if not model.choice.has_trials:
        if weights is not None:
            raise InvalidArgumentError(
                f"weights: family={model.choice.name!r} has no precision weights and no trials; "
                "leave weights=None"
            )
        return None
    if newdata is None and weights is None:
        return model.response.trials
    frame = model.design.frame if newdata is None else newdata
    found = _given(frame, weights) if weights is not None else _known(model, frame)
    bad = ~((found >= 1.0) & (found == np.round(found)))
    if np.any(bad):
        raise InvalidArgumentError(
            f"weights: numbers of trials are whole numbers from 1, got {found[bad][0]:g}"
        )
    return found


def _given(frame: pd.DataFrame, weights: Any) -> Array:
    if isinstance(weights, (int, float, np.number)) and not isinstance(weights, bool):
        return np.full(len(frame), float(weights))
    found = by_row(weights, frame, "weights")
    assert found is not None
    return found


def _known(model: FittedGlmm, frame: pd.DataFrame) -> Array:
    if model.response.facts.single:
        return np.ones(len(frame))
    options = model.design.options
    if model.response.form == "cbind":
        columns = {str(name): column for name, column in frame.items()}
        try:
            parts = [
                response_of(str(code), frame, columns, options.scope)
                for code in model.response.labels
            ]
        except (MerextrasError, KeyError, NameError) as err:
            raise _unknown(
                f"{' and '.join(map(str, model.response.labels))} have no value"
            ) from err
        return np.asarray(parts[0] + parts[1], dtype=float)
    column = options.columns.get("weights")
    if column is None or column not in frame.columns:
        raise _unknown("the column that they come from is not in it")
    return _given(frame, column)


def _unknown(why: str) -> InvalidArgumentError:
    return InvalidArgumentError(
        f"newdata: the numbers of trials of its rows are not known, {why}; give them as weights= "
        "(a number, an array or a column's name), or add the columns"
    )
