"""The effects of a fixed part: which columns belong to which term of its formula.

Tests by term need more than X: which variables of a term are categorical, which term contains
which, and what X would be without a term whatever the coding of its factors. The last comes from
*full* columns: one indicator for every level of a factor, their products for an interaction. They
span what a term can express, with the terms that it contains or without.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import reduce

import numpy as np
import pandas as pd

from merextras.foundation.aliases import Array, BoolArray
from merextras.model.columns.part import FixedPart
from merextras.model.design.rank import dependent_columns


@dataclass(frozen=True)
class Effect:
    """A term of a fixed part other than the intercept.

    Attributes
    ----------
    label : str
        As in `terms(m)`.
    columns : tuple of int
        Its columns in X; those that were dropped are not among them.
    factors : frozenset of str
        Code of its categorical variables.
    numbers : frozenset of str
        Code of its numeric ones.
    """

    label: str
    columns: tuple[int, ...]
    factors: frozenset[str]
    numbers: frozenset[str]

    @property
    def variables(self) -> frozenset[str]:
        """All of them."""
        return self.factors | self.numbers

    def contained_in(self, other: Effect) -> bool:
        """SAS's containment: the same numeric variables, and further categorical ones."""
        return self.numbers == other.numbers and self.factors < other.factors


@dataclass(frozen=True)
class Effects:
    """All effects of a fixed part, in R's order: as written, main effects before interactions.

    Attributes
    ----------
    effects : tuple of Effect
    rest : tuple of int
        Columns of X of no effect: the intercept's.
    observed : (n,) boolean array or slice
        The rows of the frame that are observations: which columns depend on others is seen there.
    """

    part: FixedPart
    frame: pd.DataFrame
    effects: tuple[Effect, ...]
    rest: tuple[int, ...]
    observed: BoolArray | slice = field(default_factory=lambda: slice(None), kw_only=True)

    def __len__(self) -> int:
        return len(self.effects)

    def marginal(self) -> list[Effect]:
        """Those whose variables are not all in another effect: R's ``drop.scope``."""
        return [e for e in self.effects if not any(e.variables < o.variables for o in self.effects)]

    def full(self, effects: Sequence[Effect]) -> Array:
        """The intercept's column, if there is one, and the full columns of effects, (n, c).

        The first level of a factor comes last, so that of dependent columns, left out in order, it
        is the one to go: R's treatment contrasts.
        """
        n = len(self.frame)
        parts = [np.ones((n, 1))] if self.rest else [np.empty((n, 0))]
        codes = {code for effect in effects for code in effect.variables}
        values = {code: self.part.full_columns(code, self.frame) for code in codes}
        for effect in effects:
            parts.append(reduce(products, [values[code] for code in sorted(effect.variables)]))
        return np.concatenate(parts, axis=1)

    def spanned(self, effects: Sequence[Effect]) -> Array:
        """Independent columns that span what the intercept and these effects do, (n, r)."""
        made = self.full(effects)
        dependent = set(dependent_columns(made[self.observed]))
        return made[:, [j for j in range(made.shape[1]) if j not in dependent]]


def effects_of(
    part: FixedPart, frame: pd.DataFrame, observed: BoolArray | slice = slice(None)
) -> Effects:
    """The effects of a fixed part (or of the covariates of a random one) on its own data."""
    found, rest = effects_in(part.whole, part.names)
    return Effects(part.whole, frame, found, rest, observed=observed)


def effects_in(part: FixedPart, names: Sequence[str]) -> tuple[tuple[Effect, ...], tuple[int, ...]]:
    """The effects of a part of which these columns are left, and the columns of none."""
    place = {name: j for j, name in enumerate(names)}
    at = [place.get(name, -1) for name in part.names]
    found = []
    for term in part.terms_in_order():
        mine = tuple(at[j] for j in term.columns if at[j] >= 0)
        if mine and term.codes:
            found.append(Effect(term.label, mine, frozenset(term.factors), frozenset(term.numbers)))
    taken = {j for effect in found for j in effect.columns}
    return tuple(found), tuple(j for j in range(len(names)) if j not in taken)


def products(left: Array, right: Array) -> Array:
    """Products of each column with each, (n, c)."""
    return (left[:, :, None] * right[:, None, :]).reshape(len(left), -1)
