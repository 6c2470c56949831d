"""The plots are the only importers of matplotlib and seaborn, and import little of ours."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import merextras
import merextras.plots

PACKAGE = Path(merextras.__file__).parent
ALLOWED = (
    "merextras.foundation.arguments",
    "merextras.foundation.hints",
    "merextras.foundation.aliases",
    "merextras.exceptions",
    "merextras.plots",
    "merextras.results",
)


def imported(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


@pytest.mark.parametrize("path", sorted((PACKAGE / "plots").rglob("*.py")), ids=str)
def test_what_plots_import_of_ours(path):
    ours = [name for name in imported(path) if name.startswith("merextras")]
    assert all(name.startswith(ALLOWED) for name in ours), ours


def test_all_is_sorted_and_complete():
    names = merextras.plots.__all__
    assert list(names) == sorted(names)
    assert all(callable(getattr(merextras.plots, name)) for name in names)


def test_importing_merextras_loads_no_plotting_library():
    code = (
        "import sys, merextras; sys.exit(bool({'matplotlib.pyplot', 'seaborn'} & set(sys.modules)))"
    )
    root = str(PACKAGE.parent)
    done = subprocess.run([sys.executable, "-c", code], cwd=root, check=False)
    assert done.returncode == 0
