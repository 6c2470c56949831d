"""Plots of simulated effects: the summaries that ``re_sim`` and ``fe_sim`` return."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes

from merextras.exceptions import InvalidArgumentError
from merextras.foundation.arguments import check_choice
from merextras.plots.drawing import arguments, style
from merextras.plots.drawing.panels import (
    facets,
    finish,
    label_edges,
    levels_of,
    order_by_first_term,
    panel_grid,
    parts,
    positions,
)
from merextras.plots.drawing.points import segments
from merextras.plots.effects.sim_ranges import half_width_of, ranges, value_label

__all__ = ["plot_fe_sim", "plot_re_sim"]

#: Names that are written below one panel.
_MOST_NAMES = 150
#: Both spellings of the intercept, Python's and R's.
_INTERCEPTS = ("Intercept", "(Intercept)")


def plot_re_sim(
    data: Any,
    *,
    level: float = 0.95,
    stat: str = "median",
    sd: bool = True,
    scale: float | None = None,
    sigma_scale: float | None = None,
    odds_ratio: bool = False,
    labels: bool = False,
    facet: bool | Mapping[str, Any] = True,
    ax: Axes | None = None,
    title: str | None = "Effect Ranges",
) -> sns.FacetGrid | Axes:
    """Draw the simulated random effects, marking those whose interval excludes zero.

    This is merTools' ``plotREsim``. A column of panels is a grouping factor and a row is a term.
    Each level is a point at its simulated mean or median with a vertical range around it. A level
    whose range excludes zero is large and in the text's colour, any other is grey and small; a line
    is at zero, that of ratios at one. The levels of a factor are ordered by its first term, and the
    other terms keep that order.

    Parameters
    ----------
    data : ReSim or pandas.DataFrame
        What ``re_sim`` returned, or its frame: one row per group, level and term, with the columns
        ``group level term mean median sd``.
    level : float, default 0.95
        Coverage of a range of the normal form ``stat ± z * sd``. Ignored when `scale` is given.
    stat : {'median', 'mean'}, default 'median'
        The column of the points.
    sd : bool, default True
        Draw the ranges. Without them the levels are still marked by whether theirs excludes zero.
    scale : float, optional
        Draw ``stat ± scale * sd`` instead; the tutorial's ``plotREsim(dat, scale=1.2)``.
    sigma_scale : float, optional
        Divide effects and standard deviations by this, such as ``m.sigma()`` for effect sizes.
    odds_ratio : bool, default False
        Draw the exponentials of effects and ranges, ratios of odds or of rates, on a logarithmic
        axis with the line at one. Those that ``re_sim(m, odds_ratio=True)`` has made are drawn so
        in any case.
    labels : bool, default False
        Write the names of the levels below the axis, upright, and make the figure wide enough
        for them. With more than 150 levels in a panel only every second, third, ... is named.
    facet : bool or mapping, default True
        With False all points are in one panel, sorted by group, term and `stat`. With a mapping
        such as ``{"group": "school", "term": "Intercept"}`` only that panel is drawn; either key
        may be left out.
    ax : matplotlib.axes.Axes, optional
        Where to draw, if there is only one panel; it is what is returned then.
    title : str or None, default 'Effect Ranges'
        Title of the figure.

    Returns
    -------
    seaborn.FacetGrid, or Axes
        The panels; ``.axes_dict`` has them by ``(term, group)``. With ``facet=False`` there is one,
        which ``.ax`` is.

    Raises
    ------
    InvalidArgumentError
        If `data` is empty, lacks a column, or has a group, level and term twice; if `level`,
        `stat`, `scale`, `sigma_scale` or `facet` is not one of those allowed.

    Notes
    -----
    Ranges of ratios are ``exp(log(stat) ± z * sd)``; of those that `re_sim` has made the standard
    deviation is that of the logarithm of a lognormal variable with their `mean` and `sd`. merTools
    draws ratios on a linear axis, on which 2 and a half are not as far from 1.

    merTools gives all panels one y axis, and its `sigmaScale` stops with an error. Here each row of
    panels, that is each term, has its own axis, since a slope is not in the units of an intercept.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> import pandas as pd
    >>> from merextras.plots import plot_re_sim
    >>> effects = [-14.13, -6.23, -2.01, 1.92, 6.28, 13.90]
    >>> frame = pd.DataFrame({
    ...     "group": "school",
    ...     "level": ["I", "II", "III", "IV", "V", "VI"],
    ...     "term": "Intercept",
    ...     "mean": effects,
    ...     "median": effects,
    ...     "sd": 3.87,
    ... })
    >>> grid = plot_re_sim(frame, scale=1.2, stat="mean", labels=True)
    >>> grid.axes_dict["Intercept", "school"].get_title()
    'school'
    >>> plt.close(grid.figure)
    """
    arguments.refuse_model(data, "plot_re_sim")
    keys = ["group", "level", "term"]
    half_width = half_width_of(level, scale)
    frame, ratio = ranges(data, keys, stat, half_width, sigma_scale, odds_ratio)
    if isinstance(facet, Mapping):
        frame = _pick(frame, facet)
    elif facet not in (True, False):
        message = f"facet={facet!r} is not allowed; it is True, False or a mapping."
        raise InvalidArgumentError(message)
    y_label = value_label(stat, half_width, sigma_scale, sd=sd, ratio=ratio)
    if isinstance(facet, Mapping) or facet:
        grid = _facetted(frame, ax, sd=sd, labels=labels, y_label=y_label, ratio=ratio)
    else:
        grid = _pooled(frame, ax, sd=sd, labels=labels, y_label=y_label, ratio=ratio)
    if ratio:
        for panel in grid.axes.flat if isinstance(grid, sns.FacetGrid) else [grid]:
            panel.set_yscale("log")
    return finish(grid, title)


def plot_fe_sim(
    data: Any,
    *,
    level: float = 0.95,
    stat: str = "median",
    sd: bool = True,
    scale: float | None = None,
    sigma_scale: float | None = None,
    odds_ratio: bool = False,
    intercept: bool = False,
    ax: Axes | None = None,
) -> Axes:
    """Draw the simulated fixed effects with their ranges.

    This is merTools' ``plotFEsim``. Each term is a point at its simulated mean or median with a
    horizontal range, the smallest at the bottom. A term whose range excludes zero is in the text's
    colour, any other is grey; a line is at zero.

    Parameters
    ----------
    data : FeSim or pandas.DataFrame
        What ``fe_sim`` returned, or its frame: one row per term, with the columns
        ``term mean median sd``.
    level : float, default 0.95
        Coverage of a range of the normal form ``stat ± z * sd``. Ignored when `scale` is given.
    stat : {'median', 'mean'}, default 'median'
        The column of the points.
    sd : bool, default True
        Draw the ranges. Without them the terms are still marked by whether theirs excludes zero.
    scale : float, optional
        Draw ``stat ± scale * sd`` instead.
    sigma_scale : float, optional
        Divide effects and standard deviations by this, such as ``m.sigma()`` for effect sizes.
    odds_ratio : bool, default False
        Draw the exponentials, ratios of odds or of rates, on a logarithmic axis with the line at
        one.
    intercept : bool, default False
        Draw the intercept too. It is often far from zero and squeezes the others together.
    ax : matplotlib.axes.Axes, optional
        Where to draw. By default in a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        What was drawn on.

    Raises
    ------
    InvalidArgumentError
        If `data` is empty, lacks a column, has a term twice or has no term besides the intercept;
        if `level`, `stat`, `scale` or `sigma_scale` is not one of those allowed.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> import pandas as pd
    >>> from merextras.plots import plot_fe_sim
    >>> frame = pd.DataFrame({
    ...     "term": ["Intercept", "open", "agree", "social"],
    ...     "mean": [59.1, 0.008, -0.004, 0.001],
    ...     "median": [59.1, 0.008, -0.004, 0.001],
    ...     "sd": [4.1, 0.005, 0.006, 0.002],
    ... })
    >>> ax = plot_fe_sim(frame)
    >>> [label.get_text() for label in ax.get_yticklabels()]
    ['agree', 'social', 'open']
    >>> plt.close(ax.figure)
    """
    arguments.refuse_model(data, "plot_fe_sim")
    half_width = half_width_of(level, scale)
    frame, ratio = ranges(data, ["term"], stat, half_width, sigma_scale, odds_ratio)
    if not intercept:
        frame = frame[~frame["term"].isin(_INTERCEPTS)]
    if frame.empty:
        message = f"intercept={intercept!r} leaves no term to draw; use intercept=True."
        raise InvalidArgumentError(message)
    frame = frame.sort_values("at", kind="stable")
    names = style.short_labels(list(frame["term"]))
    if ax is None:
        wide, tall = style.size(4.5, 0.6 + max(1.6, 0.3 * len(names)))
        ax = style.new_axes(wide + style.label_extent(names), tall)
    places = np.arange(len(frame))
    ax.axvline(1 if ratio else 0, color=style.observed(), linewidth=1.1, zorder=1)
    colours = np.where(frame["apart"], style.ink(), style.pale())
    if sd:
        ax.hlines(places, frame["low"], frame["high"], colors=list(colours), linewidth=1.6)
    ax.scatter(frame["at"], places, s=28, c=list(colours), zorder=3)
    ax.set_yticks(places, labels=names)
    ax.set_ylim(-0.6, len(frame) - 0.4)
    ax.set_xlabel(value_label(stat, half_width, sigma_scale, sd=sd, ratio=ratio))
    if ratio:
        ax.set_xscale("log")
    return ax


def _pick(frame: pd.DataFrame, facet: Mapping[str, Any]) -> pd.DataFrame:
    """Rows of one group, of one term, or of both."""
    for key, value in facet.items():
        check_choice(key, ("group", "term"), "facet")
        by_value = parts(frame, key)
        if value not in by_value:
            message = (
                f"facet={dict(facet)!r} is not allowed; each {key} is one of "
                f"{arguments.listed(by_value)}."
            )
            raise InvalidArgumentError(message)
        frame = by_value[value]
    return frame


def _facetted(
    frame: pd.DataFrame, ax: Axes | None, *, sd: bool, labels: bool, y_label: str, ratio: bool
) -> Any:
    """Draw a panel for each group and term."""
    orders = {
        group: order_by_first_term(part, "at") for group, part in parts(frame, "group").items()
    }
    names = {group: style.short_labels(list(order)) for group, order in orders.items()}
    terms = levels_of(frame["term"])
    arguments.require_few_panels(len(terms) * len(orders), "data", "group factors times terms")
    below = max(style.label_extent(name) for name in names.values()) if labels else 0.0
    grid = panel_grid(
        frame,
        row="term",
        col="group",
        widths=[_panel_width(len(order), labels=labels) for order in orders.values()],
        heights=[3.0 * style.panel_scale()] * len(terms),
        margins=(0.8, 0.8 + below),
        ax=ax,
    )
    for group, part in parts(frame, "group").items():
        for term, rows in parts(part, "term").items():
            panel = grid.axes_dict[term, group]
            _draw_ranges(panel, rows, positions(orders[group], rows["level"]), sd=sd, ratio=ratio)
            panel.set(title=str(group), xlabel="" if ax is None else str(group))
            panel.set_ylabel(f"{term}\n{y_label}")
            _label_levels(panel, names[group], labels=labels)
    label_edges(grid)
    return grid


def _pooled(
    frame: pd.DataFrame, ax: Axes | None, *, sd: bool, labels: bool, y_label: str, ratio: bool
) -> Any:
    """Draw all points in one panel, sorted by group, term and value."""
    pieces = [
        rows.sort_values("at", kind="stable")
        for part in parts(frame, "group").values()
        for rows in parts(part, "term").values()
    ]
    frame = pd.concat(pieces, ignore_index=True)
    prefix = [key for key in ("group", "term") if len(frame[key].unique()) > 1]
    named = frame[[*prefix, "level"]].astype(str)
    names = style.short_labels([" ".join(row) for row in named.itertuples(index=False)])
    width = _panel_width(len(frame), labels=labels) + 0.8
    height = 3.8 * style.panel_scale() + (style.label_extent(names) if labels else 0.0)
    grid = facets(frame, ax=ax, height=height, aspect=width / height)
    _draw_ranges(grid.ax, frame, np.arange(len(frame)), sd=sd, ratio=ratio)
    grid.set_axis_labels("Group", y_label)
    _label_levels(grid.ax, names, labels=labels)
    return grid


def _panel_width(n_levels: int, *, labels: bool) -> float:
    """Inches of one panel; with labels, wide enough for the most of them."""
    named = 0.17 * min(n_levels, _MOST_NAMES) * style.text_scale()
    return max(4.0 * style.panel_scale(), named) if labels else 4.5 * style.panel_scale()


def _draw_ranges(ax: Any, rows: pd.DataFrame, places: Any, *, sd: bool, ratio: bool) -> None:
    """Draw the line of no effect, the ranges and the points of one panel."""
    n = len(rows)
    raster = n > style.RASTER_FROM
    pitch = 4 * 72 / n
    ax.axhline(1 if ratio else 0, color=style.observed(), linewidth=1.1, zorder=4)
    for excludes, colour, bigger in ((False, style.pale(), 0.5), (True, style.ink(), 1.0)):
        chosen = rows["apart"].to_numpy() == excludes
        layer = 3 if excludes else 2
        if sd:
            faint = 0.7 if n <= style.MAX_LABELS else 0.25
            look: dict[str, Any] = {
                "color": colour,
                "alpha": faint if excludes else 1.0,
                "zorder": layer,
            }
            ends = rows["low"][chosen], rows["high"][chosen]
            segments(ax, places[chosen], *ends, pitch, rasterized=raster, **look)
        ax.scatter(
            places[chosen],
            rows["at"][chosen],
            s=bigger * style.marker_area(pitch),
            color=colour,
            linewidths=0,
            zorder=layer,
            rasterized=raster,
        )


def _label_levels(ax: Any, names: list[str], *, labels: bool) -> None:
    """Name the positions upright if asked to, else leave the axis without ticks."""
    margin = max(0.6, 0.01 * len(names))
    ax.set_xlim(-margin, len(names) - 1 + margin)
    step = -(-len(names) // _MOST_NAMES)
    if labels:
        ax.set_xticks(range(0, len(names), step), labels=names[::step], rotation=90)
    else:
        ax.set_xticks([])
