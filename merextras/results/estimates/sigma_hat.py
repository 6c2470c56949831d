"""All standard deviations of a mixed model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pandas as pd

from merextras.results.base import TextResult


@dataclass(frozen=True, eq=False, repr=False)
class SigmaHat(TextResult):
    """Standard deviations and correlations, by grouping factor.

    Attributes
    ----------
    data : float
        Residual standard deviation; of several the root of the mean variance.
    sigma : mapping factor -> Series
        Standard deviations of the effects, indexed by their names.
    cors : mapping factor -> DataFrame
        Correlations of the effects.
    by_group : mapping group -> float
        Residual standard deviations by group, if there are several.
    """

    data: float
    sigma: Mapping[str, pd.Series]
    cors: Mapping[str, pd.DataFrame]
    by_group: Mapping[str, float] = field(default_factory=dict)

    def to_frame(self) -> pd.DataFrame:
        """One row per standard deviation: ``group term estimate``; the residual last."""
        rows = [
            (group, str(name), float(value))
            for group, sds in self.sigma.items()
            for name, value in sds.items()
        ]
        rows += [("Residual", name, sd) for name, sd in (self.by_group or {"": self.data}).items()]
        return pd.DataFrame(rows, columns=["group", "term", "estimate"])

    def to_text(self) -> str:
        """Each factor's standard deviations, and its correlations if it has any."""
        lines = [f"data: {self.data:.5g}"]
        if self.by_group:
            parts = ", ".join(f"{name} {value:.5g}" for name, value in self.by_group.items())
            lines = [f"data, by group: {parts}"]
        for group, sds in self.sigma.items():
            parts = ", ".join(f"{name} {value:.5g}" for name, value in sds.items())
            lines.append(f"{group}: {parts}")
            if len(sds) > 1:
                lines.append(self.cors[group].round(3).to_string())
        return "\n".join(lines)
