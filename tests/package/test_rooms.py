"""Rooms of the package: small enough to look over, each with a door that says what is in it."""

import ast
import re
from pathlib import Path

import pytest

import merextras

PACKAGE = Path(merextras.__file__).parent
TESTS = Path(__file__).parents[1]
#: The most files a folder has, besides its `__init__`.
MOST = 15
ROOMS = sorted(path.parent for path in PACKAGE.rglob("__init__.py") if path.parent != PACKAGE)


def modules(folder):
    inner = [p.name for p in folder.iterdir() if (p / "__init__.py").exists()]
    return sorted([*inner, *(p.stem for p in folder.glob("*.py") if p.name != "__init__.py")])


def short(folder):
    return str(folder.relative_to(PACKAGE))


@pytest.mark.parametrize("room", ROOMS, ids=short)
def test_a_room_says_what_is_in_it(room):
    said = ast.get_docstring(ast.parse((room / "__init__.py").read_text(encoding="utf-8")))
    named = set(re.findall(r"(?<!`)`(\w+)`(?!`)", said))
    assert not set(modules(room)) - named


@pytest.mark.parametrize("root", [PACKAGE, TESTS], ids=["package", "tests"])
def test_no_folder_has_more_files_than_one_looks_over(root):
    folders = [root, *(p for p in root.rglob("*") if p.is_dir())]
    files = {f: [p for p in f.glob("*.py") if p.name != "__init__.py"] for f in folders}
    assert {str(f): len(found) for f, found in files.items() if len(found) > MOST} == {}


def test_what_is_measured_is_there():
    assert len(ROOMS) > 40
    assert "prediction/combinations" in map(short, ROOMS)
