"""Scatter plots of one outcome against several predictors, a panel for each group."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes

from merextras.exceptions import InvalidArgumentError
from merextras.foundation.arguments import check_count
from merextras.plots.drawing import arguments, style
from merextras.plots.drawing.panels import facets, finish, levels_of

__all__ = ["xyplot"]

#: More points than this in the figure are stored as pixels.
_RASTER_POINTS = 20_000


def xyplot(
    data: pd.DataFrame,
    y: str,
    xs: str | Sequence[str],
    by: str,
    and_by: str | None = None,
    *,
    col_wrap: int | None = None,
    height: float | None = None,
    aspect: float = 1.0,
    palette: str | Sequence[Any] | None = None,
    size: float = 14.0,
    ax: Axes | None = None,
    title: str | None = None,
) -> sns.FacetGrid | Axes:
    """Draw an outcome against several predictors, in one panel for each group.

    This is lattice's ``xyplot(y ~ x1 + x2 | by)``, and with `and_by` its
    ``xyplot(y ~ x1 + x2 | by + and_by)``. All panels share both axes. Each predictor has its own
    colour, named in the legend, and all of them lie along the one x axis.

    Parameters
    ----------
    data : pandas.DataFrame
        One row per observation. A row in which the outcome or a predictor is missing has no
        point for it, and a row without a group is in no panel.
    y : str
        Column of the outcome.
    xs : str or sequence of str
        Columns of the predictors.
    by : str
        Column of the groups: a panel each. Categories come in their own order, other values are
        sorted.
    and_by : str, optional
        A second column of groups. The panels are then a grid with `by` across and `and_by` down.
    col_wrap : int, optional
        Number of panels in a row, which can't be chosen together with `and_by`. By default up
        to four panels are in one row and more are laid out as a square.
    height : float, optional
        Height of a panel in inches, by default 2.6.
    aspect : float, default 1.0
        Width of a panel divided by its height.
    palette : str or sequence of colours, optional
        A palette that `seaborn.color_palette` knows; by default the one in force, or "colorblind"
        where that is matplotlib's own.
    size : float, default 14.0
        Area of a point in square points.
    ax : matplotlib.axes.Axes, optional
        Where to draw, if there is only one panel; it is what is returned then.
    title : str, optional
        Title of the figure.

    Returns
    -------
    seaborn.FacetGrid, or Axes
        The panels; ``.axes_dict`` has them by group, or by ``(and_by, by)``.

    Raises
    ------
    InvalidArgumentError
        If `data` is empty or lacks a column, if the outcome or a predictor is not numeric, if the
        same column is given twice, if there would be more than 200 panels,
        or if `ax` is given and there are several.

    Examples
    --------
    The tutorial's lattice by class, and one variable by class in two schools:

    >>> import matplotlib.pyplot as plt
    >>> from merextras.datasets import load_dataset
    >>> from merextras.plots import xyplot
    >>> students = load_dataset("students")
    >>> xs = ["open", "social", "agree"]
    >>> by_class = xyplot(students, "extro", xs, "class", title="Extroversion by Class")
    >>> two = students.query("school in ['I', 'VI']")
    >>> by_both = xyplot(two, "extro", "open", "class", "school", height=1.2)
    >>> list(by_class.axes_dict)
    ['a', 'b', 'c', 'd']
    >>> by_both.axes.shape
    (2, 4)
    >>> plt.close("all")
    """
    arguments.refuse_model(data, "xyplot")
    names = [xs] if isinstance(xs, str) else list(xs)
    _check(data, y, names, by, and_by, col_wrap)
    height = arguments.inches(height, "height", 2.6)
    for value, argument in ((aspect, "aspect"), (size, "size")):
        arguments.require_positive(value, argument)
    levels = levels_of(data[by], sort=True)
    rows = None if and_by is None else levels_of(data[and_by], sort=True)
    _check_groups(levels, rows, by, and_by)
    if ax is not None:
        return _on_axes(ax, data, y, names, by, levels, and_by, rows, palette, size, title)
    if col_wrap is None and rows is None and len(levels) > 4:
        col_wrap = math.ceil(math.sqrt(len(levels)))
    grid = sns.FacetGrid(
        data,
        row=and_by,
        col=by,
        row_order=rows,
        col_order=levels,
        col_wrap=None if col_wrap is None else min(col_wrap, len(levels)),
        height=height,
        aspect=aspect,
        margin_titles=True,
    )
    colours = _colours(names, palette)
    handles = _draw(grid, data, y, colours, size)
    across, down = "{col_var} {col_name}", "{row_var} {row_name}"
    grid.set_titles(template=across, col_template=across, row_template=down)
    grid.figure.supxlabel(" + ".join(names), fontsize="medium")
    grid.figure.supylabel(y, fontsize="medium")
    grid.add_legend(handles, title="", label_order=names)
    finish(grid, title)
    return grid


def _colours(names: list[str], palette: str | Sequence[Any] | None) -> dict[str, Any]:
    found = style.palette(len(names)) if palette is None else sns.color_palette(palette, len(names))
    return dict(zip(names, found, strict=True))


def _on_axes(
    ax: Axes,
    data: pd.DataFrame,
    y: str,
    names: list[str],
    by: str,
    levels: list[Any],
    and_by: str | None,
    rows: list[Any] | None,
    palette: str | Sequence[Any] | None,
    size: float,
    title: str | None,
) -> Axes:
    """Draw the one panel that there is on the caller's axes."""
    sides = {"row": None if and_by is None or rows is None else (and_by, rows)}
    grid = facets(data, ax=ax, col=(by, levels), **sides)
    part = data[data[by] == levels[0]]
    text = f"{by} {levels[0]}"
    if and_by is not None and rows is not None:
        part = part[part[and_by] == rows[0]]
        text = f"{and_by} {rows[0]}, {text}"
    raster = len(part) * len(names) > _RASTER_POINTS
    for name, colour in _colours(names, palette).items():
        _points(ax, part, name, y, colour, size, raster)
    ax.set(title=text, xlabel=" + ".join(names), ylabel=y)
    if len(names) > 1:
        ax.legend(fontsize="small", frameon=False)
    made: Axes = finish(grid, title)
    return made


