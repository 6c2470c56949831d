"""Covariances of a generalised model's random effects given the data and the parameters."""

from __future__ import annotations

from dataclasses import dataclass

from merextras.engine.generalised.criterion.laplace import LaplacePoint
from merextras.foundation.aliases import Array


@dataclass(frozen=True)
class ModeBlocks:
    """The inverse of the penalised information at the mode, by terms."""

    point: LaplacePoint

    def conditional(self, t: int) -> Array:
        """Of a term's effects by level, (J, k, k)."""
        table = self.point.criterion.table
        return table.effects[t].covariance(table.by_level(self.point.selected.own[t]))

    def between(self, s: int, t: int) -> Array:
        """Between two terms on one grouping factor, (J, k_s, k_t)."""
        table = self.point.criterion.table
        found = table.by_level(self.point.selected.between(self.point.modes.factor, s, t))
        return table.effects[s].between(found, table.effects[t])
