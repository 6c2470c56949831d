"""The design of a model that keeps no rows: names, levels and cross-products."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NoReturn

import numpy as np
import pandas as pd
import scipy.linalg as la
import scipy.sparse as sp

from merextras._typing import Array, BoolArray
from merextras.engine.covariance.tags import PLAIN, Tag
from merextras.engine.products.accumulate import combined, triangle
from merextras.engine.products.crossprod import CrossProducts
from merextras.engine.products.restrict import restricted
from merextras.engine.products.term_rows import TermRows
from merextras.exceptions import NoRowsError
from merextras.model.columns.combinations import CombinedPart
from merextras.model.columns.covariates import Covariates
from merextras.model.columns.fixed import FixedPart, Scope
from merextras.model.columns.levels import labels_of
from merextras.model.design.design import Design, Term
from merextras.model.design.options import Options
from merextras.model.structure.column_summaries import Facts
from merextras.model.structure.structure import Effects, Structure


def _no_rows(what: str) -> NoReturn:
    raise NoRowsError(
        f"the model was fitted from chunks or cross-products and keeps no rows: it has no {what}. "
        "Values by row come from another pass over the data: stream_rows(m, source), or "
        "newdata= where there is one; other models of these data from lmer(formula, source)"
    )


def require_rows(design: Design, verb: str, why: str) -> None:
    """Refuse a model that keeps no rows, and say what for they would be needed."""
    if isinstance(design, StreamedDesign):
        raise NoRowsError(
            f"{verb}: {why}; the model was fitted from chunks or cross-products and keeps no rows. "
            "Values by row come from another pass over the data: stream_rows(m, source)"
        )


def level_labels(design: Design, t: int) -> pd.DataFrame:
    """The values of a term's columns in each of its levels, indexed by the levels."""
    term = design.terms[t]
    if isinstance(design, StreamedDesign):
        return design.structure.terms[t].coder.frame().set_axis(term.levels, axis=0)
    columns = list(term.columns)
    labels = labels_of(design.frame, columns)
    first = ~labels.duplicated()
    return design.frame.loc[first, columns].set_axis(labels[first], axis=0)


def labels_seen(design: Design, column: str) -> pd.Series:
    """The values of a grouping column that occur, perhaps several times."""
    if not isinstance(design, StreamedDesign):
        return design.frame[column]
    coders = [term.coder for term in design.structure.terms if column in term.coder.columns]
    return pd.Series(coders[0].parts[coders[0].columns.index(column)])


class StreamedTerm(Term):
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

    @property
    def k(self) -> int:
        """Effects per level."""
        return len(self.covariates.names)

    @property
    def rows(self) -> TermRows:
        """Not kept."""
        _no_rows("codes and covariates by row")


