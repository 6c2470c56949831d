"""Plot of what groups of low, middle and high rank mean for cases."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from merextras.exceptions import InvalidArgumentError
from merextras.foundation.arguments import check_count
from merextras.plots.drawing import arguments, style
from merextras.plots.drawing.panels import facets, finish, levels_of, outer_labels, parts

__all__ = ["plot_re_impact"]

#: More cases than this are lines in one panel, unless panels are asked for.
_MOST_PANELS = 12
#: Half of what the frames of a mapping are moved apart by, in bins.
_ASIDE = 0.2


def plot_re_impact(
    impact: Any,
    *,
    facet: bool | None = None,
    col_wrap: int | None = None,
    height: float | None = None,
    aspect: float = 1.1,
    ax: Axes | None = None,
    title: str | None = None,
) -> sns.FacetGrid | Axes:
    """Draw the predictions of cases averaged over levels of low, middle and high rank.

    This is merTools' ``plotREimpact``. The bins of expected rank lie along the x axis, the lowest
    at the left; a point is the average of a case's predictions over the levels of a bin, a vertical
    line its interval. All panels share both axes.

    Parameters
    ----------
    impact : pandas.DataFrame or mapping of name to DataFrame
        What ``re_impact`` returned: one row per case and bin, with the columns
        ``case bin fit lower upper``. Several frames, such as those of two models or of two terms,
        are drawn beside each other in colours of their own.
    facet : bool, optional
        Whether each case has a panel. By default up to twelve do, and more are lines in one panel,
        without intervals.
    col_wrap : int, optional
        Number of panels in a row. By default up to three are in one row and more are laid out as
        a square.
    height : float, optional
        Height of a panel in inches, by default 2.6; one that holds all cases is 1.4 times as high.
    aspect : float, default 1.1
        Width of a panel divided by its height.
    ax : matplotlib.axes.Axes, optional
        Where to draw, if there is only one panel; it is what is returned then.
    title : str, optional
        Title of the figure.

    Returns
    -------
    seaborn.FacetGrid, or Axes
        The panels; ``.axes_dict`` has them by case; the one of all cases is ``.ax``.

    Raises
    ------
    InvalidArgumentError
        If a frame is empty, lacks a column or has a case and bin twice, or all its averages are
        missing; if the mapping is empty or has more than six frames; if there would be more than
        200 panels.

    Notes
    -----
    A bin without levels has no point. merTools' figure has ``AvgFitSE`` for a standard error, which
    is a variance; the intervals here are those of `re_impact`.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> import merextras as mx
    >>> students = mx.load_dataset("students")
    >>> m = mx.lmer("extro ~ open + (1 | school)", students)
    >>> grid = mx.plot_re_impact(mx.re_impact(m, students.head(3)))
    >>> [ax.get_title() for ax in grid.axes.flat]
    ['case 0', 'case 1', 'case 2']
    >>> plt.close(grid.figure)
    """
    for given in impact.values() if isinstance(impact, Mapping) else (impact,):
        arguments.refuse_model(given, "plot_re_impact")
    if facet not in (None, True, False):
        message = f"facet={facet!r} is not allowed; it is True, False or None."
        raise InvalidArgumentError(message)
    height = arguments.inches(height, "height", 2.6)
    arguments.require_positive(aspect, "aspect")
    rows = _rows(impact)
    cases = levels_of(rows["case"])
    bins = sorted(rows["bin"].unique())
    frames = levels_of(rows["of"])
    colours = dict(zip(frames, style.palette(len(frames)), strict=True))
    handles: dict[str, Any] = {}
    if len(cases) <= _MOST_PANELS if facet is None else facet:
        grid = _facetted(rows, cases, col_wrap, height, aspect, ax)
        for case, part in parts(rows, "case").items():
            _points(grid.axes_dict[case], part, bins, colours, handles)
            grid.axes_dict[case].set_title(f"case {case}")
    else:
        grid = facets(rows, ax=ax, height=1.4 * height, aspect=aspect)
        _lines(grid.ax, rows, len(cases), bins, colours, handles)
        grid.ax.set_title(f"{style.thousands(len(cases))} cases")
    _label_bins(grid, bins, height * aspect)
    if len(handles) > 1:
        grid.add_legend(handles, title="", label_order=list(handles))
    return finish(grid, title)


def _rows(impact: Any) -> pd.DataFrame:
    """Check the input and return what is drawn, with the name of the frame in `of`."""
    frames = dict(impact) if isinstance(impact, Mapping) else {"": impact}
    if not 1 <= len(frames) <= 6:
        message = f"impact is a mapping of {len(frames)} frames; 1 to 6 can be drawn."
        raise InvalidArgumentError(message)
    made = []
    for name, given in frames.items():
        argument = f"impact[{name!r}]" if isinstance(impact, Mapping) else "impact"
        numbers = ["bin", "fit", "lower", "upper"]
        frame = arguments.as_frame(given, argument, needs=["case"], numeric=numbers)
        arguments.require_keys(frame, argument, ["case", "bin"])
        if frame["fit"].isna().all():
            message = f"{argument}['fit'] has missing values only; nothing can be drawn."
            raise InvalidArgumentError(message)
        rows = frame[["case", *numbers]].assign(of=str(name))
        made.append(rows.assign(case=rows["case"].astype(object)))
    return pd.concat(made, ignore_index=True)


def _facetted(
    rows: pd.DataFrame,
    cases: list[Any],
    col_wrap: int | None,
    height: float,
    aspect: float,
    ax: Axes | None,
) -> Any:
    """Make a panel for each case."""
    arguments.require_few_panels(len(cases), "impact", "one for each case")
    if col_wrap is None:
        col_wrap = len(cases) if len(cases) <= 3 else math.ceil(math.sqrt(len(cases)))
    check_count(col_wrap, "col_wrap")
    col_wrap = min(col_wrap, len(cases))
    grid = facets(rows, ax=ax, col=("case", cases), col_wrap=col_wrap, height=height, aspect=aspect)
    outer_labels(list(grid.axes.flat), col_wrap)
    return grid


def _places(values: pd.Series[Any], bins: list[Any]) -> Any:
    return pd.Index(bins).get_indexer(pd.Index(values))


def _points(
    ax: Any, part: pd.DataFrame, bins: list[Any], colours: dict[str, Any], handles: dict[str, Any]
) -> None:
    """Draw averages and intervals of one case, several frames beside each other."""
    apart = np.linspace(-_ASIDE, _ASIDE, len(colours)) if len(colours) > 1 else np.zeros(1)
    for (name, colour), aside in zip(colours.items(), apart, strict=True):
        mine = part[part["of"] == name]
        at = _places(mine["bin"], bins) + aside
        ax.vlines(at, mine["lower"], mine["upper"], color=colour, linewidth=1.6, zorder=2)
        handles[name] = ax.scatter(at, mine["fit"], s=28, color=colour, linewidths=0, zorder=3)


def _lines(
    ax: Any,
    rows: pd.DataFrame,
    n_cases: int,
    bins: list[Any],
    colours: dict[str, Any],
    handles: dict[str, Any],
) -> None:
    """Draw a line for each case through its averages."""
    alpha = float(np.clip(12 / n_cases, 0.01, 0.7))
    few = n_cases <= style.MAX_LABELS
    for name, colour in colours.items():
        wide = rows[rows["of"] == name].pivot(index="bin", columns="case", values="fit")
        found = ax.plot(
            _places(wide.index.to_series(), bins),
            wide.to_numpy(float),
            color=colour,
            alpha=alpha,
            linewidth=0.9,
            marker="o" if few else None,
            markersize=3.0,
            markeredgewidth=0,
            rasterized=n_cases > style.RASTER_FROM,
        )
        handles[name] = Line2D([], [], color=found[0].get_color())


def _label_bins(grid: Any, bins: list[Any], width: float) -> None:
    """Name the bins below the panels."""
    names = [f"{number:g}" for number in bins]
    for ax in grid.axes.flat:
        style.label_x_axis(ax, names, 0.85 * width)
    grid.set_axis_labels("bin of expected rank", "average prediction")
