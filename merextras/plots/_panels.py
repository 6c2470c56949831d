"""Grids of panels by group factor and term, and the order of the levels in them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
import seaborn as sns


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


def panel_grid(
    frame: pd.DataFrame,
    *,
    row: str,
    col: str,
    widths: Sequence[float],
    heights: Sequence[float],
    margins: tuple[float, float] = (0.0, 0.0),
) -> Any:
    """Make a FacetGrid whose columns share x and whose rows share y, sized in inches."""
    height = sum(heights) + margins[1]
    width = sum(widths) + margins[0]
    return sns.FacetGrid(
        frame,
        row=row,
        col=col,
        row_order=levels_of(frame[row]),
        col_order=levels_of(frame[col]),
        sharex="col",
        sharey="row",
        height=height / len(heights),
        aspect=(width / len(widths)) / (height / len(heights)),
        gridspec_kws={"width_ratios": list(widths), "height_ratios": list(heights)},
    )


def label_edges(grid: Any) -> None:
    """Hide the panels without data; the outermost panel left in a row or column has the labels."""
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
        _label(leftmost, "y", show=True)


def _label(ax: Any, which: str, *, show: bool) -> None:
    """Show or hide the name and the tick labels of an axis."""
    axis = ax.xaxis if which == "x" else ax.yaxis
    axis.label.set_visible(show)
    axis.offsetText.set_visible(show)
    axis.set_tick_params(**{"labelbottom" if which == "x" else "labelleft": show})


def finish(grid: Any, title: str | None) -> None:
    """Put the title on and make room for it, the legend and the labels."""
    if title is not None:
        grid.figure.suptitle(title)
    grid.tight_layout()
