"""Columns of a formula engine's spec, the same for either engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from merextras.foundation.aliases import Array
from merextras.model.columns.part import FixedPart, PartTerm
from merextras.model.columns.term_order import in_order_of, ordered
from merextras.model.evaluation.specs import Spec, read_spec


class SpecPart(FixedPart):
    """A part that has a formula engine's spec, patsy's ``DesignInfo`` or formulaic's ``ModelSpec``.

    Attributes
    ----------
    formula : str
        One-sided.
    """

    formula: str
    if TYPE_CHECKING:

        @property
        def spec(self) -> Any:
            """The engine's own object."""

        @property
        def context(self) -> Mapping[str, Any]:
            """The names that formulaic sees besides the data."""

        def label(self, code: str) -> str:
            """The name of a term, given its code."""

        def as_fitted(self, data: pd.DataFrame) -> pd.DataFrame:
            """Rows as the engine had those of the fit."""

    @property
    def known(self) -> Spec:
        """What the engine's object says, in one way for both engines."""
        return read_spec(self.spec)

    @property
    def right_side(self) -> str | None:
        """The formula as it was read."""
        return self.formula.strip()

    @property
    def codes(self) -> tuple[str, ...]:
        """Of the spec's factors."""
        return tuple(self.known.codes())

    def terms_written(self) -> list[PartTerm]:
        """The terms in the order of the columns."""
        categorical, found = set(self.known.categorical()), []
        for codes, where in self.known.terms():
            factors = tuple(code for code in codes if code in categorical)
            numbers = tuple(code for code in codes if code not in categorical)
            columns = tuple(range(where.start, where.stop))
            found.append(PartTerm(self.label(":".join(codes)), factors, numbers, columns))
        return found

    def terms_in_order(self) -> list[PartTerm]:
        """As written, each set of factors once."""
        terms = {frozenset(term.codes): term for term in self.terms_written()}
        return ordered(list(terms.values()), self.formula)

    def column_order(self) -> list[int]:
        """By the terms as written."""
        return in_order_of(self.terms_written(), self.formula, len(self.names))

    def categories(self, code: str) -> Sequence[Any] | None:
        """As the engine remembers them."""
        known = self.known.categories()[code]
        return None if known is None else tuple(known)

    def lone_levels(self) -> Mapping[str, Any]:
        """From the terms that have no columns."""
        empty = [term for term in self.terms_written() if not term.columns]
        found = {code: self.categories(code) or () for term in empty for code in term.factors}
        return {self.label(code): known[0] for code, known in found.items() if len(known) == 1}

    def full_columns(self, code: str, frame: pd.DataFrame) -> Array:
        """By the engine."""
        shown = self.as_fitted(frame)
        return self.known.full_columns(code, shown, self.context)
