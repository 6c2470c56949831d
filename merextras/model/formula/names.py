"""Names of a formula's columns: their labels, the column of a piece of code, effects."""

from __future__ import annotations

import re
from collections.abc import Mapping
from keyword import iskeyword

from merextras.model.formula.translate import unquoted

INTERCEPT = "Intercept"


def in_code(name: str) -> str:
    """A column's name as code: itself, or ``Q("...")``."""
    return name if name.isidentifier() and not iskeyword(name) else f'Q("{name}")'


def bare(code: str) -> str:
    """The column of a categorical factor: ``C(x)``, ``C(Q('x'), Treatment)``, ``Q("x")`` are x."""
    match = re.match(r"C\(\s*(?P<inner>Q\(.*?\)|[^,)]+)", code)
    code = match["inner"] if match else code
    match = re.match(r"Q\(\s*(['\"])(?P<inner>.*)\1\s*\)", code)
    return match["inner"] if match else code.strip("` ")


def relabelled(name: str, labels: Mapping[str, str]) -> str:
    """A column's name with the labels of its pieces of code."""
    name = unquoted(name)  # first: the engines write the quotes in their own way
    for code, label in labels.items():
        name = name.replace(unquoted(code), label)
    return name


def effect_key(name: str) -> tuple[str, ...]:
    """What the names of one effect have in common: ``x:z`` and ``z:x``, ``I(x ** 2)`` and so on.

    Names of further columns of a factor, ``C(f)[T.a:b]``, keep their colon.
    """
    parts, depth, quote = [""], 0, ""
    for char in unquoted(name):
        if quote:
            quote = "" if char == quote else quote
        elif char in "\"'`":
            quote = char
        elif char == ":" and depth == 0:
            parts.append("")
            continue
        elif char == " " and "[" not in parts[-1] and "(" in parts[-1]:
            continue  # code as one engine spaces it
        depth += (char in "([{") - (char in ")]}")
        parts[-1] += char
    return tuple(sorted(parts))
