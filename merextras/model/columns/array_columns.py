"""Columns that are taken as they are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from merextras.foundation.aliases import Array
from merextras.foundation.arguments import check_columns
from merextras.model.columns.part import FixedPart
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
