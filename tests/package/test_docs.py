"""The documentation: every public name on one page, what the guides name exists, notebooks shown.

Sphinx is not needed here; CI builds the site.
"""

from __future__ import annotations

import configparser
import importlib.util
import inspect
import json
import re
from collections import Counter
from pathlib import Path

import pytest

import merextras as mx

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
GUIDES = sorted([*DOCS.glob("*.md"), *(DOCS / "guide").glob("*.md")])

#: A figure of 80 dots per inch with a palette; a notebook of some twenty of them.
LARGEST_FIGURE, LARGEST_NOTEBOOK = 120_000, 700_000


def listed():
    """Full names in the ``autosummary`` blocks of the API's pages, and how often each occurs."""
    found = Counter()
    # results.rst is made by the build
    for path in sorted(set((DOCS / "api").glob("*.rst")) - {DOCS / "api" / "results.rst"}):
        text = path.read_text(encoding="utf-8")
        module, inside = None, False
        for line in text.splitlines():
            if line.startswith(".. currentmodule::"):
                module = line.split("::")[1].strip()
            elif line.startswith(".. autosummary::"):
                inside = True
            elif line and not line.startswith(" "):
                inside = False
            elif inside and line.strip() and not line.strip().startswith(":"):
                found[f"{module}.{line.strip()}"] += 1
    return found


def public():
    """What must be on a page: names of the package, of MerMod, errors and warnings."""
    names = [f"merextras.{name}" for name in mx.__all__]
    for name in dir(mx.MerMod):
        # `adapter` is a class and no part of a model
        if not name.startswith("_") and not inspect.isclass(getattr(mx.MerMod, name)):
            names.append(f"merextras.MerMod.{name}")
    for name, value in vars(mx.exceptions).items():
        if inspect.isclass(value) and value.__module__ == "merextras.exceptions":
            names.append(f"merextras.exceptions.{name}")
    return set(names)


def test_every_public_name_is_on_one_page():
    found = listed()
    assert sorted(public() - set(found)) == []
    assert sorted(set(found) - public()) == []
    assert [name for name, times in found.items() if times > 1] == []


def test_every_page_is_in_the_contents():
    contents = (DOCS / "api" / "index.rst").read_text(encoding="utf-8")
    pages = {path.stem for path in (DOCS / "api").glob("*.rst")} | {"results"}
    assert pages - {"index"} == set(re.findall(r"^   (\w+)$", contents, re.MULTILINE))


@pytest.mark.parametrize("path", GUIDES, ids=lambda path: path.stem)
def test_what_a_guide_names_exists(path):
    text = path.read_text(encoding="utf-8")
    functions = set(re.findall(r"\bmx\.(\w+)", text))
    methods = set(re.findall(r"\bm\.(\w+)\(", text))
    assert [name for name in functions if not hasattr(mx, name)] == []
    assert [name for name in methods if not hasattr(mx.MerMod, name)] == []


def test_the_mathematics_names_the_files_that_do_it():
    text = (DOCS / "guide" / "mathematics.md").read_text(encoding="utf-8")
    files = set(re.findall(r"`(\w+/\w+)`", text)) - {"merextras/engine"}
    assert len(files) > 12
    engine = ROOT / "merextras" / "engine"
    assert [name for name in files if not (engine / f"{name}.py").exists()] == []


def test_the_start_page_leads_to_functions():
    text = (DOCS / "index.md").read_text(encoding="utf-8")
    assert len(set(re.findall(r"`mx\.(\w+)\(", text))) > 35
    assert len(set(re.findall(r"`m\.(\w+)\(", text))) > 15


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_shows_what_it_computed(path):
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))
    outputs = [output for cell in code for output in cell["outputs"]]
    assert len(outputs) > len(code) / 2
    assert {output["output_type"] for output in outputs}.isdisjoint({"error"})
    assert {output.get("name") for output in outputs} <= {None, "stdout"}
    figures = [output["data"].get("image/png", "") for output in outputs if "data" in output]
    assert max((len(figure) for figure in figures), default=0) < LARGEST_FIGURE
    assert path.stat().st_size < LARGEST_NOTEBOOK


def test_the_figure_of_the_readme_is_there_and_its_script_runs(tmp_path):
    shown = re.findall(r"!\[[^\]]+\]\((\S+\.png)\)", (ROOT / "README.md").read_text("utf-8"))
    assert shown == ["docs/_static/school_swap.png"]
    assert (ROOT / shown[0]).stat().st_size < 100_000
    spec = importlib.util.spec_from_file_location("readme_figure", ROOT / "tools/readme_figure.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    assert script.main(tmp_path / "figure.png") == 0
    assert (tmp_path / "figure.png").stat().st_size > 10_000


def test_the_citation_is_of_this_version():
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    cited = re.search(r"^version: (\S+)$", (ROOT / "CITATION.cff").read_text("utf-8"), re.MULTILINE)
    assert cited is not None
    assert cited.group(1) == setup["metadata"]["version"]
