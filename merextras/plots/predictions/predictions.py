"""Plot of predictions and their intervals, case by case."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes

from merextras.exceptions import InvalidArgumentError
from merextras.foundation.arguments import check_count
from merextras.plots.drawing import arguments, style
from merextras.plots.drawing.panels import facets, finish, outer_labels, parts
from merextras.plots.drawing.points import intervals

__all__ = ["plot_predictions"]

#: The part of ``predict_interval(which="all")`` that an observation can be compared with.
_WHOLE = "combined"


def plot_predictions(
    predictions: Any,
    *,
    observed: Any = None,
    col_wrap: int | None = None,
    height: float | None = None,
    aspect: float | None = None,
    y_label: str | None = None,
    ax: Axes | None = None,
    title: str | None = None,
) -> sns.FacetGrid | Axes:
    """Draw the prediction of each case with its interval.

    The cases lie along the x axis in the order of the rows. A point is a prediction, a vertical
    line its interval, a cross what was observed.

    Parameters
    ----------
    predictions : pandas.DataFrame or PredictIntervalResult
        What ``m.predict(interval=...)`` or ``predict_interval`` returned: one row per case with
        the columns ``fit lower upper``, the index names the cases. ``which="all"`` gives ``effect
        case fit lower upper``; each effect then has a panel. Without ``lower`` and ``upper`` there
        are no intervals.
    observed : array_like, optional
        The outcome of each case, in the order of the cases; it may be NaN. Of several effects only
        ``combined`` has crosses: a part of a mean is not what is observed.
    col_wrap : int, optional
        Number of panels in a row. By default up to three are in one row and more are laid out as
        a square.
    height : float, optional
        Height of a panel in inches, by default 3.2; of several 2.4.
    aspect : float, optional
        Width of a panel divided by its height, by default 1.9; of several 1.2.
    y_label : str, optional
        Name of the y axis, by default "prediction".
    ax : matplotlib.axes.Axes, optional
        Where to draw, if there is only one panel; it is what is returned then.
    title : str, optional
        Title of the figure.

    Returns
    -------
    seaborn.FacetGrid, or Axes
        The panels; of several ``.axes_dict`` has them by effect, the only one is ``.ax``.

    Raises
    ------
    InvalidArgumentError
        If `predictions` is a model, is empty, lacks a column or has only one end of the intervals;
        if all predictions are missing; if the effects are not of the same cases; if `observed` has
        not one number for each case, or is a Series with another index.

    Notes
    -----
    A case whose prediction is missing keeps its place. Each effect's panel has a y axis of its own:
    random parts are about zero, and a residual's interval would hide those of the parts. More than
    500 cases are stored as pixels in a vector file too.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> import merextras as mx
    >>> sleep = mx.load_dataset("sleepstudy")
    >>> m = mx.lmer("Reaction ~ Days + (Days | Subject)", sleep)
    >>> cases = sleep.iloc[[0, 9, 40]]
    >>> predicted = m.predict(cases, interval="prediction")
    >>> grid = mx.plot_predictions(predicted, observed=cases["Reaction"])
    >>> [label.get_text() for label in grid.ax.get_xticklabels()]
    ['0', '9', '40']
    >>> plt.close(grid.figure)
    """
    arguments.refuse_model(predictions, "plot_predictions")
    rows = _rows(predictions)
    by_effect = parts(rows, "effect")
    labels = _cases(by_effect)
    outcome = None if observed is None else _outcome(observed, labels)
    grid, width = _grid(rows, list(by_effect), col_wrap, height, aspect, ax)
    pitch = width * 72 / len(labels)
    handles: dict[str, Any] = {}
    for (effect, part), here in zip(by_effect.items(), grid.axes.flat, strict=True):
        _draw_fits(here, part, pitch, handles)
        if outcome is not None and (len(by_effect) == 1 or effect == _WHOLE):
            _draw_observed(here, outcome, handles)
        if len(by_effect) > 1:
            here.set_title(str(effect))
        style.label_x_axis(here, style.short_labels(list(labels)), width)
    unnamed = len(grid.axes.flat[0].get_xticks()) < len(labels)
    x_label = f"{style.thousands(len(labels))} cases" if unnamed else "case"
    grid.set_axis_labels(x_label, y_label or "prediction")
    if len(handles) > 1:
        grid.add_legend(handles, title="", label_order=list(handles))
    return finish(grid, title)


def _rows(predictions: Any) -> pd.DataFrame:
    """Check the input and return ``effect case fit lower upper``; NaN for no interval."""
    given = arguments.as_frame(predictions, "predictions", needs=[], numeric=["fit"])
    ends = [name for name in ("lower", "upper") if name in given.columns]
    if len(ends) == 1:
        message = "predictions has only one of the columns 'lower', 'upper'; give both or neither."
        raise InvalidArgumentError(message)
    given = arguments.as_frame(given, "predictions", needs=[], numeric=["fit", *ends])
    if given["fit"].isna().all():
        message = "predictions['fit'] has missing values only; nothing can be drawn."
        raise InvalidArgumentError(message)
    rows = pd.DataFrame(
        {name: given[name].to_numpy(dtype=float, na_value=np.nan) for name in ("fit", *ends)}
    )
    if not ends:
        rows = rows.assign(lower=np.nan, upper=np.nan)
    effect, case = (given[name] if name in given.columns else None for name in ("effect", "case"))
    return rows.assign(
        effect="" if effect is None else effect.astype(object).to_numpy(),
        case=(given.index if case is None else case).astype(object).to_numpy(),
    )


def _cases(by_effect: dict[Any, pd.DataFrame]) -> pd.Index[Any]:
    """Names of the cases, the same of each effect."""
    made: list[pd.Index[Any]] = [
        pd.Index(part["case"], dtype=object) for part in by_effect.values()
    ]
    first, *others = made
    if not all(first.equals(other) for other in others):
        message = (
            "predictions: the effects are not of the same cases in the same order; pass the rows "
            "of some effects, with all their cases."
        )
        raise InvalidArgumentError(message)
    return first


def _outcome(observed: Any, labels: pd.Index[Any]) -> npt.NDArray[np.float64]:
    """One number for each case."""
    if isinstance(observed, pd.Series) and not observed.index.astype(object).equals(labels):
        message = (
            "observed is a Series whose index is not that of the predictions; pass the outcome of "
            "the same rows in the same order."
        )
        raise InvalidArgumentError(message)
    try:
        values: npt.NDArray[np.float64] = pd.Series(observed).to_numpy(float, na_value=np.nan)
    except (TypeError, ValueError) as error:
        message = f"observed is not numeric ({error}); an array of numbers is needed."
        raise InvalidArgumentError(message) from error
    if len(values) != len(labels):
        message = f"observed has {len(values)} values for {len(labels)} cases; give one for each."
        raise InvalidArgumentError(message)
    return values


def _grid(
    rows: pd.DataFrame,
    effects: list[Any],
    col_wrap: int | None,
    height: float | None,
    aspect: float | None,
    ax: Axes | None,
) -> tuple[Any, float]:
    """Make the empty panels; with them the inches between the spines, about."""
    several = len(effects) > 1
    arguments.require_few_panels(len(effects), "predictions", "one for each effect")
    height = arguments.inches(height, "height", 2.4 if several else 3.2)
    if aspect is None:
        aspect = 1.2 if several else 1.9
    arguments.require_positive(aspect, "aspect")
    if col_wrap is None:
        col_wrap = len(effects) if len(effects) <= 3 else math.ceil(math.sqrt(len(effects)))
    check_count(col_wrap, "col_wrap")
    col_wrap = min(col_wrap, len(effects))
    options: dict[str, Any] = {"ax": ax, "height": height, "aspect": aspect}
    if several:
        options |= {"col": ("effect", effects), "col_wrap": col_wrap, "sharey": False}
    grid = facets(rows, **options)
    if several:
        outer_labels(list(grid.axes.flat), col_wrap)
        for panel in grid.axes.flat:
            panel.tick_params(labelleft=True)
    return grid, 0.85 * height * aspect


def _draw_fits(ax: Any, part: pd.DataFrame, pitch: float, handles: dict[str, Any]) -> None:
    """Draw intervals and predictions of cases that are `pitch` points apart."""
    at = np.arange(len(part))
    raster = len(part) > style.RASTER_FROM
    intervals(ax, part, at, pitch)
    handles["prediction"] = ax.scatter(
        at,
        part["fit"],
        s=style.marker_area(pitch),
        color=style.estimated(),
        linewidths=0,
        zorder=3,
        rasterized=raster,
    )


def _draw_observed(ax: Any, outcome: npt.NDArray[np.float64], handles: dict[str, Any]) -> None:
    """Mark what was observed."""
    known = np.isfinite(outcome)
    if known.any():
        handles["observed"] = ax.scatter(
            np.flatnonzero(known),
            outcome[known],
            s=28 if len(outcome) <= style.MAX_LABELS else 8,
            marker="x",
            color=style.observed(),
            linewidths=1.3 if len(outcome) <= style.MAX_LABELS else 0.7,
            zorder=4,
            rasterized=len(outcome) > style.RASTER_FROM,
        )
