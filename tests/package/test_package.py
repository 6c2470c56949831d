"""The package's front door: its version, its map, and what is reached from it."""

from __future__ import annotations

import importlib.metadata
import re
import subprocess
import sys
from pathlib import Path

import pytest

import merextras as mx

ROOT = Path(__file__).parents[2]


def test_the_version_is_the_installed_ones_or_says_that_none_is():
    try:
        wanted = importlib.metadata.version("merextras")
    except importlib.metadata.PackageNotFoundError:
        wanted = "0+unknown"
    assert mx.__version__ == wanted


def test_the_command_says_its_version():
    ran = subprocess.run(
        [sys.executable, "-m", "merextras", "--version"],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    assert ran.stdout == f"merextras {mx.__version__}\n"


def test_the_map_in_help_names_what_there_is():
    table = mx.__doc__.split("=\n")[1]
    methods = set(re.findall(r"\bm\.(\w+)", table))
    names = set(re.findall(r"(?<![\w.\"*=|])([a-zA-Z]\w*(?:_\w+|\b))(?![\w=\"])", table))
    assert len(methods) > 20
    assert [name for name in methods if not hasattr(mx.MerMod, name)] == []
    verbs = {name for name in names if "_" in name and name not in methods}
    assert len(verbs) > 20
    assert [name for name in verbs if not hasattr(mx, name)] == []


def test_modules_are_reached_without_an_import_of_their_own():
    code = (
        "import sys, merextras as mx; assert 'merextras.r' not in sys.modules; "
        "print(mx.r.VarCorr.__name__, mx.exceptions.NoRowsError.__name__); "
        "assert {'r', 'exceptions', '__version__', 'lmer'} <= set(dir(mx)); "
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert ran.stdout.split() == ["VarCorr", "NoRowsError"]


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = mx.nonsense


SNIPPET = """
from collections.abc import Callable
from typing import Any

import merextras as mx
from merextras.exceptions import NoRowsError
from merextras.r import VarCorr, getME, ranef

effects: Callable[..., Any] = ranef
theta: object = getME(mx.lmer("y ~ (1 | g)", None), "theta")
components: Callable[..., Any] = mx.r.VarCorr
error: type[Exception] = mx.exceptions.NoRowsError
version: str = mx.__version__
model: mx.MerMod = mx.lmer("y ~ x + (1 | g)", None, reml=False)
mx.plot_ranef(model.ranef())
mx.REsim(model)
"""


@pytest.mark.slow
def test_a_user_of_r_s_spellings_passes_mypy_strict(tmp_path):
    api = pytest.importorskip("mypy.api", reason="mypy is not installed")
    path = tmp_path / "snippet.py"
    path.write_text(SNIPPET)
    # The project's own settings and cache: after a run of mypy only the snippet is checked.
    config = ROOT / "pyproject.toml"
    assert "strict = true" in config.read_text().split("[tool.mypy]")[1].split("[[")[0]
    options = [f"--config-file={config}", f"--cache-dir={ROOT / '.mypy_cache'}"]
    told, errors, status = api.run([*options, str(path)])
    assert (status, errors) == (0, ""), told
    path.write_text(SNIPPET + "mx.lmer(formula=1, data=None)\n")
    told, _, status = api.run([*options, str(path)])
    assert status == 1
    assert 'Argument "formula" to "lmer" has incompatible type "int"' in told
