"""Constrained minima of a model whose residual variances differ by strata.

With a parameter held, the deviance is minimised over log omega outside, by quasi-Newton steps
(BFGS), and over everything else inside, as for any model. By the envelope theorem the outer
gradient is the partial derivative at the inner minimum. Strata are taken relative to one of them,
whose sigma is the model's: the parameter itself, for a residual standard deviation.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from merextras.engine.derivatives.strata import strata_gradient
from merextras.engine.elimination.plan import Plan, prepare
from merextras.engine.kernels.blocks import Array
from merextras.engine.optimum import line
from merextras.engine.products.strata import Strata
from merextras.engine.profile.charts import Target
from merextras.engine.profile.constrained import ProfileProblem, Reached, minimum

_MAX_ITERATIONS = 60
# On twice the deviance still to be gained, at which omega is left as it is.
_TOLERANCE = 1e-10


class StrataProblem(ProfileProblem):
    """A target of strata's products.

    Parameters
    ----------
    strata : Strata
    plan : Plan
    target : Target
    log_omega : (H,) array
        Where to start: of all strata, relative to the one at `reference`.
    reference : int
    curvature : (H - 1, H - 1) array
        About the second derivative in the others', all else at its best; positive definite.
    """

    def __init__(
        self,
        strata: Strata,
        plan: Plan,
        target: Target,
        log_omega: Array,
        reference: int,
        curvature: Array,
    ) -> None:
        self._strata, self._plan, self.reference = strata, plan, reference
        self._others = np.delete(np.arange(len(strata)), reference)
        self._delta = log_omega[self._others]
        self._inverse = np.linalg.inv(curvature)
        super().__init__(prepare(strata.at(log_omega), plan), target)

    def minimum(self, u: float, z: Array) -> Reached:
        """The least deviance with the parameter at u, over omega too."""
        before = self._delta
        here = self._inner(u, z, before)
        if not here.converged:
            return here
        slope = self._slope(here, before)
        for _ in range(_MAX_ITERATIONS):
            step = -self._inverse @ slope
            decrement = -float(step @ slope)
            if decrement <= _TOLERANCE:
                break
            found = self._line_search(u, here, before, step, decrement)
            if found is None:
                break
            new, after = found
            slope_after = self._slope(new, after)
            self._learn(after - before, slope_after - slope)
            here, before, slope = new, after, slope_after
        self._delta = before
        left = 0.5 * float(slope @ self._inverse @ slope)
        return replace(
            here, deviance=here.deviance - left, log_omega=self._whole(before), converged=True
        )

    def _whole(self, delta: Array) -> Array:
        out = np.zeros(len(self._strata))
        out[self._others] = delta
        return out

    def _inner(self, u: float, z: Array, delta: Array) -> Reached:
        self.system = prepare(self._strata.at(self._whole(delta)), self._plan)
        return minimum(self, u, z)

    def _slope(self, here: Reached, delta: Array) -> Array:
        """The derivative in the others' log omega, at an inner minimum."""
        model = here.model
        weight = np.outer(model.contrast, model.contrast) / model.sigma2
        omega = np.exp(self._whole(delta))
        found = strata_gradient(model.solution, self._strata, omega, weight=weight)
        return found[self._others]

    def _line_search(
        self, u: float, here: Reached, delta: Array, step: Array, decrement: float
    ) -> tuple[Reached, Array] | None:
        length = min(1.0, 3.0 / float(np.max(np.abs(step), initial=1e-300)))
        noise = 1e-12 * (abs(here.deviance) + self.system.cp.n)

        def trial(length: float) -> tuple[Reached, float]:
            new = self._inner(u, here.z, delta + length * step)
            return new, new.deviance if new.converged else np.nan

        found = line.downhill(trial, here.deviance, decrement, noise, longest=length, shortest=1e-6)
        if found is None:
            self._inner(u, here.z, delta)
            return None
        return found[1], delta + found[0] * step

    def _learn(self, step: Array, change: Array) -> None:
        """BFGS's update of the inverse; Nocedal & Wright 2006, eq. 6.17."""
        along = float(step @ change)
        if along <= 1e-8 * float(np.linalg.norm(step) * np.linalg.norm(change)):
            return
        left = np.eye(len(step)) - np.outer(step, change) / along
        self._inverse = left @ self._inverse @ left.T + np.outer(step, step) / along
