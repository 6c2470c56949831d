"""The criterion of a model: the deviance (ML) or the REML criterion as a function of theta.

A model is its products (with the plan of elimination), the covariances of its terms as functions
of theta, and the criterion. Everything else that is asked of a parameter vector, its gradient,
Hessian, estimates and the way off a boundary, is asked of a `Point`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import Protocol

import numpy as np

from merextras.engine.covariance.covariances import Covariances
from merextras.engine.derivatives.average_information import average_information
from merextras.engine.derivatives.gradient import covariance_slopes, factor_slopes
from merextras.engine.elimination.plan import System
from merextras.engine.kernels.blocks import Array
from merextras.engine.optimum.repeated_levels import Exchangeable
from merextras.engine.products.crossprod import CrossProducts
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

    def covariance_slopes(self) -> tuple[Array, ...]:
        """D of each term; see `gradient.covariance_slopes`."""

    def average_information(self, moves: Sequence[Array]) -> Array:
        """The first part of the Hessian; see `average_information`."""

    def forget(self) -> None:
        """Let go of what can be made again; the next point needs the memory."""


class _Eliminated:
    """An evaluation by elimination of all random effects, for any model."""

    def __init__(self, solution: Solution) -> None:
        self.solution = solution

    def deviance(self) -> float:
        return self.solution.deviance()

    def factor_slopes(self) -> tuple[Array, ...]:
        return factor_slopes(self.solution)

    def covariance_slopes(self) -> tuple[Array, ...]:
        return covariance_slopes(self.solution)

    def average_information(self, moves: Sequence[Array]) -> Array:
        return average_information(self.solution, moves)

    def forget(self) -> None:
        self.solution.forget()


class Point:
    """The criterion at one theta.

    Attributes
    ----------
    criterion : Criterion
    theta : (n,) array
        In the coordinates of the cross-products.
    lams : tuple of (k, k) arrays
        Lambda of each term.
    """

    def __init__(
        self, criterion: Criterion, theta: Array, lams: tuple[Array, ...], found: Evaluation
    ) -> None:
        self.criterion, self.theta, self.lams, self._found = criterion, theta, lams, found

    def deviance(self) -> float:
        """The profiled deviance, or the REML criterion."""
        return self._found.deviance()

    @cached_property
    def solution(self) -> Solution:
        """All the estimates."""
        if isinstance(self._found, _Eliminated):
            return self._found.solution
        return solve(self.criterion.system, self.lams, reml=self.criterion.reml)

    @cached_property
    def _factor_slopes(self) -> tuple[Array, ...]:
        return self._found.factor_slopes()

    def gradient(self) -> Array:
        """The derivative in theta, (n,)."""
        return self.criterion.covariances.gradient(self.theta, self._factor_slopes)

    def user_gradient(self, theta: Array | None = None) -> Array:
        """The derivative in the parameters of the effects as the user counts them, (n,).

        NaN where a parameter is at an end that theta stands still at; `theta` are those parameters.
        """
        criterion, covariances = self.criterion, self.criterion.covariances
        theta = criterion.to_user(self.theta) if theta is None else theta
        effects = criterion.system.cp.basis.effects
        each = zip(effects, self._factor_slopes, self.lams, strict=True)
        slopes = [own.slopes(slope, lam) for own, slope, lam in each]
        own = covariances.from_natural(theta)
        return covariances.natural_gradient(own, covariances.gradient(own, slopes))

    def covariance_slopes(self) -> tuple[Array, ...]:
        """D of each term; see `gradient.covariance_slopes`."""
        return self._found.covariance_slopes()

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
        cov, slopes = self.criterion.covariances, self.covariance_slopes()
        for t in np.flatnonzero(near).tolist():
            own = self.theta[None, cov.parts[t]]
            change, found = cov.structures[t].inward(own, slopes[t][None], self.criterion.sizes[t])
            if found[0]:
                yield t, change

    def hessian(self) -> Array:
        """The approximate second derivative in theta, (n, n): its first part is an average."""
        covariances, theta = self.criterion.covariances, self.theta
        first = self._found.average_information(covariances.covariance_slopes(theta))
        return first + covariances.curvature(theta, self._any_covariance_slopes())

    def _any_covariance_slopes(self) -> Sequence[Array]:
        """D by division of 2 D Lambda where that is possible: cheaper than a tail's cubic cost."""
        criterion = self.criterion
        if isinstance(self._found, _Eliminated) and not criterion.near_zero(self.theta, _SMALL):
            pairs = zip(self._factor_slopes, self.lams, strict=True)
            halves = [0.5 * slope @ np.linalg.inv(lam) for slope, lam in pairs]
            return [0.5 * (half + half.T) for half in halves]
        return self.covariance_slopes()

    def forget(self) -> None:
        """Let go of what can be made again; the next point needs the memory."""
        vars(self).pop("_factor_slopes", None)
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
    """

    def __init__(
        self,
        system: System,
        covariances: Covariances | None = None,
        *,
        reml: bool,
        by_levels: bool = True,
    ) -> None:
        ks = [k for _, k in system.cp.shapes]
        self.system, self.reml = system, reml
        self.covariances = Covariances.unstructured(ks) if covariances is None else covariances
        self._levels = Exchangeable.of(system.cp) if by_levels else None

    @cached_property
    def sizes(self) -> tuple[Array, ...]:
        """Root mean squares of the covariates of each term, (k,)."""
        return sizes_of(self.system.cp)

    @cached_property
    def units(self) -> Array:
        """The unit of each parameter, (n,): theta times it is a pure number."""
        return self.covariances.units(self.sizes)

    def to_user(self, theta: Array) -> Array:
        """The parameters of the effects as the user counts them, (n,) or (m, n).

        Those that are told: see `Structure.natural`.
        """
        return self.system.cp.basis.to_user(theta, self.covariances)

    def from_user(self, theta: Array) -> Array:
        """Theta in the coordinates of the cross-products, (n,) or (m, n)."""
        return self.system.cp.basis.from_user(theta, self.covariances)

    def by(self, *, reml: bool) -> Criterion:
        """Either criterion of the same model."""
        return Criterion(self.system, self.covariances, reml=reml)

    def on(self, system: System) -> Criterion:
        """The same criterion of other products."""
        return Criterion(system, self.covariances, reml=self.reml)

    def at(self, theta: Array) -> Point:
        """Evaluate at a theta."""
        lams = self.covariances.factors(theta)
        if self._levels is not None:
            return Point(self, theta, lams, self._levels.at(lams, reml=self.reml))
        return Point(self, theta, lams, _Eliminated(solve(self.system, lams, reml=self.reml)))

    def reached(self, solution: Solution) -> Point:
        """The point of a solution of this model."""
        lams = solution.factor.lams
        return Point(self, self.covariances.parameters(lams), lams, _Eliminated(solution))

    @property
    def is_quick(self) -> bool:
        """Whether an evaluation does not see the levels."""
        return self._levels is not None

    def take_general(self) -> None:
        """Evaluate by elimination from here on, which costs no digits at any theta."""
        self._levels = None

    def near_zero(self, theta: Array, limit: float) -> bool:
        """Whether some covariance is within `limit` of one that has lost rank."""
        return any(self.terms_near_zero(theta, limit))

    def terms_near_zero(self, theta: Array, limit: float) -> list[bool]:
        """Which terms' covariances are within `limit` of one that has lost rank."""
        near: list[bool] = self.covariances.near_zero(theta[None], self.sizes, limit)[0].tolist()
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
