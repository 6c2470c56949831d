"""The design of a model that keeps no rows: names, levels and cross-products."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NoReturn

import numpy as np
import pandas as pd
import scipy.linalg as la

from merextras.engine.covariance.tags import PLAIN, Tag
from merextras.engine.products.accumulate import combined, qr_factor
from merextras.engine.products.crossprod import CrossProducts
from merextras.engine.products.restrict import restricted
from merextras.engine.products.strata import Strata
from merextras.exceptions import NoRowsError
from merextras.foundation.aliases import Array, BoolArray
from merextras.model.columns.array_columns import CombinedPart
from merextras.model.columns.covariates import Covariates
from merextras.model.columns.fixed import Scope
from merextras.model.columns.part import FixedPart
from merextras.model.columns.synthetic_rows import SyntheticRows
from merextras.model.design.design import Design, Term
from merextras.model.design.effects import Effects
from merextras.model.design.rowless_effects import effects_of_term, rowless_effects
from merextras.model.design.variables import Variable, computed_factor
from merextras.model.formula.names import bare
from merextras.model.formula.translate import names_in
from merextras.model.settings.cov_prior import CovPrior
from merextras.model.settings.options import Options
from merextras.model.settings.residual import ResidualBy
from merextras.model.structure.column_summaries import ColumnSummaries
from merextras.model.structure.ranges import Numbers
from merextras.model.structure.structure import RandomTerm, Structure


class RowlessTerm(Term):
    """A random-effects term without its rows."""

    def __init__(
        self,
        factor: str,
        columns: Sequence[str],
        levels: pd.Index,
        covariates: Covariates,
        tag: Tag = PLAIN,
    ) -> None:
        values = {
            "factor": factor,
            "columns": tuple(columns),
            "levels": levels,
            "covariates": covariates,
            "tag": tag,
        }
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def __repr__(self) -> str:
        return f"<term {self.label} without rows>"


class RowlessDesign(Design):
    """A design whose rows are gone; what needs none of them works as on any other.

    Parameters
    ----------
    structure : Structure
    fixed : FixedPart
        Of the columns that are left.
    products : CrossProducts
    facts : ColumnSummaries
        Of all columns that the structure's fixed part has.
    rows : (up to p + 1, p + 1) array
        Triangular factor of the weighted ``[X y]``.
    seen : tuple of (J,) boolean arrays
        Levels with an observation, by terms.
    cov_prior : CovPrior, mapping of them, or None
        As in `Options`.
    strata : Strata, optional
        By groups with residual variances of their own.
    residual : ResidualBy, optional
        These groups, once they are more than the structure's: estimated.
    """

    def __init__(
        self,
        structure: Structure,
        fixed: FixedPart,
        products: CrossProducts,
        *,
        facts: ColumnSummaries,
        rows: Array,
        seen: tuple[BoolArray, ...],
        cov_prior: CovPrior | Mapping[str, CovPrior] | None = None,
        strata: Strata | None = None,
        residual: ResidualBy | None = None,
    ) -> None:
        if strata is not None and residual is None and structure.residual is not None:
            residual = ResidualBy(structure.residual.columns, structure.residual)
        every = structure.fixed.names
        kept = [every.index(name) for name in fixed.names]
        ones = [name for name, i in zip(fixed.names, kept, strict=True) if facts.ones[i]]
        values: dict[str, Any] = {
            "response": structure.response_name,
            "fixed": fixed,
            "terms": tuple(
                RowlessTerm(
                    term.factor,
                    term.coder.columns,
                    term.coder.levels,
                    Covariates(term.names, term.part),
                    term.tag,
                )
                for term in structure.terms
            ),
            "formula": structure.formula,
            "options": Options(
                contrasts=structure.contrasts,
                scope=Scope(trusted=structure.trusted),
                columns=structure.by_row,
                cov_prior=cov_prior,
                sigma=None if products.scale.given is None else float(products.scale.given**0.5),
                residual_by=() if residual is None else residual.columns,
            ),
            "structure": structure,
            "products": products,
            "facts": facts,
            "square": facts.x[:, kept],
            "rows": rows,
            "seen": seen,
            "kept_strata": strata,
            "residual": residual,
            "constant": ones[0] if ones else None,
        }
        # What the model has not is None as of any design; what it has is gone with the rows.
        given = structure.by_row
        values |= {} if "weights" in given else {"weights": None}
        values |= {} if "weights" in given or residual is not None else {"precision": None}
        values |= {} if "freq_weights" in given else {"frequencies": None}
        values |= {} if "offset" in given or structure.offsets else {"offset": None}
        for name, value in values.items():
            setattr(self, name, value)

    structure: Structure
    products: CrossProducts
    facts: ColumnSummaries
    #: Rows with the same X'X, by frequencies but without precision weights: a row at most for
    #: each column that the formula makes, those of ``facts.x``.
    square: Array
    rows: Array
    seen: tuple[BoolArray, ...]
    kept_strata: Strata | None
    constant: str | None = None
    keeps_rows = False

    def __repr__(self) -> str:
        return f"<design of {self.formula!r} without rows>"

    @property
    def n(self) -> int:
        """Rows that were reduced, those of weight zero too."""
        return self.facts.n

    @property
    def columns(self) -> list[str]:
        """Names of the variables of the model."""
        return list(self.structure.variables)

    @property
    def by_row(self) -> frozenset[str]:
        """Which of ``weights``, ``freq_weights`` and ``offset`` the model has."""
        return frozenset(self.structure.by_row) | ({"offset"} if self.structure.offsets else set())

    @property
    def draw_size(self) -> int:
        """Numbers that drawing a response's products takes: two an effect, one a column of X."""
        return 2 * self.q + len(self.fixed.names)

    def require_rows(self, verb: str, why: str) -> NoReturn:
        """Refuse: there are none."""
        raise NoRowsError(
            f"{verb}: {why}; the model was fitted from chunks or cross-products and keeps no rows. "
            "Values by row come from another pass over the data: stream_rows(m, source)"
        )

    def sums(self) -> RowlessDesign:
        """Itself."""
        return self

    def cross_products(self, y: Array | None = None) -> CrossProducts:
        """What was kept."""
        if y is not None:
            self.require_rows("another response", "its products with the design take rows")
        return self.products

    def strata(self) -> Strata | None:
        """What was kept by groups."""
        return self.kept_strata

    def with_residual(self, residual: ResidualBy) -> RowlessDesign:
        """The same products."""
        return self._with(residual=residual)

    def _with(self, **changed: Any) -> RowlessDesign:
        names = ("structure", "fixed", "products", "facts", "rows", "seen", "residual")
        given: dict[str, Any] = {name: getattr(self, name) for name in names}
        given |= {"cov_prior": self.options.cov_prior, "strata": self.kept_strata, **changed}
        structure, fixed, products = (given.pop(name) for name in names[:3])
        return RowlessDesign(structure, fixed, products, **given)

    def with_products(self, products: CrossProducts) -> RowlessDesign:
        """The design with another response, as products with the same Z and X."""
        p = products.p
        gram = self.rows[:, :p]
        last = np.append(np.zeros(len(gram)), np.sqrt(products.xy[p, p]))
        rows = np.pad(gram, ((0, 1), (0, 1)))
        rows[:, p] = np.append(gram @ products.basis.offset, 0.0) + last
        return RowlessDesign(
            self.structure,
            self.fixed,
            products,
            facts=self.facts,
            rows=qr_factor(rows),
            seen=self.seen,
            cov_prior=self.options.cov_prior,
        )

    def restricted(self, kept: Sequence[tuple[int, Array]]) -> RowlessDesign:
        """The design of some of the terms, with combinations of their effects.

        Parameters
        ----------
        kept : sequence of (t, (k, r) array)
            As in `merextras.engine.products.restrict.restricted`.
        """
        terms = tuple(_combined_term(self.structure.terms[t], c) for t, c in kept)
        factors = tuple(qr_factor(self.facts.effects[t] @ c) for t, c in kept)
        return RowlessDesign(
            replace(self.structure, terms=terms),
            self.fixed,
            restricted(self.products, kept),
            facts=replace(self.facts, effects=factors),
            rows=self.rows,
            seen=tuple(self.seen[t] for t, _ in kept),
            cov_prior=self.options.cov_prior,
            strata=None if self.kept_strata is None else self.kept_strata.restricted(kept),
            residual=self.residual,
        )

    def groups(self, t: int) -> RandomTerm:
        """Its levels and columns."""
        return self.structure.terms[t]

    def restricted_to(self, kept: Sequence[int]) -> RowlessDesign:
        """From the products of these terms."""
        return self.restricted([(t, np.eye(self.terms[t].k)) for t in kept])

    def with_covariates(self, t: int, columns: Array) -> RowlessDesign:
        """From (k, r) combinations of the term's own columns."""
        kept = [(s, columns if s == t else np.eye(k)) for s, k in enumerate(self.ks)]
        return self.restricted(kept)

    def with_fixed_columns(self, columns: Array) -> RowlessDesign:
        """Of the products with X C in place of X; ``columns`` is R C, R being `square`."""
        coefficients = la.lstsq(self.square, columns)[0]
        strata = self.kept_strata
        return self._with(
            products=combined(self.products, coefficients, self.rows),
            strata=None if strata is None else strata.combined(coefficients, self.rows),
        )

    def observed_rows(self, *, as_written: bool = False) -> Array:
        """Rows with the same X'X, by frequencies."""
        return self.facts.x if as_written else self.square

    def counted_rows(self) -> Array:
        """The same: frequencies are in them."""
        return self.square

    def root_mean_squares(self) -> Array:
        """From what was kept of the columns."""
        at = [self.structure.fixed.names.index(name) for name in self.fixed.names]
        spread = self.facts.squares[at] / max(self.facts.n, 1)
        return np.asarray(np.sqrt(spread + self.facts.mean[at] ** 2))

    def span(self) -> Array:
        """The columns on synthetic rows."""
        return fixed_columns([self])[0]

    def effects(self, *, as_written: bool = False) -> Effects:
        """The effects for the rows of the triangular factor of X."""
        part = self.structure.fixed
        names = part.names if as_written else self.fixed.names
        return rowless_effects(part, names, self.observed_rows(as_written=as_written))

    def term_effects(self, t: int) -> Effects:
        """For combinations of the term's columns."""
        return effects_of_term(self.structure.terms[t])

    def level_labels(self, t: int) -> pd.DataFrame:
        """As they were seen."""
        return self.structure.terms[t].coder.frame().set_axis(self.terms[t].levels, axis=0)

    def labels_seen(self, column: str) -> pd.Series:
        """From the first term that has the column."""
        coders = [term.coder for term in self.structure.terms if column in term.coder.columns]
        return pd.Series(coders[0].parts[coders[0].columns.index(column)])

    def variables(self) -> tuple[Variable, ...]:
        """From what the formula engine has learnt."""
        part = self.structure.fixed
        levels: dict[str, tuple[Any, ...]] = {}
        for factor in part.coded_factors:
            column = factor.column or bare(factor.code)
            if factor.levels is not None and column not in part.variables:
                raise computed_factor(factor.code)
            if factor.levels is not None:
                levels[column] = tuple(factor.levels)
        names = {*part.variables, *self.offset_variables()}
        return tuple(Variable(c, levels.get(c)) for c in self.columns if c in names)

    def offset_variables(self) -> list[str]:
        """From the structure."""
        values = self.structure.offsets
        read = {n for v in values for n in ({v.column} if v.column else names_in(v.code))}
        return [c for c in self.columns if c in read]

    def offset_at(self, frame: pd.DataFrame) -> Array:
        """From the structure."""
        out = np.zeros(len(frame))
        for value in self.structure.offsets:
            out += value.of(frame, "offset")
        return out

    def offset_mean(self) -> float | None:
        """The mean of the argument's column."""
        given = self.structure.by_row.get("offset")
        return None if given is None else self.facts.numbers[given].mean

    def typical(self, variable: Variable) -> tuple[Any, ...]:
        """From what was kept of the variable."""
        if variable.levels is not None:
            return variable.levels
        return self._numbers(variable.name).typical

    def mean(self, name: str) -> float:
        """From what was kept of the variable."""
        return self._numbers(name).mean

    def spread(self, name: str) -> float:
        """From what was kept of the variable."""
        found = self._numbers(name)
        return found.high - found.low

    def _numbers(self, name: str) -> Numbers:
        if name not in self.facts.numbers:
            raise NoRowsError(
                f"the model keeps no rows, and the values of {name!r} are not among what was kept; "
                f"say which to take by at={{{name!r}: ...}}"
            )
        return self.facts.numbers[name]

    def dtype_of(self, variable: Variable) -> Any:
        """One that does as well as that of the data."""
        return np.dtype(float) if variable.levels is None else pd.Index(variable.levels).dtype