class StreamedDesign(Design):
    """A design whose rows are gone; what needs none of them works as on any other.

    Parameters
    ----------
    structure : Structure
    fixed : FixedPart
        Of the columns that are left.
    products : CrossProducts
    facts : Facts
        Of all columns that the structure's fixed part has.
    rows : (up to p + 1, p + 1) array
        Triangular factor of the weighted ``[X y]``.
    seen : tuple of (J,) boolean arrays
        Levels with an observation, by terms.
    """

    def __init__(
        self,
        structure: Structure,
        fixed: FixedPart,
        products: CrossProducts,
        *,
        facts: Facts,
        rows: Array,
        seen: tuple[BoolArray, ...],
    ) -> None:
        every = structure.fixed.names
        kept = [every.index(name) for name in fixed.names]
        ones = [name for name, i in zip(fixed.names, kept, strict=True) if facts.ones[i]]
        values: dict[str, Any] = {
            "response": structure.response_name,
            "fixed": fixed,
            "terms": tuple(
                StreamedTerm(
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
            ),
            "structure": structure,
            "products": products,
            "facts": facts,
            "square": facts.x[:, kept],
            "rows": rows,
            "seen": seen,
            "_constant": ones[0] if ones else None,
        }
        for name, value in values.items():
            object.__setattr__(self, name, value)

    structure: Structure
    products: CrossProducts
    facts: Facts
    #: Rows with the same X'X, by frequencies but without precision weights: a row at most for
    #: each column that the formula makes, those of ``facts.x``.
    square: Array
    rows: Array
    seen: tuple[BoolArray, ...]
    _constant: str | None

    def __repr__(self) -> str:
        return f"<design of {self.formula!r} without rows>"

    @property
    def n(self) -> int:
        """Rows that were reduced, those of weight zero too."""
        return self.facts.n

    @property
    def constant(self) -> str | None:
        """The fixed-effects column of ones, whatever its name."""
        return self._constant

    @property
    def columns(self) -> list[str]:
        """Names of the variables of the model."""
        return list(self.structure.variables)

    @property
    def by_row(self) -> frozenset[str]:
        """Which of ``weights``, ``freq_weights`` and ``offset`` the model has."""
        return frozenset(self.structure.by_row) | ({"offset"} if self.structure.offsets else set())

    def cross_products(self, y: Array | None = None) -> CrossProducts:
        """What was kept."""
        return self.products if y is None else _no_rows("rows for another response")

    def with_products(self, products: CrossProducts) -> StreamedDesign:
        """The design with another response, as products with the same Z and X."""
        p = products.p
        gram = self.rows[:, :p]
        last = np.append(np.zeros(len(gram)), np.sqrt(products.xy[p, p]))
        rows = np.pad(gram, ((0, 1), (0, 1)))
        rows[:, p] = np.append(gram @ products.basis.offset, 0.0) + last
        return StreamedDesign(
            self.structure,
            self.fixed,
            products,
            facts=self.facts,
            rows=triangle(rows),
            seen=self.seen,
        )

    def restricted(self, kept: Sequence[tuple[int, Array]]) -> StreamedDesign:
        """The design of some of the terms, with combinations of their effects.

        Parameters
        ----------
        kept : sequence of (t, (k, r) array)
            As in `merextras.engine.products.restrict.restricted`.
        """
        terms = tuple(_combined_term(self.structure.terms[t], c) for t, c in kept)
        factors = tuple(triangle(self.facts.effects[t] @ c) for t, c in kept)
        return StreamedDesign(
            replace(self.structure, terms=terms),
            self.fixed,
            restricted(self.products, kept),
            facts=replace(self.facts, effects=factors),
            rows=self.rows,
            seen=tuple(self.seen[t] for t, _ in kept),
        )

    def with_combined(self, columns: Array) -> CrossProducts:
        """The cross-products with X C in place of X; ``columns`` is R C, R being `square`."""
        coefficients = la.lstsq(self.square, columns)[0]
        return combined(self.products, coefficients, self.rows)

    def z(self) -> sp.csr_array:
        """Not kept."""
        _no_rows("Z by row")

    @property
    def x(self) -> Array:
        """Not kept."""
        _no_rows("X by row")

    @property
    def y(self) -> Array:
        """Not kept."""
        _no_rows("response by row")

    @property
    def index(self) -> pd.Index:
        """Not kept."""
        _no_rows("index")

    @property
    def frame(self) -> pd.DataFrame:
        """Not kept."""
        _no_rows("model frame")

    @property
    def weights(self) -> Array | None:
        """None if there were none; otherwise not kept."""
        return _no_rows("weights by row") if "weights" in self.structure.by_row else None

    @property
    def frequencies(self) -> Array | None:
        """None if there were none; otherwise not kept."""
        given = "freq_weights" in self.structure.by_row
        return _no_rows("frequencies by row") if given else None

    @property
    def offset(self) -> Array | None:
        """None if there was none; otherwise not kept."""
        given = self.structure.offsets or "offset" in self.structure.by_row
        return _no_rows("offset by row") if given else None

    @property
    def observed(self) -> BoolArray | slice:
        """Not kept."""
        _no_rows("observations by row")


def _combined_term(term: Effects, c: Array) -> Effects:
    """The term with combinations of its effects; only single ones keep their names."""
    k, r = c.shape
    single = np.count_nonzero(c, axis=0) == 1
    if np.all(single) and np.all(c[c != 0.0] == 1.0) and r <= k:
        at = [int(np.flatnonzero(column)[0]) for column in c.T]
        return replace(term, columns=tuple(term.columns[i] for i in at))
    whole = np.zeros((len(term.part.names), r))
    whole[list(term.columns)] = c
    return replace(term, part=CombinedPart(term.part, whole), columns=tuple(range(r)))
