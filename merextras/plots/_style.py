"""Colours and sizes that several plots share. Nothing here changes a global style."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import NormalDist
from typing import Any

import numpy as np

#: The first colour of seaborn's "colorblind" palette, for what is estimated.
BLUE = "#0173B2"
#: The fourth, for what was observed.
VERMILION = "#D55E00"
#: Effects whose interval contains zero.
PALE = "0.75"

#: More levels than this are drawn without their names.
MAX_LABELS = 75
#: More marks than this are stored as pixels, also in a PDF or SVG file.
RASTER_FROM = 500

#: Inches that one character of a tick label takes along the text, and one line of it across.
_CHARACTER, _LINE = 0.085, 0.16
_LONGEST = 40


def levels_length(n_levels: int) -> float:
    """Inches along an axis of levels: room for a name each, or a fixed length without names."""
    return max(1.4, 0.5 + 0.17 * n_levels) if n_levels <= MAX_LABELS else 7.0


def line_width(pitch: float) -> float:
    """Width of an interval, in points, when neighbours are `pitch` points apart."""
    return float(np.clip(0.6 * pitch, 0.3, 1.6))


def marker_area(pitch: float) -> float:
    """Area of a dot, in square points, when neighbours are `pitch` points apart."""
    return float(np.clip(0.9 * pitch, 1.2, 5.2) ** 2)


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
    return _CHARACTER * max((len(label) for label in labels), default=0)


def title_extent(title: str) -> float:
    """Inches that a panel's title needs, whose letters are a fifth larger than a label's."""
    return 1.2 * _CHARACTER * len(title)


def label_x_axis(ax: Any, labels: Sequence[str], width: float) -> None:
    """Name positions 0, 1, ... of an x axis `width` inches long: across, upright, or not at all."""
    room = max(0.6, 0.02 * len(labels))
    ax.set_xlim(-room, len(labels) - 1 + room)
    if len(labels) * _LINE > width:
        ax.set_xticks([])
        return
    across = sum(len(label) + 1 for label in labels) * _CHARACTER <= width
    ax.set_xticks(range(len(labels)), labels=labels, rotation=0 if across else 90)
