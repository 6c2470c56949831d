"""Formulas as MathML, made when the site is built: a page needs no script and no network."""

from __future__ import annotations

import re

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.application import Sphinx
from sphinx.writers.html5 import HTML5Translator

#: What MathML draws better when it is written otherwise.
_REWRITTEN = (
    # A prime would be raised twice; a transpose is what all primes here are.
    (re.compile(r"'"), r"^{\\top}"),
    # Fixed sizes attach an exponent to the bracket alone.
    (re.compile(r"\\[bB]igl"), r"\\left"),
    (re.compile(r"\\[bB]igr"), r"\\right"),
    (re.compile(r"\\[bB]igm\|"), r"\\mid"),
    (re.compile(r"(\\begin\{pmatrix\}(?:(?!\\begin).)*?\\end\{pmatrix\})\^", re.DOTALL), r"{\1}^"),
)


def mathml(latex: str, display: str) -> str:
    """One formula; `display` is ``inline`` or ``block``."""
    for pattern, by in _REWRITTEN:
        latex = pattern.sub(by, latex)
    if "\\\\" in latex and "\\begin" not in latex.split("\\\\")[0]:
        latex = f"\\begin{{aligned}}{latex}\\end{{aligned}}"
    return convert(latex, display=display)


def visit_math(self: HTML5Translator, node: nodes.math) -> None:
    """Write a formula in a line."""
    self.body.append(mathml(node.astext(), "inline"))
    raise nodes.SkipNode


def visit_math_block(self: HTML5Translator, node: nodes.math_block) -> None:
    """Write a displayed formula."""
    formula = mathml(node.astext(), "block")
    self.body.append(f"{self.starttag(node, 'div', CLASS='math')}{formula}</div>\n")
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, bool]:
    """Add the renderer ``mathml``."""
    app.add_html_math_renderer("mathml", (visit_math, None), (visit_math_block, None))
    return {"parallel_read_safe": True}
