"""How a model's profiles are made: where each starts, how far it may go, what its end means."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from statistics import NormalDist

import numpy as np

from merextras.accessors.parameters import as_variances, parameters_at
from merextras.distributions.curve import Curve
from merextras.engine.covariance.covariances import Covariances
from merextras.engine.covariance.structure import Freedom
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
from merextras.engine.profile.own_charts import Own, OwnCorrelation, OwnDeviation
from merextras.engine.profile.paths_by_strata import ResidualPaths
from merextras.engine.profile.trace import Range, Side, trace
from merextras.engine.solution.pls import Solution
from merextras.exceptions import ProfileError
from merextras.foundation.aliases import Array
from merextras.inference.intervals.profile_curve import curve_of
from merextras.model.state.fitted import FittedModel

# A relative standard deviation, times the size of its covariate, that is zero.
_ZERO = 1e-6
# Log sigma is followed this far from its estimate: a factor of 1e5.
_FAR = 12.0
# Downward not to where the effects are larger than this relative to sigma, and always this far.
_MOST_RELATIVE, _NEAR = 1e3, 3.0

# Levels whose intervals are to be exact; more points where zeta goes further without one.
_LEVELS = (0.5, 0.8, 0.9, 0.95, 0.99)
_APART = 0.75


def kind_of(target: Target) -> tuple[str, str, float, float]:
    """How a parameter is made of its coordinate (by scale), and where its space ends."""
    if isinstance(target, OwnDeviation):
        return (*_POWERS[target.power], 0.0, np.inf)
    if isinstance(target, OwnCorrelation):
        return ("sine", "sine", *target.structure.ends)
    return _KINDS[type(target)]


#: A standard deviation and a variance by the power of their coordinate.
_POWERS = {1.0: ("identity", "square"), 2.0: ("square", "fourth")}
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
    covariances : Covariances
        Of the model's terms.
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
    covariances: Covariances
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
        n_sigmas, residuals = 0 if solution.cp.scale.is_known else 1, None
        if criterion.strata is not None:
            n_sigmas = len(criterion.strata)
            residuals = ResidualPaths.of(criterion, np.array(opt.theta))
        effects, covariances = solution.cp.basis.effects, model.design.covariances
        every = targets_of(covariances, effects, solution.p, scale, n_sigmas)
        targets = dict(zip(names, every, strict=True))
        return cls(solution, covariances, targets, scale, goals_of(level_max), residuals=residuals)

    def run(self, names: Sequence[str]) -> dict[str, tuple[Curve, Array]]:
        """Profile the parameters: the curve of each, and all parameters at its points."""
        # What the standard deviations tell of their way to zero is used by the correlations.
        first = [name for name in names if isinstance(self.targets[name], StandardDeviation)]
        found = {name: self._profile(name) for name in dict.fromkeys([*first, *names])}
        return {name: found[name] for name in names}

    def _profile(self, name: str) -> tuple[Curve, Array]:
        target = self.targets[name]
        at_zero = self._zero_effects(target)
        needed = 1 if isinstance(target, (Correlation, Covariance)) else np.inf
        if isinstance(target, OwnCorrelation):
            needed = target.structure.k - 1  # two that vary have a correlation
        if len(at_zero) >= needed:
            return self._undefined(target)
        problem, start = self._start(target, name)
        span = self._range(problem, start)
        low, high = trace(problem, start, span, self.goals)
        check_followed(name, (low, high), start, partial(self._value, name))
        if isinstance(target, StandardDeviation) and low.status == "reached":
            self.far_from_zero.add((target.term, *target.effects))
        points = [*reversed(low.points), start, *high.points]
        kind, squared, *bounds = kind_of(target)
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
        kind, _, *ends = kind_of(target)
        if not isinstance(target, Covariance):
            reason = "a standard deviation is estimated as 0, where every correlation fits as well"
            bounds = (ends[0], ends[1])
        else:
            reason = "a variance is estimated as 0, and the covariance's profile has no start there"
            bounds = (np.nan, np.nan)
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
        if isinstance(target, Own):
            return self._own_range(problem, target, start)
        if isinstance(target, Correlation):
            return Range(-0.5 * np.pi, 0.5 * np.pi, 0.5, self._ceiling(target, start))
        if isinstance(target, Sigma):
            return Range(start.u - self._digits(problem), start.u + _FAR, 0.5)
        if isinstance(target, Covariance):
            lam = self.solution.lams[target.term]
            sds = sigma * np.linalg.norm(lam[list(target.effects)], axis=1)
            return Range(-np.inf, np.inf, float(np.prod(sds)))
        return Range(-np.inf, np.inf, 3.0 / np.sqrt(0.5 * start.curvature))

    def _digits(self, problem: Problem) -> float:
        """How far down the logarithm of sigma is followed: the deviance keeps its digits there.

        It loses them with the square of the effects' sizes relative to sigma.
        """
        sizes = [
            np.linalg.norm(lam, axis=1) * size
            for lam, size in zip(self.solution.lams, problem.units, strict=True)
        ]
        largest = max((float(size.max(initial=0.0)) for size in sizes), default=0.0)
        return float(np.clip(np.log(_MOST_RELATIVE / max(largest, 1e-300)), _NEAR, _FAR))

    def _own_range(self, problem: Problem, target: Own, start: Reached) -> Range:
        if isinstance(target, OwnCorrelation):
            return Range(-0.5 * np.pi, 0.5 * np.pi, 0.5)
        assert isinstance(target, OwnDeviation)
        size = problem.sizes[target.term][target.effects[0]]
        scale = self.solution.cp.basis.effects[target.term].scale[target.effects[0]]
        one = float(np.sqrt(self.solution.sigma2) * scale / size)
        return Range(0.0, np.inf, max(start.u, one ** (1.0 / target.power)))

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

    def _value(self, name: str, point: Reached) -> float:
        return float(self._values([point])[0][list(self.targets).index(name)])

    def _values(self, points: Sequence[Reached]) -> Array:
        """All parameters at the points; NaN for the correlation of an effect without variance."""
        models = [point.model for point in points]
        by_term = zip(*(model.solution.lams for model in models), strict=True)
        gs = [np.array([lam @ lam.T for lam in lams]) for lams in by_term]
        sigma2, beta = (np.array([getattr(m, name) for m in models]) for name in ("sigma2", "beta"))
        one = np.ones(0 if self.solution.cp.scale.is_known else 1)
        omega = [one if p.log_omega is None else np.exp(p.log_omega) for p in points]
        values = parameters_at(
            self.covariances, gs, sigma2, beta.reshape(len(models), -1), np.array(omega)
        )
        if self.scale == "sdcor":
            return values
        return as_variances(self.covariances, values, np.shape(omega)[1])


def check_followed(
    name: str, sides: Sequence[Side], start: Reached, value: Callable[[Reached], float]
) -> None:
    """Refuse sides of a profile that ended where they should not; `value` is the parameter's."""
    for side in sides:
        last = side.points[-1] if side.points else start
        if side.status == "lost":
            raise ProfileError(
                f"{name}: no minimum of the deviance was found with the parameter at "
                f"{value(last):.6g}; profile the other parameters with which=[...]"
            )
        if side.status == "lower":
            raise ProfileError(
                f"{name}: with the parameter at {value(last):.6g} the deviance is "
                f"{start.deviance - last.deviance:.3g} lower than at the ML estimate, which is a "
                "local optimum only; fit the model from another start"
            )


