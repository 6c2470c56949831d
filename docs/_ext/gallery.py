"""The notebooks as pages and as a gallery of their figures.

Sphinx reads only what is under ``docs``, and the notebooks are beside it: they are copied to
``docs/gallery`` before a build, and the directive ``notebook-gallery`` shows one figure of each.
"""

from __future__ import annotations

import base64
import json
import shutil
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.util.docutils import SphinxDirective

#: Which of a notebook's figures stands for it, counted from zero (the last one if there are fewer).
_SHOWN = {"00": 1, "01": 5, "02": 0, "03": 0, "04": 3, "06": 1, "07": 1}


def copy(app: Sphinx, _config: Config) -> None:
    """Copy the notebooks, and one figure of each, to where Sphinx finds them."""
    target = Path(app.srcdir) / "gallery"
    target.mkdir(exist_ok=True)
    for path in notebooks(app):
        copied = target / path.name
        if not copied.exists() or copied.read_bytes() != path.read_bytes():
            shutil.copyfile(path, copied)
        figure = _figure(_read(path), _SHOWN.get(path.name[:2], 0))
        if figure is not None:
            (target / f"{path.stem}.png").write_bytes(figure)


def notebooks(app: Sphinx) -> list[Path]:
    """The notebooks of the repository, in their order."""
    return sorted((Path(app.srcdir).parent / "notebooks").glob("*.ipynb"))


class Gallery(SphinxDirective):
    """A card for each notebook: its figure, its title, its first paragraph."""

    has_content = False

    def run(self) -> list[nodes.Node]:
        """Make the cards."""
        cards = nodes.container("", classes=["gallery"])
        for path in notebooks(self.env.app):
            title, text = _head(_read(path))
            address = f"{path.stem}.html"
            card = nodes.container("", classes=["gallery-card"])
            if (Path(self.env.srcdir) / "gallery" / f"{path.stem}.png").exists():
                picture = nodes.image("", uri=f"gallery/{path.stem}.png", alt=title)
                card += nodes.reference("", "", picture, refuri=f"gallery/{address}")
            name = nodes.reference("", title, refuri=f"gallery/{address}")
            card += nodes.paragraph("", "", nodes.strong("", "", name))
            card += nodes.paragraph("", text)
            cards += card
        return [cards]


def _read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def _head(notebook: dict[str, Any]) -> tuple[str, str]:
    """Title and first paragraph."""
    parts = "".join(notebook["cells"][0]["source"]).split("\n\n")
    return parts[0].lstrip("# "), " ".join(parts[1].split()).replace("`", "")


def _figure(notebook: dict[str, Any], place: int) -> bytes | None:
    found = [
        output["data"]["image/png"]
        for cell in notebook["cells"]
        for output in cell.get("outputs", [])
        if "image/png" in output.get("data", {})
    ]
    return base64.b64decode(found[min(place, len(found) - 1)]) if found else None


def setup(app: Sphinx) -> dict[str, bool]:
    """Copy before sources are looked for; add the directive."""
    app.connect("config-inited", copy)
    app.add_directive("notebook-gallery", Gallery)
    return {"parallel_read_safe": True}
