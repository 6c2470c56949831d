"""Running sums over rows, for the checks of a design that keeps none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from merextras.engine.products.accumulate import qr_factor
from merextras.foundation.aliases import Array, BoolArray
from merextras.model.structure.ranges import Numbers
from merextras.model.structure.structure import ChunkRows


@dataclass(frozen=True, eq=False)
class ColumnSummaries:
    """Sums over rows, to be added up.

    Attributes
    ----------
    n : int
        Complete rows.
    low, high : float
        Of the response less its offset, over the rows that are observations.
    x : (up to p, p) array
        Triangular factor of X over those rows, each as often as its frequency; precision weights do
        not enter.
    mean, squares : (p,) arrays
        Of the columns of X over all rows: mean, and sum of squared deviations from it.
    ones : (p,) boolean array
        Which columns are one in every row.
    effects : tuple of (up to k, k) arrays
        Triangular factors of each term's covariates, as `x`.
    numbers : mapping variable -> Numbers
        Of the fixed part and of offsets.
    """

    n: int
    low: float
    high: float
    x: Array
    mean: Array
    squares: Array
    ones: BoolArray
    effects: tuple[Array, ...]
    numbers: Mapping[str, Numbers]

    @classmethod
    def of(cls, rows: ChunkRows) -> ColumnSummaries:
        """Of some rows."""
        used, x = rows.observed, rows.x
        y = rows.target[used]
        mean = x.mean(axis=0) if len(x) else np.zeros(x.shape[1])
        return cls(
            len(x),
            float(np.min(y, initial=np.inf)),
            float(np.max(y, initial=-np.inf)),
            qr_factor(_counted(x, rows.frequencies)[used]),
            mean,
            np.sum((x - mean) ** 2, axis=0),
            np.all(x == 1.0, axis=0),
            tuple(qr_factor(term.values[used]) for term in rows.terms),
            {name: Numbers.of(values, rows.counts) for name, values in rows.numbers.items()},
        )

    def __add__(self, other: ColumnSummaries) -> ColumnSummaries:
        n = self.n + other.n
        share, apart = other.n / max(n, 1), other.mean - self.mean
        effects = zip(self.effects, other.effects, strict=True)
        return ColumnSummaries(
            n,
            min(self.low, other.low),
            max(self.high, other.high),
            qr_factor(other.x, self.x),
            self.mean + share * apart,
            self.squares + other.squares + self.n * share * apart**2,
            self.ones & other.ones,
            tuple(qr_factor(b, a) for a, b in effects),
            {
                name: mine + other.numbers[name]
                for name, mine in self.numbers.items()
                if name in other.numbers
            },
        )


def _counted(x: Array, frequencies: Array | None) -> Array:
    return x if frequencies is None else x * np.sqrt(frequencies)[:, None]
