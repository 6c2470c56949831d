"""Results of the checks of a model: a verdict, the numbers behind it, and advice."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from merextras.foundation.frozen import FrozenArrays
from merextras.results.base import Parts, TextResult, p_text

__all__ = [
    "Check",
    "CollinearityCheck",
    "HeteroscedasticityCheck",
    "NormalityCheck",
    "OutlierCheck",
    "SingularityCheck",
]

#: Rows of a table that are printed.
_SHOWN = 10


@dataclass(frozen=True, eq=False, repr=False)
class Check(FrozenArrays, TextResult):
    """A verdict on one assumption.

    Attributes
    ----------
    ok : bool or None
        Whether nothing speaks against the model; None where that can't be told.
    verdict : str
        What was found, in a sentence.
    advice : tuple of str
        What to do; empty if nothing is to be done.
    table : DataFrame
        The numbers; `to_frame` gives a fresh copy.

    Examples
    --------
    >>> import pandas as pd
    >>> from merextras.results.checks.check import Check
    >>> Check(False, "the residuals are skewed", ("transform",), pd.DataFrame({"skewness": [2.0]}))
    not ok: the residuals are skewed
       skewness
    0     2.000
    - transform
    """

    ok: bool | None
    verdict: str
    advice: tuple[str, ...]
    table: pd.DataFrame

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "table", self.table.copy())

    def to_frame(self) -> pd.DataFrame:
        """A fresh copy of the numbers behind the verdict."""
        return self.table.copy()

    def _shown(self) -> pd.DataFrame:
        return self.table

    def _parts(self) -> Parts:
        """The verdict, the numbers and the advice."""
        mark = {True: "ok", False: "not ok", None: "undecided"}[self.ok]
        shown = self._shown()
        out: list[str | pd.DataFrame] = [f"{mark}: {self.verdict}"]
        if len(shown):
            out.append(_written(shown.head(_SHOWN)))
        if len(shown) > _SHOWN:
            out.append(f"... {len(shown) - _SHOWN} more in to_frame()")
        return [*out, *(f"- {text}" for text in self.advice)]


def _written(frame: pd.DataFrame) -> pd.DataFrame:
    """p-values as text of three significant digits."""
    if "p_value" not in frame:
        return frame
    values = ["" if np.isnan(p) else p_text(float(p)) for p in frame["p_value"]]
    return frame.assign(p_value=values)


@dataclass(frozen=True, eq=False, repr=False)
class SingularityCheck(Check):
    """What `check_singularity` returns; the table is ``group term relative_sd given_others``."""

    @property
    def singular(self) -> bool:
        """Whether some covariance has (nearly) lost rank."""
        return not self.ok


@dataclass(frozen=True, eq=False, repr=False)
class CollinearityCheck(Check):
    """What `check_collinearity` returns; the table is ``term df vif se_factor tolerance``."""

    @property
    def vif(self) -> pd.Series:
        """Variance inflation factors by term."""
        return self.table.set_index("term")["vif"].copy()


@dataclass(frozen=True, eq=False, repr=False)
class NormalityCheck(Check):
    """What `check_normality` returns.

    The table is ``source group term n statistic p_value skewness kurtosis test note``: the
    residuals first, then each random effect.
    """

    @property
    def p_values(self) -> pd.Series:
        """By source: ``"residuals"``, ``"term | group"``."""
        columns = (self.table[name].tolist() for name in ("source", "term", "group"))
        names = [f"{t} | {g}" if g else str(s) for s, t, g in zip(*columns, strict=True)]
        return pd.Series(self.table["p_value"].to_numpy(copy=True), index=names, name="p_value")

    def _shown(self) -> pd.DataFrame:
        table = self.table
        return table if (table["note"] != "").any() else table.drop(columns="note")


@dataclass(frozen=True, eq=False, repr=False)
class HeteroscedasticityCheck(Check):
    """What `check_heteroscedasticity` returns; the table is ``test statistic df p_value``."""

    @property
    def statistic(self) -> float:
        """The score statistic."""
        return float(self.table["statistic"].iloc[0])

    @property
    def p_value(self) -> float:
        """From the chi-square distribution with one degree of freedom."""
        return float(self.table["p_value"].iloc[0])


@dataclass(frozen=True, eq=False, repr=False)
class OutlierCheck(Check):
    """What `check_outliers` returns.

    The table has a row per observation under the user's index: ``residual leverage cooks_distance
    p_value outlier influential``.

    Attributes
    ----------
    threshold : float
        Of Cook's distance.
    alpha : float
        Of the adjusted p-values.
    """

    threshold: float
    alpha: float

    @property
    def rows(self) -> pd.Index:
        """Index labels of the observations that are outliers or influential."""
        return self._shown().index

    def _shown(self) -> pd.DataFrame:
        return self.table[self.table["outlier"] | self.table["influential"]]
