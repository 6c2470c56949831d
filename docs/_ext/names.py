"""Names of the package become links: in docstrings by a role, in the guides from code.

A docstring has names in single backticks; ``.to_frame()`` could be any of twenty, so that only
what can be a full name is looked up. A guide or a notebook has ``mx.lmer(...)`` and ``m.ranef()``
in code; where the name is public they point to its page.
"""

from __future__ import annotations

import re
from typing import Any

from docutils import nodes
from results_page import short_names
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.domains.python import PyXRefRole
from sphinx.transforms import SphinxTransform

import merextras

_RESULTS = short_names()
_NAME = re.compile(r"[A-Za-z_][\w.]*(\(\))?")
_CALL = re.compile(r"(mx|m)\.(\w+)\b(?:\(.*\)(?:\..*)?)?", re.DOTALL)


class NameRole(PyXRefRole):
    """``py:obj`` for what can be a full name, code for the rest."""

    def run(self) -> tuple[list[nodes.Node], list[Any]]:
        """Make a reference, or code."""
        if _NAME.fullmatch(self.text):
            self.name = "py:obj"
            self.target = _RESULTS.get(self.target, self.target)
            return super().run()
        return [nodes.literal(self.rawtext, self.text)], []


def target_of(code: str) -> str | None:
    """The full name of what a piece of code calls, if it is public."""
    if code in merextras.__all__:
        return f"merextras.{code}"
    match = _CALL.fullmatch(code)
    if match is None:
        return None
    owner, name = match.groups()
    if owner == "mx":
        return f"merextras.{name}" if name in merextras.__all__ else None
    public = not name.startswith("_") and hasattr(merextras.MerMod, name)
    return f"merextras.MerMod.{name}" if public else None


class LinkCode(SphinxTransform):
    """Wrap the code of guides and notebooks in references, before references are resolved."""

    default_priority = 400

    def apply(self, **_kwargs: Any) -> None:
        """Go through a document; those of the API have links by their role."""
        name = self.env.docname
        if name.startswith("api/"):
            return
        for code in list(self.document.findall(nodes.literal)):
            target = target_of(code.astext())
            if target is None or isinstance(code.parent, (nodes.reference, pending_xref)):
                continue
            link = pending_xref(
                "", refdomain="py", reftype="obj", reftarget=target, refdoc=name, refexplicit=True
            )
            code.replace_self(link)
            link += code


def setup(app: Sphinx) -> dict[str, bool]:
    """Add the role ``name`` and the transform."""
    app.add_role("name", NameRole())
    app.add_transform(LinkCode)
    return {"parallel_read_safe": True}
