"""Residuals against fitted values, and observed against fitted values by group."""

from __future__ import annotations

import math
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from merextras.exceptions import InvalidArgumentError
from merextras.foundation.arguments import check_count
from merextras.plots.drawing import arguments, style
from merextras.plots.drawing.panels import levels_of
from merextras.plots.drawing.points import cloud, curve, mark, zero_line
from merextras.results.checks.residual_table import ResidualTable

__all__ = ["plot_fitted", "plot_residuals"]

#: More levels than this get no panel each.
_MOST_PANELS = 64
_MARKED = 3


def plot_residuals(
    residuals: ResidualTable, *, height: float | None = None, title: str | None = None
) -> Figure:
    """Draw residuals against fitted values, and their size against fitted values.

    On the left are the residuals given the random effects, where a trend or a bow says that the
    mean is wrong. On the right is the scale-location plot, the root of the absolute standardised
    residual: a trend says that the variance changes. The curves are local linear regressions. The
    three largest residuals have their index labels, as far as these do not overlap.

    Parameters
    ----------
    residuals : ResidualTable
        What ``residual_table`` returned.
    height : float, optional
        Height of the figure in inches, by default 3.6.
    title : str, optional
        Title of the figure.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    InvalidArgumentError
        Something else than a `ResidualTable`, a height that is not positive.

    Notes
    -----
    R: lme4's ``plot(m)`` is the left panel. More than 5000 points are stored as pixels in a vector
    file too.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> import merextras as mx
    >>> m = mx.lmer("Reaction ~ Days + (Days | Subject)", mx.load_dataset("sleepstudy"))
    >>> figure = mx.plot_residuals(mx.residual_table(m))
    >>> [ax.get_title() for ax in figure.axes]
    ['Residuals and fitted values', 'Scale and location']
    >>> plt.close(figure)
    """
    arguments.refuse_model(residuals, "plot_residuals")
    checked(residuals)
    height = arguments.inches(height, "height", 3.6)
    figure, (left, right) = plt.subplots(1, 2, figsize=(2.6 * height, height), layout="constrained")
    draw_residuals(left, residuals)
    draw_scale(right, residuals)
    if title is not None:
        figure.suptitle(title)
    return figure


def checked(residuals: object) -> ResidualTable:
    """Return the table, or say that another thing was given."""
    if isinstance(residuals, ResidualTable):
        return residuals
    raise InvalidArgumentError(
        f"residuals is of type {type(residuals).__name__}; the result of residual_table(m) is "
        "needed."
    )


def draw_residuals(ax: Axes, residuals: ResidualTable) -> None:
    """Residuals against fitted values."""
    table = residuals.table
    cloud(ax, table["fitted"], table["residual"])
    zero_line(ax)
    curve(ax, residuals.trend("residual"))
    mark(ax, table, "fitted", "residual", "standardized", _MARKED)
    ax.set(xlabel="fitted value", ylabel=residuals.what, title="Residuals and fitted values")


def _standardised(residuals: ResidualTable) -> str:
    return "standardised residual" if residuals.what == "residual" else residuals.what


def draw_scale(ax: Axes, residuals: ResidualTable) -> None:
    """Roots of absolute standardised residuals against fitted values."""
    table = residuals.table.assign(scale=np.sqrt(residuals.table["standardized"].abs()))
    cloud(ax, table["fitted"], table["scale"])
    curve(ax, residuals.trend("scale"))
    ax.set_ylim(bottom=0.0)
    mark(ax, table, "fitted", "scale", "standardized", _MARKED)
    ax.set(
        xlabel="fitted value",
        ylabel=f"√|{_standardised(residuals)}|",
        title="Scale and location",
    )


def draw_leverage(ax: Axes, residuals: ResidualTable) -> None:
    """Standardised residuals against leverage, with contours of Cook's distance."""
    table = residuals.table
    if "pearson" in table:  # of a generalised model, whose other residuals are quantiles
        table = table.assign(standardized=table["pearson"])
    cloud(ax, table["leverage"], table["standardized"])
    zero_line(ax)
    curve(ax, residuals.trend("leverage"))
    top = float(np.nanmax(table["leverage"], initial=0.0))
    reach = 1.08 * float(np.nanmax(table["standardized"].abs(), initial=1.0))
    h = np.linspace(top / 200.0, min(1.05 * top, 0.999), 200) if top > 0.0 else np.empty(0)
    for distance in (0.5, 1.0):
        edge = np.sqrt(distance * residuals.p * (1.0 - h) / h) if residuals.p else np.empty(0)
        shown = edge <= 0.97 * reach
        if not np.any(shown):
            continue
        x, y = h[shown], edge[shown]
        for side in (-1.0, 1.0):
            ax.plot(x, side * y, color=style.gray(0.45), linewidth=0.8, linestyle=":", zorder=3)
        side = 1.0 if distance < 1.0 else -1.0  # one above, one below: they can be close
        ax.annotate(
            f"{distance:g}", (x[0], side * y[0]), xytext=(3, -side), fontsize="x-small",
            textcoords="offset points", color=style.gray(0.35),
            va="top" if side > 0.0 else "bottom",
        )  # fmt: skip
    ax.set_ylim(-reach, reach)
    mark(ax, table, "leverage", "standardized", "cooks_distance", _MARKED)
    ax.set(xlabel="leverage", ylabel="standardised residual", title="Influence (Cook's distance)")


