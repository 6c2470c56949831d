"""Conditional modes of the random effects and their conditional variances."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from merextras.foundation.aliases import Array
from merextras.foundation.frozen import freeze
from merextras.results.base import FrozenMapping, Parts, TextResult


class Ranef(TextResult, FrozenMapping[pd.DataFrame]):
    """A mapping from grouping factor to a frame of conditional modes, levels by terms.

    Attributes
    ----------
    post_var : mapping factor -> (levels, k, k) array, or None
        Conditional covariance matrices of each level's effects (variances, not SDs), in the
        order of the frame's rows and columns. None if they were not asked for.
    """

    def __init__(
        self, frames: Mapping[str, pd.DataFrame], post_var: Mapping[str, Array] | None
    ) -> None:
        super().__init__(frames)
        self.post_var: Mapping[str, Array] | None = (
            None
            if post_var is None
            else FrozenMapping({factor: freeze(v) for factor, v in post_var.items()})
        )

    def __getitem__(self, key: str) -> pd.DataFrame:
        return super().__getitem__(key).copy()

    def to_frame(self) -> pd.DataFrame:
        """One row per effect: ``group level term estimate std_error``.

        `std_error` is the conditional standard deviation, NaN if no variances were asked for.
        """
        parts = []
        for factor in self:
            frame = self[factor]
            sd = np.full(frame.shape, np.nan)
            if self.post_var is not None:
                sd = np.sqrt(np.diagonal(self.post_var[factor], axis1=1, axis2=2))
            for i, term in enumerate(frame.columns):
                columns = {
                    "group": factor,
                    "level": frame.index,
                    "term": term,
                    "estimate": frame.iloc[:, i].to_numpy(),
                    "std_error": sd[:, i],
                }
                parts.append(pd.DataFrame(columns))
        return pd.concat(parts, ignore_index=True)

    def _parts(self) -> Parts:
        out: list[str | pd.DataFrame] = []
        for factor in self:
            out += [f"{factor}:", self[factor]]
        if self.post_var is not None:
            out.append(f"with conditional variances for {', '.join(map(repr, self))}")
        return out

    def to_text(self) -> str:
        """A table for each factor."""
        lines = []
        for factor in self:
            lines += [f"{factor}:", self[factor].to_string(max_rows=20), ""]
        if self.post_var is not None:
            lines.append(f"with conditional variances for {', '.join(map(repr, self))}")
        return "\n".join(lines)
