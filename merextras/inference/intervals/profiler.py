"""The set-up of a model's profiles: each parameter's start, limits, and the meaning of its end."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from statistics import NormalDist
from typing import Any

import numpy as np

from merextras.accessors.parameters import as_variances
from merextras.distributions.curve import Curve
from merextras.engine.covariance.covariances import Covariances
from merextras.engine.covariance.structure import Freedom
from merextras.engine.products.effects import EffectBasis
from merextras.engine.profile.charts import (
    Correlation,
    Covariance,
    FixedEffect,
    Sigma,
    StandardDeviation,
    Target,
)
from merextras.engine.profile.constrained import Reached
from merextras.engine.profile.lowest import Lowest
from merextras.engine.profile.own_charts import OwnCorrelation, OwnDeviation
from merextras.engine.profile.trace import Range, trace
from merextras.exceptions import ProfileError
from merextras.foundation.aliases import Array
from merextras.inference.intervals.profile_checks import (
    check_followed,
    check_lowest,
    warn_unless_one_curve,
)
from merextras.inference.intervals.profile_curve import curve_of
from merextras.inference.intervals.profile_ends import Sides, with_exact_ends

# A relative standard deviation, times the size of its covariate, that is zero.
_ZERO = 1e-6
# Levels whose intervals are to be exact; more points where zeta goes further without one.
_LEVELS = (0.5, 0.8, 0.9, 0.95, 0.99)
_APART = 0.75


@dataclass(frozen=True)
class Dispersion(Target):
    """u is the logarithm of a generalised model's dispersion."""


def kind_of(target: Target) -> tuple[str, str, float, float]:
    """How a parameter is made of its coordinate (by scale), and where its space ends."""
    if isinstance(target, OwnDeviation):
        return (*_POWERS[target.power], 0.0, np.inf)
    if isinstance(target, OwnCorrelation):
        return ("sine", "sine", *target.structure.ends)
    return _KINDS[type(target)]


# Rows up to which other minima are searched for, as of a singular fit of `glmer`.
_FEW = 2_000
#: A standard deviation and a variance by the power of their coordinate.
_POWERS = {1.0: ("identity", "square"), 2.0: ("square", "fourth")}
_KINDS: dict[type[Target], tuple[str, str, float, float]] = {
    StandardDeviation: ("identity", "square", 0.0, np.inf),
    Correlation: ("sine", "sine", -1.0, 1.0),
    Covariance: ("identity", "identity", -np.inf, np.inf),
    Sigma: ("exp", "exp_square", 0.0, np.inf),
    Dispersion: ("exp", "exp", 0.0, np.inf),
    FixedEffect: ("identity", "identity", -np.inf, np.inf),
}


