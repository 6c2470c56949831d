"""Synthetic rows, on which columns that are made from the same factors depend as on any.

Columns made from the same factors (the same code, the same categories) depend on each other in the
same way on any rows with enough different values. Rows with every factor at random show how; what
they can't show is that two pieces of code happen to make the same numbers of the data.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import scipy.linalg as la

from merextras.foundation.aliases import Array, IntArray

if TYPE_CHECKING:
    from merextras.model.columns.part import FixedPart

#: Synthetic rows for each column, and how far from another span a column may be.
_EACH, OUTSIDE = 20, 1e-8


@dataclass(frozen=True)
class Synthetic:
    """What a part makes of synthetic rows.

    Attributes
    ----------
    x : (n, p) array
    full : mapping code -> (n, c) array
        `FixedPart.full_columns` of each variable.
    """

    x: Array
    full: Mapping[str, Array]


class SyntheticRows:
    """Rows with every factor at random; the same factor has the same values in each part.

    Parameters
    ----------
    parts : iterable of FixedPart
        For which there are enough rows.
    """

    def __init__(self, parts: Iterable[FixedPart]) -> None:
        self.n = max(200, _EACH * max(len(part.names) for part in parts))
        self._rng = np.random.default_rng(0)
        self._values: dict[object, Array] = {}
        self._codes: dict[object, IntArray] = {}

    def numbers(self, key: object, width: int) -> Array:
        """Values of a numeric factor, (n, width)."""
        key = key, width
        if key not in self._values:
            self._values[key] = self._rng.standard_normal((self.n, width))
        return self._values[key]

    def codes(self, key: object, n_levels: int) -> IntArray:
        """Codes of a categorical one, (n,)."""
        if key not in self._codes:
            self._codes[key] = self._rng.integers(0, n_levels, self.n)
        return self._codes[key]


def combinations(columns: Array, of: Array) -> Array | None:
    """C with ``columns = of @ C``, or None if some column is not in their span."""
    found = np.asarray(la.lstsq(of, columns)[0]) if of.shape[1] else np.zeros((0, columns.shape[1]))
    rest = np.linalg.norm(columns - of @ found, axis=0)
    if np.any(rest > OUTSIDE * np.linalg.norm(columns, axis=0)):
        return None
    return np.asarray(np.where(np.abs(found) < OUTSIDE, 0.0, found))
