"""Checks of a response as a whole, from sums over its rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from merextras.exceptions import InvalidArgumentError
from merextras.foundation.aliases import Array
from merextras.model.generalised.families import FamilyChoice


@dataclass(frozen=True)
class ResponseFacts:
    """What the checks of a whole response need of its rows, to be added up.

    Attributes
    ----------
    n : int
    total, failures : float
        Sums of the responses and of the trials that are no successes.
    low, high : float
    single : bool
        Whether each row is one trial.
    shares : float
        Sum of one over the trials of each row.
    """

    n: int = 0
    total: float = 0.0
    failures: float = 0.0
    low: float = np.inf
    high: float = -np.inf
    single: bool = True
    shares: float = 0.0

    @classmethod
    def of(cls, y: Array, trials: Array | None) -> ResponseFacts:
        """Of some rows, (n,) each."""
        trials = np.zeros(len(y)) if trials is None else trials
        failed, single = float(np.sum(trials - y)), bool(np.all(trials == 1.0))
        shares = float(np.sum(1.0 / trials[trials > 0.0]))
        low, high = float(np.min(y, initial=np.inf)), float(np.max(y, initial=-np.inf))
        return cls(len(y), float(np.sum(y)), failed, low, high, single, shares)

    def __add__(self, other: ResponseFacts) -> ResponseFacts:
        return ResponseFacts(
            self.n + other.n, self.total + other.total, self.failures + other.failures,
            min(self.low, other.low), max(self.high, other.high), self.single and other.single,
            self.shares + other.shares,
        )  # fmt: skip

    def check(self, choice: FamilyChoice, name: object) -> None:
        """Refuse a response without variation.

        Raises
        ------
        InvalidArgumentError
        """
        if choice.has_trials:
            for none, what in ((self.total, "successes"), (self.failures, "failures")):
                if not none > 0.0:
                    raise InvalidArgumentError(
                        f"response {name!r}: there are no {what} at all; the estimate is infinite"
                    )
        elif choice.name in {"poisson", "negative_binomial"}:
            if not self.total > 0.0:
                raise InvalidArgumentError(
                    f"response {name!r}: all counts are zero; the estimate is infinite"
                )
        elif choice.link in {"log", "inverse"} and self.total <= 0.0:
            raise InvalidArgumentError(
                f"response {name!r}: with a {choice.link} link the mean is positive, that of these "
                f"values is {self.total / max(self.n, 1):g}"
            )
        elif self.low == self.high:
            raise InvalidArgumentError(
                f"response {name!r}: all values are {self.low:g}; there is no variation to explain"
            )
