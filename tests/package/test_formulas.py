"""CONTRIBUTING's table of formulas names what is there."""

import importlib
import operator
import re
from pathlib import Path

import pytest

import merextras as mx

TEXT = (Path(__file__).parents[2] / "CONTRIBUTING.md").read_text(encoding="utf-8")
TABLE = TEXT.split("## Where the formulas are")[1].split("\n## ")[0]
ROWS = [
    [re.findall(r"`([\w.]+)`", cell) for cell in line.strip("| ").split(" |")]
    for line in TABLE.splitlines()
    if line.startswith("| ") and "`" in line
]


def found(name):
    """What a name below `merextras` stands for: a module, or what is in it."""
    parts = name.split(".")
    for k in range(len(parts), 0, -1):
        module = ".".join(["merextras", *parts[:k]])
        try:
            room = importlib.import_module(module)
        except ModuleNotFoundError:
            continue
        return operator.attrgetter(".".join(parts[k:]))(room) if parts[k:] else room
    raise AssertionError(name)


def asked(name):
    owner, _, attribute = name.partition(".")
    return getattr({"mx": mx, "m": mx.MerMod}[owner], attribute)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[1][0])
def test_the_named_functions_are_there(row):
    _, (verb,), (formula,), *through = row
    assert callable(asked(verb))
    assert callable(found(formula))
    for module in through[0] if through else []:
        assert found(module).__doc__


def test_all_rows_are_read():
    assert len(ROWS) == 15
