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
from typing import Any

import numpy as np
import pandas as pd
import patsy
from patsy.categorical import categorical_to_int

from merextras._typing import Array, BoolArray
from merextras.exceptions import InvalidArgumentError
from merextras.model.columns.array_columns import ColumnsPart
from merextras.model.columns.fixed import FixedPart, FormulaPart
from merextras.model.columns.specs import categorical_codes, term_codes
from merextras.model.design.order import rank_of, written
from merextras.model.design.rank import KeptColumns, dependent_columns


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
        values = {code: self._values(code) for effect in effects for code in effect.variables}
        for effect in effects:
            parts.append(reduce(_products, [values[code] for code in sorted(effect.variables)]))
        return np.concatenate(parts, axis=1)

    def spanned(self, effects: Sequence[Effect]) -> Array:
        """Independent columns that span what the intercept and these effects do, (n, r)."""
        made = self.full(effects)
        dependent = set(dependent_columns(made[self.observed]))
        return made[:, [j for j in range(made.shape[1]) if j not in dependent]]

    def _values(self, code: str) -> Array:
        part = self.part
        if not isinstance(part, FormulaPart):
            return np.asarray(self.frame[code], dtype=float)[:, None]
        if isinstance(part.spec, patsy.DesignInfo):
            return _by_patsy(part.spec, code, part.as_fitted(self.frame))
        return _by_formulaic(part, code, part.as_fitted(self.frame))


def effects_of(
    part: FixedPart, frame: pd.DataFrame, observed: BoolArray | slice = slice(None)
) -> Effects:
    """The effects of a fixed part (or of the covariates of a random one) on its own data."""
    kept = list(range(len(part.names)))
    if isinstance(part, KeptColumns):
        part, names = part.part, part.names
        kept = [names.index(name) if name in names else -1 for name in part.names]
    raw = _from_formula(part) if isinstance(part, FormulaPart) else _from_columns(part)
    found = []
    for label, columns, factors, numbers in raw:
        mine = tuple(kept[j] for j in columns if kept[j] >= 0)
        if mine:
            found.append(Effect(label, mine, frozenset(factors), frozenset(numbers)))
    taken = {j for effect in found for j in effect.columns}
    rest = tuple(j for j in sorted(kept) if j >= 0 and j not in taken)
    return Effects(part, frame, tuple(found), rest, observed=observed)


_Raw = tuple[str, list[int], list[str], list[str]]


def _from_columns(part: FixedPart) -> list[_Raw]:
    """Every column is a numeric effect but the constant, which needs no variable."""
    constant = isinstance(part, ColumnsPart)
    return [
        (name, [j], [], [name])
        for j, name in enumerate(part.names)
        if name in part.variables and (constant or name != "Intercept")
    ]


def _from_formula(part: FormulaPart) -> list[_Raw]:
    found: dict[frozenset[str], _Raw] = {}
    for codes, where in term_codes(part.spec):
        if codes:
            factors = [code for code in codes if code in categorical_codes(part.spec)]
            numbers = [code for code in codes if code not in factors]
            columns = list(range(where.start, where.stop))
            found[frozenset(codes)] = (part.label(":".join(codes)), columns, factors, numbers)
    place = written(part.formula)
    order = sorted(found, key=lambda codes: rank_of(codes, place))
    return [found[codes] for codes in order]


def _by_patsy(spec: Any, code: str, frame: pd.DataFrame) -> Array:
    factor, info = next((f, i) for f, i in spec.factor_infos.items() if f.name() == code)
    try:
        values = factor.eval(info.state, frame)
    except patsy.PatsyError as err:
        raise InvalidArgumentError(f"{code!r}: {str(err).splitlines()[0]}") from err
    if info.type != "categorical":
        return np.asarray(values, dtype=float).reshape(len(frame), -1)
    codes = np.asarray(categorical_to_int(values, info.categories, patsy.NAAction()))
    return _indicators(codes, len(info.categories))


def _by_formulaic(part: FormulaPart, code: str, frame: pd.DataFrame) -> Array:
    from formulaic import model_matrix  # noqa: PLC0415 (only if the fit used it)

    made = np.asarray(
        model_matrix(f"0 + {code}", frame, context=part.context, materializer="pandas"), dtype=float
    )
    if code not in categorical_codes(part.spec):
        return made
    _, codes = np.unique(-made, axis=0, return_inverse=True)
    return _indicators(codes.reshape(-1), int(codes.max()) + 1)


def _indicators(codes: Any, n_levels: int) -> Array:
    """One column per level, the first level's last."""
    return np.asarray(codes[:, None] == np.roll(np.arange(n_levels), -1), dtype=float)


def _products(left: Array, right: Array) -> Array:
    return (left[:, :, None] * right[:, None, :]).reshape(len(left), -1)