@dataclass(frozen=True, kw_only=True)
class Profiler(ABC):
    """The ML optimum of a model, from which every parameter is profiled.

    A kind of model says what is minimised with a parameter held (`_problem`), and which parameters
    a minimum has (`_reported`).

    Attributes
    ----------
    covariances : Covariances
        Of the model's terms.
    bases : tuple of EffectBasis
        The coordinates of each term's effects in what is minimised.
    lams : tuple of (k, k) arrays
        A root of each term's covariance over sigma**2 at the optimum, of the user's effects.
    sigma : float
        The residual standard deviation there; one for a generalised model.
    targets : dict parameter -> Target
    scale : str
    goals : tuple of float
        Values of zeta that points are wanted near to; the last is the end.
    exact : tuple of float
        Those that are to be quantiles of intervals.
    n_rows : int
    far_from_zero : set of (term, effect)
        Effects that can't have a standard deviation of zero within that rise.
    """

    covariances: Covariances
    bases: tuple[EffectBasis, ...]
    lams: tuple[Array, ...]
    sigma: float
    targets: dict[str, Target]
    scale: str
    goals: tuple[float, ...]
    exact: tuple[float, ...]
    n_rows: int
    far_from_zero: set[tuple[int, ...]] = field(default_factory=set)

    @abstractmethod
    def _problem(self, target: Target, name: str) -> tuple[Any, float, Array]:
        """What has a minimum at each value of the target, with the optimum's u and z."""

    @abstractmethod
    def _without(self, alone: StandardDeviation) -> Reached:
        """The best model in which an effect has no standard deviation."""

    @abstractmethod
    def _sizes(self, problem: Any, target: Target) -> list[Array]:
        """Root mean squares of what each effect of the target's chart moves, by terms."""

    @abstractmethod
    def _residual_range(self, problem: Any, start: Reached) -> Range:
        """How far a residual standard deviation or a dispersion is followed."""

    @abstractmethod
    def _reported(self, points: Sequence[Reached]) -> Array:
        """All parameters at the points, (m, parameters): standard deviations, correlations, ..."""

    def run(self, names: Sequence[str]) -> dict[str, tuple[Curve, Array]]:
        """Profile the parameters: the curve of each, and all parameters at its points."""
        # What the standard deviations tell of their way to zero is used by the correlations.
        first = [name for name in names if isinstance(self.targets[name], StandardDeviation)]
        found: dict[str, tuple[Curve, Array]] = {}
        for name in dict.fromkeys([*first, *names]):
            # One parameter is enough to see whether the estimate is the lowest minimum.
            is_first = not any(len(curve.u) for curve, _ in found.values())
            found[name] = self._profile(name, is_first=is_first)
        return {name: found[name] for name in names}

    def _profile(self, name: str, *, is_first: bool) -> tuple[Curve, Array]:
        target = self.targets[name]
        kind, squared, *bounds = kind_of(target)
        reason = self._undefined(target)
        if reason:
            return self._no_curve(kind, bounds, reason)
        problem, u, z = self._problem(target, name)
        start = problem.minimum(u, z)
        if not start.converged:
            raise ProfileError(
                f"{name}: the ML estimate is not a minimum of the deviance that Newton steps can "
                "find again; the model is not identified, or its numbers are out of scale"
            )
        span = self._range(problem, target, start)
        shown = squared if self.scale == "varcov" else kind
        (low, high), curve = self._followed(
            name,
            Lowest(problem, start, searches=self.n_rows <= _FEW),
            span,
            lambda sides: curve_of(start, sides, shown, bounds, span.ceiling),
            is_first=is_first,
        )
        if isinstance(target, StandardDeviation) and low.status == "reached":
            self.far_from_zero.add((target.term, *target.effects))
        points = [*reversed(low.points), start, *high.points]
        return curve, self._values(points)

    def _followed(
        self,
        name: str,
        problem: Lowest,
        span: Range,
        curve: Callable[[Sides], Curve],
        *,
        is_first: bool,
    ) -> tuple[Sides, Curve]:
        """Both sides with exact ends, and their curve; what is wrong with them is said."""
        start, value = problem.start, partial(self._value, name)
        if is_first:
            check_lowest(name, problem, value)
        sides = trace(problem, span, self.goals, self.exact)
        check_followed(name, sides, start, value)
        sides, found = with_exact_ends(problem, sides, curve, self.exact)
        check_followed(name, sides, start, value)
        warn_unless_one_curve(name, sides, start, value)
        return sides, found

    def _undefined(self, target: Target) -> str:
        """Why a parameter has no profile, if it has none."""
        needed = 1 if isinstance(target, (Correlation, Covariance)) else np.inf
        if isinstance(target, OwnCorrelation):
            needed = target.structure.k - 1  # two that vary have a correlation
        if len(self._zero_effects(target)) < needed:
            return ""
        if isinstance(target, Covariance):
            return "a variance is estimated as 0, and the covariance's profile has no start there"
        return "a standard deviation is estimated as 0, where every correlation fits as well"

    def _no_curve(self, kind: str, ends: Sequence[float], reason: str) -> tuple[Curve, Array]:
        """Of a parameter without a profile: all of its space, if that has ends."""
        nothing = np.empty(0)
        bounds = (ends[0], ends[1]) if np.isfinite(ends[0]) else (np.nan, np.nan)
        curve = Curve(np.nan, kind, nothing, nothing, nothing, bounds, (reason, reason))
        return curve, np.empty((0, len(self.targets)))

    def _zero_effects(self, target: Target) -> list[int]:
        """Effects of the target that are estimated to have no variance."""
        if target.term < 0:
            return []
        lam, size = self.lams[target.term], self.bases[target.term].sizes
        return [i for i in target.effects if np.linalg.norm(lam[i]) < _ZERO * size[i]]

    def _range(self, problem: Any, target: Target, start: Reached) -> Range:
        if isinstance(target, (StandardDeviation, OwnDeviation)):
            one = self._one(problem, target)
            power = target.power if isinstance(target, OwnDeviation) else 1.0
            return Range(0.0, np.inf, max(start.u, one ** (1.0 / power)))
        if isinstance(target, OwnCorrelation):
            return Range(-0.5 * np.pi, 0.5 * np.pi, 0.5)
        if isinstance(target, Correlation):
            return Range(-0.5 * np.pi, 0.5 * np.pi, 0.5, self._ceiling(target, start))
        if isinstance(target, Covariance):
            sds = self.sigma * np.linalg.norm(self.lams[target.term][list(target.effects)], axis=1)
            return Range(-np.inf, np.inf, float(np.prod(sds)))
        if isinstance(target, FixedEffect):
            return Range(-np.inf, np.inf, 3.0 / np.sqrt(0.5 * start.curvature))
        return self._residual_range(problem, start)

    def _one(self, problem: Any, target: Target) -> float:
        """The standard deviation with which an effect moves the response as much as sigma does."""
        effect = target.effects[0]
        size = float(self._sizes(problem, target)[target.term][effect])
        own = isinstance(target, OwnDeviation)
        return self.sigma * (float(self.bases[target.term].scale[effect]) if own else 1.0) / size

    def _ceiling(self, target: Correlation, start: Reached) -> float:
        """How much worse the best model is in which one of the effects has no variance."""
        gaps, basis = [np.inf], self.bases[target.term]
        for effect in target.effects:
            if (target.term, effect) in self.far_from_zero:
                continue
            found = self._without(StandardDeviation(target.model, target.term, (effect,), basis))
            if found.converged:
                gaps.append(max(found.deviance - start.deviance, 0.0))
        return float(min(gaps))

    def _value(self, name: str, point: Reached) -> float:
        return float(self._values([point])[0][list(self.targets).index(name)])

    def _values(self, points: Sequence[Reached]) -> Array:
        """All parameters at the points, on the scale of the profile."""
        values = self._reported(points)
        if self.scale == "sdcor":
            return values
        n_sigmas = sum(isinstance(target, Sigma) for target in self.targets.values())
        return as_variances(self.covariances, values, n_sigmas)


