"""The criterion of a model: the deviance (ML) or the REML criterion as a function of theta.

A model is its products (with the plan of elimination; or those of strata, whose sum depends on the
residual parameters), the covariances of its terms as functions of theta, perhaps with a prior of
them, and the criterion. Everything else that is asked of a parameter vector, its gradient, Hessian,
estimates and the way off a boundary, is asked of a `Point`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property, partial
from typing import Protocol

import numpy as np

from merextras.engine.covariance.covariances import Covariances
from merextras.engine.covariance.priors import Penalty
from merextras.engine.derivatives.average_information import average_information
from merextras.engine.derivatives.gradient import deviance_slopes, factor_slopes
from merextras.engine.derivatives.strata import strata_gradient, strata_information
from merextras.engine.elimination.plan import System, prepare
from merextras.engine.kernels.blocks import Array
from merextras.engine.optimum.parameters import Parameters
from merextras.engine.optimum.repeated_levels import Exchangeable
from merextras.engine.products.crossprod import CrossProducts
from merextras.engine.products.strata import Residual, Strata
from merextras.engine.solution.pls import Solution, solve

# A relative standard deviation that is not divided by.
_SMALL = 1e-6
# Step of differences of the gradient, relative to theta, and the least theta it is taken of.
_STEP, _LEAST = 1e-4, 0.1


class Evaluation(Protocol):
    """The model at one Lambda, in whichever way it was evaluated."""

    def deviance(self) -> float:
        """The profiled deviance, or the REML criterion."""

    def factor_slopes(self) -> tuple[Array, ...]:
        """2 D Lambda of each term; see `gradient.factor_slopes`."""

    def deviance_slopes(self) -> tuple[Array, ...]:
        """D of each term; see `gradient.deviance_slopes`."""

    def average_information(self, covariance_slopes: Sequence[Array]) -> Array:
        """The first part of the Hessian; see `average_information`."""

    def forget(self) -> None:
        """Let go of what can be made again; the next point needs the memory."""


class _Eliminated:
    """An evaluation by elimination of all random effects, for any model."""

    def __init__(self, solve_it: Callable[[], Solution]) -> None:
        self._solve = solve_it

    @cached_property
    def solution(self) -> Solution:
        return self._solve()

    def deviance(self) -> float:
        return self.solution.deviance()

    def factor_slopes(self) -> tuple[Array, ...]:
        return factor_slopes(self.solution)

    def deviance_slopes(self) -> tuple[Array, ...]:
        return deviance_slopes(self.solution)

    def average_information(self, covariance_slopes: Sequence[Array]) -> Array:
        return average_information(self.solution, covariance_slopes)

    def forget(self) -> None:
        vars(self).pop("solution", None)


class Point:
    """The criterion at one theta.

    Attributes
    ----------
    criterion : Criterion
    theta : (n,) array
        The parameters: theta in the coordinates of the cross-products, then the residuals'.
    lams : tuple of (k, k) arrays
        Lambda of each term.
    """

    def __init__(
        self, criterion: Criterion, theta: Array, lams: tuple[Array, ...], found: Evaluation
    ) -> None:
        self.criterion, self.theta, self.lams, self._found = criterion, theta, lams, found

    def value(self) -> float:
        """The criterion: the profiled deviance or the REML criterion, and the penalty."""
        return self._found.deviance() + self.penalty()

    def penalty(self) -> float:
        """What the prior of the covariances adds to the criterion."""
        penalty = self.criterion.penalty
        return 0.0 if penalty is None else float(penalty.value(self._penalised)[0])

    @property
    def _penalised(self) -> Array:
        """The parameters of the covariances, as one row."""
        return self.theta[None, : self.criterion.covariances.n]

    def _penalty_slopes(self) -> list[Array]:
        """Its derivative in the covariance of each term, (k, k)."""
        penalty, spans = self.criterion.penalty, self.criterion.covariances.spans
        if penalty is None:
            return [np.zeros_like(lam) for lam in self.lams]
        joint = penalty.slopes(self._penalised)[0]
        return [joint[span, span] for span in spans]

    @cached_property
    def solution(self) -> Solution:
        """All the estimates."""
        if isinstance(self._found, _Eliminated):
            return self._found.solution
        return self.criterion.solution_at(self.theta, self.lams)

    @cached_property
    def _factor_slopes(self) -> tuple[Array, ...]:
        found = self._found.factor_slopes()
        if self.criterion.penalty is None:
            return found
        rows = zip(found, self._penalty_slopes(), self.lams, strict=True)
        return tuple(slope + 2.0 * own @ lam for slope, own, lam in rows)

    @cached_property
    def _residual(self) -> Residual:
        assert self.criterion.strata is not None
        return self.criterion.strata.residual(self.solution.modes_map)

    def residual_gradient(self) -> Array:
        """The derivative in the residuals' parameters, (n_residual,)."""
        criterion = self.criterion
        if criterion.strata is None:
            return np.empty(0)
        omega = np.exp(criterion.parameters.log_omega(self.theta))
        return strata_gradient(self.solution, criterion.strata, omega, self._residual)[1:]

    def gradient(self) -> Array:
        """The derivative in the parameters, (n,)."""
        residual = self.residual_gradient()  # before the others: its inverse serves them, too
        parameters = self.criterion.parameters
        own = parameters.covariances.gradient(parameters.theta(self.theta), self._factor_slopes)
        return np.concatenate([own, residual]) if len(residual) else own

    def user_gradient(self, theta: Array | None = None) -> Array:
        """The derivative in the parameters of the effects as the user counts them, (n,).

        NaN where a parameter is at an end that theta stands still at; `theta` are those parameters.
        """
        criterion, covariances = self.criterion, self.criterion.covariances
        residual = self.residual_gradient()
        theta = criterion.to_user(self.theta) if theta is None else theta
        theta = criterion.parameters.theta(theta)
        bases = criterion.system.cp.basis.effects
        each = zip(bases, self._factor_slopes, self.lams, strict=True)
        slopes = [own.slopes(slope, lam) for own, slope, lam in each]
        told = covariances.from_natural(theta)
        own = covariances.natural_gradient(told, covariances.gradient(told, slopes))
        return np.concatenate([own, residual]) if len(residual) else own

    def deviance_slopes(self) -> tuple[Array, ...]:
        """D of each term; see `gradient.deviance_slopes`."""
        found = self._found.deviance_slopes()
        if self.criterion.penalty is None:
            return found
        return tuple(d + own for d, own in zip(found, self._penalty_slopes(), strict=True))

    def inward(self, limit: float) -> Iterator[tuple[int, Array]]:
        """Changes of G that lower the criterion, of terms within `limit` of losing rank.

        Yields
        ------
        term : int
        change : (1, ...) array
            See `Structure.inward`.
        """
        near = self.criterion.terms_near_zero(self.theta, limit)
        if not any(near):
            return
        cov, slopes = self.criterion.covariances, self.deviance_slopes()
        for t in np.flatnonzero(near).tolist():
            own = self.theta[None, cov.parts[t]]  # the residuals' parameters come after them
            change, found = cov.structures[t].inward(own, slopes[t][None], self.criterion.sizes[t])
            if found[0]:
                yield t, change

    def hessian(self) -> Array:
        """The approximate second derivative, (n, n): its first part is an average."""
        criterion, n = self.criterion, self.criterion.covariances.n
        covariances, theta = criterion.covariances, criterion.parameters.theta(self.theta)
        covariance_slopes = covariances.covariance_slopes(theta)
        if criterion.strata is None:
            out = self._found.average_information(covariance_slopes)
        else:
            omega = np.exp(criterion.parameters.log_omega(self.theta))
            out = strata_information(
                self.solution, criterion.strata, omega, covariance_slopes, self._residual
            )
            out = np.delete(np.delete(out, n, axis=0), n, axis=1)
            # That of exp(log omega): at least what it is where the residuals are as expected.
            at = np.arange(n, len(out))
            out[at, at] += np.maximum(-self.residual_gradient(), 0.0)
        if criterion.penalty is not None:
            out[:n, :n] += criterion.penalty.second(self._penalised)[0]
        out[:n, :n] += covariances.curvature(theta, self._any_covariance_slopes())
        return out

    def _any_covariance_slopes(self) -> Sequence[Array]:
        """D by division of 2 D Lambda where that is possible: cheaper than a tail's cubic cost."""
        criterion = self.criterion
        if isinstance(self._found, _Eliminated) and not criterion.near_zero(self.theta, _SMALL):
            pairs = zip(self._factor_slopes, self.lams, strict=True)
            halves = [0.5 * slope @ np.linalg.inv(lam) for slope, lam in pairs]
            return [0.5 * (half + half.T) for half in halves]
        return self.deviance_slopes()

    def forget(self) -> None:
        """Let go of what can be made again and is large; the next point needs the memory."""
        if self.criterion.is_quick:
            return
        for name in ("solution", "_factor_slopes", "_residual"):
            vars(self).pop(name, None)
        self._found.forget()


