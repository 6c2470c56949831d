"""Plots of what a fit's estimates would be without each group or case."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.transforms import offset_copy

from merextras.exceptions import InvalidArgumentError
from merextras.foundation.arguments import one_of
from merextras.plots.drawing import arguments, style
from merextras.plots.drawing.panels import finish, panel_grid
from merextras.results.estimates.influence import Influence

__all__ = ["plot_influence"]

_COOK = "Cook's distance"
# Inches that all panels take together when there are many.
_WIDEST = 15.0


def plot_influence(
    influence: Influence,
    *,
    terms: str | Sequence[str] | None = None,
    n_labels: int = 5,
    width: float | None = None,
    height: float | None = None,
    ax: Axes | None = None,
    title: str | None = None,
) -> sns.FacetGrid | Axes:
    """Draw Cook's distances and DFBETAS of each deletion, a panel each.

    A line from zero for each deleted group or case. Up to 75 are named, the most influential on
    top, and keep that order in all panels; more of them stand in their own order from the bottom
    up, and the largest of each panel are named. Dotted lines are at the customary limits, 4 / m
    for Cook's distance and 2 / sqrt(m) for DFBETAS with m deletions; what is beyond is red. They
    are for finding what to look at, not tests.

    Parameters
    ----------
    influence : Influence
        What ``influence`` returned.
    terms : str or sequence of str, optional
        Fixed effects to draw DFBETAS of; by default all, ``[]`` for none.
    n_labels : int, default 5
        How many to name in each panel where not all are.
    width : float, optional
        Width of a panel in inches. By default three, less with more than five panels.
    height : float, optional
        Height of the figure in inches. By default each name has room, or seven.
    ax : matplotlib.axes.Axes, optional
        Where to draw, if there is only one panel; it is what is returned then.
    title : str, optional
        Title of the figure.

    Returns
    -------
    seaborn.FacetGrid, or Axes
        The panels; ``.axes_dict`` has them by ``(group, "Cook's distance")`` and ``(group, term)``.

    Raises
    ------
    InvalidArgumentError
        Not an `Influence`, a term that is not a fixed effect, a number that is not positive, no
        deletion with estimates.

    Notes
    -----
    A deletion without estimates has a name, or a place, and no mark. Marks of more than 500 are
    stored as pixels in a vector file too.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> import merextras as mx
    >>> m = mx.lmer("Reaction ~ Days + (Days | Subject)", mx.load_dataset("sleepstudy"))
    >>> grid = mx.plot_influence(m.influence("Subject"))
    >>> [ax.get_title() for ax in grid.axes.flat]
    ["Cook's distance", 'DFBETAS: Intercept', 'DFBETAS: Days']
    >>> plt.close(grid.figure)
    """
    arguments.refuse_model(influence, "plot_influence")
    values = _values(influence, terms)
    if not isinstance(n_labels, (int, np.integer)) or isinstance(n_labels, bool) or n_labels < 0:
        raise InvalidArgumentError(f"n_labels={n_labels!r}: a whole number, zero for none")
    n = len(values)
    named = n <= style.MAX_LABELS
    order = np.arange(n)
    if named:
        by = values[_COOK].fillna(-1.0) if values[_COOK].notna().any() else values.abs().max(axis=1)
        order = np.argsort(by.to_numpy(), kind="stable")
    names = style.short_labels(list(influence.levels[order]))
    grid = _grid(influence, values, names if named else [], width, height, ax)
    for column, limit in _limits(values).items():
        panel = grid.axes_dict[influence.group, column]
        found = values[column].to_numpy()[order]
        _draw(panel, found, limit)
        panel.set_xlabel("")
    _label(grid, influence, names, named=named)
    _name_panels(grid, list(values.columns))
    made = finish(grid, title)
    for column in values.columns if not named else ():  # when the panels have their final size
        panel = grid.axes_dict[influence.group, column]
        _name_largest(panel, values[column].to_numpy(), names, int(n_labels))
    return made


def _values(influence: Influence, terms: str | Sequence[str] | None) -> pd.DataFrame:
    """What is drawn: a column per panel, a row per deletion."""
    if not isinstance(influence, Influence):
        raise InvalidArgumentError(
            f"influence: expected what m.influence() returned, got {type(influence).__name__}"
        )
    if not influence.names:
        raise InvalidArgumentError(
            "influence: the model has no fixed effects; influence.to_frame() has its variances"
        )
    chosen = (
        list(influence.names) if terms is None else [terms] if isinstance(terms, str) else terms
    )
    for term in chosen:
        if term not in influence.names:
            raise InvalidArgumentError(f"terms={terms!r}: {one_of(term, influence.names)}")
    values = influence.dfbetas()[list(dict.fromkeys(chosen))].reset_index(drop=True)
    values.insert(0, _COOK, influence.cooks_distance().to_numpy())
    arguments.require_few_panels(values.shape[1], "influence", "one for each term")
    if not np.isfinite(values.to_numpy()).any():
        raise InvalidArgumentError("influence: no deletion has estimates; its `reasons` say why")
    return values


def _limits(values: pd.DataFrame) -> dict[str, float]:
    """The customary limit of each panel."""
    m = len(values)
    return {name: 4.0 / m if name == _COOK else 2.0 / np.sqrt(m) for name in values.columns}


def _grid(
    influence: Influence,
    values: pd.DataFrame,
    names: list[str],
    width: float | None,
    height: float | None,
    ax: Axes | None,
) -> Any:
    """Make the empty panels, with room for the names on the left."""
    panels = list(values.columns)
    if width is None:
        width = min(3.0, max(1.5, _WIDEST / len(panels))) * style.panel_scale()
    arguments.require_positive(width, "width")
    tall = style.levels_length(len(values)) + 0.6 * style.panel_scale()
    if height is not None:
        arguments.require_positive(height, "height")
        tall = height
    frame = pd.DataFrame({"group": influence.group, "panel": pd.Categorical(panels, panels)})
    return panel_grid(
        frame,
        row="group",
        col="panel",
        widths=[width] * len(panels),
        heights=[tall],
        margins=(style.label_extent(names), 0.0),
        ax=ax,
    )


def _name_panels(grid: Any, columns: list[str]) -> None:
    """Titles; a term too long for its panel is broken at colons, all in letters that then fit."""
    room = float(grid.figure.get_figwidth()) / len(columns) - 0.1
    titles = [[column] if column == _COOK else _lines(column, room) for column in columns]
    longest = max(style.title_extent(line) for lines in titles for line in lines)
    for ax, lines in zip(grid.axes.flat, titles, strict=True):
        size = float(ax.title.get_fontsize()) * min(1.0, room / longest)
        ax.set_title("\n".join(lines), fontsize=max(size, 6.0))


def _lines(term: str, room: float) -> list[str]:
    title = f"DFBETAS: {term}"
    if style.title_extent(title) <= room:
        return [title]
    if style.title_extent(term) <= room:
        return ["DFBETAS:", term]
    *first, last = term.split(":")
    return ["DFBETAS:", *style.short_labels([*(f"{part}:" for part in first), last])]


def _draw(ax: Any, values: Any, limit: float) -> None:
    """Draw the lines from zero with their ends, and the limits."""
    n = len(values)
    at = np.arange(n)
    raster = n > style.RASTER_FROM
    ax.axvline(0.0, color=style.gray(0.4), linewidth=0.9, zorder=1)
    low, high = np.nanmin(values, initial=0.0), np.nanmax(values, initial=0.0)
    for side in (-limit, limit):
        if low <= side <= high:
            ax.axvline(side, color=style.gray(0.4), linewidth=0.9, linestyle=":", zorder=1)
    beyond = np.abs(values) > limit
    for chosen, colour in ((~beyond, style.estimated()), (beyond, style.observed())):
        mine = chosen & np.isfinite(values)
        ax.hlines(
            at[mine],
            0.0,
            values[mine],
            color=colour,
            linewidth=style.line_width(7 * 72 / n),
            zorder=2,
            rasterized=raster,
        )
        ax.scatter(
            values[mine],
            at[mine],
            s=style.marker_area(7 * 72 / n),
            color=colour,
            linewidths=0,
            zorder=3,
            rasterized=raster,
        )


def _name_largest(ax: Any, values: Any, names: list[str], count: int) -> None:
    """Write the names of the largest beyond the lines' ends, apart where they would overlap."""
    n = len(values)
    size = np.where(np.isfinite(values), np.abs(values), -1.0)
    chosen = np.argsort(-size, kind="stable")[:count]
    chosen = np.sort(chosen[size[chosen] > 0.0])
    gap = 0.024 * n
    at = chosen.astype(float)
    for i in range(1, len(at)):
        at[i] = max(at[i], at[i - 1] + gap)
    if len(at):
        at -= max(at[-1] - (n - 1), 0.0) * (at - at[0] > 0)
    labels = []
    for i, y in zip(chosen, at, strict=True):
        right = values[i] > 0.0
        beside = np.append(values[np.abs(np.arange(n) - y) <= 0.5 * gap], values[i])
        label = ax.annotate(
            names[i],
            (values[i], i),
            xytext=(np.nanmax(beside) if right else np.nanmin(beside), y),
            textcoords=_shifted(ax, 4.0 if right else -4.0),
            ha="left" if right else "right",
            va="center",
            fontsize="x-small",
            zorder=4,
        )
        labels.append(label)
    _make_room(ax, labels)


