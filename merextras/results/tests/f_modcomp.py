"""The result of an F test between two nested models."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from merextras.foundation.aliases import Array
from merextras.foundation.frozen import FrozenArrays
from merextras.results.base import Parts, Table, TextResult

__all__ = ["FModcomp"]


@dataclass(frozen=True, eq=False, repr=False)
class FModcomp(FrozenArrays, TextResult):
    """What `kr_modcomp` and `sat_modcomp` return.

    Attributes
    ----------
    statistic : float
        F; Kenward and Roger's with their factor.
    df : int
        Fixed effects that the larger model has more.
    ddf : float
        Of the denominator.
    scale : float
        Kenward and Roger's factor of F; 1 for Satterthwaite's method.
    restriction : (df, p) array
        L with ``L beta = 0`` in the smaller model.
    method : str
    large, small : str
        Formulas.

    Examples
    --------
    >>> import numpy as np
    >>> from merextras.results.tests.f_modcomp import FModcomp
    >>> FModcomp(4.0, 1, 10.0, 1.0, np.eye(2)[1:], "KR", "y ~ x", "y ~ 1").to_frame().round(3)
      test  statistic   df   ddf  p_value
    0   KR        4.0  1.0  10.0    0.073
    """

    statistic: float
    df: int
    ddf: float
    scale: float
    restriction: Array
    method: str
    large: str
    small: str

    _arrays = ("restriction",)

    @property
    def p_value(self) -> float:
        """Of the F test."""
        return _tail(self.statistic, self.df, self.ddf)

    def to_frame(self) -> pd.DataFrame:
        """A row per test, ``test statistic df ddf p_value``, the columns of `PBModcomp`'s.

        Where Kenward and Roger's factor is not one, the test without it is there, too.
        """
        rows = [(self.method, self.statistic, float(self.df), self.ddf, self.p_value)]
        if self.scale != 1.0:
            plain = self.statistic / self.scale
            tail = _tail(plain, self.df, self.ddf)
            rows.append((f"{self.method}, F not scaled", plain, float(self.df), self.ddf, tail))
        return Table.of(pd.DataFrame(rows, columns=["test", "statistic", "df", "ddf", "p_value"]))

    def _parts(self) -> Parts:
        """The models and the table."""
        scale = "" if self.scale == 1.0 else f"; scale of F {self.scale:.6g}"
        table = self.to_frame().set_index("test").rename_axis(None)
        table["p_value"] = [f"{p:.4g}" for p in table["p_value"]]
        heads = [f"F test of two models{scale}", f"large: {self.large}", f"small: {self.small}"]
        return [*heads, table]


def _tail(statistic: float, df: int, ddf: float) -> float:
    if np.isinf(ddf):
        return float(stats.chi2.sf(statistic * df, df))
    return float(stats.f.sf(statistic, df, ddf))
