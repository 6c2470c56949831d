"""Plots of likelihood profiles: zeta, the density it makes, and pairs of parameters."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from merextras.exceptions import InvalidArgumentError
from merextras.foundation.arguments import check_count, check_level
from merextras.plots.drawing import arguments, style
from merextras.plots.drawing.panels import facets, finish, parts
from merextras.results.profiles.contour import contour, trace
from merextras.results.profiles.profile import Profile

__all__ = ["plot_profile_density", "plot_profile_pairs", "plot_profile_zeta"]

#: Levels whose intervals and regions are drawn, as lme4 does.
_LEVELS = (0.5, 0.8, 0.9, 0.95, 0.99)
_POINTS = 201


def plot_profile_zeta(
    profile: Profile,
    parameters: str | Sequence[str] | None = None,
    *,
    levels: Sequence[float] = _LEVELS,
    absolute: bool = False,
    col_wrap: int | None = None,
    ax: Axes | None = None,
    title: str | None = None,
) -> sns.FacetGrid | Axes:
    """Draw zeta against each parameter, with intervals.

    A straight line is a parameter whose Wald interval is right; the dashed line is that Wald
    interval's. A curve that bends is the reason to profile. The bars are the intervals of `levels`:
    each ends where the curve reaches the normal quantile.

    Parameters
    ----------
    profile : Profile
        What ``m.profile()`` returned.
    parameters : str or sequence of str, optional
        Names, ``"theta_"`` or ``"beta_"``; by default all that were profiled.
    levels : sequence of float
        Levels of the intervals; those that the profile does not reach are left out.
    absolute : bool, default False
        Draw ``|zeta|``, as lme4's ``xyplot(profile, absVal = TRUE)``.
    col_wrap : int, optional
        Panels in a row.
    ax : matplotlib.axes.Axes, optional
        Where to draw, if there is only one panel; it is what is returned then.
    title : str, optional

    Returns
    -------
    seaborn.FacetGrid, or Axes

    Raises
    ------
    InvalidArgumentError
        Not a profile, an unknown parameter, a level outside (0, 1), more than 200 panels.

    Notes
    -----
    **R counterpart**: ``lattice::xyplot(profile(m))``.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> import merextras as mx
    >>> m = mx.lmer("Yield ~ 1 + (1 | Batch)", mx.load_dataset("dyestuff"))
    >>> grid = mx.plot_profile_zeta(m.profile())
    >>> [ax.get_title() for ax in grid.axes.flat]
    ['sd_Intercept|Batch', 'sigma', 'Intercept']
    >>> plt.close(grid.figure)
    """
    dense = _dense(profile, parameters, "plot_profile_zeta")
    cuts = _cuts(profile, levels)
    grid = _grid(dense, col_wrap, ax)
    for panel, (name, part) in zip(grid.axes.flat, parts(dense, "parameter").items(), strict=True):
        curve = profile.curves[name]
        shown = np.abs if absolute else np.asarray
        _wald_line(panel, part, curve.estimate, absolute=absolute)
        for level, cut in cuts.items():
            _interval(panel, profile, name, level, cut, absolute=absolute)
        panel.plot(part["value"], shown(part["zeta"]), color=style.estimated(), linewidth=1.6)
        panel.plot(curve.values, shown(curve.zeta), "o", color=style.estimated(), markersize=2.5)
        panel.set_ylabel("|ζ|" if absolute else "ζ")
    return finish(grid, title)


def plot_profile_density(
    profile: Profile,
    parameters: str | Sequence[str] | None = None,
    *,
    level: float = 0.95,
    col_wrap: int | None = None,
    ax: Axes | None = None,
    title: str | None = None,
) -> sns.FacetGrid | Axes:
    """Draw the density of each parameter for which zeta is standard normal.

    What a confidence distribution of the parameter looks like: skewed where the curve of zeta
    bends, and cut off where a standard deviation can be zero. The interval of `level` is filled.

    Parameters
    ----------
    profile : Profile
        What ``m.profile()`` returned.
    parameters : str or sequence of str, optional
        Names, ``"theta_"`` or ``"beta_"``; by default all that were profiled.
    level : float, default 0.95
        Of the interval; at most the profile's ``level_max``.
    col_wrap : int, optional
        Panels in a row.
    ax : matplotlib.axes.Axes, optional
        Where to draw, if there is only one panel; it is what is returned then.
    title : str, optional

    Returns
    -------
    seaborn.FacetGrid, or Axes

    Raises
    ------
    InvalidArgumentError
        Not a profile, an unknown parameter, a level that the profile has not, more than 200 panels.

    Notes
    -----
    **R counterpart**: ``lattice::densityplot(profile(m))``.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> import merextras as mx
    >>> m = mx.lmer("Yield ~ 1 + (1 | Batch)", mx.load_dataset("dyestuff"))
    >>> grid = mx.plot_profile_density(m.profile(), "theta_")
    >>> len(grid.axes)
    2
    >>> plt.close(grid.figure)
    """
    dense = _dense(profile, parameters, "plot_profile_density")
    intervals = profile.confint(level)
    grid = _grid(dense, col_wrap, ax)
    for panel, (name, part) in zip(grid.axes.flat, parts(dense, "parameter").items(), strict=True):
        low, high = intervals.loc[name]
        inside = (part["value"] >= low) & (part["value"] <= high)
        panel.plot(part["value"], part["density"], color=style.estimated(), linewidth=1.6)
        panel.fill_between(
            part["value"],
            0,
            part["density"],
            where=inside,
            color=style.estimated(),
            alpha=0.25,
            lw=0,
        )
        panel.axvline(
            profile.curves[name].estimate, color=style.gray(0.4), linewidth=0.8, linestyle=":"
        )
        panel.set_ylim(bottom=0.0)
        panel.set_ylabel("density")
    return finish(grid, title)


def plot_profile_pairs(
    profile: Profile,
    parameters: str | Sequence[str] | None = None,
    *,
    levels: Sequence[float] = (0.5, 0.8, 0.9, 0.95),
    size: float | None = None,
    title: str | None = None,
) -> Figure:
    """Draw joint regions of all pairs of parameters.

    Below the diagonal on the parameters' own scales, above it on that of zeta, where the region of
    a model that is linear in its parameters is an ellipse. The two lines through each region are
    the profile traces: where one parameter is best, given the other. They cross at the estimate,
    at right angles if one parameter says nothing of the other.

    Parameters
    ----------
    profile : Profile
        What ``m.profile()`` returned.
    parameters : str or sequence of str, optional
        Names, ``"theta_"`` or ``"beta_"``; by default all that were profiled.
    levels : sequence of float
        Levels of the regions. One of level L needs a profile up to ``zeta = sqrt(-2 log(1 - L))``;
        those that are not closed within the profiles are left out.
    size : float, optional
        Inches of a panel, by default 1.7.
    title : str, optional

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    InvalidArgumentError
        Not a profile, fewer than two parameters, an unknown one, a level outside (0, 1), more than
        200 panels.

    See Also
    --------
    merextras.results.profiles.contour.contour : The regions as frames.

    Notes
    -----
    **R counterpart**: ``lattice::splom(profile(m))``.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> import merextras as mx
    >>> m = mx.lmer("Yield ~ 1 + (1 | Batch)", mx.load_dataset("dyestuff"))
    >>> figure = mx.plot_profile_pairs(m.profile(), ["sigma", "Intercept"])
    >>> len(figure.axes)
    4
    >>> plt.close(figure)
    """
    names = list(parts(_dense(profile, parameters, "plot_profile_pairs"), "parameter"))
    if len(names) < 2:
        raise InvalidArgumentError(f"parameters={names}: pairs need two parameters with a profile")
    arguments.require_few_panels(len(names) ** 2, "parameters", f"{len(names)} x {len(names)}")
    size = arguments.inches(size, "size", 1.7)
    wanted = [check_level(level, "levels") for level in levels]
    n = len(names)
    figure, axes = plt.subplots(
        n, n, figsize=(size * n + 0.6, size * n + 0.4), layout="constrained", squeeze=False
    )
    for i, row in enumerate(names):
        for j, column in enumerate(names):
            ax = axes[i, j]
            if i == j:
                _name(ax, profile, row)
            else:
                _pair(ax, profile, column, row, wanted, own_scale=i > j)
            _edges(ax, i, j, n)
    figure.suptitle(title) if title is not None else None
    return figure


def _dense(profile: Any, parameters: str | Sequence[str] | None, figure: str) -> pd.DataFrame:
    """The curves of the wanted parameters, or what is wrong with the request."""
    arguments.refuse_model(profile, figure)
    if not isinstance(profile, Profile):
        raise InvalidArgumentError(
            f"profile is of type {type(profile).__name__}; the result of m.profile() is needed."
        )
    names = list(profile.confint(profile.level_max, parm=parameters).index)
    dense = profile.dense(_POINTS)
    dense = dense[dense["parameter"].isin(names)]
    if dense.empty:
        raise InvalidArgumentError(
            f"parameters={parameters!r}: none of them has a curve; see profile.confint().attrs"
        )
    return dense


def _cuts(profile: Profile, levels: Sequence[float]) -> dict[float, float]:
    """Normal quantiles of the levels that the profile reaches."""
    checked = [check_level(level, "levels") for level in levels]
    reached = [level for level in checked if level <= profile.level_max + 1e-12]
    return {level: style.normal_quantile(level) for level in reached}


def _grid(dense: pd.DataFrame, col_wrap: int | None, ax: Axes | None) -> Any:
    names = list(parts(dense, "parameter"))
    arguments.require_few_panels(len(names), "parameters", f"{len(names)} parameters")
    columns = min(len(names), 3 if col_wrap is None else check_count(col_wrap, "col_wrap"))
    if len(names) == 4 and col_wrap is None:
        columns = 2
    grid = facets(
        dense, ax=ax, col=("parameter", names), col_wrap=columns, sharex=False, sharey=False,
        height=arguments.inches(None, "height", 2.5), aspect=1.25,
    )  # fmt: skip
    for panel, name in zip(grid.axes.flat, names, strict=True):
        panel.set(title=name, xlabel="")
    return grid


def _wald_line(ax: Axes, part: pd.DataFrame, estimate: float, *, absolute: bool) -> None:
    """Draw the tangent at the estimate."""
    near = part.iloc[(part["value"] - estimate).abs().argsort()[:2]].sort_values("value")
    rise = float(np.diff(near["zeta"])[0] / np.diff(near["value"])[0])
    if not math.isfinite(rise) or rise <= 0.0:
        return
    line = rise * (part["value"] - estimate)
    within = line.abs() <= part["zeta"].abs().max() * 1.02
    drawn = line[within].abs() if absolute else line[within]
    ax.plot(part["value"][within], drawn, color=style.gray(0.6), linewidth=0.9, linestyle="--")


def _interval(
    ax: Axes, profile: Profile, name: str, level: float, cut: float, *, absolute: bool
) -> None:
    """Draw where the curve reaches the quantile: a line down to it from the axis."""
    color = style.gray(0.85 - 0.5 * level)
    for end in profile.value(name, [-cut, cut]):
        if math.isfinite(end):
            height = cut if absolute else float(profile.zeta(name, end))
            ax.plot([end, end], [0.0, height], color=color, linewidth=0.9)
    low, high = profile.value(name, [-cut, cut])
    if absolute and math.isfinite(low) and math.isfinite(high):
        ax.plot([low, high], [cut, cut], color=color, linewidth=0.9)
    ax.axhline(0.0, color=style.gray(0.5), linewidth=0.6, zorder=0)


def _name(ax: Axes, profile: Profile, name: str) -> None:
    curve = profile.curves[name]
    ax.plot(curve.zeta, curve.values, alpha=0.0)
    ax.text(
        0.5, 0.5, name.replace("|", "\n|"), transform=ax.transAxes, ha="center", va="center",
        fontsize="small",
    )  # fmt: skip
    ax.set_xticks([])
    ax.set_yticks([])


def _pair(
    ax: Axes, profile: Profile, x: str, y: str, levels: Sequence[float], *, own_scale: bool
) -> None:
    for level in levels:
        try:
            region = contour(profile, x, y, level)
        except InvalidArgumentError:  # not closed within the profiles
            continue
        xs, ys = ("x", "y") if own_scale else ("zeta_x", "zeta_y")
        ax.plot(region[xs], region[ys], color=style.estimated(), linewidth=1.0, alpha=1.1 - level)
    for along, other, turned in ((x, y, False), (y, x, True)):
        zeta = np.linspace(profile.curves[along].zeta[0], profile.curves[along].zeta[-1], 61)
        best = trace(profile, along, other, zeta)
        if own_scale:
            first, second = profile.value(along, zeta), profile.value(other, best)
        else:
            first, second = zeta, best
        pair = (second, first) if turned else (first, second)
        ax.plot(*pair, color=style.gray(0.35), linewidth=0.8)
    if not own_scale:
        reach = 1.05 * max(np.max(np.abs(profile.curves[name].zeta)) for name in (x, y))
        ax.set_xlim(-reach, reach)
        ax.set_ylim(-reach, reach)


def _edges(ax: Axes, i: int, j: int, n: int) -> None:
    """Tick labels left and below for the parameters, right and above for zeta."""
    ax.tick_params(labelsize="x-small", labelbottom=False, labelleft=False)
    if i > j:
        ax.tick_params(labelbottom=i == n - 1, labelleft=j == 0)
        for label in ax.get_xticklabels():
            label.set_rotation(45)
    elif i < j:
        ax.tick_params(
            bottom=False, left=False, top=i == 0, right=j == n - 1, labeltop=i == 0,
            labelright=j == n - 1,
        )  # fmt: skip
