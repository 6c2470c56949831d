"""The view of cases with other values of a predictor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from merextras.exceptions import InvalidArgumentError
from merextras.foundation.arguments import check_choice, check_count
from merextras.reporting.cases import Cases, numeric, take
from merextras.reporting.contents.swap import BETTER
from merextras.reporting.script import Named, Script
from merextras.reporting.view import MX, View

CASES, MEANS, FIGURE = "Case by case", "Mean of the cases at each value", "A panel for each case"
_SHOWN = (
    "case", "fit", "lower", "upper", "shift", "shift_std_error", "shift_lower", "shift_upper",
    "p_better",
)  # fmt: skip


def wiggled(
    m: Any,
    data: Any = None,
    *,
    cases: Cases | None = None,
    predictor: str | None = None,
    values: Sequence[Any] | None = None,
    better: str = "higher",
    level: float = 0.95,
) -> View:
    """Each case at each of some values of a predictor, all else unchanged.

    The cases of merTools' `wiggle`, with intervals and the change from what each case is.

    Parameters
    ----------
    m : MerMod
    data : DataFrame, optional
        What cases are taken from; by default the model's rows.
    cases : Cases, optional
    predictor : str, optional
        The first by default.
    values : sequence, optional
        By default five across the range of a number, all values of anything else.
    better : {"higher", "lower"}
    level : float
        Of the intervals.

    Raises
    ------
    InvalidArgumentError
        The model has no predictors.
    """
    check_choice(better, list(BETTER), "better")
    if predictor is None:
        known = predictors(m)
        if not known:
            raise InvalidArgumentError("the model has no predictors whose values could change")
        predictor = known[0]
    script, model = Script(), Named("m", m)
    rows = take(script, model, data, cases or Cases())
    changes = {predictor: list(grid_of(m, predictor) if values is None else values)}
    options: dict[str, Any] = {"changes": changes, "better": better, "level": level}
    moved = script.call("moved", MX.of("what_if"), model, rows, **options, n_sims=None)
    means = script.call("means", MX.of("what_if_average"), model, rows, **options)
    new = f"new_{predictor}"
    columns = [column for column in means.value.columns if column not in {"level", new}]
    tables = {
        CASES: moved.value[["case", new, *_SHOWN[1:]]],
        MEANS: means.value[[new, *columns]],
    }
    # A number's own value is seldom among those shown; then the case stands in none of them.
    figure = script.figure(MX.of("plot_what_if"), moved, by="case")
    return View(script, tables, {FIGURE: figure})


def predictors(m: Any) -> list[str]:
    """Variables of the model whose values can change: neither response nor grouping."""
    grouping = {column for term in m.design.terms for column in term.columns}
    wanted = set(m.design.fixed.variables) | {n for t in m.design.terms for n in t.names}
    out = [c for c in m.design.columns if c != m.design.response and c not in grouping]
    return [column for column in out if column in wanted]


def grid_of(m: Any, predictor: str, count: int = 5) -> list[Any]:
    """Values to show of a predictor: across the range of a number, else all there are."""
    column = m.model_frame()[predictor].dropna()
    if not numeric(column):
        return sorted(column.unique().tolist(), key=str)
    return grid(float(column.min()), float(column.max()), count)


def grid(low: float, high: float, count: int) -> list[float]:
    """Values at even steps, rounded to what the step can tell apart.

    Raises
    ------
    InvalidArgumentError
        Not finite, or no positive count.
    """
    check_count(count, "count")
    if not np.isfinite([low, high]).all():
        raise InvalidArgumentError(f"values from {low} to {high}: both must be finite numbers")
    values = np.linspace(low, high, count)
    step = abs(high - low) / max(count - 1, 1)
    digits = 12 if step == 0 else int(np.clip(3 - np.floor(np.log10(step)), 0, 12))
    return [float(value) for value in np.unique(values.round(digits))]
