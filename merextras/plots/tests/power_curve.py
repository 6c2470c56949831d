"""The power of a test by the size of the study."""

from __future__ import annotations

from typing import Any

from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from merextras.exceptions import InvalidArgumentError
from merextras.plots.drawing import arguments, style

__all__ = ["plot_power_curve"]


def plot_power_curve(
    curve: Any,
    *,
    target: float | None = 0.8,
    width: float = 5.5,
    height: float = 3.6,
    ax: Axes | None = None,
    title: str | None = None,
) -> Axes:
    """Draw the power by the size of the study, with the intervals of the simulation.

    Parameters
    ----------
    curve : PowerCurve or DataFrame
        What `power_curve` returns, or a frame like its ``to_frame()``: ``power conf_low
        conf_high``, with the sizes in the index.
    target : float or None, default 0.8
        Where a dashed line is drawn; None for no line.
    width, height : float
        Of the figure in inches.
    ax : matplotlib.axes.Axes, optional
        Where to draw; by default a new figure.
    title : str, optional

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    InvalidArgumentError
        A frame without rows or without one of the columns; a target that is not between 0 and 1.

    Notes
    -----
    R: ``plot(simr::powerCurve(...))``.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> import merextras as mx
    >>> m = mx.lmer("Reaction ~ Days + (Days | Subject)", mx.load_dataset("sleepstudy"))
    >>> curve = mx.power_curve(m, "Days", along="Subject", values=[4, 8], n_sims=20, rng=1)
    >>> ax = mx.plot_power_curve(curve)
    >>> ax.get_xlabel(), ax.get_ylabel()
    ('Subject', 'power')
    >>> plt.close(ax.figure)
    """
    arguments.refuse_model(curve, "plot_power_curve")
    limits = ["power", "conf_low", "conf_high"]
    frame = arguments.as_frame(curve, "curve", needs=[], numeric=limits).sort_index()
    if target is not None and not 0.0 < target < 1.0:
        raise InvalidArgumentError(f"target={target!r}: a power, strictly between 0 and 1, or None")
    if ax is None:
        arguments.require_positive(width, "width")
        arguments.require_positive(height, "height")
        ax = style.new_axes(width, height)
    if target is not None:
        ax.axhline(target, **style.dashed())
    at = frame.index.to_numpy()
    color = style.estimated()
    ax.vlines(at, frame["conf_low"], frame["conf_high"], color=color, linewidth=1.4, zorder=2)
    ax.plot(at, frame["power"], color=color, linewidth=1.0, marker="o", markersize=5, zorder=3)
    ax.set_ylim(-0.02, 1.02)
    ax.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    if len(at) <= 12:
        ax.set_xticks(at)
    ax.set_xlabel(str(frame.index.name or "size"))
    ax.set_ylabel("power")
    if title is not None:
        ax.set_title(title)
    return ax
