"""Random effects of one factor against one another."""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from merextras.exceptions import InvalidArgumentError
from merextras.foundation.aliases import Array
from merextras.plots.checks.qq import checked
from merextras.plots.drawing import arguments, style
from merextras.plots.drawing.panels import levels_of, parts
from merextras.plots.drawing.points import cloud
from merextras.plots.drawing.points import name as label
from merextras.results.estimates.var_corr import VarCorr

__all__ = ["plot_re_correlation"]

#: Names are written beside this many levels.
_NAMED = 20


def plot_re_correlation(
    ranef: Any,
    var_corr: VarCorr | None = None,
    *,
    group: str | None = None,
    size: float | None = None,
    title: str | None = None,
) -> Figure:
    """Draw the random effects of a factor as a matrix of scatter plots.

    Below the diagonal are the conditional modes of two effects, on it their histograms, and above
    it, with `var_corr`, the model's correlation. The modes are drawn towards zero and towards the
    fitted correlation, so that theirs is not the model's; the ellipse is the model's 95 % region.

    Parameters
    ----------
    ranef : Ranef or pandas.DataFrame
        What ``ranef`` returned, or its frame.
    var_corr : VarCorr, optional
        What ``var_corr`` returned of the same model.
    group : str, optional
        The grouping factor; by default the first that has several effects.
    size : float, optional
        Width and height of a panel in inches, by default 2.3.
    title : str, optional

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    InvalidArgumentError
        A frame without rows or columns that are needed, an unknown `group` or one with a single
        effect, a `var_corr` of another model, a size that is not positive.

    Notes
    -----
    R: lme4's ``plot(ranef(m))`` for two effects. Up to 20 levels have their names, as far
    as these do not overlap.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> import merextras as mx
    >>> m = mx.lmer("Reaction ~ Days + (Days | Subject)", mx.load_dataset("sleepstudy"))
    >>> figure = mx.plot_re_correlation(m.ranef(), m.var_corr())
    >>> [text.get_text() for text in figure.axes[1].texts]
    ['r = 0.07']
    >>> plt.close(figure)
    """
    arguments.refuse_model(ranef, "plot_re_correlation")
    frame = checked(ranef)
    size = arguments.inches(size, "size", 2.3)
    name = _chosen(frame, group)
    rows = parts(frame, "group")[name]
    terms = levels_of(rows["term"])
    wide = rows.pivot(index="level", columns="term", values="estimate")[terms]
    covariance = None if var_corr is None else _covariance(var_corr, str(name), terms)
    k = len(terms)
    arguments.require_few_panels(k * k, "ranef", f"{k} x {k} effects")
    figure, axes = plt.subplots(
        k, k, figsize=(size * k + 0.5, size * k + 0.3), layout="constrained", squeeze=False
    )
    for i in range(k):
        for j in range(k):
            _panel(axes[i, j], wide, i, j, covariance)
    text = f"{name}: {style.thousands(len(wide))} levels"
    figure.suptitle(text if title is None else title, fontsize="medium")
    return figure


def _chosen(frame: pd.DataFrame, group: str | None) -> Any:
    counts = {g: part["term"].nunique() for g, part in parts(frame, "group").items()}
    if group is not None and group not in counts:
        raise InvalidArgumentError(
            f"group={group!r} is not allowed; the grouping factors are {arguments.listed(counts)}."
        )
    several = [g for g, k in counts.items() if k > 1]
    if (group is None and not several) or (group is not None and group not in several):
        which = "every grouping factor" if group is None else f"{group!r}"
        raise InvalidArgumentError(f"{which} has a single effect; a correlation needs two.")
    return several[0] if group is None else group


def _covariance(var_corr: object, group: str, terms: list[Any]) -> Array:
    """The covariance of a factor's effects: zero between terms."""
    if not isinstance(var_corr, VarCorr):
        raise InvalidArgumentError(
            f"var_corr is of type {type(var_corr).__name__}; the result of m.var_corr() is needed."
        )
    known = [str(term) for term in terms]
    out = np.zeros((len(terms), len(terms)))
    found: list[str] = []
    for part in var_corr.components:
        own, _, number = part.group.rpartition(".")
        if part.group == group or (own == group and number.isdigit()):
            if not set(part.names) <= set(known):
                break
            at = [known.index(name) for name in part.names]
            out[np.ix_(at, at)] = part.covariance
            found += part.names
    if sorted(found) != sorted(known):
        raise InvalidArgumentError(
            f"var_corr has the effects {arguments.listed(found)} of {group!r}, ranef has "
            f"{arguments.listed(known)}; both must be of one model."
        )
    return out


def _panel(ax: Axes, wide: pd.DataFrame, i: int, j: int, covariance: Array | None) -> None:
    k = wide.shape[1]
    if i < j:
        ax.axis("off")
        if covariance is not None:
            sd = np.sqrt(covariance[i, i] * covariance[j, j])
            text = f"r = {covariance[i, j] / sd:.2f}" if sd > 0.0 else "r does not exist"
            ax.text(0.5, 0.5, text, transform=ax.transAxes, ha="center", va="center")
        return
    x, y = wide.iloc[:, j], wide.iloc[:, i]
    if i == j:
        ax.hist(
            x, bins=min(30, max(5, len(x) // 5)), color=style.estimated(), edgecolor=style.paper()
        )
        ax.set_yticks([])
        ax.margins(y=0.25)
        ax.text(
            0.04, 0.96, str(wide.columns[i]), transform=ax.transAxes, va="top", fontsize="small"
        )
    else:
        ax.axhline(0, color=style.gray(0.85), linewidth=0.8, zorder=0)
        ax.axvline(0, color=style.gray(0.85), linewidth=0.8, zorder=0)
        cloud(ax, x, y)
        if covariance is not None:
            _ellipse(ax, covariance[np.ix_([j, i], [j, i])])
        if len(wide) <= _NAMED:
            label(ax, style.short_labels(list(wide.index)), x, y)
    ax.locator_params(axis="x", nbins=4)
    if i == k - 1:
        ax.set_xlabel(str(wide.columns[j]))
    if j == 0 and i > 0:
        ax.set_ylabel(str(wide.columns[i]))


def _ellipse(ax: Axes, covariance: Array) -> None:
    """The region of 95 % of a bivariate normal distribution around zero."""
    values, vectors = np.linalg.eigh(covariance)
    angle = np.linspace(0.0, 2.0 * np.pi, 200)
    radius = np.sqrt(-2.0 * np.log(0.05))
    circle = np.sqrt(np.maximum(values, 0.0))[:, None] * np.array([np.cos(angle), np.sin(angle)])
    x, y = radius * vectors @ circle
    ax.plot(x, y, color=style.observed(), linewidth=1.0, zorder=1)
