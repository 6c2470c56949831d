"""A mixed model's data as arrays with their names: what is fitted, before it is fitted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, ClassVar, NoReturn

import numpy as np
import pandas as pd
import scipy.sparse as sp

from merextras.engine.covariance.structure import Structure
from merextras.engine.covariance.tags import PLAIN, Tag
from merextras.engine.kernels import dense
from merextras.engine.products.basis import Basis
from merextras.engine.products.cells import Cells
from merextras.engine.products.crossprod import CrossProducts, effects_of
from merextras.engine.products.strata import Strata
from merextras.engine.products.term_rows import TermRows
from merextras.exceptions import UnsupportedModelError
from merextras.foundation.aliases import Array, BoolArray, IntArray
from merextras.model.columns.array_columns import ColumnsPart
from merextras.model.columns.covariates import Covariates
from merextras.model.columns.levels import labels_of
from merextras.model.columns.part import FixedPart
from merextras.model.design.effects import Effects
from merextras.model.design.effects import effects_of as effects_of_part
from merextras.model.design.offset import formula_offset, offset_codes
from merextras.model.design.questions import ByRow, Design
from merextras.model.design.user_rows import UserRows
from merextras.model.design.variables import Variable, variables_of
from merextras.model.formula.names import INTERCEPT
from merextras.model.formula.translate import names_in
from merextras.model.frame.kinds import numbers
from merextras.model.frame.labels import codes_in
from merextras.model.settings.options import Options
from merextras.model.settings.residual import ResidualBy

__all__ = ["INTERCEPT", "Design", "RowDesign", "Term", "in_order"]


@dataclass(frozen=True, eq=False)
class Term(ByRow):
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
        Codes and values, row by row; `NoRowsError` where they were not kept.
    tag : Tag
        How the structure of the effects' covariance is written.
    """

    of_rows: ClassVar[Mapping[str, str]] = {"rows": "codes and covariates by row"}

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
        return len(self.covariates.names)

    @property
    def structure(self) -> Structure:
        """Of the effects' covariance."""
        return self.tag.structure(self.k)

    @property
    def label(self) -> str:
        """As a formula has it, with the effects' names: ``(Intercept + Days | Subject)``."""
        return self.tag.term(self.names, self.factor)

    def codes_of(self, data: pd.DataFrame) -> IntArray:
        """The level of each row of new data, -1 for one the model does not know."""
        if len(self.columns) == 1:
            return codes_in(data[self.columns[0]], self.levels)
        return np.asarray(self.levels.get_indexer(labels_of(data, self.columns)), dtype=np.intp)