def _points(
    ax: Axes, part: pd.DataFrame, name: str, y: str, colour: Any, size: float, raster: bool
) -> Any:
    return ax.scatter(
        part[name].astype(float),
        part[y].astype(float),
        s=size,
        facecolors="none",
        edgecolors=[colour],
        linewidths=0.8,
        alpha=0.8,
        label=name,
        rasterized=raster,
    )


def _check(
    data: Any, y: str, xs: list[str], by: str, and_by: str | None, col_wrap: int | None
) -> None:
    """Raise if the columns do not fit."""
    if not xs:
        message = f"xs={xs!r} names no predictor; at least one column is needed."
        raise InvalidArgumentError(message)
    if len(set(xs)) < len(xs):
        message = f"xs={xs!r} names a column twice; each predictor is drawn once."
        raise InvalidArgumentError(message)
    if by == and_by:
        message = f"and_by={and_by!r} is the column of `by`; give another one or leave it out."
        raise InvalidArgumentError(message)
    groups = [by] if and_by is None else [by, and_by]
    arguments.as_frame(data, "data", needs=groups, numeric=[y, *xs])
    if col_wrap is not None:
        check_count(col_wrap, "col_wrap")
        if and_by is not None:
            message = (
                f"col_wrap={col_wrap!r} is not allowed with and_by={and_by!r}: the levels of "
                f"{and_by!r} are the rows; leave one of the two out."
            )
            raise InvalidArgumentError(message)


def _check_groups(levels: list[Any], rows: list[Any] | None, by: str, and_by: str | None) -> None:
    """Raise if there is no group, or too many."""
    for column, found in ((by, levels), (and_by, rows)):
        if found is not None and not found:
            message = f"data[{column!r}] holds missing values only; it names the panels."
            raise InvalidArgumentError(message)
    panels = len(levels) * (1 if rows is None else len(rows))
    arguments.require_few_panels(panels, f"by={by!r}", f"its levels are {arguments.listed(levels)}")


def _draw(
    grid: Any, data: pd.DataFrame, y: str, colours: dict[str, Any], size: float
) -> dict[str, Any]:
    """Draw the points of every panel; the marks of one panel are the legend's."""
    raster = len(data) * len(colours) > _RASTER_POINTS
    handles: dict[str, Any] = {}
    for (i, j, _), part in grid.facet_data():
        ax = grid.facet_axis(i, j, modify_state=False)
        for name, colour in colours.items():
            handles[name] = _points(ax, part, name, y, colour, size, raster)
    return handles
