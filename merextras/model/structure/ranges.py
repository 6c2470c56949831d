"""Summaries of numeric variables: the typical values that a reference grid needs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from merextras.foundation.aliases import Array


@dataclass(frozen=True)
class Numbers:
    """A variable's values over the observations, to be added up.

    Attributes
    ----------
    count, mean : float
        Each row counts as often as its frequency weight says.
    low, high : float
    two : bool
        Whether there are no values but `low` and `high`.
    """

    count: float
    mean: float
    low: float
    high: float
    two: bool

    @classmethod
    def of(cls, values: Array, counts: Array | None) -> Numbers:
        """Of some values; a count of zero is no observation."""
        if counts is not None:
            values, counts = values[counts > 0.0], counts[counts > 0.0]
        if len(values) == 0:
            return cls(0.0, 0.0, np.inf, -np.inf, True)
        low, high = float(np.min(values)), float(np.max(values))
        # Most variables show that they have more values in their first ones.
        two = _has_two(values[:100], low, high) and _has_two(values, low, high)
        if counts is None:
            return cls(float(len(values)), float(np.mean(values)), low, high, two)
        mean = float(np.average(values, weights=counts))
        return cls(float(np.sum(counts)), mean, low, high, two)

    def __add__(self, other: Numbers) -> Numbers:
        count = self.count + other.count
        share = other.count / count if count else 0.0
        values = {v for n in (self, other) if n.count for v in (n.low, n.high)}
        return Numbers(
            count,
            self.mean + share * (other.mean - self.mean),
            min(self.low, other.low),
            max(self.high, other.high),
            self.two and other.two and len(values) <= 2,
        )

    @property
    def typical(self) -> tuple[float, ...]:
        """The one or two values, or the mean of more."""
        if self.two:
            return (self.low,) if self.low == self.high else (self.low, self.high)
        return (self.mean,)


def _has_two(values: Array, low: float, high: float) -> bool:
    return bool(np.all((values == low) | (values == high)))
