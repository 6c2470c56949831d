"""Settings of Sphinx: ``python -m sphinx -W --keep-going docs docs/_build``.

Nothing is executed and nothing is fetched: the notebooks carry their outputs.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE / "_ext"), str(HERE.parent)]
os.environ.setdefault("MPLBACKEND", "Agg")

import numpydoc.xref  # noqa: E402
import results_page  # noqa: E402

import merextras  # noqa: E402

project = "merextras"
author = "the merextras developers"
project_copyright = author
version = release = merextras.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "numpydoc",
    "myst_nb",
    "gallery",
    "mathml",
    "names",
    "r_map",
    "results_page",
]
exclude_patterns = ["_build", "**/.ipynb_checkpoints"]
templates_path = ["_templates"]
html_static_path = ["_static"]
html_css_files = ["custom.css"]
html_theme = "pydata_sphinx_theme"
html_title = "merextras"
html_show_sourcelink = False
html_theme_options = {
    "show_prev_next": False,
    "navigation_with_keys": False,
    "header_links_before_dropdown": 6,
    "secondary_sidebar_items": ["page-toc"],
}

html_math_renderer = "mathml"
html_sidebars = {name: [] for name in ("index", "guide/mathematics", "notebooks")}

# A name in single backticks is a link where it is one of ours.
default_role = "name"
add_module_names = False
autodoc_typehints = "none"  # numpydoc's sections have the types in words
autodoc_default_options = {"show-inheritance": False}
autosummary_generate = True
autosummary_imported_members = False
numpydoc_show_class_members = False
# What a function returns is a link to its class.
numpydoc_xref_param_type = True
numpydoc_xref_aliases = {name: name for name in numpydoc.xref.DEFAULT_LINKS}  # none of Python's
numpydoc_xref_aliases |= results_page.short_names() | {
    name: f"merextras.{name}" for name in ("MerMod", "ModelList", "ModelProducts", "LmerControl")
}
numpydoc_xref_ignore = "all"
numpydoc_class_members_toctree = False

myst_enable_extensions = ["dollarmath", "amsmath", "deflist", "attrs_inline"]
myst_heading_anchors = 3
nb_execution_mode = "off"
