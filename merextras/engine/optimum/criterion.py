"""The criterion that is minimised over theta, evaluated in the way that suits the model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from merextras.engine.covariance import covpar
from merextras.engine.derivatives.average_information import average_information, second_part
from merextras.engine.derivatives.gradient import covariance_slopes, factor_slopes
from merextras.engine.elimination.plan import System
from merextras.engine.kernels.blocks import Array
from merextras.engine.optimum.repeated_levels import Exchangeable
from merextras.engine.solution.pls import Solution, solve


class Point(Protocol):
    """The criterion at one theta."""

    @property
    def lams(self) -> tuple[Array, ...]:
        """Lambda of each term."""

    def deviance(self) -> float:
        """The profiled deviance, or the REML criterion."""

    def factor_slopes(self) -> tuple[Array, ...]:
        """2 D Lambda of each term; see `gradient.factor_slopes`."""

    def covariance_slopes(self) -> tuple[Array, ...]:
        """D of each term; see `gradient.covariance_slopes`."""

    def average_information(self) -> Array:
        """The first part of the Hessian; see `curvature`."""

    def forget(self) -> None:
        """Let go of what can be made again; the next point needs the memory."""


class _General:
    """A point by elimination of all random effects, for any model."""

    def __init__(self, solution: Solution) -> None:
        self.solution = solution

    @property
    def lams(self) -> tuple[Array, ...]:
        return self.solution.factor.lams

    def deviance(self) -> float:
        return self.solution.deviance()

    def factor_slopes(self) -> tuple[Array, ...]:
        return factor_slopes(self.solution)

    def covariance_slopes(self) -> tuple[Array, ...]:
        return covariance_slopes(self.solution)

    def average_information(self) -> Array:
        return average_information(self.solution)

    def forget(self) -> None:
        self.solution.forget()


class Criterion:
    """The deviance (ML) or the REML criterion of a model as a function of theta."""

    def __init__(self, system: System, *, reml: bool) -> None:
        self.system, self.reml = system, reml
        self.ks = [k for _, k in system.cp.shapes]
        self._levels = Exchangeable.of(system.cp)

    def at(self, theta: Array) -> Point:
        """Evaluate at a theta."""
        lams = covpar.unpack(theta, self.ks)
        if self._levels is not None:
            return self._levels.at(lams, reml=self.reml)
        return _General(solve(self.system, lams, reml=self.reml))

    @property
    def is_quick(self) -> bool:
        """Whether an evaluation does not see the levels."""
        return self._levels is not None

    def take_general(self) -> None:
        """Evaluate by elimination from here on, which costs no digits at any theta."""
        self._levels = None

    def solution(self, point: Point) -> Solution:
        """All the estimates at a point."""
        if isinstance(point, _General):
            return point.solution
        return solve(self.system, point.lams, reml=self.reml)


def local_model(point: Point, units: Sequence[Array]) -> tuple[Array, Array]:
    """Gradient and approximate Hessian of the deviance in theta."""
    slopes, lams = point.factor_slopes(), point.lams
    inside = all(
        (np.abs(lam.diagonal()) * u > 1e-6).all() for lam, u in zip(lams, units, strict=True)
    )
    if inside and isinstance(point, _General):
        # The slopes are 2 D Lambda; dividing is cheaper than the tail's cubic cost.
        ds = [0.5 * s @ np.linalg.inv(lam) for s, lam in zip(slopes, lams, strict=True)]
        ds = [0.5 * (d + d.T) for d in ds]
    else:
        ds = list(point.covariance_slopes())
    hessian = point.average_information() + second_part(ds, [len(lam) for lam in lams])
    return covpar.pack(slopes), hessian
