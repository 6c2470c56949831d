"""The order of a formula's terms, which is R's: as written, main effects before interactions.

Formula engines order their columns otherwise (patsy puts all factors before the numbers). Which of
dependent columns is left out must not depend on that.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import patsy

from merextras.model.columns.part import PartTerm


def written(formula: str) -> dict[frozenset[str], int]:
    """The place of each term in the formula, by the `compact` code of its factors."""
    try:
        terms = patsy.ModelDesc.from_formula(formula).rhs_termlist
    except (patsy.PatsyError, SyntaxError):  # formulaic's own syntax
        return {}
    return {frozenset(compact(f.name()) for f in term.factors): i for i, term in enumerate(terms)}


def compact(code: str) -> str:
    """Code without what the engines write in their own ways: spaces, kinds of quotes."""
    return re.sub(r"\s+", "", code).replace("'", '"')


def rank_of(codes: Iterable[str], place: dict[frozenset[str], int]) -> tuple[int, int]:
    """What to sort terms by, given the code of their factors and `written`."""
    key = frozenset(map(compact, codes))
    return len(key), place.get(key, len(place))


def ordered(terms: Sequence[PartTerm], formula: str) -> list[PartTerm]:
    """Terms in the order of the formula, main effects before interactions."""
    place = written(formula)
    return sorted(terms, key=lambda term: rank_of(term.codes, place))


def in_order_of(terms: Sequence[PartTerm], formula: str, n_columns: int) -> list[int]:
    """The columns in the order of the formula's terms, the intercept's first."""
    place = written(formula)
    ranks = {j: rank_of(term.codes, place) for term in terms for j in term.columns}
    return sorted(range(n_columns), key=lambda j: ranks[j])
