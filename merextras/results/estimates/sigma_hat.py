"""All standard deviations of a mixed model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from merextras.results.base import TextResult


@dataclass(frozen=True, eq=False, repr=False)
class SigmaHat(TextResult):
    """Standard deviations and correlations, by grouping factor.

    Attributes
    ----------
    data : float
        Residual standard deviation.
    sigma : mapping factor -> Series
        Standard deviations of the effects, indexed by their names.
    cors : mapping factor -> DataFrame
        Correlations of the effects.
    """

    data: float
    sigma: Mapping[str, pd.Series]
    cors: Mapping[str, pd.DataFrame]

    def to_frame(self) -> pd.DataFrame:
        """One row per standard deviation: ``group term estimate``; the residual last."""
        rows = [
            (group, str(name), float(value))
            for group, sds in self.sigma.items()
            for name, value in sds.items()
        ]
        rows.append(("Residual", "", self.data))
        return pd.DataFrame(rows, columns=["group", "term", "estimate"])

    def to_text(self) -> str:
        """Each factor's standard deviations, and its correlations if it has any."""
        lines = [f"data: {self.data:.5g}"]
        for group, sds in self.sigma.items():
            parts = ", ".join(f"{name} {value:.5g}" for name, value in sds.items())
            lines.append(f"{group}: {parts}")
            if len(sds) > 1:
                lines.append(self.cors[group].round(3).to_string())
        return "\n".join(lines)