class Criterion:
    """The criterion of a model.

    Attributes
    ----------
    system : System
        The cross-products and the plan of elimination.
    covariances : Covariances
        Of the terms; free ones by default.
    reml : bool
    by_levels : bool
        Whether a single term may be evaluated by its kinds of levels, which is quick; elimination
        costs no digits at any theta.
    strata : Strata, optional
        Whose weighted sum the cross-products are; `system` is that of weights that are all one, or
        of any others.
    prior : Penalty, optional
        Of the covariances of the effects as the user counts them; `penalty` is the same in the
        coordinates of the cross-products.
    """

    def __init__(
        self,
        system: System,
        covariances: Covariances | None = None,
        *,
        reml: bool,
        by_levels: bool = True,
        strata: Strata | None = None,
        prior: Penalty | None = None,
    ) -> None:
        ks = [k for _, k in system.cp.shapes]
        self.system, self.reml, self.strata = system, reml, strata
        self.covariances = Covariances.unstructured(ks) if covariances is None else covariances
        n_residual = 0 if strata is None else len(strata) - 1
        self.parameters = Parameters(self.covariances, n_residual)
        by_levels = by_levels and strata is None
        self._levels = Exchangeable.of(system.cp) if by_levels else None
        self.prior = prior
        effects = system.cp.basis.effects
        self.penalty = prior and prior.in_basis([own.transform for own in effects])

    @cached_property
    def sizes(self) -> tuple[Array, ...]:
        """Root mean squares of the covariates of each term, (k,)."""
        return sizes_of(self.system.cp)

    @cached_property
    def units(self) -> Array:
        """The unit of each parameter, (n,): it times the parameter is a pure number."""
        return self.parameters.units(self.sizes)

    def to_user(self, theta: Array) -> Array:
        """The parameters of the effects as the user counts them, (n,) or (m, n).

        Those that are told: see `Structure.natural`.
        """
        return self.parameters.to_user(theta, self.system.cp.basis)

    def from_user(self, theta: Array) -> Array:
        """Theta in the coordinates of the cross-products, (n,) or (m, n)."""
        return self.parameters.from_user(theta, self.system.cp.basis)

    def by(self, *, reml: bool) -> Criterion:
        """Either criterion of the same model."""
        return Criterion(
            self.system, self.covariances, reml=reml, prior=self.prior, strata=self.strata
        )

    def on(self, system: System) -> Criterion:
        """The same criterion of other products."""
        return Criterion(system, self.covariances, reml=self.reml, prior=self.prior)

    def at(self, theta: Array) -> Point:
        """Evaluate at a theta."""
        lams = self.covariances.factors(self.parameters.theta(theta))
        if self._levels is not None:
            return Point(self, theta, lams, self._levels.at(lams, reml=self.reml))
        return Point(self, theta, lams, _Eliminated(partial(self.solution_at, theta, lams)))

    def solution_at(self, theta: Array, lams: Sequence[Array]) -> Solution:
        """All the estimates at a theta, whose factors are given."""
        return solve(self.system_at(theta), lams, reml=self.reml)

    def system_at(self, theta: Array) -> System:
        """The cross-products at a theta: the same at all, but of strata."""
        if self.strata is None:
            return self.system
        log_omega = self.parameters.log_omega(theta)
        return prepare(self.strata.at(log_omega), self.system.plan)

    def reached(self, solution: Solution, log_omega: Array | None = None) -> Point:
        """The point of a solution of this model; `log_omega` of its strata, (H,)."""
        lams = solution.factor.lams
        theta = self.covariances.parameters(lams)
        if log_omega is not None:
            theta = np.concatenate([theta, log_omega[1:] - log_omega[0]])
        return Point(self, theta, lams, _Eliminated(lambda: solution))

    @property
    def has_minimum(self) -> bool:
        """Whether there is one for any data.

        Where the residual variance is known it does not go to zero; a prior alone may still grow
        with a variance faster than the data speak against it.
        """
        return self.system.cp.scale.is_known and self.penalty is None

    @property
    def is_quick(self) -> bool:
        """Whether an evaluation does not see the levels."""
        return self._levels is not None

    def residual_variance(self) -> float:
        """What is known of sigma**2 before theta is, where the levels are summed up; else NaN."""
        return np.nan if self._levels is None else self._levels.residual_variance(reml=self.reml)

    def take_general(self) -> None:
        """Evaluate by elimination from here on, which costs no digits at any theta."""
        self._levels = None

    def near_zero(self, theta: Array, limit: float) -> bool:
        """Whether some covariance is within `limit` of one that has lost rank."""
        return any(self.terms_near_zero(theta, limit))

    def terms_near_zero(self, theta: Array, limit: float) -> list[bool]:
        """Which terms' covariances are within `limit` of one that has lost rank."""
        own = self.parameters.theta(theta[None])
        near: list[bool] = self.covariances.near_zero(own, self.sizes, limit)[0].tolist()
        return near

    def differenced(self, theta: Array, at: Callable[[Array], Point] | None = None) -> Array:
        """The Hessian by central differences of the gradient, 2 n gradients; (n, n).

        The average information is far from it where the random effects have a mean that the fixed
        part leaves out.
        """
        at = self.at if at is None else at
        steps = difference_steps(theta, self.units)
        rows = []
        for i, step in enumerate(steps):
            move = np.zeros_like(theta)
            move[i] = step
            change = at(theta + move).gradient() - at(theta - move).gradient()
            rows.append(change / (2.0 * step))
        hessian = np.array(rows).reshape(len(theta), len(theta))
        return np.asarray(0.5 * (hessian + hessian.T))


def difference_steps(theta: Array, units: Array) -> Array:
    """Steps for central differences in theta, of its shape."""
    return np.asarray(_STEP * np.maximum(np.abs(theta), _LEAST / units))


def sizes_of(cp: CrossProducts) -> tuple[Array, ...]:
    """Root mean squares of the covariates of each term, (k,): Lambda times them has no unit."""
    squares = [np.einsum("jkk->k", own) / max(cp.n, 1) for own in cp.own]
    return tuple(np.sqrt(np.where(square > 0.0, square, 1.0)) for square in squares)
