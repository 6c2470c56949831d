"""Columns that are combinations of a formula's columns."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from merextras._typing import Array
from merextras.model.columns.fixed import FixedPart


@dataclass(frozen=True, eq=False)
class CombinedPart:
    """A `FixedPart` of combinations.

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
