"""Simulated prediction intervals with the draws that they are quantiles of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from merextras.foundation.aliases import Array
from merextras.foundation.frozen import FrozenArrays, freeze, read_only
from merextras.results.base import FrozenMapping, Parts, TextResult

_COLUMNS = ["fit", "lower", "upper"]
_SHOWN = 5


def interval_frame(which: str, index: pd.Index, tables: Mapping[str, Array]) -> pd.DataFrame:
    """Lay out ``fit lower upper`` by rows; for ``which="all"`` long, by ``effect`` and ``case``.

    Parameters
    ----------
    tables : mapping effect -> (n, 3) array
    """
    if which != "all":
        return pd.DataFrame(tables[which].copy(), index=index, columns=_COLUMNS)
    n = len(index)
    cases = index.to_flat_index()[np.tile(np.arange(n), len(tables))]
    columns = {
        "effect": np.repeat(np.asarray(list(tables), dtype=object), n),
        "case": cases,
        **dict(zip(_COLUMNS, np.concatenate(list(tables.values())).T, strict=True)),
    }
    frame = pd.DataFrame({name: pd.Series(values) for name, values in columns.items()})
    return frame.assign(effect=frame["effect"].infer_objects())


@dataclass(frozen=True, eq=False, repr=False)
class PredictIntervalResult(FrozenArrays, TextResult):
    """What `predict_interval` returns with ``return_sims=True``; arrays are read-only.

    Attributes
    ----------
    which : str
        ``"full"``, ``"fixed"``, ``"random"`` or ``"all"``.
    level : float
    index : Index
        The user's.
    tables : mapping effect -> (n, 3) array
        fit, lower and upper. The one effect is `which`; for ``"all"`` they are ``combined``, the
        grouping factors and ``fixed``.
    sims : mapping effect -> (n, n_sims) array
        The draws, in the order of the rows; NaN in a row with a missing value.
    """

    which: str
    level: float
    index: pd.Index
    tables: Mapping[str, Array]
    sims: Mapping[str, Array]

    def __post_init__(self) -> None:
        tables = {effect: freeze(table) for effect, table in self.tables.items()}
        object.__setattr__(self, "tables", FrozenMapping(tables))
        sims = {effect: read_only(draws) for effect, draws in self.sims.items()}
        object.__setattr__(self, "sims", FrozenMapping(sims))

    @property
    def n_sims(self) -> int:
        """Number of draws."""
        return int(next(iter(self.sims.values())).shape[1])

    def to_frame(self) -> pd.DataFrame:
        """Return the frame that `predict_interval` returns without the draws."""
        return interval_frame(self.which, self.index, self.tables)

    def _parts(self) -> Parts:
        """The first rows, and how many there are."""
        frame = self.to_frame()
        head = f"{self.level:.4g} intervals of {len(self.index)} rows from {self.n_sims} draws"
        more = len(frame) - _SHOWN
        text: list[str | pd.DataFrame] = [f"{head} ({self.which})", frame.head(_SHOWN)]
        return [*text, f"... and {more} more"] if more > 0 else text
