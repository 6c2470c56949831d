"""All checks of a model together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

from merextras.results.base import Parts, TextResult
from merextras.results.checks.check import Check, CollinearityCheck
from merextras.results.checks.convergence import ConvergenceCheck
from merextras.results.checks.prediction_check import PredictionCheck
from merextras.results.checks.residual_table import ResidualTable
from merextras.results.estimates.ranef import Ranef

__all__ = ["ModelCheck"]


@dataclass(frozen=True, eq=False, repr=False)
class ModelCheck(TextResult):
    """What `model_checks` returns, and `plot_model_check` draws.

    Attributes
    ----------
    formula : str
    convergence : ConvergenceCheck
    checks : mapping name -> Check
        ``singularity collinearity normality heteroscedasticity outliers predictions``; outliers and
        predictions are missing for a model with frequency weights. Of a generalised model
        ``overdispersion zero_inflation`` too, where they are defined.
    residuals : ResidualTable
    qq : DataFrame
        What `qq_residuals` returned.
    ranef : Ranef
    """

    formula: str
    convergence: ConvergenceCheck
    checks: dict[str, Check]
    residuals: ResidualTable
    qq: pd.DataFrame
    ranef: Ranef

    @property
    def predictions(self) -> PredictionCheck | None:
        """The predictive check."""
        found = self.checks.get("predictions")
        return found if isinstance(found, PredictionCheck) else None

    @property
    def collinearity(self) -> CollinearityCheck:
        """The variance inflation factors."""
        found = self.checks["collinearity"]
        assert isinstance(found, CollinearityCheck)
        return found

    def to_frame(self) -> pd.DataFrame:
        """``check ok verdict``, a row per check."""
        text = "converged" if self.convergence.converged else "not converged"
        rows = [("convergence", self.convergence.converged, text)]
        rows += [(name, check.ok, check.verdict) for name, check in self.checks.items()]  # type: ignore[misc]
        return pd.DataFrame(rows, columns=["check", "ok", "verdict"]).astype({"ok": object})

    def _parts(self) -> Parts:
        """The verdicts as a table, then what to do."""
        frame = self.to_frame().set_index("check").rename_axis(None)
        marks = {True: "ok", False: "not ok", None: "undecided"}
        found: dict[str, Any] = {"convergence": self.convergence, **self.checks}
        advice = [
            f"{name}: {text}"
            for name, ok in frame["ok"].items()
            if ok is not True
            for text in found[str(name)].advice
        ]
        table = frame.assign(ok=[marks[ok] for ok in frame["ok"]])
        return [f"Checks of {self.formula}", table, "\n".join(advice)]

    def to_text(self) -> str:
        """Write each verdict, and what to do where one is not ok."""
        marks = {True: "ok", False: "not ok", None: "undecided"}
        lines = [f"Checks of {self.formula}"]
        frame = self.to_frame()
        for name, ok, verdict in zip(*(frame[c].tolist() for c in frame), strict=True):
            lines.append(f"{name}: {marks[ok]}: {verdict}")
            check = self.checks.get(name, self.convergence)
            if ok is not True:
                lines += [f"  - {text}" for text in check.advice]
        return "\n".join(lines)
