"""Plot of an exact test: the simulated null distribution and the observed statistic."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes

from merextras.exceptions import InvalidArgumentError
from merextras.foundation.arguments import check_count
from merextras.plots.drawing import arguments, style

__all__ = ["plot_exact_test"]

#: An observed value beyond this many times the range of the histogram is pointed at instead.
_FAR = 1.8


class _ExactTest(Protocol):
    """What the plot reads of a test."""

    @property
    def sample(self) -> npt.NDArray[np.float64]: ...
    @property
    def statistic(self) -> float: ...
    @property
    def p_value(self) -> float: ...
    @property
    def n_sims(self) -> int: ...
    @property
    def name(self) -> str: ...


def plot_exact_test(
    test: _ExactTest, *, ax: Axes | None = None, bins: int = 40, title: str | None = None
) -> Axes:
    """Draw the simulated null distribution of an exact test with the observed statistic.

    What a histogram of the ``$sample`` of RLRsim's ``exactLRT`` or ``exactRLRT`` shows in R, with
    two differences. A variance that is estimated as zero makes the statistic exactly zero, often
    in more than half of the simulations: these have a bar of their own, left of zero, with their
    proportion written on it. And an observed value far beyond the simulated ones does not squeeze
    them together: an arrow at the edge points to it.

    Parameters
    ----------
    test : ExactTest
        What ``exact_lrt`` or ``exact_rlrt`` returned, or any object with the attributes ``sample``,
        the simulated statistics, ``statistic``, ``p_value``, ``n_sims`` and ``name``.
    ax : matplotlib.axes.Axes, optional
        Where to draw. By default in a new figure.
    bins : int, default 40
        Number of bars for the statistics above zero.
    title : str, optional
        Title of the axes. By default it says how many simulations there were.

    Returns
    -------
    matplotlib.axes.Axes
        What was drawn on.

    Raises
    ------
    InvalidArgumentError
        If `test` lacks an attribute, if its sample is empty or has a value that is negative or
        not finite, or if `bins` is not a whole number of at least 1.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> import matplotlib.pyplot as plt
    >>> import numpy as np
    >>> from merextras.plots import plot_exact_test
    >>> draws = np.maximum(np.random.default_rng(1).normal(size=1000), 0) ** 2
    >>> test = SimpleNamespace(
    ...     sample=draws, statistic=2957.8, p_value=0.0, n_sims=1000, name="LRT"
    ... )
    >>> ax = plot_exact_test(test)
    >>> ax.get_xlabel()
    'LRT'
    >>> plt.close(ax.figure)
    """
    arguments.refuse_model(test, "plot_exact_test")
    check_count(bins, "bins")
    sample, observed = _sample_and_statistic(test)
    if ax is None:
        ax = style.new_axes(*style.size(6.4, 4.0))
    top = float(sample.max())
    far = observed > _FAR * top > 0
    reach = max(top, observed if not far else 0.0) or 1.0
    width = (top or 1.0) / bins
    _draw_sample(ax, sample, top, width, bins)
    ax.set_xlim(-max(0.05 * reach, 2.5 * width), reach * (1.35 if far else 1.08))
    ax.margins(y=0.25)
    _mark_observed(ax, test, observed, top if far else None)
    ax.set_xlabel(str(test.name))
    ax.set_ylabel("proportion of simulations")
    if title is None:
        title = f"null distribution, {style.thousands(test.n_sims)} simulations"
    ax.set_title(title)
    return ax


def _sample_and_statistic(test: _ExactTest) -> tuple[npt.NDArray[np.float64], float]:
    """Return the sample and the observed statistic, or say what is wrong with them."""
    needed = ("sample", "statistic", "p_value", "n_sims", "name")
    missing = [name for name in needed if not hasattr(test, name)]
    if missing:
        message = (
            f"test is of type {type(test).__name__} and lacks {arguments.listed(missing)}; the "
            "result of exact_lrt or exact_rlrt is needed."
        )
        raise InvalidArgumentError(message)
    sample = np.asarray(test.sample, dtype=float).ravel()
    if sample.size == 0:
        message = (
            "test.sample is empty, so there is no null distribution to draw. A statistic of zero "
            "has p = 1 without a simulation."
        )
        raise InvalidArgumentError(message)
    if not (np.isfinite(sample) & (sample >= 0)).all() or not np.isfinite(test.statistic):
        message = (
            "test.sample or test.statistic has a value that is not allowed; likelihood-ratio "
            "statistics are finite, and the simulated ones are at least 0."
        )
        raise InvalidArgumentError(message)
    return sample, float(test.statistic)


def _draw_sample(
    ax: Axes, sample: npt.NDArray[np.float64], top: float, width: float, bins: int
) -> None:
    """Draw the simulated statistics, with a bar of their own for those that are zero."""
    positive = sample[sample > 0]
    if positive.size:
        ax.hist(
            positive,
            bins=np.linspace(0, top, bins + 1).tolist(),
            weights=np.full(positive.size, 1 / sample.size),
            color=style.estimated(),
            edgecolor=style.paper(),
            linewidth=0.4,
        )
    zeros = np.mean(sample == 0)
    if zeros:
        ax.bar(
            -width,
            zeros,
            width=2 * width,
            color=style.gray(0.45),
            edgecolor=style.paper(),
            linewidth=0.4,
        )
        ax.annotate(
            f"{zeros:.3g} at zero",
            (-2 * width, zeros),
            xytext=(0, 3),
            textcoords="offset points",
            fontsize="small",
            # An observed value close to zero has its line behind the words, and not through them.
            bbox={"facecolor": style.paper(), "edgecolor": "none", "pad": 1.5},
            zorder=5,
        )


def _mark_observed(ax: Axes, test: _ExactTest, observed: float, top: float | None) -> None:
    """Draw a line at the observed value, or, beyond `top` by far, an arrow towards it."""
    p_value = f"p = {test.p_value:.3g}" if test.p_value != 0 else f"p < 1/{test.n_sims}"
    text = f"observed {observed:.6g}\n{p_value}"
    style_of_text: dict[str, Any] = {"color": style.observed(), "fontsize": "small"}
    if top is None:
        left = observed > np.mean(ax.get_xlim())
        ax.axvline(observed, color=style.observed(), linewidth=1.6)
        ax.annotate(
            text,
            (observed, 0.97),
            xycoords=ax.get_xaxis_transform(),
            xytext=(-5 if left else 5, 0),
            textcoords="offset points",
            ha="right" if left else "left",
            va="top",
            **style_of_text,
        )
        return
    ax.annotate(
        "",
        (1.0, 0.5),
        xycoords="axes fraction",
        xytext=(0.84, 0.5),
        textcoords="axes fraction",
        arrowprops={"arrowstyle": "-|>", "color": style.observed(), "linewidth": 1.6},
    )
    text += f"\n{_times(observed / top)} times the\nlargest simulated"
    ax.text(0.99, 0.54, text, transform=ax.transAxes, ha="right", va="bottom", **style_of_text)


def _times(ratio: float) -> str:
    """Write a ratio without an exponent."""
    return style.thousands(round(ratio)) if ratio >= 100 else f"{ratio:.3g}"
