"""Observations, fitted values and residuals side by side, with their smooth trends."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from merextras.exceptions import InvalidArgumentError
from merextras.results.base import Parts, TextResult

__all__ = ["ResidualTable"]


@dataclass(frozen=True, eq=False, repr=False)
class ResidualTable(TextResult):
    """What `residual_table` returns.

    Attributes
    ----------
    response : str
    table : DataFrame
        Under the user's index ``observed fitted residual standardized leverage cooks_distance``.
    groups : DataFrame
        The level of each row, a column per grouping factor.
    trends : DataFrame
        ``of fitted value``: a smooth curve of ``"residual"`` and of ``"scale"``, the root of the
        absolute standardised residual, over the fitted values; of ``"leverage"``, the standardised
        residual over the leverage, its x in the column `fitted`.
    p : int
        Number of fixed effects, for contours of Cook's distance.
    what : str
        What kind of residuals they are.
    """

    response: str
    table: pd.DataFrame
    groups: pd.DataFrame
    trends: pd.DataFrame
    p: int
    what: str = "residual"

    def to_frame(self) -> pd.DataFrame:
        """A fresh copy of the table."""
        return self.table.copy()

    def trend(self, of: str) -> pd.DataFrame:
        """One of the curves: ``fitted value``."""
        return self.trends.loc[self.trends["of"] == of, ["fitted", "value"]].reset_index(drop=True)

    def with_group(self, group: str) -> pd.DataFrame:
        """The table with the levels of a factor in a column ``level``."""
        return self.table.assign(level=self.groups[self._known(group)])

    def group_means(self, group: str) -> pd.DataFrame:
        """Means by level: ``level n observed fitted``."""
        frame = self.with_group(group).groupby("level", sort=False, observed=True)
        means = frame[["observed", "fitted"]].mean()
        means.insert(0, "n", frame.size())
        return means.reset_index()

    def _known(self, group: str) -> str:
        if group in self.groups.columns:
            return group
        raise InvalidArgumentError(
            f"group={group!r}: the grouping factors are {list(self.groups.columns)}"
        )

    def _parts(self) -> Parts:
        """The first rows."""
        return [f"residuals of {self.response}, {len(self.table)} rows", self.table.head(6)]
