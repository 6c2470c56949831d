"""The order of a formula's terms, which is R's: as written, main effects before interactions.

Formula engines order their columns otherwise (patsy puts all factors before the numbers). Which of
dependent columns is left out must not depend on that.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import patsy

from merextras.model.columns.coded import CodedPart
from merextras.model.columns.fixed import FixedPart, FormulaPart
from merextras.model.columns.specs import term_codes


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


def column_order(part: FixedPart) -> list[int]:
    """The columns of a fixed part in the order of the formula's terms, the intercept's first."""
    every = list(range(len(part.names)))
    if isinstance(part, FormulaPart):
        slices = term_codes(part.spec)
    elif isinstance(part, CodedPart):
        own = [tuple(part.factors[f].code for f in factors) for _, factors, _ in part.terms]
        slices = list(zip(own, part.spans(), strict=True))
    else:
        return every  # columns, as they were written
    place = written(part.formula)
    ranks = {j: rank_of(codes, place) for codes, at in slices for j in every[at]}
    return sorted(every, key=lambda j: ranks[j])
