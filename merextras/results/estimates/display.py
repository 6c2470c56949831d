"""The short printed form of a fit that arm's ``display`` gives."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from merextras.results.base import TextResult
from merextras.results.estimates.var_corr import VarCorr

_HEADERS = {"coef_est": "coef.est", "coef_se": "coef.se", "statistic": "t value"}


@dataclass(frozen=True, eq=False, repr=False)
class Display(TextResult):
    """What arm's ``display()`` shows.

    Attributes
    ----------
    call : str
    coefficients : DataFrame
        ``coef_est coef_se``, and ``statistic`` if details were asked for, by fixed effect.
    var_corr : VarCorr
    n : int
        Observations.
    ngrps : Series
        Levels by grouping factor.
    aic : float
    dic, deviance : float or None
        None if they were not asked for: they take a refit.
    digits : int
        Decimals that are printed; the attributes are not rounded.
    """

    call: str
    coefficients: pd.DataFrame
    var_corr: VarCorr
    n: int
    ngrps: pd.Series
    aic: float
    dic: float | None = None
    deviance: float | None = None
    digits: int = 2

    def to_text(self) -> str:
        """All of it, as arm prints it."""
        groups = "; ".join(f"{name}, {count}" for name, count in self.ngrps.items())
        lines = [f"AIC = {self.aic:.1f}"]
        if self.dic is not None:
            lines = [f"{lines[0]}, DIC = {self.dic:.1f}"]
        if self.deviance is not None:
            lines.append(f"deviance = {self.deviance:.1f}")
        return "\n".join(
            [
                self.call,
                self._coefficients(),
                "",
                "Error terms:",
                self.var_corr.to_text(digits=self.digits),
                "---",
                f"number of obs: {self.n}, groups: {groups}",
                *lines,
            ]
        )

    def _coefficients(self) -> str:
        frame = self.coefficients.rename(columns=_HEADERS)
        if frame.empty:
            return "No fixed effects"
        # Adding zero turns the -0.0 of a rounded small number into 0.0.
        texts = frame.map(lambda v: f"{round(v, self.digits) + 0.0:.{self.digits}f}")
        return str(texts.to_string())
