"""Plots of what cases would be if they belonged to other groups."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes

from merextras.exceptions import InvalidArgumentError
from merextras.foundation.arguments import check_choice, check_count
from merextras.plots.drawing import arguments, style
from merextras.plots.drawing.panels import facets, finish, levels_of, outer_labels, parts, positions
from merextras.plots.drawing.points import intervals

__all__ = ["plot_what_if"]

_BAND = (0.93, 0.84, 0.55)


def plot_what_if(
    frame: Any,
    *,
    by: str = "case",
    outcome: Any = None,
    col_wrap: int | None = None,
    height: float | None = None,
    aspect: float = 1.2,
    x_label: str | None = None,
    y_label: str | None = None,
    ax: Axes | None = None,
    title: str | None = None,
) -> sns.FacetGrid | Axes:
    """Draw the prediction of each case in each level of a group.

    The tutorial's ``qplot(school, yhat) + facet_wrap(~case)``, and with ``by="level"`` its
    ``qplot(case, yhat) + facet_wrap(~school)``. A filled point is the prediction in the level that
    the case really has, a hollow one that in another level; a vertical line is its interval. A
    cross is the observed outcome. With a panel for each case it stands at the case's own level,
    and a dotted line carries it across to the other levels; with a panel for each level every case
    has its cross in every panel, pale where the level is not the case's own. All panels share both
    axes.

    Parameters
    ----------
    frame : pandas.DataFrame
        What ``what_if`` returned: one row per case and level, with the columns ``case level fit``.
        Drawn if present: ``lower`` and ``upper``, the ends of the interval; ``own_level``, the
        level the case really has; ``observed``, its outcome, which may be NaN.
    by : {'case', 'level'}, default 'case'
        What the panels are; the other one lies along the x axis.
    outcome : array_like, optional
        The outcome of the whole data. Behind the points its mean is then drawn as a line, and one
        and two standard deviations around it as bands, so that a difference between levels can be
        seen against the total spread. Missing values are left out.
    col_wrap : int, optional
        Number of panels in a row. By default up to three are in one row and more are laid out as
        a square.
    height : float, optional
        Height of a panel in inches, by default 2.4.
    aspect : float, default 1.2
        Width of a panel divided by its height.
    x_label, y_label : str, optional
        Names of the axes; by default the grouping factor's (with ``by="level"`` "case") and the
        response's, which ``what_if`` leaves in the frame's ``attrs``.
    ax : matplotlib.axes.Axes, optional
        Where to draw, if there is only one panel; it is what is returned then.
    title : str, optional
        Title of the figure.

    Returns
    -------
    seaborn.FacetGrid, or Axes
        The panels; ``.axes_dict`` has them by case or by level.

    Raises
    ------
    InvalidArgumentError
        If `frame` is empty, lacks a column, or has a case and level twice; if `by` is neither of
        the two; if `outcome` has fewer than two numbers; if there would be more than 200 panels.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> import pandas as pd
    >>> from merextras.plots import plot_what_if
    >>> frame = pd.DataFrame({
    ...     "case": [7, 7, 9, 9],
    ...     "level": ["I", "II", "I", "II"],
    ...     "fit": [45.2, 53.1, 45.9, 53.8],
    ...     "own_level": ["I", "I", "II", "II"],
    ...     "observed": [46.0, 46.0, 52.5, 52.5],
    ... })
    >>> grid = plot_what_if(frame, outcome=[45.0, 52.0, 58.0, 61.0])
    >>> [ax.get_title() for ax in grid.axes.flat]
    ['case 7', 'case 9']
    >>> plt.close(grid.figure)
    """
    arguments.refuse_model(frame, "plot_what_if")
    check_choice(by, ("case", "level"), "by")
    rows = _rows(frame)
    band = None if outcome is None else _spread(outcome)
    height = arguments.inches(height, "height", 2.4)
    arguments.require_positive(aspect, "aspect")
    panels = levels_of(rows[by])
    arguments.require_few_panels(len(panels), f"by={by!r}", f"one for each {by}")
    if col_wrap is None:
        col_wrap = len(panels) if len(panels) <= 3 else math.ceil(math.sqrt(len(panels)))
    check_count(col_wrap, "col_wrap")
    col_wrap = min(col_wrap, len(panels))
    grid = facets(
        rows,
        ax=ax,
        col=(by, panels),
        col_wrap=col_wrap,
        height=height,
        aspect=aspect,
    )
    along = "level" if by == "case" else "case"
    order = pd.Index(levels_of(rows[along]), dtype=object)
    width = 0.85 * height * aspect  # inches between the spines, about
    handles: dict[str, Any] = {}
    for panel, part in parts(rows, by).items():
        here = grid.axes_dict[panel]
        at = positions(order, part[along])
        _draw_fits(here, part, at, width * 72 / len(order), handles)
        _draw_observed(here, part, at, handles, across=by == "case")
        _draw_band(here, band, handles)
        here.set_title(f"case {panel}" if by == "case" else str(panel))
    names = style.short_labels(list(order))
    for here in grid.axes.flat:
        style.label_x_axis(here, names, width)
    outer_labels(list(grid.axes.flat), col_wrap)
    all_named = len(grid.axes.flat[0].get_xticks()) >= len(names)
    group, response = (getattr(frame, "attrs", {}).get(key) for key in ("group", "response"))
    if x_label is None:
        x_label = _x_label(along, group, None if all_named else len(names))
    grid.set_axis_labels(x_label, y_label or str(response or "prediction"))
    if len(handles) > 1:
        grid.add_legend(handles, title="", label_order=list(handles))
    return finish(grid, title)


def _x_label(along: str, group: object, count: int | None) -> str:
    """What lies along x; `count` is how many, where they are not all named."""
    what = str(group) if along == "level" and group is not None else along
    if count is None:
        return what
    many = f"{style.thousands(count)} {along}s"
    return many if what == along else f"{what}: {many}"


def _rows(frame: Any) -> pd.DataFrame:
    """Check the input and return the columns that are drawn, NaN where there are none."""
    keys = ["case", "level"]
    given = arguments.as_frame(frame, "frame", needs=keys, numeric=["fit"])
    arguments.require_keys(given, "frame", keys)
    if ("lower" in given.columns) != ("upper" in given.columns):
        message = "frame has only one of the columns 'lower', 'upper'; give both or neither."
        raise InvalidArgumentError(message)
    optional = [name for name in ("lower", "upper", "observed") if name in given.columns]
    given = arguments.as_frame(frame, "frame", needs=keys, numeric=["fit", *optional])
    rows = given[keys].reset_index(drop=True)
    for name in ("fit", *optional):
        rows[name] = given[name].to_numpy(dtype=float, na_value=np.nan)
    for name in ("lower", "upper", "observed"):
        if name not in rows.columns:
            rows[name] = np.nan
    own = np.zeros(len(rows), dtype=bool)
    if "own_level" in given.columns:
        # As objects: two categorical columns compare only if their categories are the same.
        pairs = zip(given["level"].astype(object), given["own_level"].astype(object), strict=True)
        own = np.array([not pd.isna(other) and level == other for level, other in pairs])
    return rows.assign(own=own)


def _spread(outcome: Any) -> tuple[float, float]:
    """Mean and standard deviation of the outcome."""
    try:
        values: npt.NDArray[np.float64] = np.asarray(outcome, dtype=float).ravel()
    except (TypeError, ValueError) as error:
        message = f"outcome is not numeric ({error}); an array of numbers is needed."
        raise InvalidArgumentError(message) from error
    values = values[np.isfinite(values)]
    if values.size < 2:
        message = (
            f"outcome has {values.size} finite values; at least 2 are needed for its spread. Pass "
            "the outcome of the whole data."
        )
        raise InvalidArgumentError(message)
    return float(values.mean()), float(values.std(ddof=1))


def _draw_fits(ax: Any, part: pd.DataFrame, at: Any, pitch: float, handles: dict[str, Any]) -> None:
    """Draw intervals and predictions, the own level filled; levels are `pitch` points apart."""
    raster = len(part) > style.RASTER_FROM
    intervals(ax, part, at, pitch)
    own = part["own"].to_numpy()
    area = style.marker_area(pitch)
    # Among thousands the own level must still be found.
    for chosen, name, face, size in (
        (~own, "other level", style.paper(), area),
        (own, "own level", style.estimated(), max(area, 16.0)),
    ):
        if chosen.any():
            handles[name] = ax.scatter(
                at[chosen],
                part["fit"][chosen],
                s=size,
                facecolors=face,
                edgecolors=style.estimated() if pitch > 2 else style.gray(0.15),
                linewidths=min(1.1, 0.3 * size**0.5),
                zorder=4 if name == "own level" else 3,
                rasterized=raster,
            )


def _draw_observed(
    ax: Any, part: pd.DataFrame, at: Any, handles: dict[str, Any], *, across: bool
) -> None:
    """Mark the observed outcome: of the panel's one case, or of each case in the panel."""
    known = np.isfinite(part["observed"].to_numpy(float))
    own = part["own"].to_numpy()
    if across:
        for value in part["observed"][known].unique():
            ax.axhline(value, color=style.observed(), linewidth=0.9, linestyle=":", zorder=1.5)
    for chosen, name, alpha in ((known & own, "observed", 1.0), (known & ~own, "elsewhere", 0.35)):
        if chosen.any() and (name == "observed" or not across):
            label = name if name == "observed" else "observed in another level"
            handles[label] = ax.scatter(
                at[chosen],
                part["observed"][chosen],
                s=28,
                marker="x",
                color=style.observed(),
                alpha=alpha,
                linewidths=1.3,
                zorder=5 if name == "observed" else 2.5,
            )


def _draw_band(ax: Any, band: tuple[float, float] | None, handles: dict[str, Any]) -> None:
    """Draw the outcome's mean and spread behind the points."""
    if band is None:
        return
    mean, sd = band
    outer, inner, line = map(style.gray, _BAND)
    wide = ax.axhspan(mean - 2 * sd, mean + 2 * sd, color=outer, linewidth=0, zorder=0)
    narrow = ax.axhspan(mean - sd, mean + sd, color=inner, linewidth=0, zorder=0.1)
    middle = ax.axhline(mean, color=line, linewidth=0.9, zorder=0.2)
    handles |= {"outcome: mean": middle, "mean ± 1 sd": narrow, "mean ± 2 sd": wide}