def goals_of(level_max: float) -> tuple[float, ...]:
    """The quantiles of `levels_to`, and more where they are far apart."""
    goals, last = [], 0.0
    for cut in map(quantile, levels_to(level_max)):
        pieces = int(np.ceil((cut - last) / _APART))
        goals += [last + (cut - last) * i / pieces for i in range(1, pieces + 1)]
        last = cut
    return tuple(goals)


def levels_to(level_max: float) -> tuple[float, ...]:
    """The usual levels up to the highest, and that itself."""
    return (*(level for level in _LEVELS if level < level_max), level_max)


def quantile(level: float) -> float:
    """Of zeta, at the upper end of an interval."""
    return NormalDist().inv_cdf(0.5 + 0.5 * level)


def targets_of(
    model: Covariances, effects: Sequence[EffectBasis], p: int, scale: str, own: Sequence[Target]
) -> list[Target]:
    """What the parameters are, in their order: `own` are residuals' or a dispersion."""
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
    return [*targets, *own, *(FixedEffect(model, column=column) for column in range(p))]


def _own_targets(model: Covariances, t: int, basis: EffectBasis) -> list[Target]:
    """The parameters of a term whose structure has them as its own coordinates."""
    structure, out = model.structures[t], list[Target]()
    for place, (row, own) in enumerate(zip(structure.pairs[0], structure.is_sd, strict=True)):
        if own:
            out.append(OwnDeviation(model, t, (int(row),), basis, place))
        else:
            out.append(OwnCorrelation(model, t, tuple(range(structure.k)), basis, place))
    return out