def goals_of(level_max: float) -> tuple[float, ...]:
    """The usual levels' quantiles up to the highest, and more where they are far apart."""
    levels = [level for level in _LEVELS if level < level_max]
    cuts = [NormalDist().inv_cdf(0.5 + 0.5 * level) for level in [*levels, level_max]]
    goals, last = [], 0.0
    for cut in cuts:
        pieces = int(np.ceil((cut - last) / _APART))
        goals += [last + (cut - last) * i / pieces for i in range(1, pieces + 1)]
        last = cut
    return tuple(goals)


def targets_of(
    model: Covariances, effects: Sequence[EffectBasis], p: int, scale: str, n_sigmas: int
) -> list[Target]:
    """What the parameters are, in their order."""
    between = Correlation if scale == "sdcor" else Covariance
    targets: list[Target] = []
    for t, structure in enumerate(model.structures):
        k = structure.k
        if structure.freedom is not Freedom.ANY:
            targets += _own_targets(model, t, effects[t])
            continue
        for j in range(k):
            targets.append(StandardDeviation(model, t, (j,), effects[t]))
            targets += [between(model, t, (j, i), effects[t]) for i in range(j + 1, k)]
    targets += [Sigma(model) for _ in range(n_sigmas)]
    return [*targets, *(FixedEffect(model, column=column) for column in range(p))]


def _own_targets(model: Covariances, t: int, basis: EffectBasis) -> list[Target]:
    """The parameters of a term whose structure has them as its own coordinates."""
    structure, out = model.structures[t], list[Target]()
    for place, (row, own) in enumerate(zip(structure.pairs[0], structure.is_sd, strict=True)):
        if own:
            out.append(OwnDeviation(model, t, (int(row),), basis, place))
        else:
            out.append(OwnCorrelation(model, t, tuple(range(structure.k)), basis, place))
    return out
