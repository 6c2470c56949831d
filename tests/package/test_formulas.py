"""CONTRIBUTING's table of formulas names what is there, two jumps from where it is asked for."""

import importlib
import inspect
import itertools
import operator
import re
import types
import typing
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
NUMBERS = [row for row in ROWS if len(row) > 2]
FITS = [row for row in ROWS if len(row) == 2]
#: Files opened after the one with the function that was called.
MOST_JUMPS, BY_CHUNKS = 2, {"mx.cross_products": 5}


def module_of(name):
    """The module that a name below `merextras` is, or is in, and what is left of the name."""
    parts = name.split(".")
    for k in range(len(parts), 0, -1):
        try:
            return importlib.import_module(".".join(["merextras", *parts[:k]])), parts[k:]
        except ModuleNotFoundError:
            continue
    raise AssertionError(name)


def found(name):
    """What a name below `merextras` stands for: a module, or what is in it."""
    module, left = module_of(name)
    return operator.attrgetter(".".join(left))(module) if left else module


def asked(name):
    owner, _, attribute = name.partition(".")
    return getattr({"mx": mx, "m": mx.MerMod}[owner], attribute)


def way(verb, formula, through):
    """The modules from the function that is called to the formula, each once."""
    start = importlib.import_module(inspect.unwrap(asked(verb)).__module__)
    modules = [start, *(module_of(name)[0] for name in through), module_of(formula)[0]]
    return list(dict.fromkeys(modules))


def of_class(cls):
    """Modules of a class, its bases and its subclasses, and of what their properties return."""
    for owner in (*cls.__mro__, *cls.__subclasses__()):
        yield owner.__module__
        for attribute in vars(owner).values():
            getter = getattr(attribute, "fget", None) or getattr(attribute, "func", None)
            if getter is None or not owner.__module__.startswith("merextras"):
                continue
            try:
                kind = typing.get_type_hints(getter).get("return")
            except NameError:  # a name that is there for the type checker alone
                continue
            if isinstance(kind, type):
                yield from (base.__module__ for base in kind.__mro__)


def named_in(module):
    """The modules that a reader of one can jump to."""
    for value in vars(module).values():
        if isinstance(value, types.ModuleType):
            yield value.__name__
        elif isinstance(value, type) and value.__module__.startswith("merextras"):
            yield from of_class(value)
        else:
            yield getattr(value, "__module__", None)


@pytest.mark.parametrize("row", NUMBERS, ids=lambda row: row[2][0])
def test_a_formula_is_two_jumps_away(row):
    _, (verb,), (formula,), *through = row
    assert callable(asked(verb))
    assert callable(found(formula))
    modules = way(verb, formula, through[0] if through else [])
    assert len(modules) - 1 <= BY_CHUNKS.get(verb, MOST_JUMPS)
    for here, there in itertools.pairwise(modules):
        assert there.__name__ in set(named_in(here)), (here.__name__, there.__name__)


@pytest.mark.parametrize("row", FITS, ids=lambda row: row[0][0])
def test_the_way_of_a_fit_is_there(row):
    (verb,), through = row
    assert callable(asked(verb))
    modules = [found(name) for name in through]
    for here, there in itertools.pairwise(modules):
        assert there.__name__ in set(named_in(here)), (here.__name__, there.__name__)


def test_all_rows_are_read():
    assert (len(NUMBERS), len(FITS)) == (15, 2)
