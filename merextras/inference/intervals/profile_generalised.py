"""Likelihood profiles of a generalised model's parameters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from merextras.accessors.parameters import as_variances, parameter_names, parameters_at_point
from merextras.distributions.curve import Curve
from merextras.engine.generalised.searches.held import Held, of_covariance, of_linear
from merextras.engine.profile.charts import Correlation, FixedEffect, StandardDeviation, Target
from merextras.engine.profile.constrained import Reached
from merextras.engine.profile.own_charts import Own, OwnCorrelation, OwnDeviation
from merextras.engine.profile.trace import Range, trace
from merextras.exceptions import ProfileError
from merextras.foundation.aliases import Array
from merextras.foundation.arguments import check_choice, check_level
from merextras.inference.intervals.profile_curve import curve_of
from merextras.inference.intervals.profiling import check_followed, goals_of, kind_of, targets_of
from merextras.model.generalised.fitted import FittedGlmm
from merextras.results.profiles.profile import Profile, select

# A relative standard deviation, times the size of its covariate, that is zero.
_ZERO = 1e-6
# A logarithm of a dispersion is followed this far from its estimate: a factor of 1e5.
_FAR = 12.0
_DEVIATIONS = (StandardDeviation, OwnDeviation)


def profile(
    model: FittedGlmm,
    which: str | Sequence[str] | None = None,
    *,
    level_max: float = 0.99,
    scale: str = "sdcor",
) -> Profile:
    """Profile the likelihood of the parameters, lme4's ``profile``.

    Parameters
    ----------
    which : str or sequence of str, optional
        Names of parameters, ``"theta_"`` (standard deviations, correlations and the dispersion) or
        ``"beta_"`` (fixed effects); by default all.
    level_max : float
        The highest level at which intervals will be wanted. Those of 50, 80, 90, 95 and 99 % and of
        `level_max` itself are exact, the others interpolated.
    scale : {"sdcor", "varcov"}
        Standard deviations and correlations, or variances and covariances.

    Returns
    -------
    Profile
        ``confint(level)``, ``zeta(parameter, value)``, ``value(parameter, zeta)``, ``to_frame()``.

    Raises
    ------
    InvalidArgumentError
        An unknown parameter, a level outside (0, 1), an unknown scale.
    ProfileError
        A profile that can't be followed; the message says of which parameter and where.

    Notes
    -----
    Of the deviance by the fit's own approximation, Laplace's or quadrature. For each value of a
    parameter the others are found by Newton's steps with the exact gradient, from the last value's;
    the curve has its exact slope at each point (the envelope theorem). Cost: some ten gradients for
    the Hessian and two or three for each of some twenty points a parameter. lme4 minimises without
    derivatives.

    Examples
    --------
    >>> import merextras as mx
    >>> cbpp = mx.load_dataset("cbpp")
    >>> m = mx.glmer("cbind(incidence, size - incidence) ~ C(period) + (1 | herd)", cbpp)
    >>> m.profile().confint(0.95).round(2)
                       conf_low  conf_high
    sd_Intercept|herd      0.35       1.10
    Intercept             -1.90      -0.95
    C(period)[T.2]        -1.62      -0.41
    C(period)[T.3]        -1.80      -0.51
    C(period)[T.4]        -2.50      -0.80
    """
    level_max = check_level(level_max, "level_max")
    check_choice(scale, ("sdcor", "varcov"), "scale")
    names = parameter_names(model, scale)
    n_covariance = len(names) - len(model.fixed_estimates)
    wanted = select(which, names, names[:n_covariance], "which")
    if not model.optimum.converged:
        raise ProfileError(
            f"the estimate, at which a profile starts, is not the optimum: "
            f"{model.opt_summary.message}"
        )
    found = _Profiler.of(model, names, scale, level_max).run(wanted)
    return Profile(
        {name: curve for name, (curve, _) in found.items()},
        {name: points for name, (_, points) in found.items()},
        names,
        n_covariance,
        level_max,
        scale,
        False,
    )


@dataclass(frozen=True)
class _Dispersion(Target):
    """u is the logarithm of the dispersion."""


@dataclass(frozen=True)
class _Profiler:
    """A model and what its parameters are; see `profiling.Profiler`."""

    model: FittedGlmm
    targets: dict[str, Target]
    scale: str
    goals: tuple[float, ...]
    far_from_zero: set[tuple[int, ...]] = field(default_factory=set)

    @classmethod
    def of(cls, model: FittedGlmm, names: Sequence[str], scale: str, level_max: float) -> _Profiler:
        criterion = model.laplace.criterion
        covariances, effects = criterion.covariances, criterion.table.effects
        every = targets_of(covariances, effects, 0, scale, 0)
        if model.engine_family.n_phi:
            every.append(_Dispersion(covariances))
        every += [FixedEffect(covariances, column=j) for j in range(criterion.table.p)]
        targets = dict(zip(names, every, strict=True))
        return cls(model, targets, scale, goals_of(level_max))

    def run(self, names: Sequence[str]) -> dict[str, tuple[Curve, Array]]:
        """Profile the parameters: the curve of each, and all parameters at its points."""
        first = [name for name in names if isinstance(self.targets[name], StandardDeviation)]
        found = {name: self._profile(name) for name in dict.fromkeys([*first, *names])}
        return {name: found[name] for name in names}

    def _profile(self, name: str) -> tuple[Curve, Array]:
        target = self.targets[name]
        reason = self._undefined(target)
        if reason:
            kind, _, low, high = _kind_of(target)
            empty = np.empty(0)
            bounds = (low, high) if np.isfinite(low) else (np.nan, np.nan)
            curve = Curve(np.nan, kind, empty, empty, empty, bounds, (reason, reason))
            return curve, np.empty((0, len(self.targets)))
        held, u, z = self._held(target)
        if isinstance(target, _DEVIATIONS) and self._zero_effects(target):
            u = 0.0
        start = held.minimum(u, z)
        if not start.converged:
            raise ProfileError(
                f"{name}: the estimate is not a minimum of the deviance that Newton's steps can "
                "find again; the model is not identified, or its numbers are out of scale"
            )
        span = self._range(target, start)
        low_side, high_side = trace(held, start, span, self.goals)
        check_followed(name, (low_side, high_side), start, partial(self._value, name))
        if isinstance(target, StandardDeviation) and low_side.status == "reached":
            self.far_from_zero.add((target.term, *target.effects))
        kind, squared, lowest, highest = _kind_of(target)
        used = squared if self.scale == "varcov" else kind
        curve = curve_of(start, (low_side, high_side), used, (lowest, highest), span.ceiling)
        points = [*reversed(low_side.points), start, *high_side.points]
        return curve, self._values(points)

    def _undefined(self, target: Target) -> str:
        """Why a parameter has no profile, if it has none."""
        if isinstance(target, _Dispersion) and self.model.is_poisson:
            return "the size is infinite: there is no overdispersion"
        zero = self._zero_effects(target)
        if isinstance(target, OwnCorrelation):
            needed = float(target.structure.k - 1)
        else:
            needed = np.inf if target.term < 0 or isinstance(target, _DEVIATIONS) else 1.0
        if len(zero) < needed:
            return ""
        return "a standard deviation is estimated as 0, where every correlation fits as well"

    def _zero_effects(self, target: Target) -> list[int]:
        """Effects of the target that are estimated to have no variance."""
        if target.term < 0:
            return []
        basis = self.model.laplace.criterion.table.effects[target.term]
        lam = self.model.laplace.modes.lams[target.term]
        own = basis.transform @ lam
        return [i for i in target.effects if np.linalg.norm(own[i]) < _ZERO * basis.sizes[i]]

    def _held(self, target: Target) -> tuple[Held, float, Array]:
        point, optimum = self.model.laplace, self.model.optimum
        criterion, free = point.criterion, optimum.free
        if target.term >= 0:
            return of_covariance(criterion, point, target, free)
        row, n = np.zeros(criterion.m), criterion.covariances.n
        if isinstance(target, FixedEffect):
            row[n : n + criterion.table.p] = criterion.table.transform[target.column]
        else:
            row[-1] = 1.0 if self.model.choice.name == "negative_binomial" else -1.0
        return of_linear(criterion, point, optimum.hessian, row, free)

    def _range(self, target: Target, start: Reached) -> Range:
        sizes = self.model.laplace.criterion.sizes
        if isinstance(target, StandardDeviation):
            one = 1.0 / target.sizes(sizes)[target.term][0]
            return Range(0.0, np.inf, max(start.u, one))
        if isinstance(target, OwnDeviation):
            one = 1.0 / sizes[target.term][target.effects[0]]
            return Range(0.0, np.inf, max(start.u, float(one) ** (1.0 / target.power)))
        if isinstance(target, Own):
            return Range(-0.5 * np.pi, 0.5 * np.pi, 0.5)
        if isinstance(target, Correlation):
            return Range(-0.5 * np.pi, 0.5 * np.pi, 0.5, self._ceiling(target, start))
        if isinstance(target, _Dispersion):
            return Range(start.u - _FAR, start.u + _FAR, 0.5)
        return Range(-np.inf, np.inf, 3.0 / np.sqrt(0.5 * start.curvature))

    def _ceiling(self, target: Correlation, start: Reached) -> float:
        """How much worse the best model is in which one of the effects has no variance."""
        gaps, point = [np.inf], self.model.laplace
        for effect in target.effects:
            if (target.term, effect) in self.far_from_zero:
                continue
            basis = point.criterion.table.effects[target.term]
            alone = StandardDeviation(target.model, target.term, (effect,), basis)
            held, _, z = of_covariance(point.criterion, point, alone, self.model.optimum.free)
            without = held.minimum(0.0, z)
            if without.converged:
                gaps.append(max(without.deviance - start.deviance, 0.0))
        return float(min(gaps))

    def _value(self, name: str, point: Reached) -> float:
        return float(self._values([point])[0][list(self.targets).index(name)])

    def _values(self, points: Sequence[Reached]) -> Array:
        values = np.array([parameters_at_point(self.model, point.model) for point in points])
        if self.scale == "sdcor":
            return values
        return as_variances(self.model.design.covariances, values, 0)


def _kind_of(target: Target) -> tuple[str, str, float, float]:
    return ("exp", "exp", 0.0, np.inf) if isinstance(target, _Dispersion) else kind_of(target)
