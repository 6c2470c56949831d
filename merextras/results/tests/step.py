"""The result of backward elimination: the terms removed, in order, and the final model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

from merextras.results.base import Parts, TextResult

__all__ = ["Step"]


@dataclass(frozen=True, repr=False, eq=False)
class Step(TextResult):
    """Backward elimination: random terms first, then fixed ones.

    Attributes
    ----------
    random : DataFrame
        ``eliminated npar log_lik aic statistic df p_value``: the model, what was taken out in the
        order in which it was, and what is left. `eliminated` counts the steps; 0 is left.
    fixed : DataFrame
        ``eliminated sum_sq mean_sq num_df den_df statistic p_value`` likewise; of a generalised
        model ``eliminated df aic statistic p_value``.
    formula : str
        Of the model that is left.
    model : MerMod
        The model that is left.
    ddf : str
        Method of the F tests; ``"likelihood"`` of a generalised model, whose fixed terms are tested
        by likelihood ratios.
    note : str
        A reservation about the last random term, or empty.
    """

    random: pd.DataFrame
    fixed: pd.DataFrame
    formula: str
    model: Any
    ddf: str
    note: str = ""

    @property
    def n_eliminated(self) -> int:
        """Steps that were taken."""
        return int((self.random["eliminated"] > 0).sum() + (self.fixed["eliminated"] > 0).sum())

    @property
    def _tests(self) -> str:
        return "likelihood ratio tests" if self.ddf == "likelihood" else f"F tests ({self.ddf})"

    def _parts(self) -> Parts:
        parts: list[str | pd.DataFrame] = ["Random terms, likelihood ratio tests:", self.random]
        if len(self.fixed):
            parts += [f"Fixed terms, {self._tests}:", self.fixed]
        parts.append(f"Model found: {self.formula}")
        parts += [self.note] if self.note else []
        if self.n_eliminated:
            parts.append(
                "Its p-values and intervals take no notice of the selection: they are too small "
                "and too narrow"
            )
        return parts
