"""Caterpillar plots: the conditional modes of the random effects with their intervals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from scipy import stats

from merextras.exceptions import InvalidArgumentError
from merextras.foundation.arguments import check_choice, check_level
from merextras.plots.drawing import arguments, style
from merextras.plots.drawing.levels import grid_of_levels, name_levels
from merextras.plots.drawing.panels import (
    finish,
    label_edges,
    order_by_first_term,
    panels_of,
    parts,
    positions,
)
from merextras.plots.drawing.points import segments
from merextras.results.ratios import are_ratios

__all__ = ["plot_ranef"]


def plot_ranef(
    ranef: Any,
    *,
    groups: str | Sequence[str] | None = None,
    level: float | None = 0.95,
    sort: str = "first",
    width: float | None = None,
    height: float | None = None,
    ax: Axes | None = None,
    title: str | None = None,
) -> sns.FacetGrid | Axes:
    """Draw the random effects of each level with their intervals: a caterpillar plot.

    This is lme4's ``dotplot(ranef(m))``. There is a row of panels for each grouping factor and a
    column for each term. Each level is a dot at its conditional mode and a segment from
    ``estimate - z * std_error`` to ``estimate + z * std_error``; a vertical line is at zero. The
    levels of a factor are ordered by its first term, the smallest at the bottom, and the other
    terms keep that order, unless `sort` says otherwise. A column of panels shares its x axis, so
    factors can be compared. Ratios, of ``lm_list(...).confint(exponentiate=True)``, have a
    logarithmic axis with the line at one.

    Parameters
    ----------
    ranef : Ranef or pandas.DataFrame
        What ``ranef`` returned, or its frame: one row per group, level and term, with the columns
        ``group level term estimate std_error``.
    groups : str or sequence of str, optional
        The grouping factors to draw, from top to bottom. By default all of them.
    level : float or None, default 0.95
        Coverage of the intervals; lattice's 1.96 is 0.95. With None the columns ``conf_low`` and
        ``conf_high`` are drawn as they are, and ``std_error`` is not needed.
    sort : {"first", "each", "none"}, default "first"
        The order of a factor's levels: by its first term in all panels; by the panel's own term,
        each panel with its own names; or as they come.
    width : float, optional
        Width of a panel in inches, without the names of the levels; four by default, and more
        with large letters, as all default sizes.
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
        If `ranef` is empty, lacks a column, or has a group, level and term twice; if `groups`
        names a factor that is not there; if `level` is not between 0 and 1; another `sort`.

    Notes
    -----
    The intervals are pointwise and take the variance parameters as known. They are those of the
    conditional modes, so whether two of them overlap is no test of the difference of two levels.
    An effect whose standard error is missing has no segment. The marks of a factor with more than
    500 levels are stored as pixels in a vector file too.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> import pandas as pd
    >>> from merextras.plots import plot_ranef
    >>> frame = pd.DataFrame({
    ...     "group": "school",
    ...     "level": ["I", "II", "III", "IV", "V", "VI"],
    ...     "term": "Intercept",
    ...     "estimate": [-14.09, -6.18, -1.97, 1.97, 6.33, 13.95],
    ...     "std_error": 0.19,
    ... })
    >>> grid = plot_ranef(frame)
    >>> [label.get_text() for label in grid.axes_dict["school", "Intercept"].get_yticklabels()]
    ['I', 'II', 'III', 'IV', 'V', 'VI']
    >>> plt.close(grid.figure)
    """
    arguments.refuse_model(ranef, "plot_ranef")
    check_choice(sort, ("first", "each", "none"), "sort")
    frame, ratio = _intervals(ranef, level), are_ratios(ranef)
    if groups is not None:
        frame = _select(frame, [groups] if isinstance(groups, str) else list(groups))
    orders = _orders(frame, sort)
    by_group: dict[Any, list[pd.Index[Any]]] = {}
    for (group, _), order in orders.items():
        by_group.setdefault(group, []).append(order)
    grid = grid_of_levels(
        frame, "ranef", by_group, width=width, height=height, ax=ax, own_names=sort == "each"
    )
    x_label = _x_label(frame, level)
    for (group, term), rows in panels_of(frame).items():
        panel, order = grid.axes_dict[group, term], orders[group, term]
        _draw(panel, rows, order, 1.0 if ratio else 0.0)
        if ratio:
            panel.set_xscale("log")
        panel.set(title=str(term), xlabel=x_label)
        name_levels(panel, group, order)
    label_edges(grid, names=sort == "each")
    return finish(grid, title)


def _orders(frame: pd.DataFrame, sort: str) -> dict[tuple[Any, Any], pd.Index[Any]]:
    """The order of the levels in each panel, by group and term."""
    out = {}
    for group, part in parts(frame, "group").items():
        for term, rows in parts(part, "term").items():
            if sort == "none":
                order = pd.Index(list(part["level"].astype(object).unique()), dtype=object)
            else:
                order = order_by_first_term(rows if sort == "each" else part, "estimate")
            out[group, term] = order
    return out


def _intervals(ranef: Any, level: float | None) -> pd.DataFrame:
    """Check the input and return group, level, term, estimate, low and high."""
    if level is not None:
        check_level(level)
    spread = ["conf_low", "conf_high"] if level is None else ["std_error"]
    keys = ["group", "level", "term"]
    frame = arguments.keyed_frame(ranef, "ranef", keys, numeric=["estimate", *spread])
    estimate = frame["estimate"].astype(float)
    if level is None:
        low, high = frame["conf_low"].astype(float), frame["conf_high"].astype(float)
    else:
        half = stats.norm.isf((1 - level) / 2) * frame["std_error"].astype(float)
        low, high = estimate - half, estimate + half
        if are_ratios(ranef):  # whose logarithms are what is normal
            low, high = estimate * np.exp(-half / estimate), estimate * np.exp(half / estimate)
    return frame[keys].assign(estimate=estimate, low=low, high=high)


def _select(frame: pd.DataFrame, groups: list[str]) -> pd.DataFrame:
    """Rows of the chosen factors, in the order chosen."""
    by_group = parts(frame, "group")
    unknown = [group for group in groups if group not in by_group]
    if unknown or not groups:
        message = (
            f"groups={groups!r} is not allowed; the grouping factors are "
            f"{arguments.listed(by_group)}."
        )
        raise InvalidArgumentError(message)
    chosen = pd.concat([by_group[group] for group in dict.fromkeys(groups)], ignore_index=True)
    return chosen.assign(group=chosen["group"].astype(object))


def _draw(ax: Any, rows: pd.DataFrame, order: pd.Index[Any], line: float) -> None:
    """Draw the line, segments and dots of one panel."""
    n = len(order)
    at, pitch = positions(order, rows["level"]), 7 * 72 / n
    ax.axvline(line, **style.dashed())
    look: dict[str, Any] = {"color": style.estimated()}
    look["alpha"] = 1.0 if n <= style.MAX_LABELS else 0.45
    segments(ax, at, rows["low"], rows["high"], pitch, across=True, **look)
    ax.scatter(
        rows["estimate"],
        at,
        s=style.marker_area(pitch),
        color=style.estimated() if n <= style.MAX_LABELS else style.ink(),
        linewidths=0,
        zorder=3,
        rasterized=n > style.RASTER_FROM,
    )


def _x_label(frame: pd.DataFrame, level: float | None) -> str:
    """Say what the segments are, if there are any."""
    if frame["low"].isna().all():
        return "estimate"
    if level is None:
        return "estimate, conf_low to conf_high"
    return f"estimate and its {100 * level:g}% interval"
