"""Nesting among the factors of a fixed part, found in the data and in the formula."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from merextras.exceptions import InvalidArgumentError
from merextras.foundation.arguments import one_of

#: By nested factor, those that it is in.
Nesting = Mapping[str, tuple[str, ...]]


def find_nests(cells: pd.DataFrame, terms: Iterable[frozenset[str]]) -> dict[str, tuple[str, ...]]:
    """Factors whose levels belong to one level each of others.

    By the data, where each level of the one occurs with a single level of the other; and by the
    formula, where a factor has no main effect, as b in ``a / b``.

    Parameters
    ----------
    cells : DataFrame
        The combinations of levels that occur, a column for each factor with several levels.
    terms : iterable of frozenset of str
        Variables of each term.
    """
    names = list(cells.columns)
    found = _by_data(cells)
    for name, outer in _by_formula(names, set(terms)).items():
        found[name] = found.get(name, set()) | outer
    for name in found:  # in b, and so in what b is in
        found[name] = found[name].union(*(found.get(o, set()) for o in found[name]))
    kept = {name: outer for name, outer in found.items() if name not in outer}
    return {name: tuple(n for n in names if n in outer) for name, outer in kept.items()}


def _by_data(cells: pd.DataFrame) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for name in cells.columns:
        for other in cells.columns:
            if other == name or name in found.get(other, set()):
                continue
            pairs = cells[[name, other]].drop_duplicates()
            if not pairs[name].duplicated().any():
                found.setdefault(name, set()).add(other)
    return found


def _by_formula(names: Sequence[str], terms: set[frozenset[str]]) -> dict[str, set[str]]:
    found = {}
    for name in names:
        mine = [term for term in terms if name in term]
        if not mine or frozenset([name]) in terms:
            continue
        # A variable whose term without it is in the formula, too, is coded by contrasts.
        coded = [term for term in mine if term - {name} in terms]
        sets = [
            {n for n in term & set(names) if n != name and term - {n} not in terms}
            for term in (coded or mine)
        ]
        smallest = [s for s in sets if not any(other < s for other in sets)]
        outer = set().union(*smallest)
        if outer:
            found[name] = outer
    return found


def check_nests(given: object, names: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """The user's own nesting.

    Raises
    ------
    InvalidArgumentError
        Not a mapping of factors to those that they are in, or a factor in itself.
    """
    if not isinstance(given, Mapping):
        raise InvalidArgumentError(
            f"nesting={given!r}: expected a mapping such as {{'b': 'a'}}, b being nested in a; "
            "{} for no nesting"
        )
    out = {}
    for name, outer in given.items():
        inside: list[Any] = [outer] if isinstance(outer, str) else list(outer)
        for each in (name, *inside):
            if each not in names:
                raise InvalidArgumentError(
                    f"nesting: {each!r} is no factor of the fixed part; {one_of(each, list(names))}"
                )
        if name in inside:
            raise InvalidArgumentError(f"nesting: {name!r} is nested in itself")
        if inside:
            out[name] = tuple(inside)
    return out
