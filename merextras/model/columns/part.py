"""The columns of X, or of a bar's effects: their names, and how to make them from data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from merextras.foundation.aliases import Array, IntArray

if TYPE_CHECKING:
    from merextras.model.columns.coded import Factor
    from merextras.model.columns.synthetic_rows import Synthetic, SyntheticRows

#: Rows of which a column is taken by its name.
Rows = pd.DataFrame | Mapping[str, pd.Series]


@dataclass(frozen=True)
class PartTerm:
    """A term of a formula's right-hand side, and its columns.

    Attributes
    ----------
    label : str
    factors, numbers : tuples of str
        Code of its categorical and of its numeric variables; none for the intercept.
    columns : tuple of int
        Perhaps none, where the terms before it leave nothing to it.
    """

    label: str
    factors: tuple[str, ...]
    numbers: tuple[str, ...]
    columns: tuple[int, ...]

    @property
    def codes(self) -> tuple[str, ...]:
        """Code of all its variables."""
        return self.factors + self.numbers


class FixedPart:
    """What makes the columns of X; each way to make them is a class.

    The answers here are those of columns that are taken as they are. `CodedPart` has what a formula
    engine learnt as data, `FormulaPart` asks the engine, `PlainPart` is a sum of columns.

    Attributes
    ----------
    names : tuple of str
        Of the columns.
    variables : tuple of str
        Columns of the data that they are made from.
    """

    if TYPE_CHECKING:

        @property
        def names(self) -> tuple[str, ...]:
            """Names of the columns."""

        @property
        def variables(self) -> tuple[str, ...]:
            """Columns of the data that they are made from."""

    def matrix(self, data: pd.DataFrame) -> Array:
        """The columns for new data, (rows, p)."""
        raise NotImplementedError

    @property
    def whole(self) -> FixedPart:
        """The part with the columns that were dropped because others determine them."""
        return self

    @property
    def dropped(self) -> tuple[str, ...]:
        """The columns that were dropped."""
        return ()

    @property
    def right_side(self) -> str | None:
        """The formula that the columns are made by, one-sided; None if they are not."""
        return None

    @property
    def codes(self) -> tuple[str, ...]:
        """The pieces of code that a formula engine evaluates."""
        return ()

    @property
    def coded_factors(self) -> tuple[Factor, ...]:
        """What has been learnt of the formula's factors, as far as it is data."""
        return ()

    @property
    def numeric(self) -> tuple[str, ...]:
        """Variables that are numbers, and nowhere categories."""
        return self.variables

    @property
    def dates(self) -> frozenset[str]:
        """Code of the predictors that are dates, as numbers of days."""
        return frozenset()

    def terms_written(self) -> list[PartTerm]:
        """The terms of the formula, in the order of the columns."""
        return [
            PartTerm(name, (), (name,) if name in self.variables else (), (j,))
            for j, name in enumerate(self.names)
        ]

    def terms_in_order(self) -> list[PartTerm]:
        """The terms as they were written, main effects before interactions."""
        return self.terms_written()

    def column_order(self) -> list[int]:
        """The columns in the order of the formula's terms, the intercept's first."""
        return list(range(len(self.names)))

    def categories(self, code: str) -> Sequence[Any] | None:  # noqa: ARG002
        """The categories of a factor by its code, in the order of the fit; None of numbers."""
        return None

    def lone_levels(self) -> Mapping[str, Any]:
        """Factors that have one level and so no column: their labels, and the level."""
        return {}

    def full_columns(self, code: str, frame: pd.DataFrame) -> Array:
        """A variable by its code: numbers, or one indicator for each level, the first level's last.

        Of dependent columns, left out in order, that is the one to go: R's treatment contrasts.
        """
        return np.asarray(frame[code], dtype=float)[:, None]

    def synthetic(self, rows: SyntheticRows) -> Synthetic:
        """The columns on synthetic rows."""
        raise NotImplementedError

    def subset(self, at: Sequence[int], columns: IntArray, code: str) -> FixedPart:
        """The part with some of its terms only.

        Parameters
        ----------
        at : sequence of int
            Numbers of the terms, in the order of the columns.
        columns : integer array
            Their columns.
        code : str
            A formula with only these terms.
        """
        raise NotImplementedError
