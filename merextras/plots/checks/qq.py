"""Quantile plots of residuals and of random effects."""

from __future__ import annotations

from statistics import NormalDist
from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes

from merextras.exceptions import InvalidArgumentError
from merextras.foundation.arguments import check_level
from merextras.plots.drawing import arguments, style
from merextras.plots.drawing.panels import facets, finish, label_edges, levels_of, panels_of
from merextras.plots.drawing.points import quantiles, segments

__all__ = ["plot_qq", "plot_qqmath"]


def plot_qq(qq: pd.DataFrame, *, ax: Axes | None = None, title: str | None = None) -> Axes:
    """Draw the standardised residuals against normal quantiles.

    The grey band is the pointwise interval of each order statistic of independent normal residuals,
    the dashed line where both are equal.

    Parameters
    ----------
    qq : pandas.DataFrame
        What ``qq_residuals`` returned: ``theoretical sample conf_low conf_high``.
    ax : matplotlib.axes.Axes, optional
        Where to draw; by default a new figure.
    title : str, optional

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    InvalidArgumentError
        A frame without rows or without one of the columns.

    Notes
    -----
    R: lattice's ``qqmath(m)``.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> import merextras as mx
    >>> m = mx.lmer("Reaction ~ Days + (Days | Subject)", mx.load_dataset("sleepstudy"))
    >>> ax = mx.plot_qq(mx.qq_residuals(m))
    >>> ax.get_xlabel(), ax.get_ylabel()
    ('normal quantile', 'standardised residual')
    >>> plt.close(ax.figure)
    """
    arguments.refuse_model(qq, "plot_qq")
    numeric = ["theoretical", "sample", "conf_low", "conf_high"]
    frame = arguments.as_frame(qq, "qq", needs=[], numeric=numeric)
    if ax is None:
        ax = style.new_axes(*style.size(4.6, 4.2))
    quantiles(ax, frame)
    if title is not None:
        ax.set_title(title)
    return ax


def plot_qqmath(
    ranef: Any,
    *,
    level: float = 0.95,
    height: float | None = None,
    width: float | None = None,
    ax: Axes | None = None,
    title: str | None = None,
) -> sns.FacetGrid | Axes:
    """Draw the random effects of each term against normal quantiles, with their intervals.

    Each term is sorted on its own: a level is a dot at its conditional mode, across, and at the
    normal quantile of its rank, up, with a segment of its interval. Normal effects lie on a line.

    Parameters
    ----------
    ranef : Ranef or pandas.DataFrame
        What ``ranef`` returned, or its frame: ``group level term estimate std_error``.
    level : float, default 0.95
        Coverage of the intervals.
    height : float, optional
        Height of a panel in inches, by default 3.2 for up to 75 levels, 4.5 for more.
    width : float, optional
        Width of a panel in inches, by default 3.6.
    ax : matplotlib.axes.Axes, optional
        Where to draw, if there is only one panel; it is what is returned then.
    title : str, optional

    Returns
    -------
    seaborn.FacetGrid, or Axes
        ``.axes_dict`` has the panels by ``(group, term)``.

    Raises
    ------
    InvalidArgumentError
        If `ranef` is empty, lacks a column, or has a group, level and term twice; a `level` outside
        (0, 1); a size that is not positive.

    Notes
    -----
    R: lme4's ``qqmath(ranef(m))``: quantiles of (rank - 1/2) / J, intervals of 1.96 conditional
    standard deviations, an x axis for each panel. An effect whose standard error is missing has no
    segment. Unlike there, the levels' names are not drawn: `plot_ranef` has them.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> import merextras as mx
    >>> m = mx.lmer("Reaction ~ Days + (Days | Subject)", mx.load_dataset("sleepstudy"))
    >>> grid = mx.plot_qqmath(m.ranef())
    >>> list(grid.axes_dict)
    [('Subject', 'Intercept'), ('Subject', 'Days')]
    >>> plt.close(grid.figure)
    """
    arguments.refuse_model(ranef, "plot_qqmath")
    check_level(level)
    width = arguments.inches(width, "width", 3.6)
    frame = checked(ranef)
    most = max(len(part) for part in panels_of(frame).values())
    height = arguments.inches(height, "height", 3.2 if most <= style.MAX_LABELS else 4.5)
    groups, terms = levels_of(frame["group"]), levels_of(frame["term"])
    arguments.require_few_panels(len(groups) * len(terms), "ranef", "group factors times terms")
    grid = facets(
        frame,
        ax=ax,
        row=("group", groups),
        col=("term", terms),
        sharex=False,
        sharey=True,
        height=height,
        aspect=width / height,
    )
    for (group, term), part in panels_of(frame).items():
        panel = grid.axes_dict[group, term]
        draw_effects(panel, part, level)
        panel.set_title(str(term))
        panel.set_ylabel(f"{group}\nnormal quantile")
        panel.set_xlabel(f"effect and its {100 * level:g}% interval")
    label_edges(grid)
    for panel in grid.axes.flat:
        panel.xaxis.set_tick_params(labelbottom=True)
        panel.locator_params(axis="x", nbins=max(3, int(1.6 * width / style.text_scale())))
    return finish(grid, title)


def checked(ranef: Any) -> pd.DataFrame:
    """The frame of random effects, or what is wrong with it."""
    keys = ["group", "level", "term"]
    frame = arguments.keyed_frame(ranef, "ranef", keys, numeric=["estimate", "std_error"])
    if not np.all(np.isfinite(frame["estimate"].to_numpy(float))):
        raise InvalidArgumentError("ranef['estimate'] has values that are missing or infinite.")
    return frame


def draw_effects(ax: Axes, part: pd.DataFrame, level: float) -> None:
    """One term's effects against normal quantiles."""
    ranked = part.sort_values("estimate", kind="stable")
    n = len(ranked)
    normal = NormalDist()
    at = np.array([normal.inv_cdf((i + 0.5) / n) for i in range(n)])
    estimate = ranked["estimate"].to_numpy(float)
    half = style.normal_quantile(level) * ranked["std_error"].to_numpy(float)
    raster, pitch = n > style.RASTER_FROM, 4.0 * 72 / n
    ax.axvline(0, **style.dashed())
    look: dict[str, Any] = {"color": style.estimated()}
    look["alpha"] = 1.0 if n <= style.MAX_LABELS else 0.35
    segments(ax, at, estimate - half, estimate + half, pitch, across=True, **look)
    ax.scatter(
        estimate, at, s=style.marker_area(pitch), linewidths=0, zorder=3, rasterized=raster,
        color=style.estimated() if n <= style.MAX_LABELS else style.ink(),
    )  # fmt: skip
