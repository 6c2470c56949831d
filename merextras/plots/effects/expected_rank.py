"""Plot of expected ranks beside the ranks of the estimates."""

from __future__ import annotations

from typing import Any

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from merextras.foundation.arguments import check_choice
from merextras.plots.drawing import arguments, style
from merextras.plots.drawing.levels import grid_of_levels, name_levels
from merextras.plots.drawing.panels import (
    finish,
    label_edges,
    order_by_first_term,
    parts,
    positions,
)
from merextras.plots.drawing.points import segments

__all__ = ["plot_expected_rank"]

_VALUES = {"pct_er": "expected percentile", "er": "expected rank"}


def plot_expected_rank(
    ranks: Any,
    *,
    value: str = "pct_er",
    width: float | None = None,
    height: float | None = None,
    ax: Axes | None = None,
    title: str | None = None,
) -> sns.FacetGrid | Axes:
    """Draw the expected rank of each level, and how far it is from the rank of its estimate.

    There is a row of panels for each grouping factor and a column for each term. A filled point is
    the expected rank of a level, a hollow one the rank of its estimate, a segment joins the two:
    the longer it is, the less the data say about the level's place. A dashed line is at the middle,
    where a level is of which they say nothing. The levels of a factor are ordered by their expected
    rank in its first term, the smallest at the bottom, and the other terms keep that order.

    Parameters
    ----------
    ranks : pandas.DataFrame
        What ``expected_rank`` returned: one row per group, level and term, with the columns
        ``group level term estimate er pct_er``.
    value : {'pct_er', 'er'}, default 'pct_er'
        The scale: percentiles, the same for all factors, or ranks from 1 to the number of levels.
    width : float, optional
        Width of a panel in inches, without the names of the levels; four by default.
    height : float, optional
        Height of the figure in inches. By default each level has room for its name, and a factor
        of more than 75 levels is drawn in seven inches and without names.
    ax : matplotlib.axes.Axes, optional
        Where to draw, if there is only one panel; it is what is returned then.
    title : str, optional
        Title of the figure.

    Returns
    -------
    seaborn.FacetGrid, or Axes
        The panels; ``.axes_dict`` has them by ``(group, term)``.

    Raises
    ------
    InvalidArgumentError
        If `ranks` is empty, lacks a column, or has a group, level and term twice; if `value` is
        neither of the two.

    Notes
    -----
    Equal estimates share the mean of their ranks. The marks of a factor with more than 500 levels
    are stored as pixels in a vector file too.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> import merextras as mx
    >>> m = mx.lmer("Reaction ~ Days + (Days | Subject)", mx.load_dataset("sleepstudy"))
    >>> grid = mx.plot_expected_rank(mx.expected_rank(m))
    >>> grid.axes_dict["Subject", "Days"].get_xlabel()
    'expected percentile'
    >>> plt.close(grid.figure)
    """
    arguments.refuse_model(ranks, "plot_expected_rank")
    check_choice(value, list(_VALUES), "value")
    keys = ["group", "level", "term"]
    frame = arguments.keyed_frame(ranks, "ranks", keys, numeric=["estimate", "er", "pct_er"])
    orders = {
        group: order_by_first_term(part, "er") for group, part in parts(frame, "group").items()
    }
    by_group = {group: [order] for group, order in orders.items()}
    grid = grid_of_levels(frame, "ranks", by_group, width=width, height=height, ax=ax)
    for group, part in parts(frame, "group").items():
        for term, rows in parts(part, "term").items():
            panel = grid.axes_dict[group, term]
            _draw(panel, rows, positions(orders[group], rows["level"]), value)
            panel.set_title(str(term))
            panel.set_xlabel(_VALUES[value])
            if value == "pct_er":
                panel.set_xlim(-3, 103)
            name_levels(panel, group, orders[group])
    label_edges(grid)
    handles = _handles(value)
    grid.add_legend(handles, title="", label_order=list(handles))
    return finish(grid, title)


def _draw(ax: Any, rows: pd.DataFrame, at: Any, value: str) -> None:
    """Draw the middle, the segments and both ranks of one panel."""
    n = len(rows)
    rank = rows["estimate"].rank().to_numpy(float)
    own = rank if value == "er" else 100 * (rank - 0.5) / n
    expected = rows[value].to_numpy(float)
    few = n <= style.MAX_LABELS
    pitch = 7 * 72 / n
    options: dict[str, Any] = {"rasterized": n > style.RASTER_FROM}
    middle = (n + 1) / 2 if value == "er" else 50
    ax.axvline(middle, **style.dashed())
    look: dict[str, Any] = {"color": style.pale(), "alpha": 1.0 if few else 0.45}
    segments(ax, at, own, expected, pitch, across=True, **look)
    ax.scatter(  # larger than the other, so that neither hides where they are the same
        own,
        at,
        s=1.7 * style.marker_area(pitch) if few else style.marker_area(pitch),
        facecolors=style.paper() if few else style.observed(),
        edgecolors=style.observed(),
        linewidths=1.0 if few else 0.0,
        zorder=3,
        **options,
    )
    ax.scatter(
        expected,
        at,
        s=0.8 * style.marker_area(pitch),
        color=style.estimated(),
        linewidths=0,
        zorder=4,
        **options,
    )


def _handles(value: str) -> dict[str, Any]:
    """Marks for the legend that can be seen, whatever their size in the panels."""
    own: dict[str, Any] = {"markerfacecolor": style.paper(), "markeredgecolor": style.observed()}
    expected: dict[str, Any] = {
        "markerfacecolor": style.estimated(),
        "markeredgecolor": style.estimated(),
    }
    return {
        name: Line2D([], [], marker="o", linestyle="none", markersize=5, **colours)
        for name, colours in (("rank of the estimate", own), (_VALUES[value], expected))
    }
