"""How a model's profiles are made: where each starts, how far it may go, what its end means."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import NormalDist

import numpy as np

from merextras._typing import Array
from merextras.distributions.curve import Curve
from merextras.engine.covariance.cholesky import lower_indices
from merextras.engine.covariance.covariances import Covariances
from merextras.engine.optimum.newton import minimise
from merextras.engine.products.effects import EffectBasis
from merextras.engine.profile.charts import (
    Correlation,
    Covariance,
    FixedEffect,
    Sigma,
    StandardDeviation,
    Target,
)
from merextras.engine.profile.constrained import Problem, Reached
from merextras.engine.profile.paths_by_strata import ResidualPaths
from merextras.engine.profile.trace import Range, Side, trace
from merextras.engine.solution.pls import Solution
from merextras.exceptions import ProfileError
from merextras.inference.intervals.profile_curve import curve_of
from merextras.model.state.fitted import FittedModel

# A relative standard deviation, times the size of its covariate, that is zero.
_ZERO = 1e-6
# Log sigma is followed this far from its estimate: a factor of 1e5.
_FAR = 12.0

# Levels whose intervals are to be exact; more points where zeta goes further without one.
_LEVELS = (0.5, 0.8, 0.9, 0.95, 0.99)
_APART = 0.75

#: How a parameter is made of its coordinate (by scale), and where its space ends.
_KINDS: dict[type[Target], tuple[str, str, float, float]] = {
    StandardDeviation: ("identity", "square", 0.0, np.inf),
    Correlation: ("sine", "sine", -1.0, 1.0),
    Covariance: ("identity", "identity", -np.inf, np.inf),
    Sigma: ("exp", "exp_square", 0.0, np.inf),
    FixedEffect: ("identity", "identity", -np.inf, np.inf),
}


@dataclass(frozen=True)
class Profiler:
    """The ML optimum of a model, from which every parameter is profiled.

    Attributes
    ----------
    solution : Solution
    targets : dict parameter -> Target
    scale : str
    goals : tuple of float
        Values of zeta that points are wanted near to; the last is the end.
    far_from_zero : set of (term, effect)
        Effects that can't have a standard deviation of zero within that rise.
    residuals : ResidualPaths or None
        How problems are made where residual variances differ by group.
    """

    solution: Solution
    targets: dict[str, Target]
    scale: str
    goals: tuple[float, ...]
    far_from_zero: set[tuple[int, ...]] = field(default_factory=set)
    residuals: ResidualPaths | None = None

    @classmethod
    def of(cls, model: FittedModel, names: Sequence[str], scale: str, level_max: float) -> Profiler:
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
        n_sigmas, residuals = 1, None
        if criterion.strata is not None:
            n_sigmas = len(criterion.strata)
            residuals = ResidualPaths.of(criterion, np.array(opt.theta))
        effects = solution.cp.basis.effects
        every = _targets(model.design.covariances, effects, solution.p, scale, n_sigmas)
        targets = dict(zip(names, every, strict=True))
        return cls(solution, targets, scale, _goals(level_max), residuals=residuals)

    def run(self, names: Sequence[str]) -> dict[str, tuple[Curve, Array]]:
        """Profile the parameters: the curve of each, and all parameters at its points."""
        # What the standard deviations tell of their way to zero is used by the correlations.
        first = [name for name in names if isinstance(self.targets[name], StandardDeviation)]
        found = {name: self._profile(name) for name in dict.fromkeys([*first, *names])}
        return {name: found[name] for name in names}

    def _profile(self, name: str) -> tuple[Curve, Array]:
        target = self.targets[name]
        at_zero = self._zero_effects(target)
        if at_zero and isinstance(target, (Correlation, Covariance)):
            return self._undefined(target)
        problem, start = self._start(target, name)
        span = self._range(problem, start)
        low, high = trace(problem, start, span, self.goals)
        for side in (low, high):
            self._check(name, side, start)
        if isinstance(target, StandardDeviation) and low.status == "reached":
            self.far_from_zero.add((target.term, *target.effects))
        points = [*reversed(low.points), start, *high.points]
        kind, squared, *bounds = _KINDS[type(target)]
        curve = curve_of(
            start, (low, high), squared if self.scale == "varcov" else kind, bounds, span.ceiling
        )
        return curve, self._values(points)

    def _zero_effects(self, target: Target) -> list[int]:
        """Effects of the target that are estimated to have no variance."""
        if target.term < 0:
            return []
        lam = self.solution.lams[target.term]
        size = self.solution.cp.basis.effects[target.term].sizes
        return [i for i in target.effects if np.linalg.norm(lam[i]) < _ZERO * size[i]]

    def _undefined(self, target: Target) -> tuple[Curve, Array]:
        """A correlation or covariance of an effect without variance."""
        nothing = np.empty(0)
        if isinstance(target, Correlation):
            reason = "a standard deviation is estimated as 0, where every correlation fits as well"
            bounds = (-1.0, 1.0)
        else:
            reason = "a variance is estimated as 0, and the covariance's profile has no start there"
            bounds = (np.nan, np.nan)
        kind = _KINDS[type(target)][0]
        curve = Curve(np.nan, kind, nothing, nothing, nothing, bounds, (reason, reason))
        return curve, np.empty((0, len(self.targets)))

    def _start(self, target: Target, name: str) -> tuple[Problem, Reached]:
        problem, ratio = self._problem(target, name)
        log_sigma = 0.5 * float(np.log(self.solution.sigma2 / ratio))
        gs = [ratio * g for g in self._gs()]
        u, z = target.coordinates(target.parameters(gs, log_sigma))
        if isinstance(target, FixedEffect):
            u = float(self.solution.beta[target.column])
        start = problem.minimum(u, z)
        if not start.converged:
            raise ProfileError(
                f"{name}: the ML estimate is not a minimum of the deviance that Newton steps can "
                "find again; the model is not identified, or its numbers are out of scale"
            )
        return problem, start

    def _problem(self, target: Target, name: str) -> tuple[Problem, float]:
        """A target's problem, and sigma**2 of the fit over that of the problem."""
        if self.residuals is None:
            return Problem(self.solution.factor.system, target), 1.0
        sigmas = [each for each, one in self.targets.items() if isinstance(one, Sigma)]
        return self.residuals.problem(target, sigmas.index(name) if name in sigmas else 0)

    def _gs(self) -> list[Array]:
        """The covariances over sigma**2 at the optimum."""
        return [lam @ lam.T for lam in self.solution.factor.lams]

    def _range(self, problem: Problem, start: Reached) -> Range:
        target, sigma = problem.target, np.sqrt(self.solution.sigma2)
        if isinstance(target, StandardDeviation):
            one = sigma / problem.sizes[target.term][target.effects[0]]
            return Range(0.0, np.inf, max(start.u, one))
        if isinstance(target, Correlation):
            return Range(-0.5 * np.pi, 0.5 * np.pi, 0.5, self._ceiling(target, start))
        if isinstance(target, Sigma):
            return Range(start.u - _FAR, start.u + _FAR, 0.5)
        if isinstance(target, Covariance):
            lam = self.solution.lams[target.term]
            sds = sigma * np.linalg.norm(lam[list(target.effects)], axis=1)
            return Range(-np.inf, np.inf, float(np.prod(sds)))
        return Range(-np.inf, np.inf, 3.0 / np.sqrt(0.5 * start.curvature))

    def _ceiling(self, target: Correlation, start: Reached) -> float:
        """How much worse the best model is in which one of the effects has no variance."""
        gaps = [np.inf]
        for effect in target.effects:
            if (target.term, effect) in self.far_from_zero:
                continue
            gs, own = self._gs(), self.solution.cp.basis.effects[target.term]
            less = self.solution.lams[target.term].copy()
            less[effect] = 0.0
            root = own.coordinates(less)
            gs[target.term] = root @ root.T
            alone = StandardDeviation(target.model, target.term, (effect,), own)
            problem, _ = self._problem(alone, "")
            w = alone.parameters(gs, 0.5 * float(np.log(self.solution.sigma2)))
            without = problem.minimum(0.0, alone.coordinates(w)[1])
            if without.converged:
                gaps.append(max(without.deviance - start.deviance, 0.0))
        return float(min(gaps))

    def _check(self, name: str, side: Side, start: Reached) -> None:
        if side.status not in ("lower", "lost"):
            return
        last = side.points[-1]
        value = self._values([last])[0][list(self.targets).index(name)]
        if side.status == "lost":
            raise ProfileError(
                f"{name}: no minimum of the deviance was found with the parameter at {value:.6g}; "
                "profile the other parameters with which=[...]"
            )
        raise ProfileError(
            f"{name}: with the parameter at {value:.6g} the deviance is "
            f"{start.deviance - last.deviance:.3g} lower than at the ML estimate, which is a local "
            "optimum only; fit the model from another start"
        )

    def _values(self, points: Sequence[Reached]) -> Array:
        rows = []
        for point in points:
            model = point.model
            lams, sigma2 = model.solution.lams, model.sigma2
            omega = np.ones(1) if point.log_omega is None else np.exp(point.log_omega)
            rows.append(_values_of(lams, sigma2, omega, model.beta, self.scale))
        return np.array(rows)