def _make_room(ax: Any, labels: list[Any]) -> None:
    """Widen the x axis until the labels, whose letters do not shrink with it, end within it."""
    for _ in range(30):  # each step falls short of what it aims at
        low, high = ax.get_xlim()
        left, right = ax.transData.transform([(low, 0.0), (high, 0.0)])[:, 0]
        boxes = [label.get_window_extent() for label in labels]
        beyond = max((box.x1 - right + 2.0 for box in boxes), default=0.0)
        before = max((left - box.x0 + 2.0 for box in boxes), default=0.0)
        if max(beyond, before) <= 0.0:
            return
        unit = (high - low) / (right - left)
        ax.set_xlim(low - unit * max(before, 0.0), high + unit * max(beyond, 0.0))


def _shifted(ax: Any, points: float) -> Any:
    """Data coordinates, moved sideways."""
    return offset_copy(ax.transData, fig=ax.figure, x=points, units="points")


def _label(grid: Any, influence: Influence, names: list[str], *, named: bool) -> None:
    """Name the levels on the first axis, or say how many there are."""
    n = len(names)
    room = 0.8 if named else 0.01 * n
    first = grid.axes.flat[0]
    # The panels share this axis.
    first.set_yticks(range(n) if named else [], labels=names if named else [])
    for ax in grid.axes.flat:
        ax.set_ylim(-room, n - 1 + room)
        ax.set_ylabel("")
        if named:
            ax.grid(axis="y", color=style.gray(0.92), linewidth=0.6)
            ax.set_axisbelow(True)
    case = influence.group == "case"
    many = "cases" if case else f"levels of {influence.group}"
    first.set_ylabel(influence.group if named else f"{style.thousands(n)} {many}")
