"""Columns without a formula: taken as they are, or combinations of the columns of another part."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from merextras.foundation.aliases import Array
from merextras.foundation.arguments import check_columns
from merextras.model.columns.part import FixedPart, PartTerm
from merextras.model.columns.synthetic_rows import Synthetic, SyntheticRows
from merextras.model.frame.kinds import numbers


class ColumnsPart(FixedPart):
    """Columns taken as they are: models made from arrays."""

    def __init__(self, names: Sequence[str], constant: str | None) -> None:
        self.names: tuple[str, ...] = tuple(names)
        self.variables: tuple[str, ...] = tuple(name for name in names if name != constant)
        self._constant = constant

    def matrix(self, data: pd.DataFrame) -> Array:
        """The columns of these names; the constant may be left out."""
        check_columns(data, self.variables, "newdata")
        columns = [
            np.ones(len(data))
            if name == self._constant and name not in data
            else numbers(data[name], name)
            for name in self.names
        ]
        return np.column_stack(columns) if columns else np.empty((len(data), 0))

    def synthetic(self, rows: SyntheticRows) -> Synthetic:
        """A number for each column but the constant."""
        made = {name: rows.numbers(name, 1) for name in self.variables}
        ones = np.ones((rows.n, 1))
        x = np.hstack([np.empty((rows.n, 0)), *(made.get(name, ones) for name in self.names)])
        return Synthetic(x, made)


@dataclass(frozen=True, eq=False)
class CombinedPart(FixedPart):
    """Combinations of the columns of another part.

    Attributes
    ----------
    part : FixedPart
    combinations : (columns, r) array
    """

    part: FixedPart
    combinations: Array

    @property
    def names(self) -> tuple[str, ...]:
        """``column 0``, ``column 1``, ..."""
        return tuple(f"column {j}" for j in range(self.combinations.shape[1]))

    @property
    def variables(self) -> tuple[str, ...]:
        """Columns of the data that they are made from."""
        return self.part.variables

    def matrix(self, data: pd.DataFrame) -> Array:
        """The combinations for new data."""
        return self.part.matrix(data) @ self.combinations

    def terms_written(self) -> list[PartTerm]:
        """A variable of its own for each column: what they have in common is not told."""
        return [PartTerm(name, (), (name,), (j,)) for j, name in enumerate(self.names)]

    def synthetic(self, rows: SyntheticRows) -> Synthetic:
        """Combinations of the part's; each column is its own variable."""
        x = self.part.synthetic(rows).x @ self.combinations
        return Synthetic(x, {name: x[:, [j]] for j, name in enumerate(self.names)})
