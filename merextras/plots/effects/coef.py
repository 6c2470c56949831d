"""Coefficient plots of the fixed effects."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from merextras.exceptions import InvalidArgumentError
from merextras.plots.drawing import arguments, style
from merextras.results.ratios import are_ratios

__all__ = ["plot_coef"]


def plot_coef(
    coefs: Any,
    *,
    intercept: bool = False,
    width: float | None = None,
    height: float | None = None,
    ax: Axes | None = None,
    title: str | None = None,
) -> Axes:
    """Draw fixed effects with their uncertainty, of one model or of several side by side.

    A dot at the estimate; thick to one standard error either side and thin to two. With the columns
    ``conf_low`` and ``conf_high`` and no ``std_error``, the thin line is that interval. A vertical
    line is at zero; the first effect is on top. Ratios, of ``tidy(m, "fixed", exponentiate=True)``,
    are on a logarithmic axis with the line at one, and so are one and two standard errors of their
    logarithms.

    Parameters
    ----------
    coefs : pandas.DataFrame, or mapping name -> DataFrame
        ``estimate`` and ``std_error`` (or ``conf_low conf_high``) by effect, whose names are in the
        column ``term`` or in the index: ``m.summary().coefficients``. A mapping has several
        models, each with a colour of its own.
    intercept : bool, default False
        Whether to draw ``Intercept`` too, which is often far from the others.
    width : float, optional
        Width of the figure in inches, without the names of the effects; five by default.
    height : float, optional
        Height of the figure in inches; by default by the number of effects.
    ax : matplotlib.axes.Axes, optional
        Where to draw; by default a new figure.
    title : str, optional

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    InvalidArgumentError
        A frame without rows or without one of the columns, with an effect twice; nothing left to
        draw; more than eight models; ratios beside effects that are none.

    Notes
    -----
    R: ``arm::coefplot``. Gelman, A. and Hill, J. (2007). *Data Analysis Using Regression and
    Multilevel/Hierarchical Models*, p. 306. Effects of predictors in different units can't be
    compared: see `standardize`.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> import merextras as mx
    >>> m = mx.lmer("extro ~ open + agree + social + (1 | school)", mx.load_dataset("students"))
    >>> ax = mx.plot_coef(m.summary().coefficients)
    >>> [label.get_text() for label in ax.get_yticklabels()]
    ['open', 'agree', 'social']
    >>> plt.close(ax.figure)
    """
    arguments.refuse_model(coefs, "plot_coef")
    models = coefs if isinstance(coefs, Mapping) else {"": coefs}
    frames = {str(name): _lines_of(frame, intercept) for name, frame in models.items()}
    if not 1 <= len(frames) <= 8:
        raise InvalidArgumentError(f"coefs has {len(frames)} models; 1 to 8 can be told apart.")
    ratio = {frame.attrs["ratio"] for frame in frames.values()}
    if len(ratio) > 1:
        raise InvalidArgumentError("coefs: some models have ratios and some the effects themselves")
    terms = list(dict.fromkeys(term for frame in frames.values() for term in frame["term"]))
    if not terms:
        raise InvalidArgumentError("coefs: only the intercept is there; give intercept=True.")
    labels = style.short_labels(terms)
    if ax is None:
        tall = arguments.inches(height, "height", 0.9 + len(terms) * (0.2 + 0.12 * len(frames)))
        wide = arguments.inches(width, "width", 5.0) + style.label_extent(labels)
        ax = style.new_axes(wide, tall)
    ax.axvline(1.0 if True in ratio else 0.0, **style.dashed())
    palette = style.palette(len(frames))
    for i, (name, frame) in enumerate(frames.items()):
        shift = 0.7 * ((i + 0.5) / len(frames) - 0.5)
        _draw(ax, frame, pd.Index(terms).get_indexer(pd.Index(frame["term"])) + shift, palette[i])
        ax.plot([], [], color=palette[i], marker="o", label=name)
    ax.set_yticks(range(len(terms)), labels=labels)
    ax.set_ylim(len(terms) - 0.4, -0.6)
    ax.set_xlabel(_x_label(frames))
    if True in ratio:
        ax.set_xscale("log")
    if len(frames) > 1:
        ax.legend(frameon=False, fontsize="small", loc="center left", bbox_to_anchor=(1.0, 0.5))
    if title is not None:
        ax.set_title(title)
    return ax


def _lines_of(frame: Any, intercept: bool) -> pd.DataFrame:
    """Return term, estimate, and the ends of the thin and thick lines."""
    ratio = are_ratios(frame)
    frame = arguments.as_frame(frame, "coefs", needs=[], numeric=["estimate"])
    if "term" not in frame:
        frame = frame.rename_axis("term").reset_index()
    limits = ["conf_low", "conf_high"]
    spread = limits if "std_error" not in frame and set(limits) <= set(frame) else ["std_error"]
    frame = arguments.as_frame(frame, "coefs", needs=["term"], numeric=spread)
    arguments.require_keys(frame, "coefs", ["term"])
    if not intercept:
        frame = frame[frame["term"] != "Intercept"]
    estimate = frame["estimate"].to_numpy(float)
    if spread == limits:
        thin = frame["conf_low"].to_numpy(float), frame["conf_high"].to_numpy(float)
        thick = np.full(len(frame), np.nan), np.full(len(frame), np.nan)
    else:
        se = frame["std_error"].to_numpy(float)
        if ratio:  # whose logarithms are what is normal
            by = np.exp(se / estimate)
            thin, thick = (estimate / by**2, estimate * by**2), (estimate / by, estimate * by)
        else:
            thin, thick = (estimate - 2 * se, estimate + 2 * se), (estimate - se, estimate + se)
    columns = {"term": frame["term"].astype(str).to_numpy(), "estimate": estimate}
    ends = {"low": thin[0], "high": thin[1], "inner_low": thick[0], "inner_high": thick[1]}
    out = pd.DataFrame({**columns, **ends})
    out.attrs |= {"limits": spread == limits, "ratio": ratio}
    return out


def _draw(ax: Axes, frame: pd.DataFrame, at: Any, color: Any) -> None:
    ax.hlines(at, frame["low"], frame["high"], color=color, linewidth=1.0, zorder=2)
    ax.hlines(at, frame["inner_low"], frame["inner_high"], color=color, linewidth=2.8, zorder=2)
    ax.scatter(frame["estimate"], at, s=22, color=color, linewidths=0, zorder=3)


def _x_label(frames: Mapping[str, pd.DataFrame]) -> str:
    ratio = any(frame.attrs["ratio"] for frame in frames.values())
    what = "ratio" if ratio else "estimate"
    if all(frame.attrs["limits"] for frame in frames.values()):
        return f"{what} and its interval"
    return f"{what}, ±1 and ±2 standard errors{' of its logarithm' if ratio else ''}"