def _values_of(
    lams: Sequence[Array], sigma2: float, omega: Array, beta: Array, scale: str
) -> Array:
    """All parameters; NaN for the correlation of an effect without variance."""
    parts = []
    for lam in lams:
        covariance = sigma2 * lam @ lam.T
        if scale == "sdcor":
            sd = np.sqrt(np.diag(covariance))
            with np.errstate(invalid="ignore", divide="ignore"):
                covariance = covariance / np.outer(sd, sd)
            covariance[np.diag_indices_from(covariance)] = sd
        parts.append(covariance[lower_indices(len(lam))])
    residual = sigma2 / omega
    return np.concatenate([*parts, np.sqrt(residual) if scale == "sdcor" else residual, beta])


def _goals(level_max: float) -> tuple[float, ...]:
    """The usual levels' quantiles up to the highest, and more where they are far apart."""
    levels = [level for level in _LEVELS if level < level_max]
    cuts = [NormalDist().inv_cdf(0.5 + 0.5 * level) for level in [*levels, level_max]]
    goals, last = [], 0.0
    for cut in cuts:
        pieces = int(np.ceil((cut - last) / _APART))
        goals += [last + (cut - last) * i / pieces for i in range(1, pieces + 1)]
        last = cut
    return tuple(goals)


def _targets(
    model: Covariances, effects: Sequence[EffectBasis], p: int, scale: str, n_sigmas: int
) -> list[Target]:
    """What the parameters are, in their order."""
    between = Correlation if scale == "sdcor" else Covariance
    targets: list[Target] = []
    for t, k in enumerate(model.ks):
        for j in range(k):
            targets.append(StandardDeviation(model, t, (j,), effects[t]))
            targets += [between(model, t, (j, i), effects[t]) for i in range(j + 1, k)]
    targets += [Sigma(model) for _ in range(n_sigmas)]
    return [*targets, *(FixedEffect(model, column=column) for column in range(p))]
