"""Profiles of a generalised model, by the fit's own approximation of the likelihood."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from merextras.accessors.parameters import parameters_at_point
from merextras.engine.generalised.searches.held import Held, of_covariance, of_linear
from merextras.engine.profile.charts import FixedEffect, StandardDeviation, Target
from merextras.engine.profile.constrained import Reached
from merextras.engine.profile.own_charts import OwnDeviation
from merextras.engine.profile.trace import Range
from merextras.exceptions import ProfileError
from merextras.foundation.aliases import Array
from merextras.inference.intervals.profiler import (
    Dispersion,
    Profiler,
    goals_of,
    quantile,
    targets_of,
)
from merextras.model.generalised.fitted import FittedGlmm
from merextras.model.generalised.separated import without_maximum

# A logarithm of a dispersion is followed this far from its estimate: a factor of 1e5.
_FAR = 12.0


@dataclass(frozen=True, kw_only=True)
class GeneralisedProfiler(Profiler):
    """Of a generalised model.

    Attributes
    ----------
    model : FittedGlmm
    """

    model: FittedGlmm

    @classmethod
    def of(
        cls, model: FittedGlmm, names: Sequence[str], scale: str, levels: Sequence[float]
    ) -> GeneralisedProfiler:
        """From the estimate.

        Raises
        ------
        ProfileError
            It is not the optimum.
        """
        if not model.optimum.converged:
            raise ProfileError(
                f"the estimate, at which a profile starts, is not the optimum: "
                f"{without_maximum(model) or model.opt_summary.message}"
            )
        criterion = model.laplace.criterion
        covariances, effects = criterion.covariances, criterion.table.effects
        own = [Dispersion(covariances)] if model.engine_family.n_phi else []
        every = targets_of(covariances, effects, criterion.table.p, scale, own)
        pairs = zip(effects, model.laplace.modes.lams, strict=True)
        return cls(
            covariances=covariances,
            bases=tuple(effects),
            lams=tuple(basis.transform @ lam for basis, lam in pairs),
            sigma=1.0,
            targets=dict(zip(names, every, strict=True)),
            scale=scale,
            goals=goals_of(levels[-1]),
            exact=tuple(map(quantile, levels)),
            n_rows=model.design.n,
            model=model,
        )

    def _undefined(self, target: Target) -> str:
        if isinstance(target, Dispersion) and self.model.is_poisson:
            return "the size is infinite: there is no overdispersion"
        return super()._undefined(target)

    def _problem(self, target: Target, name: str) -> tuple[Held, float, Array]:
        del name
        point, optimum = self.model.laplace, self.model.optimum
        criterion, free = point.criterion, optimum.free
        if target.term >= 0:
            held, u, z = of_covariance(criterion, point, target, free)
            is_sd = isinstance(target, (StandardDeviation, OwnDeviation))
            return held, 0.0 if is_sd and self._zero_effects(target) else u, z
        row, n = np.zeros(criterion.m), criterion.covariances.n
        if isinstance(target, FixedEffect):
            row[n : n + criterion.table.p] = criterion.table.transform[target.column]
        else:
            row[-1] = 1.0 if self.model.choice.name == "negative_binomial" else -1.0
        return of_linear(criterion, point, optimum.hessian, row, free)

    def _sizes(self, problem: Held, target: Target) -> list[Array]:
        del problem
        return target.sizes(self.model.laplace.criterion.sizes)

    def _residual_range(self, problem: Held, start: Reached) -> Range:
        del problem
        return Range(start.u - _FAR, start.u + _FAR, 0.5)

    def _without(self, alone: StandardDeviation) -> Reached:
        point = self.model.laplace
        held, _, z = of_covariance(point.criterion, point, alone, self.model.optimum.free)
        return held.minimum(0.0, z)

    def _reported(self, points: Sequence[Reached]) -> Array:
        return np.array([parameters_at_point(self.model, point.model) for point in points])
