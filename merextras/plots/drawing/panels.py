"""Grids of panels by group factor and term, and the order of the levels in them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes

from merextras.exceptions import InvalidArgumentError


def levels_of(values: pd.Series[Any], *, sort: bool = False) -> list[Any]:
    """Levels that occur: in category order if categorical, else sorted or as first seen."""
    if isinstance(values.dtype, pd.CategoricalDtype):
        present = set(values.dropna())
        return [category for category in values.cat.categories if category in present]
    seen = list(values.dropna().unique())
    if sort:
        try:
            return sorted(seen)
        except TypeError:  # a mixture, e.g. numbers and text, has no order of its own
            return seen
    return seen


def order_by_first_term(part: pd.DataFrame, value: str) -> pd.Index[Any]:
    """Levels of one factor by their value in its first term, as lattice orders them.

    The terms of a factor share this order; a level without the first term comes last.
    """
    first = part[part["term"].astype(object) == levels_of(part["term"])[0]]
    ranked = first.sort_values(value, kind="stable")["level"].astype(object)
    every = pd.concat([ranked, part["level"].astype(object)]).unique()
    order: pd.Index[Any] = pd.Index(list(every), dtype=object)
    return order


def positions(order: pd.Index[Any], levels: pd.Series[Any]) -> Any:
    """Place of each of `levels` in `order`."""
    return order.get_indexer(pd.Index(levels.astype(object), dtype=object))


def parts(frame: pd.DataFrame, column: str) -> dict[Any, pd.DataFrame]:
    """Split a frame by a column, in the order of `levels_of`."""
    values = frame[column].astype(object)
    return {level: frame[values == level] for level in levels_of(frame[column])}


def panels_of(frame: pd.DataFrame) -> dict[tuple[Any, Any], pd.DataFrame]:
    """Split a frame by group and term."""
    return {
        (group, term): rows
        for group, part in parts(frame, "group").items()
        for term, rows in parts(part, "term").items()
    }


class OnePanel:
    """Axes that the caller gave, with what the figures ask of a `seaborn.FacetGrid`."""

    def __init__(self, ax: Axes, key: Any) -> None:
        self.ax, self.figure = ax, ax.figure
        self.axes = np.array([[ax]], dtype=object)
        self.axes_dict = {key: ax}

    def set_axis_labels(self, x: str, y: str) -> None:
        """Name both axes."""
        self.ax.set(xlabel=x, ylabel=y)

    def add_legend(self, handles: Mapping[str, Any], title: str, label_order: list[str]) -> None:
        """Put the legend into the axes."""
        marks = [handles[name] for name in label_order]
        self.ax.legend(marks, label_order, title=title or None, fontsize="small", frameon=False)


def facets(
    frame: pd.DataFrame,
    *,
    ax: object = None,
    row: tuple[str, list[Any]] | None = None,
    col: tuple[str, list[Any]] | None = None,
    **options: Any,
) -> Any:
    """Make a FacetGrid, or of the caller's axes the one panel that is drawn.

    Parameters
    ----------
    row, col : (column, levels), optional
        What the panels are.

    Raises
    ------
    InvalidArgumentError
        `ax` is no axes, or is given and there are several panels.
    """
    if ax is None:
        names = {"row": None if row is None else row[0], "col": None if col is None else col[0]}
        orders = {"row_order": None if row is None else row[1]}
        orders["col_order"] = None if col is None else col[1]
        return sns.FacetGrid(frame, **names, **orders, **options)
    if not isinstance(ax, Axes):
        message = f"ax is of type {type(ax).__name__}; matplotlib's Axes are needed."
        raise InvalidArgumentError(message)
    sides = [levels for _, levels in filter(None, (row, col))]
    panels = math.prod(map(len, sides))
    if panels > 1:
        message = f"ax: the figure has {panels} panels; pass the rows of one of them, or no ax."
        raise InvalidArgumentError(message)
    key = tuple(levels[0] for levels in sides)
    return OnePanel(ax, key if len(key) > 1 else key[0] if key else None)


def panel_grid(
    frame: pd.DataFrame,
    *,
    row: str,
    col: str,
    widths: Sequence[float],
    heights: Sequence[float],
    margins: tuple[float, float] = (0.0, 0.0),
    ax: Axes | None = None,
    sharey: str | bool = "row",
) -> Any:
    """Make a grid whose columns share x and whose rows share y, sized in inches."""
    height = sum(heights) + margins[1]
    width = sum(widths) + margins[0]
    return facets(
        frame,
        ax=ax,
        row=(row, levels_of(frame[row])),
        col=(col, levels_of(frame[col])),
        sharex="col",
        sharey=sharey,
        height=height / len(heights),
        aspect=(width / len(widths)) / (height / len(heights)),
        gridspec_kws={"width_ratios": list(widths), "height_ratios": list(heights)},
    )


def label_edges(grid: Any, *, names: bool = False) -> None:
    """Hide the panels without data; the outermost panel left in a row or column has the labels.

    With `names` each panel keeps those of its own y axis.
    """
    for ax in grid.axes.flat:
        ax.set_visible(ax.has_data())
    for column in grid.axes.T:
        *above, lowest = [ax for ax in column if ax.get_visible()]
        for ax in above:
            _label(ax, "x", show=False)
        _label(lowest, "x", show=True)
    for row in grid.axes:
        leftmost, *others = [ax for ax in row if ax.get_visible()]
        for ax in others:
            _label(ax, "y", show=False)
            ax.yaxis.set_tick_params(labelleft=names)
        _label(leftmost, "y", show=True)


def _label(ax: Any, which: str, *, show: bool) -> None:
    """Show or hide the name and the tick labels of an axis."""
    axis = ax.xaxis if which == "x" else ax.yaxis
    axis.label.set_visible(show)
    axis.offsetText.set_visible(show)
    axis.set_tick_params(**{"labelbottom" if which == "x" else "labelleft": show})


def outer_labels(axes: Sequence[Any], col_wrap: int) -> None:
    """Tick labels of wrapped panels that share both axes: only left, and where none is below."""
    for i, ax in enumerate(axes):
        ax.tick_params(labelbottom=i + col_wrap >= len(axes), labelleft=i % col_wrap == 0)


def finish(grid: Any, title: str | None) -> Any:
    """Put the title on, make room for it, and return the grid, or the axes that were given."""
    if isinstance(grid, OnePanel):
        if title is not None:
            grid.ax.set_title(title)
        return grid.ax
    if title is not None:
        grid.figure.suptitle(title)
    grid.tight_layout()
    return grid
