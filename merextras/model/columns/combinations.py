"""Columns that are combinations of a formula's columns."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from merextras.foundation.aliases import Array
from merextras.model.columns.part import FixedPart, PartTerm
from merextras.model.columns.synthetic_rows import Synthetic, SyntheticRows


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
