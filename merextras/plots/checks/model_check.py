"""The panel of a model's checks."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from merextras.exceptions import InvalidArgumentError
from merextras.plots.checks.qq import draw_effects
from merextras.plots.checks.residuals import draw_leverage, draw_residuals, draw_scale
from merextras.plots.drawing import arguments, style
from merextras.plots.drawing.panels import parts
from merextras.plots.drawing.points import quantiles
from merextras.results.checks.model_check import ModelCheck
from merextras.results.checks.prediction_check import PredictionCheck

__all__ = ["plot_model_check"]

#: Random effects that get a panel, and terms in the panel of variance inflation.
_EFFECTS, _TERMS = 6, 20


def plot_model_check(
    check: ModelCheck, *, columns: int = 2, size: float | None = None, title: str | None = None
) -> Figure:
    """Draw what `model_checks` found, a panel for each assumption.

    The response's density beside those of simulated responses; residuals and their scale against
    fitted values; residuals against leverage with contours of Cook's distance at 0.5 and 1;
    variance inflation factors (squared standard-error factors for terms of several columns);
    quantiles of the residuals and of each random effect, the first six of them.

    Parameters
    ----------
    check : ModelCheck
        What ``model_checks`` returned.
    columns : int, default 2
        Number of panels in a row.
    size : float, optional
        Height of a panel in inches, by default 3.2; its width is 1.45 times that.
    title : str, optional
        Title of the figure; the formula by default.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    InvalidArgumentError
        Something else than a `ModelCheck`, a size or number of columns that is not positive.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> import merextras as mx
    >>> m = mx.lmer("Yield ~ 1 + (1 | Batch)", mx.load_dataset("dyestuff"))
    >>> figure = mx.plot_model_check(mx.model_checks(m, rng=1))
    >>> len(figure.axes)
    6
    >>> plt.close(figure)
    """
    arguments.refuse_model(check, "plot_model_check")
    if not isinstance(check, ModelCheck):
        raise InvalidArgumentError(
            f"check is of type {type(check).__name__}; the result of model_checks(m) is needed."
        )
    size = arguments.inches(size, "size", 3.2)
    if not isinstance(columns, (int, np.integer)) or isinstance(columns, bool) or columns < 1:
        raise InvalidArgumentError(f"columns={columns!r}: must be a positive whole number")
    panels = _panels(check)
    columns = min(columns, len(panels))
    rows = math.ceil(len(panels) / columns)
    figure, axes = plt.subplots(
        rows, columns, figsize=(1.45 * size * columns, size * rows + 0.3), layout="constrained",
        squeeze=False,
    )  # fmt: skip
    for ax, draw in zip(axes.flat, panels, strict=False):
        draw(ax)
    for ax in axes.flat[len(panels) :]:
        ax.remove()
    figure.suptitle(check.formula if title is None else title, fontsize="medium")
    return figure


def _panels(check: ModelCheck) -> list[Callable[[Axes], None]]:
    out: list[Callable[[Axes], None]] = []
    if check.predictions is not None:
        out.append(partial(_predictions, check=check.predictions))
    out += [
        partial(draw_residuals, residuals=check.residuals),
        partial(draw_scale, residuals=check.residuals),
        partial(draw_leverage, residuals=check.residuals),
    ]
    if len(check.collinearity.table):
        out.append(partial(_inflation, table=check.collinearity.to_frame()))
    out.append(partial(_residual_quantiles, qq=check.qq))
    effects = [
        partial(_effect, part=rows, group=str(group), term=str(term))
        for group, part in parts(check.ranef.to_frame(), "group").items()
        for term, rows in parts(part, "term").items()
    ]
    return [*out, *effects[:_EFFECTS]]


def _predictions(ax: Axes, check: PredictionCheck) -> None:
    for i, density in enumerate(check.simulated):
        label = "simulated" if i == 0 else None
        ax.plot(check.grid, density, color=style.estimated(), linewidth=0.6, alpha=0.3, label=label)
    ax.plot(check.grid, check.observed, color=style.observed(), linewidth=1.8, label="observed")
    drawn = np.vstack([check.observed, check.simulated]).max(axis=0) > 1e-3 * check.observed.max()
    ax.set_xlim(check.grid[drawn][0], check.grid[drawn][-1])
    ax.set_ylim(bottom=0.0)
    ax.set_yticks([])
    legend = ax.legend(frameon=False, fontsize="small")
    for line in legend.get_lines():
        line.set_alpha(1.0)
    ax.set(xlabel=check.response, ylabel="density", title="Predictive check")


def _inflation(ax: Axes, table: pd.DataFrame) -> None:
    value = (table["se_factor"] ** 2).rename("value")
    frame = table.assign(value=value).nlargest(_TERMS, "value").iloc[::-1]
    colors = [style.observed() if v >= 5 else style.estimated() for v in frame["value"]]
    ax.hlines(range(len(frame)), 1.0, frame["value"], color=colors, linewidth=2.0)
    ax.scatter(frame["value"], range(len(frame)), color=colors, s=26, zorder=3)
    ax.set_yticks(range(len(frame)), labels=style.short_labels(list(frame["term"])))
    if len(frame) > 10:
        ax.tick_params(axis="y", labelsize="x-small")
    ax.set_ylim(-0.7, len(frame) - 0.3)
    ax.axvline(5.0, color=style.gray(0.4), linewidth=0.9, linestyle="--")
    ax.set_xlim(0.9, max(6.0, 1.08 * float(frame["value"].max())))
    ax.set(xlabel="variance inflation factor", title="Collinearity")


def _residual_quantiles(ax: Axes, qq: pd.DataFrame) -> None:
    quantiles(ax, qq)
    ax.set_title("Normality of residuals")


def _effect(ax: Axes, part: pd.DataFrame, group: str, term: str) -> None:
    draw_effects(ax, part, 0.95)
    ax.set(xlabel=f"{term} by {group}", ylabel="normal quantile")
    ax.set_title("Normality of random effects")
