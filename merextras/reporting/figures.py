"""Figures as SVG and PNG, in light or dark, without a window."""

from __future__ import annotations

import base64
import io
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from merextras.foundation.arguments import check_choice

THEMES = ("light", "dark")
FORMATS = ("png", "svg")
#: An SVG of more bytes than this goes into a page as PNG.
_LARGE = 600_000
#: Dots per inch of PNG: twice a screen's, for sharp text.
_DPI = 160
#: Ink, paper and lines of each theme; the paper is that of the pages' cards.
_INK = {"light": ("#1f2328", "#ffffff", "#d0d7de"), "dark": ("#e6edf3", "#161b22", "#3d444d")}

#: seaborn's "colorblind" palette, and the same hues bright enough for dark paper.
_CYCLE = {
    "light": ("#0173B2", "#DE8F05", "#029E73", "#D55E00", "#CC78BC", "#CA9161"),
    "dark": ("#56B4E9", "#F0B03F", "#3DC9A0", "#FF8C42", "#E3A0D7", "#DDB085"),
}

# pyplot keeps its figures in one list, which threads must not change at a time.
_lock = threading.RLock()


@dataclass(frozen=True)
class Drawn:
    """A figure in bytes.

    Attributes
    ----------
    data : bytes
    kind : {"png", "svg"}
    width : float
        In CSS pixels, 96 to the inch.
    """

    data: bytes
    kind: str
    width: float

    @property
    def uri(self) -> str:
        """The figure in an address, so that a page needs no other file."""
        mime = {"png": "image/png", "svg": "image/svg+xml"}[self.kind]
        return f"data:{mime};base64,{base64.b64encode(self.data).decode('ascii')}"


def render(draw: Callable[[], Any], *, theme: str = "light", kind: str = "png") -> Drawn:
    """Draw a figure in a theme.

    Parameters
    ----------
    draw : function without arguments
        Returns a figure, axes or grid, which is closed.
    theme : {"light", "dark"}
    kind : {"png", "svg"}

    Returns
    -------
    Drawn
        The same bytes for the same figure.
    """
    check_choice(kind, FORMATS, "kind")
    with _drawn(draw, theme) as figure:
        return _saved(figure, kind)


def for_page(draw: Callable[[], Any], *, theme: str) -> Drawn:
    """Draw a figure as SVG, as PNG where that is far smaller."""
    with _drawn(draw, theme) as figure:
        made = _saved(figure, "svg")
        return made if len(made.data) <= _LARGE else _saved(figure, "png")


@contextmanager
def _drawn(draw: Callable[[], Any], theme: str) -> Iterator[Any]:
    """The figure, drawn without a window and closed at the end."""
    check_choice(theme, THEMES, "theme")
    import matplotlib.pyplot as plt  # noqa: PLC0415

    with _lock, _no_window(), plt.rc_context(_style(theme)):
        figure = draw().figure
        try:
            yield figure
        finally:
            plt.close(figure)


def _saved(figure: Any, kind: str) -> Drawn:
    """The figure's bytes, with nothing in them that changes from day to day."""
    out = io.BytesIO()
    metadata = {"Date": None} if kind == "svg" else {"Software": None}
    figure.savefig(out, format=kind, dpi=_DPI, bbox_inches="tight", metadata=metadata)
    data = out.getvalue()
    return Drawn(data, kind, round(96.0 * _inches(data, kind)))


def _inches(data: bytes, kind: str) -> float:
    """The width that a file says it has."""
    if kind == "png":
        return int.from_bytes(data[16:20], "big") / _DPI
    found = re.search(rb'<svg[^>]* width="([0-9.]+)pt"', data)
    return 6.0 if found is None else float(found[1]) / 72.0


def _style(theme: str) -> Any:
    """Settings of matplotlib for a theme."""
    from cycler import cycler  # noqa: PLC0415 (comes with matplotlib)

    ink, paper, line = _INK[theme]
    style: dict[str, Any] = dict.fromkeys(
        ("text.color", "axes.labelcolor", "axes.edgecolor", "axes.titlecolor",
         "xtick.color", "ytick.color", "lines.color", "patch.edgecolor"), ink,
    )  # fmt: skip
    style |= dict.fromkeys(("figure.facecolor", "axes.facecolor", "savefig.facecolor"), paper)
    return style | {
        "grid.color": line,
        "legend.facecolor": paper,
        "legend.edgecolor": line,
        "axes.prop_cycle": cycler(color=_CYCLE[theme]),
        "font.size": 10.0,
        "svg.hashsalt": "merextras",
        "svg.fonttype": "path",
    }


@contextmanager
def _no_window() -> Iterator[None]:
    """Draw with Agg: no display is needed, and a server's thread opens no window."""
    import matplotlib as mpl  # noqa: PLC0415
    import matplotlib.pyplot as plt  # noqa: PLC0415

    before = mpl.get_backend()
    if before.lower() == "agg":
        yield
        return
    plt.switch_backend("agg")
    try:
        yield
    finally:
        plt.switch_backend(before)
