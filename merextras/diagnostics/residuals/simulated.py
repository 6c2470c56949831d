"""The response of a generalised model among responses that were simulated from it.

Where the model is right the response and the simulated ones are exchangeable, up to the estimation
of the parameters: the share of simulated responses of which a statistic is as large is a p-value,
whatever the correlation of a group's observations does to the statistic.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import special, stats

from merextras.foundation.aliases import Array
from merextras.model.generalised.again import drawn
from merextras.model.generalised.fitted import FittedGlmm

# Rows ranked at a time, times responses (8 MB).
_BLOCK = 1 << 20


@dataclass(frozen=True, eq=False)
class Simulated:
    """The response and S simulated ones, with random effects of their own.

    Attributes
    ----------
    y : (n, S + 1) array
        The response first.
    share : (n, S + 1) array
        Of uniform numbers, by which equal values are told apart.
    """

    y: Array
    share: Array

    @classmethod
    def of(
        cls, model: FittedGlmm, n_sims: int, rng: np.random.Generator, *, use_u: bool = False
    ) -> Simulated:
        """Simulate; each response has a generator of its own."""
        kept = set(range(len(model.design.terms))) if use_u else set()
        own, *generators = rng.spawn(n_sims + 1)
        y = np.column_stack([model.response.y, *(drawn(model, kept, g) for g in generators)])
        return cls(y, np.asarray(own.random(y.shape)))

    @property
    def n_sims(self) -> int:
        """S."""
        return len(self.y.T) - 1

    @cached_property
    def uniform(self) -> Array:
        """The place of each among all responses of its row, (n, S + 1), uniform in (0, 1)."""
        out = np.empty(self.y.shape)
        columns = self.n_sims + 1
        step = max(1, _BLOCK // columns)
        for start in range(0, len(out), step):
            part = slice(start, start + step)
            order = np.lexsort((self.share[part], self.y[part]), axis=1)
            np.put_along_axis(out[part], order, np.arange(columns)[None] + 0.5, axis=1)
        return out / columns

    @property
    def normal(self) -> Array:
        """The same as normal quantiles."""
        return np.asarray(special.ndtri(self.uniform))

    def p_value(self, statistic: Callable[[Array], float], values: Array) -> tuple[float, float]:
        """A statistic of the response's column of values, and the share of all with as much."""
        found = np.array([statistic(column) for column in values.T])
        if not np.isfinite(found[0]):
            return np.nan, np.nan
        as_large = np.count_nonzero(found >= found[0] * (1.0 - 1e-12))
        return float(found[0]), as_large / len(found)


def distance_from_uniform(values: Array) -> float:
    """Kolmogorov and Smirnov's."""
    return float(stats.kstest(values, "uniform").statistic)
