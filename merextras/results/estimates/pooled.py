"""Fixed effects pooled over several fits."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from merextras.foundation.aliases import Array
from merextras.foundation.frozen import FrozenArrays
from merextras.results.base import Parts, TextResult


@dataclass(frozen=True, repr=False)
class Pooled(FrozenArrays, TextResult):
    """Estimates by Rubin's rules.

    Attributes
    ----------
    table : frame
        ``term estimate std_error statistic df p_value conf_low conf_high riv fmi``. `riv` is the
        relative increase of the variance due to what is missing, ``(1 + 1/m) B / W``; `fmi` the
        fraction of missing information, ``(riv + 2 / (df + 3)) / (1 + riv)``.
    within : (p, p) array
        W, the mean of the fits' covariance matrices (variances).
    between : (p, p) array
        B, the covariance of the estimates over the fits, with divisor m - 1.
    total : (p, p) array
        ``W + (1 + 1/m) B``.
    m : int
        Fits.
    level : float
        Of the intervals.
    """

    table: pd.DataFrame
    within: Array
    between: Array
    total: Array
    m: int
    level: float

    _arrays = ("within", "between", "total")

    def to_frame(self) -> pd.DataFrame:
        """The table, a fresh copy."""
        return self.table.copy()

    def _parts(self) -> Parts:
        """The table under what it is of."""
        frame = self.table.set_index("term").rename_axis(None)
        return [f"Pooled over {self.m} fits by Rubin's rules", frame]
