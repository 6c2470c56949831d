"""Profiles of a linear model, whose residual standard deviation is profiled out or a parameter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from merextras.accessors.parameters import parameters_at
from merextras.engine.optimum.newton import minimise
from merextras.engine.profile.charts import FixedEffect, Sigma, StandardDeviation, Target
from merextras.engine.profile.constrained import ProfileProblem, Reached
from merextras.engine.profile.paths_by_strata import ResidualPaths
from merextras.engine.profile.trace import Range
from merextras.engine.solution.pls import Solution
from merextras.exceptions import ProfileError
from merextras.foundation.aliases import Array
from merextras.inference.intervals.profiler import Profiler, goals_of, quantile, targets_of
from merextras.model.state.fitted import FittedModel

# Log sigma is followed this far from its estimate: a factor of 1e5.
_FAR = 12.0
# Downward not to where the effects are larger than this relative to sigma, and always this far.
_MOST_RELATIVE, _NEAR = 1e3, 3.0


@dataclass(frozen=True, kw_only=True)
class LinearProfiler(Profiler):
    """Of a linear model.

    Attributes
    ----------
    solution : Solution
        The ML optimum.
    residuals : ResidualPaths or None
        How problems are made where residual variances differ by group.
    """

    solution: Solution
    residuals: ResidualPaths | None = None

    @classmethod
    def of(
        cls, model: FittedModel, names: Sequence[str], scale: str, levels: Sequence[float]
    ) -> LinearProfiler:
        """Find the ML optimum of a model.

        Raises
        ------
        ProfileError
        """
        criterion = model.criterion.by(reml=False)
        solution, opt = minimise(criterion, model.point.theta, control=model.control.engine)
        if not opt.converged:
            raise ProfileError(
                f"the ML estimate, at which a profile starts, was not found ({opt.message}); "
                "rescale the covariates or simplify the random effects"
            )
        n_sigmas, residuals = 0 if solution.cp.scale.is_known else 1, None
        if criterion.strata is not None:
            n_sigmas = len(criterion.strata)
            residuals = ResidualPaths.of(criterion, np.array(opt.theta))
        effects, covariances = solution.cp.basis.effects, model.design.covariances
        sigmas = [Sigma(covariances) for _ in range(n_sigmas)]
        every = targets_of(covariances, effects, solution.p, scale, sigmas)
        return cls(
            covariances=covariances,
            bases=tuple(effects),
            lams=solution.lams,
            sigma=float(np.sqrt(solution.sigma2)),
            targets=dict(zip(names, every, strict=True)),
            scale=scale,
            goals=goals_of(levels[-1]),
            exact=tuple(map(quantile, levels)),
            n_rows=solution.n,
            solution=solution,
            residuals=residuals,
        )

    def _problem(self, target: Target, name: str) -> tuple[ProfileProblem, float, Array]:
        problem, ratio = self._system(target, name)
        log_sigma = 0.5 * float(np.log(self.solution.sigma2 / ratio))
        gs = [ratio * g for g in self._gs()]
        u, z = target.coordinates(target.parameters(gs, log_sigma))
        if isinstance(target, FixedEffect):
            u = float(self.solution.beta[target.column])
        return problem, u, z

    def _system(self, target: Target, name: str) -> tuple[ProfileProblem, float]:
        """A target's problem, and sigma**2 of the fit over that of the problem."""
        if self.residuals is None:
            return ProfileProblem(self.solution.factor.system, target), 1.0
        sigmas = [each for each, one in self.targets.items() if isinstance(one, Sigma)]
        return self.residuals.problem(target, sigmas.index(name) if name in sigmas else 0)

    def _gs(self) -> list[Array]:
        """The covariances over sigma**2 at the optimum, in the coordinates of the problem."""
        return [lam @ lam.T for lam in self.solution.factor.lams]

    def _sizes(self, problem: ProfileProblem, target: Target) -> list[Array]:
        del target
        return problem.sizes

    def _residual_range(self, problem: ProfileProblem, start: Reached) -> Range:
        return Range(start.u - self._digits(problem), start.u + _FAR, 0.5)

    def _digits(self, problem: ProfileProblem) -> float:
        """How far down the logarithm of sigma is followed: the deviance keeps its digits there.

        It loses them with the square of the effects' sizes relative to sigma.
        """
        sizes = [
            np.linalg.norm(lam, axis=1) * size
            for lam, size in zip(self.lams, problem.units, strict=True)
        ]
        largest = max((float(size.max(initial=0.0)) for size in sizes), default=0.0)
        return float(np.clip(np.log(_MOST_RELATIVE / max(largest, 1e-300)), _NEAR, _FAR))

    def _without(self, alone: StandardDeviation) -> Reached:
        gs, own = self._gs(), self.bases[alone.term]
        less = self.lams[alone.term].copy()
        less[alone.effects[0]] = 0.0
        root = own.coordinates(less)
        gs[alone.term] = root @ root.T
        w = alone.parameters(gs, 0.5 * float(np.log(self.solution.sigma2)))
        return self._system(alone, "")[0].minimum(0.0, alone.coordinates(w)[1])

    def _reported(self, points: Sequence[Reached]) -> Array:
        """NaN for the correlation of an effect without variance."""
        models = [point.model for point in points]
        by_term = zip(*(model.solution.lams for model in models), strict=True)
        gs = [np.array([lam @ lam.T for lam in lams]) for lams in by_term]
        sigma2, beta = (np.array([getattr(m, name) for m in models]) for name in ("sigma2", "beta"))
        one = np.ones(0 if self.solution.cp.scale.is_known else 1)
        omega = [one if p.log_omega is None else np.exp(p.log_omega) for p in points]
        return parameters_at(
            self.covariances, gs, sigma2, beta.reshape(len(models), -1), np.array(omega)
        )
