"""Covariances of the random effects given the data, of a linear or a generalised model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from merextras.foundation.aliases import Array


class ConditionalBlocks(Protocol):
    """Covariances of random effects given the parameters, up to a scale."""

    def conditional(self, t: int) -> Array:
        """Of a term's effects by level, (J, k, k)."""

    def between(self, s: int, t: int) -> Array:
        """Between two terms on one grouping factor, (J, k_s, k_t)."""


@dataclass(frozen=True)
class Posterior:
    """Covariances of the random effects given the data and the parameters: scale times blocks."""

    scale: float
    blocks: ConditionalBlocks

    def conditional(self, t: int) -> Array:
        """Of a term's effects by level, (J, k, k)."""
        return np.asarray(self.scale * self.blocks.conditional(t))

    def between(self, s: int, t: int) -> Array:
        """Between two terms on one grouping factor, (J, k_s, k_t)."""
        return np.asarray(self.scale * self.blocks.between(s, t))
