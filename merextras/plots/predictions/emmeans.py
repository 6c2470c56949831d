"""Marginal means with their intervals, as an interaction plot."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes

from merextras.exceptions import InvalidArgumentError
from merextras.foundation.arguments import one_of
from merextras.plots.drawing import arguments, style
from merextras.plots.drawing.panels import facets, finish, levels_of, outer_labels, parts, positions
from merextras.plots.drawing.points import segments

__all__ = ["plot_emmeans"]

_NUMBERS = {"estimate", "std_error", "df", "statistic", "p_value", "conf_low", "conf_high"}
#: More lines than this in a panel can't be told apart.
_MAX_TRACES = 10


def plot_emmeans(
    means: Any,
    *,
    x: str | None = None,
    trace: str | None = None,
    panel: str | None = None,
    intervals: bool = True,
    height: float | None = None,
    aspect: float = 1.4,
    col_wrap: int | None = None,
    ax: Axes | None = None,
    title: str | None = None,
) -> sns.FacetGrid | Axes:
    """Draw marginal means (or trends) and their intervals by up to three factors.

    emmeans' ``emmip(..., CIs = TRUE)``: the first factor along the x axis, the second as lines, the
    third as panels. Lines that are not parallel are an interaction. Numbers lie on a numeric axis.

    Parameters
    ----------
    means : Emmeans or pandas.DataFrame
        What ``emmeans`` or ``emtrends`` returned, or its frame: a row per mean, with the factors in
        columns of their own and ``estimate``, ``conf_low`` and ``conf_high``.
    x, trace, panel : str, optional
        Which factor is which; by default the frame's own order.
    intervals : bool, default True
        Whether to draw the intervals; they are of each mean by itself, and whether two overlap is
        no test of their difference.
    height : float, optional
        Height of a panel in inches, by default 3.4.
    aspect : float, default 1.4
        Width of a panel divided by its height; panels grow with the levels of `x`.
    col_wrap : int, optional
        Panels in a row; by default as a square.
    ax : matplotlib.axes.Axes, optional
        Where to draw, if there is only one panel; it is what is returned then.
    title : str, optional

    Returns
    -------
    seaborn.FacetGrid, or Axes
        ``.axes_dict`` has the panels by level, or under ``""`` if there is one.

    Raises
    ------
    InvalidArgumentError
        No rows, a missing column, more than three factors, a name that is none of them, two rows
        for one combination, more than ten lines or 200 panels, nothing that is estimable.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> import merextras as mx
    >>> m = mx.lmer("extro ~ open * Q('class') + (1 | school)", mx.load_dataset("students"))
    >>> means = mx.emmeans(m, ["open", "class"], at={"open": [30, 50]}, ddf="asymptotic")
    >>> grid = mx.plot_emmeans(means)
    >>> grid.axes.flat[0].get_xlabel()
    'open'
    >>> plt.close(grid.figure)
    """
    arguments.refuse_model(means, "plot_emmeans")
    rows, (x, trace, panel) = _rows_and_panels(means, x, trace, panel)
    height = arguments.inches(height, "height", 3.4)
    arguments.require_positive(aspect, "aspect")
    panels = levels_of(rows["_panel"])
    arguments.require_few_panels(len(panels), "means", f"levels of {panel!r}")
    wrap = math.ceil(math.sqrt(len(panels))) if col_wrap is None else min(col_wrap, len(panels))
    order = pd.Index(levels_of(rows[x]), dtype=object)
    width = max(height * aspect, min(14.0, 0.22 * len(order)))
    grid = facets(
        rows, ax=ax, col=("_panel", panels), col_wrap=wrap, height=height, aspect=width / height
    )
    numeric = pd.api.types.is_numeric_dtype(rows[x]) and not pd.api.types.is_bool_dtype(rows[x])
    handles = {}
    for name, part in parts(rows, "_panel").items():
        here = grid.axes_dict[name]
        at = _Axis(x, order, numeric, 0.8 * width * 72 / len(order))
        handles = _draw(here, part, at, trace, intervals)
        here.set_title("" if panel is None else f"{panel} = {name}")
        if not numeric:
            style.label_x_axis(here, style.short_labels(list(order)), 0.85 * width)
    outer_labels(list(grid.axes.flat), wrap)
    unnamed = not numeric and len(grid.axes.flat[0].get_xticks()) < len(order)
    x_label = f"{x}: {style.thousands(len(order))} levels" if unnamed else x
    grid.set_axis_labels(x_label, _y_label(means, intervals))
    if trace is not None:
        grid.add_legend(handles, title=trace, label_order=list(handles))
    return finish(grid, title)


@dataclass(frozen=True)
class _Axis:
    """The x axis: the factor's levels in order, whether they are numbers, points between them."""

    name: str
    order: pd.Index[Any]
    numeric: bool
    points: float

    def places(self, rows: pd.DataFrame) -> Any:
        """Where rows lie."""
        if self.numeric:
            return rows[self.name].to_numpy(float)
        return positions(self.order, rows[self.name]).astype(float)