def fixed_columns(designs: Sequence[RowlessDesign]) -> list[Array]:
    """The fixed-effects columns of each design, (rows, p), on the same synthetic rows."""
    parts = [design.structure.fixed for design in designs]
    rows = SyntheticRows(parts)
    out = []
    for design, part in zip(designs, parts, strict=True):
        x = part.synthetic(rows).x
        out.append(x[:, [part.names.index(name) for name in design.fixed.names]])
    return out


def term_columns(terms: Sequence[RandomTerm]) -> list[Array]:
    """The columns of random-effects terms, (rows, k), on the same synthetic rows."""
    rows = SyntheticRows([term.part for term in terms])
    return [term.part.synthetic(rows).x[:, list(term.columns)] for term in terms]


def _combined_term(term: RandomTerm, c: Array) -> RandomTerm:
    """The term with combinations of its effects; only single ones keep their names."""
    k, r = c.shape
    single = np.count_nonzero(c, axis=0) == 1
    if np.all(single) and np.all(c[c != 0.0] == 1.0) and r <= k:
        at = [int(np.flatnonzero(column)[0]) for column in c.T]
        return replace(term, columns=tuple(term.columns[i] for i in at))
    whole = np.zeros((len(term.part.names), r))
    whole[list(term.columns)] = c
    return replace(term, part=CombinedPart(term.part, whole), columns=tuple(range(r)))
