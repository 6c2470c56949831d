"""Random effects by the names of their grouping factor and term."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from merextras.exceptions import InvalidArgumentError
from merextras.foundation.arguments import one_of
from merextras.model.design.design import INTERCEPT, Design

#: What a whole prediction and its fixed part are called, beside the factors.
COMBINED, FIXED = "combined", "fixed"
#: How R spells the intercept.
R_INTERCEPT = "(Intercept)"


@dataclass(frozen=True)
class Effect:
    """One random effect of every level of a factor.

    Attributes
    ----------
    term : int
        Number of the term in the design.
    place : int
        Its place among the term's effects.
    group, name : str
        The grouping factor, and the effect's name.
    """

    term: int
    place: int
    group: str
    name: str


def pick_effects(
    design: Design, group: str | Sequence[str] | None, term: str | Sequence[str] | None
) -> list[Effect]:
    """The effects of the groups and terms asked for, all for None, in the model's order.

    Raises
    ------
    InvalidArgumentError
        A group that is not in the model; a term that none of the groups has.
    """
    groups = _named(group, design.factors, "group")
    every = [
        Effect(t, i, factor, name)
        for factor in design.factors
        if factor in groups
        for t in design.terms_of(factor)
        for i, name in enumerate(design.terms[t].names)
    ]
    names = _named(term, list(dict.fromkeys(effect.name for effect in every)), "term")
    return [effect for effect in every if effect.name in names]


def pick_effect(design: Design, group: str | None, term: str | None) -> Effect:
    """One effect: of the first factor, and its intercept or first effect, unless they are named.

    Raises
    ------
    InvalidArgumentError
        A group or term that is not in the model, or a list of them.
    """
    for value, name in ((group, "group"), (term, "term")):
        if value is not None and not isinstance(value, str):
            raise InvalidArgumentError(f"{name}={value!r}: give one {name}, or None for the first")
    found = pick_effects(design, design.factors[0] if group is None else group, term)
    intercepts = [effect for effect in found if effect.name == INTERCEPT]
    return (intercepts or found)[0]


def parts_of(design: Design) -> list[str]:
    """The parts of a prediction in a table: all of it, each factor's effects, the fixed part.

    Raises
    ------
    InvalidArgumentError
        A grouping factor has the name of another part.
    """
    for factor in design.factors:
        if factor in {COMBINED, FIXED}:
            raise InvalidArgumentError(
                f"the grouping factor {factor!r} has the name of a part of the result "
                f"({COMBINED!r}, {FIXED!r}); rename the column and fit again"
            )
    return [COMBINED, *design.factors, FIXED]


def _named(given: str | Sequence[str] | None, known: list[str], name: str) -> list[str]:
    if given is None:
        return known
    wanted = [given] if isinstance(given, str) else given
    if not isinstance(wanted, (list, tuple)) or not wanted:
        raise InvalidArgumentError(f"{name}={given!r}: a {name}, a list of some, or None for all")
    out = []
    for value in wanted:
        as_ours = INTERCEPT if value == R_INTERCEPT and value not in known else value
        if as_ours not in known:
            raise InvalidArgumentError(f"{name}={value!r}: {one_of(value, known)}")
        out.append(as_ours)
    return out
