"""The effects of a fixed part whose rows are gone.

Tests by term need X only up to what its products tell: any rows with the same X'X do. Those kept
are the triangular factor of X. The full columns of a term (see `effects`) are linear in the columns
of X, whatever the rows, if all combinations of categories that a term has were there; how, is found
on rows that are made up, with every factor at random.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
import pandas as pd
import scipy.linalg as la

from merextras._typing import Array
from merextras.exceptions import NoRowsError
from merextras.model.columns.coded import CodedPart
from merextras.model.columns.combinations import CombinedPart
from merextras.model.columns.fixed import FixedPart
from merextras.model.columns.plain_columns import PlainPart
from merextras.model.design.design import INTERCEPT, Design
from merextras.model.design.effects import Effect, Effects, effects_of
from merextras.model.design.order import rank_of, written
from merextras.model.design.rank import KeptColumns
from merextras.model.rowless.design import StreamedDesign

#: Label, columns, categorical and numeric variables of a term.
_Raw = tuple[str, list[int], list[str], list[str]]

#: Made-up rows for each column, and how far from linear in X a full column may be.
_EACH, _OUTSIDE = 20, 1e-8


@dataclass(frozen=True)
class StreamedEffects(Effects):
    """Effects whose full columns belong to rows that are not those of the data.

    Attributes
    ----------
    made : mapping code -> (rows, c) array
        What each factor is on rows that are made up.
    x : (rows, p) array
        The columns on them.
    square : (r, p) array
        The columns on the rows that the full columns are for.
    """

    made: dict[str, Array]
    x: Array
    square: Array

    def full(self, effects: Sequence[Effect]) -> Array:
        """As `Effects.full`, (r, c), for rows with the products of all rows."""
        n = len(self.x)
        parts = [np.ones((n, 1))] if self.rest else [np.empty((n, 0))]
        for effect in effects:
            values = [self.made[code] for code in sorted(effect.variables)]
            parts.append(reduce(_products, values))
        columns = np.concatenate(parts, axis=1)
        coefficients, *_ = la.lstsq(self.x, columns)
        rest = np.max(np.abs(columns - self.x @ coefficients), initial=0.0)
        if rest > _OUTSIDE * (1.0 + np.max(np.abs(columns), initial=0.0)):
            raise NoRowsError(
                "the model keeps no rows, and its terms can't be told from its columns alone: the "
                "fixed part does not span them (columns were dropped, or a main effect is missing)"
            )
        return np.asarray(self.square @ coefficients)


def effects_of_design(design: Design) -> Effects:
    """The effects of a design's fixed part on its own rows, or on rows with their products."""
    if isinstance(design, StreamedDesign):
        return streamed_effects(design)
    return effects_of(design.fixed, design.frame, design.observed)


def effects_as_written(design: Design) -> Effects:
    """The effects of all columns that the formula makes, the dropped ones too.

    A term that others determine has columns here, and what is left without another term is known.
    """
    if isinstance(design, StreamedDesign):
        return whole_effects(design)
    part = design.fixed.part if isinstance(design.fixed, KeptColumns) else design.fixed
    return effects_of(part, design.frame, design.observed)


def streamed_effects(design: StreamedDesign) -> StreamedEffects:
    """The effects of the fixed part, for the rows of the triangular factor of X."""
    return _effects(design.structure.fixed, design.fixed.names, design.square)


def whole_effects(design: StreamedDesign) -> StreamedEffects:
    """The effects of the fixed part with the columns that were dropped."""
    part = design.structure.fixed
    return _effects(part, part.names, design.facts.x)


def term_effects(design: StreamedDesign, t: int) -> StreamedEffects:
    """The covariates of a random-effects term as effects, for coefficients of its columns."""
    term = design.structure.terms[t]
    part, k = term.part, len(term.names)
    if term.names == part.names and not isinstance(part, CombinedPart):
        return _effects(part, term.names, np.eye(k))
    names = [name for name in term.names if name != INTERCEPT]
    effects = [Effect(n, (term.names.index(n),), frozenset(), frozenset({n})) for n in names]
    rest = tuple(j for j in range(k) if term.names[j] == INTERCEPT)
    x = np.random.default_rng(0).standard_normal((max(200, _EACH * k), k))
    x[:, list(rest)] = 1.0
    made = {name: x[:, [term.names.index(name)]] for name in names}
    return StreamedEffects(part, pd.DataFrame(), tuple(effects), rest, made, x, np.eye(k))


def _effects(part: FixedPart, names: Sequence[str], square: Array) -> StreamedEffects:
    rng = np.random.default_rng(0)
    n = max(200, _EACH * len(part.names))
    if isinstance(part, PlainPart):
        made = {name: rng.standard_normal((n, 1)) for name in part.variables}
        x = np.column_stack([*([np.ones((n, 1))] if part.intercept else []), *made.values()])
        raw: list[_Raw] = [(name, [part.names.index(name)], [], [name]) for name in part.variables]
    else:
        assert isinstance(part, CodedPart)
        made, x = _by_factors(part, n, rng)
        raw = _raw(part)
    names = list(names)
    at = [names.index(name) if name in names else -1 for name in part.names]
    effects = []
    for label, columns, factors, numbers in raw:
        mine = tuple(at[j] for j in columns if at[j] >= 0)
        if mine:
            effects.append(Effect(label, mine, frozenset(factors), frozenset(numbers)))
    taken = {j for effect in effects for j in effect.columns}
    rest = tuple(j for j in range(len(names)) if j not in taken)
    kept = [j for j, place in enumerate(at) if place >= 0]
    return StreamedEffects(
        part, pd.DataFrame(), tuple(effects), rest, made, np.asarray(x[:, kept]), square
    )


def _by_factors(
    part: CodedPart, n: int, rng: np.random.Generator
) -> tuple[dict[str, Array], Array]:
    values, made = [], {}
    for factor in part.factors:
        if factor.levels is None:
            numbers = rng.standard_normal((n, factor.width))
            values.append(numbers)
            made[factor.code] = numbers
        else:
            j = len(factor.levels)
            codes = rng.integers(0, j, n)
            values.append(codes[:, None].astype(float))
            # The first level's column last, as in `effects`.
            made[factor.code] = np.asarray(codes[:, None] == np.roll(np.arange(j), -1), dtype=float)
    return made, part.product(values, n)


def _raw(part: CodedPart) -> list[_Raw]:
    """Terms other than the intercept, main effects before interactions."""
    found = []
    for (label, factors, _), where in zip(part.terms, part.spans(), strict=True):
        codes = [part.factors[f] for f in factors]
        categories = [f.code for f in codes if f.levels is not None]
        numbers = [f.code for f in codes if f.levels is None]
        if codes:
            columns = list(range(where.start, where.stop))
            found.append((label, columns, categories, numbers))
    place = written(part.formula)
    return sorted(found, key=lambda t: rank_of(t[2] + t[3], place))


def _products(left: Array, right: Array) -> Array:
    return (left[:, :, None] * right[:, None, :]).reshape(len(left), -1)