@dataclass(frozen=True, eq=False)
class RowDesign(Design):
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
    residual : ResidualBy or None
        The groups of rows with residual variances of their own; one for all rows if None.
    user_rows : UserRows or None
        The user's table, if the fit has not all of its rows.
    cells : Cells or None
        Of x where it was made, if its first columns have few different rows; not pickled.
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
    residual: ResidualBy | None = None
    user_rows: UserRows | None = None
    cells: Cells | None = None

    @property
    def precision(self) -> Array | None:
        """What a row's residual variance is sigma**2 over, (n,): its weight, times its group's.

        None if all are one. With residual variances by group sigma is that of the first group.
        """
        if self.residual is None:
            return self.weights
        own = self.residual.by_row()
        return own if self.weights is None else own * self.weights

    keeps_rows: ClassVar[bool] = True

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

    @cached_property
    def constant(self) -> str | None:
        """The fixed-effects column of ones, whatever its name."""
        ones = np.flatnonzero(np.all(self.x == 1.0, axis=0))
        return self.fixed.names[ones[0]] if len(ones) else None

    def z(self) -> sp.csr_array:
        """Z, (n, q) sparse: the terms side by side, level by level."""
        return sp.csr_array(sp.hstack([term.rows.sparse() for term in self.terms], format="csr"))

    def cross_products(self, y: Array | None = None) -> CrossProducts:
        """What the engine needs; one pass over the rows. `y` replaces the response."""
        y = self.y if y is None else y
        if self.offset is not None:
            y = y - self.offset
        rows = [term.rows for term in self.terms]
        weights, frequencies = self.precision, self.frequencies
        effects = effects_of(rows, weights, frequencies)
        alike = weights is None and frequencies is None
        basis = Basis.from_rows(self.x, y, None, self.told, self.cells) if alike else None
        made = CrossProducts.from_rows(
            self.x,
            y,
            rows,
            weights,
            basis,
            frequencies=frequencies,
            effects=effects,
            cells=self.cells,
        )
        return made.at_sigma2(self.options.sigma2)

    @cached_property
    def told(self) -> dense.Told:
        """How well the columns of X are told apart by the observations: `dense.scaled_cholesky`."""
        used = self.observed
        if self.cells is not None and self.cells.serve(self.x) and isinstance(used, slice):
            return self.cells.scaled_cholesky()
        return dense.scaled_cholesky(self.x[used])

    def __getstate__(self) -> dict[str, Any]:
        """Without what is made on demand: a model that was asked is pickled as one that was not."""
        kept = {name: value for name, value in vars(self).items() if name != "told"}
        return {**kept, "cells": None}

    def with_residual(self, residual: ResidualBy) -> RowDesign:
        """The same rows."""
        return replace(self, residual=residual)

    def strata(self) -> Strata | None:
        """From the rows."""
        if self.residual is None:
            return None
        assert self.residual.codes is not None
        y = self.y if self.offset is None else self.y - self.offset
        rows = [term.rows for term in self.terms]
        return Strata.from_rows(
            self.x, y, rows, self.residual.codes, len(self.residual), self.weights, self.frequencies
        )

    @property
    def draw_size(self) -> int:
        """Numbers that drawing one response takes: an effect each, and a residual a row."""
        return self.n + self.q

    def require_rows(self, verb: str, why: str) -> RowDesign:  # noqa: ARG002
        """Itself."""
        return self

    def sums(self) -> NoReturn:
        """Refuse: the rows are here."""
        raise UnsupportedModelError(
            "the model keeps its rows: m.fitted() and m.residuals() have what is asked, "
            "m.predict(newdata) that of other rows"
        )

    def with_fixed_columns(self, columns: Array) -> RowDesign:
        """From the rows; the columns have them all."""
        return replace(self, x=columns, cells=None)

    def observed_rows(self, *, as_written: bool = False) -> Array:
        """X of the observations."""
        x = self.fixed.whole.matrix(self.frame) if as_written else self.x
        return np.asarray(x[self.observed])

    def counted_rows(self) -> Array:
        """X of the observations, each times the root of its frequency."""
        x = self.observed_rows()
        if self.frequencies is None:
            return x
        return x * np.sqrt(self.frequencies[self.observed])[:, None]

    def root_mean_squares(self) -> Array:
        """From the rows."""
        return np.asarray(np.sqrt(np.mean(self.x**2, axis=0)))

    def span(self) -> Array:
        """X itself."""
        return self.x

    def effects(self, *, as_written: bool = False) -> Effects:
        """The effects on the design's own rows."""
        part = self.fixed.whole if as_written else self.fixed
        return effects_of_part(part, self.frame, self.observed)

    def term_effects(self, t: int) -> Effects:
        """From the term's formula or from its columns."""
        term = self.terms[t]
        part, names = term.covariates.formula, term.names
        if part is not None and part.names == names:
            return effects_of_part(part, self.frame, self.observed)
        frame = pd.DataFrame(term.rows.values, columns=list(names))
        constant = INTERCEPT if INTERCEPT in names else None
        return effects_of_part(ColumnsPart(names, constant), frame, self.observed)

    def groups(self, t: int) -> TermRows:
        """Its rows."""
        return self.terms[t].rows

    def restricted_to(self, kept: Sequence[int]) -> RowDesign:
        """The same rows."""
        return replace(self, terms=tuple(self.terms[t] for t in kept))

    def with_covariates(self, t: int, columns: Array) -> RowDesign:
        """The same rows; the columns have them all."""
        terms, old = list(self.terms), self.terms[t]
        names = tuple(f"column {j}" for j in range(columns.shape[1]))
        rows = TermRows(old.rows.codes, columns, old.rows.n_levels)
        terms[t] = replace(old, covariates=Covariates(names), rows=rows)
        return replace(self, terms=tuple(terms))

    def level_labels(self, t: int) -> pd.DataFrame:
        """From the first row of each level."""
        term = self.terms[t]
        columns = list(term.columns)
        labels = labels_of(self.frame, columns)
        first = ~labels.duplicated()
        return self.frame.loc[first, columns].set_axis(labels[first], axis=0)

    def labels_seen(self, column: str) -> pd.Series:
        """By row."""
        return self.frame[column]

    def variables(self) -> tuple[Variable, ...]:
        """From the formula and the frame."""
        return variables_of(self)

    def offset_variables(self) -> list[str]:
        """From the formula."""
        if self.offset is None:
            return []
        codes = offset_codes(self.formula, self.columns)
        return [c for c in self.columns if any(c in names_in(code) for code in codes)]

    def offset_at(self, frame: pd.DataFrame) -> Array:
        """By the formula's code."""
        found = formula_offset(self, frame) if self.offset_variables() else None
        return np.zeros(len(frame)) if found is None else found

    def offset_mean(self) -> float | None:
        """Each observation as often as its frequency."""
        given = self.options.offset
        return None if given is None else float(np.average(given, weights=self.counts()))

    def typical(self, variable: Variable) -> tuple[Any, ...]:
        """From the observations, each as often as its frequency."""
        if variable.levels is not None:
            return variable.levels
        column = numbers(self.frame[variable.name], variable.name, dates=True)
        few = np.unique(column[self.observed][:10_000])
        if len(few) <= 2 and len(few := np.unique(column[self.observed])) <= 2:
            return tuple(few.tolist())
        return (self.mean(variable.name),)

    def mean(self, name: str) -> float:
        """Each observation as often as its frequency."""
        column = numbers(self.frame[name], name, dates=True)
        return float(np.average(column, weights=self.counts()))

    def spread(self, name: str) -> float:
        """From the observations."""
        return float(np.ptp(numbers(self.frame[name][self.observed], name, dates=True)))

    def dtype_of(self, variable: Variable) -> Any:
        """As in the frame."""
        return self.frame[variable.name].dtype

    def counts(self) -> Array:
        """How many observations each row stands for, (n,)."""
        counts = np.ones(self.n) if self.frequencies is None else self.frequencies.copy()
        return counts if self.weights is None else np.where(self.weights > 0, counts, 0.0)


def in_order(terms: Sequence[Term]) -> tuple[Term, ...]:
    """Terms by their number of levels, the largest first; ties as they were written."""
    return tuple(sorted(terms, key=lambda term: -len(term.levels)))
