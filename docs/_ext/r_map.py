"""The directive ``r-map``: R's names and what they stand for, from the table of ``merextras.r``."""

from __future__ import annotations

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from merextras import r


def rows() -> list[tuple[str, str, str, str]]:
    """R's name, its name here, what is written in Python, and the keywords that differ."""
    out = []
    for name, spelling in r.TABLE.items():
        keywords = ", ".join(f"{theirs} → {ours}" for theirs, ours in spelling.keywords.items())
        out.append((name, name.replace(".", "_"), spelling.ours, keywords))
    return out


class RMap(SphinxDirective):
    """A table in the order of ``TABLE``, which goes by package."""

    has_content = False

    def run(self) -> list[nodes.Node]:
        """Make the table."""
        heads = ["R", "merextras.r", "in Python", "R's keywords → ours"]
        widths = [18, 20, 30, 32]
        group = nodes.tgroup("", cols=len(heads))
        group += [nodes.colspec("", colwidth=width) for width in widths]
        head = nodes.thead("", _row([nodes.Text(text) for text in heads]))
        body = nodes.tbody("")
        for *names, keywords in rows():
            body += _row([*(nodes.literal("", text) for text in names), nodes.Text(keywords)])
        group += [head, body]
        return [nodes.table("", group, classes=["r-map"])]


def _row(cells: list[nodes.Node]) -> nodes.row:
    entries = [nodes.entry("", nodes.paragraph("", "", cell)) for cell in cells]
    return nodes.row("", *entries)


def setup(app: Sphinx) -> dict[str, bool]:
    """Add the directive."""
    app.add_directive("r-map", RMap)
    return {"parallel_read_safe": True}