def _rows_and_panels(
    means: Any, x: str | None, trace: str | None, panel: str | None
) -> tuple[pd.DataFrame, tuple[str, str | None, str | None]]:
    """The rows, with the panel of each, and which factor is which."""
    numbers = ["estimate", "conf_low", "conf_high"]
    rows = arguments.as_frame(means, "means", needs=[], numeric=numbers).reset_index(drop=True)
    factors = [str(c) for c in rows.columns if c not in _NUMBERS and c != "contrast"]
    roles = _roles(factors, x, trace, panel)
    arguments.require_keys(rows, "means", [name for name in roles if name is not None])
    if rows["estimate"].isna().all():
        raise InvalidArgumentError("means: none is estimable, there is nothing to draw.")
    return rows.assign(_panel="" if roles[2] is None else rows[roles[2]].astype(object)), roles


def _roles(
    factors: Sequence[str], x: str | None, trace: str | None, panel: str | None
) -> tuple[str, str | None, str | None]:
    """Which factor is which: those that are named, and the others in their order."""
    given = {"x": x, "trace": trace, "panel": panel}
    for argument, name in given.items():
        if name is not None and name not in factors:
            raise InvalidArgumentError(f"{argument}={name!r}: {one_of(name, list(factors))}")
    named = [name for name in given.values() if name is not None]
    if len(set(named)) < len(named):
        raise InvalidArgumentError(f"x, trace, panel: {named} are not different factors.")
    if not 1 <= len(factors) <= 3:
        raise InvalidArgumentError(
            f"means has {len(factors)} factors, {arguments.listed(factors)}; 1 to 3 are drawn."
        )
    left = [name for name in factors if name not in named]
    for argument, name in given.items():
        if name is None and left:
            given[argument] = left.pop(0)
    return str(given["x"]), given["trace"], given["panel"]


def _draw(
    ax: Any, part: pd.DataFrame, axis: _Axis, trace: str | None, intervals: bool
) -> dict[str, Any]:
    """Draw the lines of a panel side by side; return their handles by level."""
    lines = {"": part} if trace is None else parts(part, trace)
    if len(lines) > _MAX_TRACES:
        raise InvalidArgumentError(
            f"trace={trace!r} has {len(lines)} levels; at most {_MAX_TRACES} lines can be told "
            "apart. Make it x or panel."
        )
    palette = style.palette(len(lines))
    span = np.ptp(axis.places(part)) if axis.numeric else len(axis.order) - 1
    pitch = float(span) / max(len(axis.order) - 1, 1) or 1.0
    handles = {}
    for i, (level, rows) in enumerate(lines.items()):
        shift = 0.0 if len(lines) == 1 else pitch * 0.3 * ((i + 0.5) / len(lines) - 0.5)
        ordered = rows.iloc[np.argsort(axis.places(rows), kind="stable")]
        at, points = axis.places(ordered) + shift, axis.points / len(lines)
        if intervals:
            low, high = ordered["conf_low"], ordered["conf_high"]
            segments(ax, at, low, high, points, color=palette[i], alpha=0.55)
        (handles[str(level)],) = ax.plot(
            at,
            ordered["estimate"].to_numpy(float),
            color=palette[i],
            linewidth=1.0 if trace is not None or axis.numeric else 0.0,
            marker="o",
            markersize=style.marker_area(points) ** 0.5,
            zorder=3,
            rasterized=len(rows) > style.RASTER_FROM,
        )
    if axis.numeric:
        ax.margins(x=0.3 / len(axis.order))
        if len(axis.order) <= 7:
            ticks = sorted(map(float, axis.order))
            ax.set_xticks(ticks, labels=[f"{v:g}" for v in ticks])
    return handles


def _y_label(means: Any, intervals: bool) -> str:
    what, level = getattr(means, "what", ""), getattr(means, "level", None)
    name = f"trend{what.removeprefix('Trends')}" if what.startswith("Trends") else "marginal mean"
    if not what:
        name = "estimate"
    if not intervals:
        return name
    return f"{name} and its interval" if level is None else f"{name}, {100 * level:g}% interval"
