"""No pooling, partial pooling and complete pooling, level by level."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm

from merextras.exceptions import InvalidArgumentError
from merextras.plots.drawing import arguments, style
from merextras.plots.drawing.panels import facets, finish, levels_of, parts, positions

__all__ = ["plot_shrinkage"]

_NUMBERS = ["n", "no_pooling", "partial_pooling", "complete_pooling"]


def plot_shrinkage(
    shrinkage: pd.DataFrame,
    *,
    width: float | None = None,
    height: float | None = None,
    ax: Axes | None = None,
    title: str | None = None,
) -> sns.FacetGrid | Axes:
    """Draw how far each level's coefficient is drawn from its own data to the common one.

    A panel for each effect. A level has a hollow circle at the fit to its own rows, a filled one
    at the model's coefficient, and a line between them; the vertical line is the fit to all rows.
    Levels are ordered by their number of observations, the fewest at the bottom: the fewer, the
    longer the line. A factor of more than 75 levels has a point for each, the model's coefficient
    over its own fit, the darker the more observations: on the dashed line nothing is pooled, on
    the horizontal one everything. Its x axis has the central 99 % of the levels' own fits.

    Parameters
    ----------
    shrinkage : pandas.DataFrame
        What ``shrinkage`` returned.
    width : float, optional
        Width of a panel in inches, without the names of the levels; four by default.
    height : float, optional
        Height of the figure in inches. By default each of up to 75 levels has room for its name,
        and the panels of more levels are square.
    ax : matplotlib.axes.Axes, optional
        Where to draw, if there is only one panel; it is what is returned then.
    title : str, optional
        Title of the figure.

    Returns
    -------
    seaborn.FacetGrid, or Axes
        ``.axes_dict`` has the panels by term.

    Raises
    ------
    InvalidArgumentError
        A frame without rows or without one of the columns, with a level and term twice, or of
        several grouping factors; a size that is not positive.

    Notes
    -----
    A level whose rows do not determine a coefficient has no hollow circle, or no point.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> import merextras as mx
    >>> m = mx.lmer("Reaction ~ Days + (Days | Subject)", mx.load_dataset("sleepstudy"))
    >>> grid = mx.plot_shrinkage(mx.shrinkage(m))
    >>> list(grid.axes_dict)
    ['Intercept', 'Days']
    >>> plt.close(grid.figure)
    """
    arguments.refuse_model(shrinkage, "plot_shrinkage")
    frame = _frame_of(shrinkage)
    width = arguments.inches(width, "width", 4.0)
    group, terms = frame["group"].iloc[0], levels_of(frame["term"])
    first = frame[frame["term"] == terms[0]]
    order = pd.Index(first.sort_values(["n", "partial_pooling"], kind="stable")["level"].tolist())
    order = pd.Index(list(order), dtype=object)
    arguments.require_few_panels(len(terms), "shrinkage", "terms")
    if height is not None:
        arguments.require_positive(height, "height")
    if len(order) > style.MAX_LABELS:
        return _many(frame, width, width if height is None else height, ax, title)
    if height is None:
        height = style.levels_length(len(order)) + 0.9 * style.text_scale()
    total = width * len(terms) + style.label_extent(style.short_labels(list(order)))
    grid = facets(
        frame, ax=ax, col=("term", terms), sharex=False, sharey=True, height=height,
        aspect=total / len(terms) / height,
    )  # fmt: skip
    for term, part in parts(frame, "term").items():
        panel = grid.axes_dict[term]
        _draw(panel, part, order)
        panel.set(title=str(term), xlabel="coefficient", ylabel="")
    first_panel = grid.axes.flat[0]
    first_panel.set_ylim(-0.8, len(order) - 0.2)
    first_panel.set_yticks(range(len(order)), labels=style.short_labels(list(order)))
    first_panel.set_ylabel(str(group))
    if ax is not None:
        ax.legend(fontsize="small", frameon=False)
        return finish(grid, title)
    _legend(grid)
    if title is not None:
        grid.figure.suptitle(title)
    return grid


def _frame_of(shrinkage: Any) -> pd.DataFrame:
    keys = ["group", "level", "term"]
    frame = arguments.keyed_frame(shrinkage, "shrinkage", keys, numeric=_NUMBERS)
    groups = levels_of(frame["group"])
    if len(groups) > 1:
        raise InvalidArgumentError(
            f"shrinkage has the grouping factors {arguments.listed(groups)}; pass the rows of one."
        )
    return frame


def _draw(ax: Axes, part: pd.DataFrame, order: pd.Index[Any]) -> None:
    at = positions(order, part["level"])
    own, model = part["no_pooling"].to_numpy(float), part["partial_pooling"].to_numpy(float)
    ax.axvline(
        float(part["complete_pooling"].iloc[0]), color=style.observed(), linewidth=1.2,
        label="complete pooling", zorder=1,
    )  # fmt: skip
    ax.hlines(at, own, model, color=style.gray(0.6), linewidth=1.2, zorder=2)
    ax.scatter(
        own, at, s=24, facecolors=style.paper(), edgecolors=style.gray(0.35), linewidths=0.9,
        zorder=3, label="no pooling",
    )  # fmt: skip
    ax.scatter(
        model, at, s=24, color=style.estimated(), linewidths=0, label="partial pooling", zorder=4
    )


def _many(
    frame: pd.DataFrame, width: float, height: float, ax: Axes | None, title: str | None
) -> sns.FacetGrid | Axes:
    """The model's coefficients over the levels' own."""
    terms = levels_of(frame["term"])
    grid = facets(
        frame, ax=ax, col=("term", terms), sharex=False, sharey=False, height=height,
        aspect=width / height,
    )  # fmt: skip
    fewest, most = max(float(frame["n"].min()), 0.5), max(float(frame["n"].max()), 1.0)
    shade = LogNorm(fewest, most)
    for term, part in parts(frame, "term").items():
        panel = grid.axes_dict[term]
        low, high = part["no_pooling"].quantile([0.005, 0.995])
        inside = part[part["no_pooling"].between(low, high)]
        dots = panel.scatter(
            inside["no_pooling"], inside["partial_pooling"], c=inside["n"], norm=shade,
            cmap=style.shades(), s=8.0, linewidths=0, zorder=2,
            rasterized=len(part) > style.RASTER_FROM,
        )  # fmt: skip
        panel.axline(
            (low, low), slope=1.0, color=style.gray(0.4), linewidth=0.9, linestyle="--", zorder=3
        )
        whole = float(part["complete_pooling"].iloc[0])
        panel.axhline(whole, color=style.observed(), linewidth=1.2, zorder=3)
        panel.set_ylim(*_with_margin(inside["partial_pooling"]))
        beyond = int(part["no_pooling"].notna().sum()) - len(inside)
        panel.set(
            title=str(term),
            xlabel=f"no pooling ({style.thousands(beyond)} beyond)",
            ylabel="partial pooling",
        )
    made = finish(grid, title)
    ticks = sorted(set(np.round(np.geomspace(fewest, most, 5)).tolist()))
    options: dict[str, Any] = {"label": "observations", "ticks": ticks, "format": "%d"}
    figure = grid.figure
    if ax is None:
        beside = 0.9 * style.panel_scale() / figure.get_figwidth()
        figure.subplots_adjust(right=1.0 - beside)
        box = grid.axes.flat[-1].get_position()
        options["cax"] = figure.add_axes((1.0 - 0.85 * beside, box.y0, 0.15 * beside, box.height))
    else:
        options["ax"] = ax
    figure.colorbar(dots, **options).minorticks_off()
    return made


def _with_margin(values: pd.Series) -> tuple[float, float]:
    low, high = float(values.min()), float(values.max())
    return low - 0.05 * (high - low) - 1e-12, high + 0.05 * (high - low) + 1e-12


def _legend(grid: Any) -> None:
    """One legend above the panels, in one line if that fits."""
    handles, labels = grid.axes.flat[0].get_legend_handles_labels()
    finish(grid, None)
    width, height = grid.figure.get_size_inches()
    scale = style.text_scale()
    one = 0.8 * style.label_extent(["".join(labels)]) + 1.2 * scale < width
    if not one:
        height += 0.25 * scale * (len(labels) - 1)
        grid.figure.set_figheight(height)
    above = 0.25 * scale * (1 if one else len(labels))
    grid.figure.subplots_adjust(top=1.0 - (0.25 + 0.35 * scale + above) / height)
    grid.figure.legend(
        handles, labels, loc="upper center", ncols=len(labels) if one else 1, frameon=False,
        fontsize="small", bbox_to_anchor=(0.5, 1.0 - 0.22 / height),
    )  # fmt: skip
