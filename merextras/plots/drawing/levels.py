"""Panels in which the levels of a grouping factor stand below one another, with their names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes

from merextras.plots.drawing import arguments, style
from merextras.plots.drawing.panels import levels_of, panel_grid


def grid_of_levels(
    frame: pd.DataFrame,
    name: str,
    orders: Mapping[Any, Sequence[pd.Index[Any]]],
    *,
    width: float | None,
    height: float | None,
    ax: Axes | None,
    own_names: bool = False,
) -> Any:
    """Make empty panels by group and term, with room for the names of the levels on the left.

    Parameters
    ----------
    frame : DataFrame
        With columns ``group`` and ``term``.
    name : str
        The caller's argument that was given too many panels.
    orders : mapping group -> sequence of Index
        The order of the levels in each panel of the group; each has all of them.
    width, height : float, optional
        Inches of a panel and of the figure.
    ax : matplotlib.axes.Axes, optional
    own_names : bool, default False
        Each panel, not each row of them, has names of its own.
    """
    width = arguments.inches(width, "width", 4.0)
    heights = [style.levels_length(len(panels[-1])) for panels in orders.values()]
    if height is not None:
        arguments.require_positive(height, "height")
        heights = [size * height / sum(heights) for size in heights]
    named = [order for panels in orders.values() for order in panels]
    named = [order for order in named if len(order) <= style.MAX_LABELS]
    left = max((style.label_extent(style.short_labels(list(order))) for order in named), default=0)
    columns = len(levels_of(frame["term"]))
    arguments.require_few_panels(columns * len(orders), name, "group factors times terms")
    below = 0.0 if height is not None else 0.6 * style.panel_scale()
    return panel_grid(
        frame,
        row="group",
        col="term",
        widths=[width + left * own_names] * columns,
        heights=heights,
        margins=(left * (not own_names), below),
        ax=ax,
        sharey=False if own_names else "row",
    )


def name_levels(ax: Any, group: Any, order: pd.Index[Any]) -> None:
    """Name the levels on the y axis, or say how many there are."""
    n = len(order)
    room = 0.8 if n <= style.MAX_LABELS else 0.01 * n
    ax.set_ylim(-room, n - 1 + room)
    if n <= style.MAX_LABELS:
        ax.set_ylabel(str(group))
        ax.set_yticks(range(n), labels=style.short_labels(list(order)))
        ax.grid(axis="y", color=style.gray(0.92), linewidth=0.6)
        ax.set_axisbelow(True)
    else:
        ax.set_yticks([])
        ax.set_ylabel(f"{group}: {style.thousands(n)} levels")
