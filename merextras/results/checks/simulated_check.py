"""A statistic of the data beside that of simulated data."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from merextras.foundation.aliases import Array
from merextras.foundation.frozen import FrozenArrays
from merextras.results.base import Parts, TextResult
from merextras.results.checks.check import Check

__all__ = ["SimulatedCheck"]


@dataclass(frozen=True, eq=False, repr=False)
class SimulatedCheck(FrozenArrays, TextResult):
    """What `check_overdispersion` and `check_zero_inflation` return.

    Attributes
    ----------
    name : str
        What the statistic is.
    observed : float
        Of the data.
    sample : (n_sims,) array
        Of responses that were simulated from the model.
    remedy : str
        What to do if there is too much of it.
    n_failed : int
        Simulated responses whose refit did not converge; they are not in the sample.

    Examples
    --------
    >>> import numpy as np
    >>> from merextras.results.checks.simulated_check import SimulatedCheck
    >>> check = SimulatedCheck("zeros", 12.0, np.arange(20.0), "")
    >>> check.ratio.__round__(3), check.p_value.__round__(3)
    (1.263, 0.429)
    """

    name: str
    observed: float
    sample: Array
    remedy: str
    n_failed: int = 0

    _arrays = ("sample",)

    @property
    def expected(self) -> float:
        """The mean of the sample."""
        return float(np.mean(self.sample))

    @property
    def ratio(self) -> float:
        """The observed statistic over the expected one; infinite if none is expected."""
        return self.observed / self.expected if self.expected > 0.0 else np.inf

    @property
    def p_value(self) -> float:
        """The share of the sample that is at least as large, ``(count + 1) / (n + 1)``."""
        count = np.count_nonzero(self.sample >= self.observed * (1.0 - 1e-12))
        return float((count + 1.0) / (len(self.sample) + 1.0))

    def as_check(self, alpha: float = 0.05) -> Check:
        """The same as one of the checks of a model."""
        ok, text = self.p_value >= alpha, self._head()
        return Check(ok, text, () if ok or not self.remedy else (self.remedy,), self.to_frame())

    def to_frame(self) -> pd.DataFrame:
        """A row: ``statistic observed expected ratio p_value n_sims n_failed``."""
        row = {
            "statistic": self.name, "observed": self.observed, "expected": self.expected,
            "ratio": self.ratio, "p_value": self.p_value, "n_sims": len(self.sample),
            "n_failed": self.n_failed,
        }  # fmt: skip
        return pd.DataFrame([row])

    def _parts(self) -> Parts:
        """The numbers, and what follows from them."""
        head = self._head()
        return [head, self.remedy] if self.p_value < 0.05 and self.remedy else [head]

    def _head(self) -> str:
        failed = f", {self.n_failed} refits failed" if self.n_failed else ""
        return (
            f"{self.name}: {self.observed:.5g} observed, {self.expected:.5g} expected "
            f"(ratio {self.ratio:.3g}), p = {self.p_value:.3g} of {len(self.sample)} simulated "
            f"responses{failed}"
        )