def plot_fitted(
    residuals: ResidualTable,
    group: str | None = None,
    *,
    col_wrap: int | None = None,
    height: float | None = None,
    title: str | None = None,
) -> Figure:
    """Draw observed against fitted values by group.

    Each level of the factor has a panel with the line where both are equal; all panels share both
    axes. A factor of more than 64 levels has one panel, with a point for each level at the means
    of both, its area growing with the observations.

    Parameters
    ----------
    residuals : ResidualTable
        What ``residual_table`` returned.
    group : str, optional
        The grouping factor; by default the one with the fewest levels.
    col_wrap : int, optional
        Number of panels in a row. By default they are laid out as a square.
    height : float, optional
        Height of a panel in inches; by default 2.2, and smaller if there are many.
    title : str, optional
        Title of the figure.

    Returns
    -------
    matplotlib.figure.Figure
        Its axes are the panels, in the order of the levels.

    Raises
    ------
    InvalidArgumentError
        Something else than a `ResidualTable`, an unknown `group`, a `col_wrap` or `height` that is
        not positive.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> import merextras as mx
    >>> m = mx.lmer("Reaction ~ Days + (Days | Subject)", mx.load_dataset("sleepstudy"))
    >>> figure = mx.plot_fitted(mx.residual_table(m))
    >>> len(figure.axes)
    18
    >>> plt.close(figure)
    """
    arguments.refuse_model(residuals, "plot_fitted")
    checked(residuals)
    if height is not None:
        arguments.require_positive(height, "height")
    columns = None if col_wrap is None else check_count(col_wrap, "col_wrap")
    if group is None:
        group = min(residuals.groups.columns, key=lambda g: residuals.groups[g].nunique())
    levels = levels_of(residuals.with_group(group)["level"], sort=True)
    if len(levels) > _MOST_PANELS:
        return _means(residuals, group, arguments.inches(height, "height", 4.5), title)
    if height is None:
        height = (2.2 if len(levels) <= 12 else 1.35) * style.panel_scale()
    return _by_level(residuals, group, levels, columns, height, title)


def _by_level(
    residuals: ResidualTable,
    group: str,
    levels: list[Any],
    columns: int | None,
    height: float,
    title: str | None,
) -> Figure:
    """A panel per level; limits are set rather than shared, which takes far longer to draw."""
    frame = residuals.with_group(group)
    wrap = min(columns or math.ceil(math.sqrt(1.6 * len(levels))), len(levels))
    rows = math.ceil(len(levels) / wrap)
    text = max(style.text_scale(), 1.0)
    width, tall = 0.75 * text + wrap * height, 0.9 * text + rows * (height + 0.3 * text)
    figure, axes = plt.subplots(rows, wrap, figsize=(width, tall), squeeze=False)
    figure.subplots_adjust(
        left=0.65 * text / width, right=1.0 - 0.1 / width, bottom=0.55 * text / tall,
        top=1.0 - 0.65 * text / tall,
        wspace=0.12, hspace=0.3 * text / height,
    )  # fmt: skip
    low, high = _ends(frame)
    limits = low - 0.05 * (high - low), high + 0.05 * (high - low)
    names, size = style.short_labels(levels), "small" if height >= 2.0 else "x-small"
    by_level = dict(iter(frame.groupby("level", observed=True, sort=False)))
    for at, ax in enumerate(axes.flat):
        if at >= len(levels):
            ax.remove()
            continue
        part = by_level[levels[at]]
        ax.plot((low, high), (low, high), **style.dashed())
        cloud(ax, part["fitted"], part["observed"], room=1.0 / len(levels) ** 0.5)
        ax.set(xlim=limits, ylim=limits)
        ax.set_title(names[at], fontsize=size, pad=3)
        ax.locator_params(nbins=4)
        ax.tick_params(
            labelleft=at % wrap == 0, labelbottom=at + wrap >= len(levels), labelsize=size
        )
    figure.supxlabel("fitted", y=0.08 / tall, fontsize="medium")
    figure.supylabel("observed", x=0.08 / width, fontsize="medium")
    figure.suptitle(group if title is None else title, y=1.0 - 0.1 / tall, va="top")
    return figure


def _means(residuals: ResidualTable, group: str, height: float, title: str | None) -> Figure:
    means = residuals.group_means(group)
    figure, ax = plt.subplots(figsize=(1.1 * height, height), layout="constrained")
    ends = _ends(means)
    ax.plot(ends, ends, **style.dashed())
    ax.scatter(
        means["fitted"],
        means["observed"],
        s=np.clip(3_000.0 / len(means), 3.0, 14.0) * means["n"] / means["n"].mean(),
        alpha=float(np.clip((400 / len(means)) ** 0.5, 0.25, 0.75)),
        color=style.estimated(),
        linewidths=0,
        zorder=2,
        rasterized=len(means) > style.RASTER_FROM,
    )
    ax.set(xlabel="mean of fitted", ylabel="mean of observed")
    text = f"{group}: {style.thousands(len(means))} levels"
    ax.set_title(text if title is None else title)
    return figure


def _ends(frame: pd.DataFrame) -> list[float]:
    both = frame[["observed", "fitted"]]
    return [float(both.min().min()), float(both.max().max())]
