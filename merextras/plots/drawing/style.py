"""Colours and sizes that several plots share, from the style in force when a figure is drawn.

Nothing here changes a global style. Greys are mixtures of the style's text and background colours,
so that what is dark on a white page is light on a black one; the colours of data are those of the
user's palette, or of seaborn's "colorblind" where matplotlib's own default is in force; lengths
that depend on letters grow with the size of the tick labels.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import NormalDist
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.colors import to_hex, to_rgb
from matplotlib.font_manager import FontProperties

#: The first colour of seaborn's "colorblind" palette, for what is estimated.
BLUE = "#0173B2"
#: The fourth, for what was observed.
VERMILION = "#D55E00"

#: More levels than this are drawn without their names.
MAX_LABELS = 75
#: More marks than this are stored as pixels, also in a PDF or SVG file.
RASTER_FROM = 500

#: Inches that one character of a tick label takes along the text, and one line of it across.
_CHARACTER, _LINE = 0.085, 0.16
_LONGEST = 40


#: How much of the letters' growth beyond ten points a panel's sides follow.
_FOLLOWED = 0.6


def ink() -> str:
    """The colour of text."""
    return to_hex(mpl.rcParams["text.color"])


def paper() -> str:
    """The colour of the background of panels, also for the faces of hollow marks."""
    for name in ("axes.facecolor", "figure.facecolor"):
        if mpl.rcParams[name] != "none":
            return to_hex(mpl.rcParams[name])
    return "#ffffff" if _lightness(ink()) < 0.5 else "#000000"


def gray(level: float) -> str:
    """A mixture: 0 is the text's colour and 1 the background's, as matplotlib's "0.4" on white."""
    dark, light = np.array(to_rgb(ink())), np.array(to_rgb(paper()))
    return to_hex(np.clip(dark + level * (light - dark), 0.0, 1.0))


def pale() -> str:
    """What does not count as much: effects whose interval contains zero."""
    return gray(0.62)


def _hex(colour: Any) -> str:
    return to_hex(colour).upper()


def _cycle() -> list[str]:
    """The user's own palette if it has two colours, or seaborn's "colorblind"."""
    cycle, plain = mpl.rcParams["axes.prop_cycle"], mpl.rcParamsDefault["axes.prop_cycle"]
    own = [] if cycle == plain else cycle.by_key().get("color", [])
    found = list(dict.fromkeys(map(_hex, own)))
    return found if len(found) > 1 else list(map(_hex, sns.color_palette("colorblind")))


def palette(n: int) -> list[str]:
    """Colours for n things: those in force if they are enough, else n hues."""
    own = _cycle()
    return own[:n] if n <= len(own) else list(map(_hex, sns.color_palette("husl", n)))


def estimated() -> str:
    """The colour of what is estimated, the palette's first."""
    return _cycle()[0]


def observed() -> str:
    """The colour of what was observed or stands out, the palette's fourth or last."""
    found = _cycle()
    return found[3] if len(found) > 3 else found[-1]


def shades() -> str:
    """A sequential colour map whose far end is the one that stands out from the background."""
    return "crest" if _lightness(paper()) > 0.5 else "crest_r"


def _lightness(colour: str) -> float:
    return float(np.dot(to_rgb(colour), (0.299, 0.587, 0.114)))


def text_scale() -> float:
    """Size of the tick labels over ten points."""
    points = FontProperties(size=mpl.rcParams["xtick.labelsize"]).get_size_in_points()
    return float(points) / 10.0


def panel_scale() -> float:
    """How much larger panels are than for letters of ten points; never smaller."""
    return 1.0 + _FOLLOWED * max(text_scale() - 1.0, 0.0)


def new_axes(width: float, height: float) -> Axes:
    """Axes in a figure of its own, of that size in inches."""
    axes: Axes = plt.subplots(figsize=(width, height), layout="constrained")[1]
    return axes


def size(width: float, height: float) -> tuple[float, float]:
    """A figure's default size in inches."""
    return width * panel_scale(), height * panel_scale()


def dashed() -> dict[str, Any]:
    """How a line is drawn that points are compared with, such as that at zero."""
    return {"color": gray(0.4), "linewidth": 0.9, "linestyle": "--", "zorder": 1}


def levels_length(n_levels: int) -> float:
    """Inches along an axis of levels: room for a name each, or a fixed length without names."""
    if n_levels > MAX_LABELS:
        return 7.0 * panel_scale()
    return max(1.4, 0.5 + 0.17 * n_levels) * max(text_scale(), 1.0)


def line_width(pitch: float) -> float:
    """Width of an interval, in points, when neighbours are `pitch` points apart."""
    return float(np.clip(0.6 * pitch, 0.3, 1.6 * panel_scale()))


def marker_area(pitch: float) -> float:
    """Area of a dot, in square points, when neighbours are `pitch` points apart."""
    return float(np.clip(0.9 * pitch, 1.2, 5.2 * panel_scale()) ** 2)


def normal_quantile(level: float) -> float:
    """Half the width of a standard normal's central interval."""
    return NormalDist().inv_cdf(0.5 + 0.5 * level)


def thousands(count: int) -> str:
    """Write a number in groups of three digits."""
    return f"{count:,}".replace(",", "\N{NARROW NO-BREAK SPACE}")


def short_labels(levels: Sequence[Any]) -> list[str]:
    """Names for the axis; the middle of an over-long one is left out."""
    half = _LONGEST // 2
    names = [str(level) for level in levels]
    return [
        name if len(name) <= _LONGEST else f"{name[:half]}…{name[-half + 1 :]}" for name in names
    ]


def label_extent(labels: Sequence[str]) -> float:
    """Inches that the longest label needs along its text."""
    return _CHARACTER * text_scale() * max((len(label) for label in labels), default=0)


def title_extent(title: str) -> float:
    """Inches that a panel's title needs, whose letters are a fifth larger than a label's."""
    return 1.2 * _CHARACTER * text_scale() * len(title)


def label_x_axis(ax: Any, labels: Sequence[str], width: float) -> None:
    """Name positions 0, 1, ... of an x axis `width` inches long: across, upright, or not at all."""
    room = max(0.6, 0.02 * len(labels))
    ax.set_xlim(-room, len(labels) - 1 + room)
    scale = text_scale()
    if len(labels) * _LINE * scale > width:
        ax.set_xticks([])
        return
    across = sum(len(label) + 1 for label in labels) * _CHARACTER * scale <= width
    ax.set_xticks(range(len(labels)), labels=labels, rotation=0 if across else 90)
