"""Clouds of points, trends and quantile plots on one axis: what several figures are made of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from merextras.plots.drawing import style

#: More points than this are stored as pixels.
_RASTER_POINTS = 5_000
#: Inches of a character along, and of a line across, in the size of the labels of points.
_CHARACTER, _LINE = 0.08, 0.13


def cloud(ax: Axes, x: Any, y: Any, *, color: str | None = None, room: float = 1.0) -> None:
    """Points whose size and opacity fall with their number; `room` is the panel's share."""
    n = max(len(x), 1)
    ax.scatter(
        x,
        y,
        s=float(np.clip(9_000 * room / n, 3.0, 18.0)),
        alpha=float(np.clip((400 / n) ** 0.5, 0.2, 0.75)),
        color=color or style.estimated(),
        linewidths=0,
        zorder=2,
        rasterized=n > _RASTER_POINTS,
    )


def curve(ax: Axes, trend: pd.DataFrame) -> None:
    """A smooth trend over a cloud."""
    if len(trend):
        ax.plot(trend["fitted"], trend["value"], color=style.observed(), linewidth=1.6, zorder=4)


def zero_line(ax: Axes, at: float = 0.0) -> None:
    """A dashed horizontal line."""
    ax.axhline(at, **style.dashed())


def segments(
    ax: Axes, at: Any, low: Any, high: Any, pitch: float, *, across: bool = False, **look: Any
) -> None:
    """Draw a segment from `low` to `high` at each place where both are known.

    Parameters
    ----------
    at, low, high : (n,) arrays or Series
    pitch : float
        How many points the places are apart.
    across : bool
        Horizontal segments; `at` lies along y then.
    **look
        Of matplotlib's lines, such as `color` and `alpha`.
    """
    at, low, high = (np.asarray(values, dtype=float) for values in (at, low, high))
    known = np.isfinite(low) & np.isfinite(high)
    usual = {"linewidth": style.line_width(pitch), "rasterized": len(at) > style.RASTER_FROM}
    draw = ax.hlines if across else ax.vlines
    draw(at[known], low[known], high[known], **{"zorder": 2, **usual, **look})


def intervals(ax: Axes, frame: pd.DataFrame, at: Any, pitch: float) -> None:
    """Draw a segment from ``lower`` to ``upper`` at each place; they are `pitch` points apart."""
    low, high = frame["lower"].to_numpy(float), frame["upper"].to_numpy(float)
    if np.isfinite(low).any() and np.isfinite(high).any():
        segments(ax, at, low, high, pitch, color=style.estimated(), alpha=0.45)


def mark(ax: Axes, frame: pd.DataFrame, x: str, y: str, size: str, count: int) -> None:
    """Name the rows that are largest in absolute `size`, their points drawn solid."""
    order = np.argsort(-frame[size].abs().fillna(-1.0).to_numpy(), kind="stable")[:count]
    chosen = frame.iloc[order]
    ax.scatter(chosen[x], chosen[y], s=9.0, color=style.gray(0.25), linewidths=0, zorder=5)
    name(ax, style.short_labels(list(chosen.index)), chosen[x], chosen[y])


def name(ax: Axes, labels: Sequence[str], x: Any, y: Any) -> None:
    """Write labels beside points, to the side with more room; not over an earlier one."""
    width, height = ax.bbox.width / ax.figure.dpi, ax.bbox.height / ax.figure.dpi
    character, line = _CHARACTER * style.text_scale(), _LINE * style.text_scale()
    taken: list[tuple[float, float, float]] = []
    ax.autoscale_view()  # the limits follow the data only when asked
    places = ax.transAxes.inverted().transform(ax.transData.transform(np.column_stack([x, y])))
    for label, at, value, place in zip(labels, x, y, places, strict=True):
        right = place[0] > 0.5
        long = character * len(label)
        left = place[0] * width - (long if right else 0.0)
        here = (left, left + long, place[1] * height)
        if any(abs(here[2] - t[2]) < line and here[0] < t[1] and t[0] < here[1] for t in taken):
            continue
        taken.append(here)
        ax.annotate(
            label,
            (at, value),
            xytext=(-4 if right else 4, 0),
            textcoords="offset points",
            ha="right" if right else "left",
            va="center",
            fontsize="x-small",
            color=style.gray(0.25),
        )


def quantiles(ax: Axes, frame: pd.DataFrame) -> None:
    """Sample quantiles over theoretical ones, the line of equality and the pointwise interval."""
    x = frame["theoretical"]
    ax.fill_between(
        x, frame["conf_low"], frame["conf_high"], color=style.gray(0.88), linewidth=0, zorder=0
    )
    ends = [float(x.min()), float(x.max())]
    ax.plot(ends, ends, **style.dashed())
    cloud(ax, x, frame["sample"])
    ax.set_xlabel("normal quantile")
    ax.set_ylabel("standardised residual")
