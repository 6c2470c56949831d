"""A mixed model's data as arrays with their names: what is fitted, before it is fitted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import pandas as pd
import scipy.sparse as sp

from merextras._typing import Array, BoolArray, IntArray
from merextras.engine.covariance.covariances import Covariances
from merextras.engine.covariance.structure import Structure
from merextras.engine.covariance.tags import PLAIN, Tag
from merextras.engine.products.crossprod import CrossProducts, effects_of
from merextras.engine.products.term_rows import TermRows
from merextras.model.columns.covariates import Covariates
from merextras.model.columns.fixed import FixedPart
from merextras.model.columns.levels import labels_of
from merextras.model.design.options import Options
from merextras.model.formula.names import effect_key
from merextras.model.frame.labels import codes_in

INTERCEPT = "Intercept"


@dataclass(frozen=True, eq=False)
class Term:
    """One random-effects term: ``(names | factor)``.

    Attributes
    ----------
    factor : str
        The grouping factor as lme4 names it: ``school``, or ``class:school`` for a nested one.
    columns : tuple of str
        The columns whose values, joined by ``:``, are the level; one for a plain factor.
    levels : Index
        The J levels, in order.
    covariates : Covariates
        The k effects of a level: their names, and how to make them from new data.
    rows : TermRows
        Codes and values, row by row.
    tag : Tag
        How the structure of the effects' covariance is written.
    """

    factor: str
    columns: tuple[str, ...]
    levels: pd.Index
    covariates: Covariates
    rows: TermRows
    tag: Tag = PLAIN

    def __post_init__(self) -> None:
        free = self.tag.structure(self.rows.k).freedom
        if self.rows.freedom is not free:
            object.__setattr__(self, "rows", replace(self.rows, freedom=free))

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the effects, ``Intercept`` for a random intercept."""
        return self.covariates.names

    @property
    def k(self) -> int:
        """Effects per level."""
        return self.rows.k

    @property
    def structure(self) -> Structure:
        """Of the effects' covariance."""
        return self.tag.structure(self.k)

    @property
    def label(self) -> str:
        """As a formula has it, with the effects' names: ``(Intercept + Days | Subject)``."""
        return self.tag.around(f"{' + '.join(self.names)} | {self.factor}")

    def codes_of(self, data: pd.DataFrame) -> IntArray:
        """The level of each row of new data, -1 for one the model does not know."""
        if len(self.columns) == 1:
            return codes_in(data[self.columns[0]], self.levels)
        return np.asarray(self.levels.get_indexer(labels_of(data, self.columns)), dtype=np.intp)


@dataclass(frozen=True, eq=False)
class Design:
    """Response, fixed part, random terms and the user's index.

    Attributes
    ----------
    response : str
    y : (n,) array
    x : (n, p) array
    fixed : FixedPart
        Names of the columns of x, and how to make them from new data.
    terms : tuple of Term
        In lme4's order: by their number of levels, the largest first.
    index : Index
        The user's row labels, in the user's order.
    frame : DataFrame
        The variables of the model, n rows.
    formula : str
        As lme4 would write it.
    weights : (n,) array or None
        Precision weights; a row of weight zero is not an observation.
    offset : (n,) array or None
        Of the argument and of the formula.
    frequencies : (n,) array or None
        How many observations a row stands for.
    options : Options
        What the formula was evaluated with, for these rows; updates go on from it.
    """

    response: str
    y: Array
    x: Array
    fixed: FixedPart
    terms: tuple[Term, ...]
    index: pd.Index
    frame: pd.DataFrame
    formula: str
    weights: Array | None = None
    offset: Array | None = None
    frequencies: Array | None = None
    options: Options = field(default_factory=Options)

    @property
    def n(self) -> int:
        """Rows."""
        return len(self.y)

    @property
    def observed(self) -> BoolArray | slice:
        """The rows that are observations: those whose weights are not zero."""
        if self.weights is None and self.frequencies is None:
            return slice(None)
        ones = np.ones(self.n)
        return np.asarray(
            ((ones if self.weights is None else self.weights) > 0)
            & ((ones if self.frequencies is None else self.frequencies) > 0)
        )

    @property
    def columns(self) -> list[str]:
        """Names of the variables of the model."""
        return [str(c) for c in self.frame.columns]

    @property
    def by_row(self) -> frozenset[str]:
        """Which of ``weights``, ``freq_weights`` and ``offset`` the model has."""
        values = {
            "weights": self.weights,
            "freq_weights": self.frequencies,
            "offset": self.offset,
        }
        return frozenset(name for name, given in values.items() if given is not None)

    @property
    def ks(self) -> list[int]:
        """Effects per level, by term."""
        return [term.k for term in self.terms]

    @property
    def covariances(self) -> Covariances:
        """The covariances of the terms as functions of theta."""
        return Covariances.of([term.structure for term in self.terms])

    @property
    def q(self) -> int:
        """Random effects in all."""
        return sum(len(term.levels) * term.k for term in self.terms)

    @property
    def factors(self) -> list[str]:
        """The grouping factors, each once."""
        return list(dict.fromkeys(term.factor for term in self.terms))

    def terms_of(self, factor: str) -> list[int]:
        """Numbers of the terms on a factor."""
        return [t for t, term in enumerate(self.terms) if term.factor == factor]

    @cached_property
    def constant(self) -> str | None:
        """The fixed-effects column of ones, whatever its name."""
        ones = np.flatnonzero(np.all(self.x == 1.0, axis=0))
        return self.fixed.names[ones[0]] if len(ones) else None

    def fixed_name(self, effect: str) -> str | None:
        """The fixed effect that a random effect varies around, if there is one.

        An interaction is the same in any order of its variables: ``z:x`` is ``x:z``.
        """
        if effect in self.fixed.names:
            return effect
        return self.constant if effect == INTERCEPT else self._fixed_names.get(effect_key(effect))

    @cached_property
    def _fixed_names(self) -> dict[tuple[str, ...], str]:
        return {effect_key(name): name for name in self.fixed.names}

    def z(self) -> sp.csr_array:
        """Z, (n, q) sparse: the terms side by side, level by level."""
        return sp.csr_array(sp.hstack([term.rows.sparse() for term in self.terms], format="csr"))

    def cross_products(self, y: Array | None = None) -> CrossProducts:
        """What the engine needs; one pass over the rows. `y` replaces the response."""
        y = self.y if y is None else y
        if self.offset is not None:
            y = y - self.offset
        rows = [term.rows for term in self.terms]
        weights, frequencies = self.weights, self.frequencies
        effects = effects_of(rows, weights, frequencies)
        return CrossProducts.from_rows(
            self.x, y, rows, weights, frequencies=frequencies, effects=effects
        )


def in_order(terms: Sequence[Term]) -> tuple[Term, ...]:
    """Terms by their number of levels, the largest first; ties as they were written."""
    return tuple(sorted(terms, key=lambda term: -len(term.levels)))
