"""The end of a search, and the information matrix there.

The information is made of central differences of the exact gradient, so that no standard error
depends on where an iteration stopped.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from merextras.engine.generalised.criterion.laplace import Laplace, LaplacePoint
from merextras.engine.generalised.replicates.nearby import gradients
from merextras.engine.generalised.searches.steps import inverse, least_eigenvalue
from merextras.engine.kernels.blocks import Array, BoolArray

# Step of central differences, in standard errors, and the least eigenvalue of a scaled Hessian that
# is positive beyond rounding.
FINE, POSITIVE = 2e-4, 1e-10


@dataclass(frozen=True, eq=False)
class Optimum:
    """Where the search ended.

    Attributes
    ----------
    point : LaplacePoint
    rough : (m, m) array
        The Hessian of the last step: the working model's of beta, differences for all else.
    free : (m,) boolean array
        Which parameters were searched: a size that goes to infinity is held.
    gradient : (m,) array
    decrement : float
    n_iterations, n_evaluations, n_steps, n_restarts : int
        Steps of the search, evaluations, Newton steps of the modes within them, restarts.
    converged : bool
        At the optimum, as far as the last step's Hessian tells; the information is positive
        definite where that leaves a doubt.
    log : tuple of (deviance, decrement)
    """

    point: LaplacePoint
    rough: Array
    free: BoolArray
    gradient: Array
    decrement: float
    n_iterations: int
    n_evaluations: int
    n_steps: int
    n_restarts: int
    converged: bool
    log: tuple[tuple[float, float], ...]

    @cached_property
    def hessian(self) -> Array:
        """Of the deviance in x, (m, m), by differences of the exact gradient.

        Made when it is first asked for: it takes two gradients for each parameter. Rows of what is
        held are zero.
        """
        if not np.isfinite(self.point.deviance()):
            return np.full_like(self.rough, np.nan)
        return information(self.point.criterion, self.point, self.free)

    @cached_property
    def positive(self) -> bool:
        """Whether the information of what is free is positive definite."""
        return least_eigenvalue(self.hessian[np.ix_(self.free, self.free)]) > POSITIVE

    @property
    def gain(self) -> float:
        """The log-likelihood that is still to gain, by the quadratic at the end."""
        return 0.25 * self.decrement

    @property
    def message(self) -> str:
        """How the search ended, in words."""
        if not np.isfinite(self.point.deviance()):
            return "not converged: there is no start at which the likelihood is finite"
        if not self.converged and not self.positive:
            split = (
                ""
                if self.point.criterion.family.concave
                else ", or Laplace's approximation rises without end, as it may where a "
                "conditional mode splits in two; n_agq=5, with one grouping factor, may have a "
                "maximum"
            )
            return (
                "not converged: the information matrix is not positive definite, the data do not "
                f"determine all parameters{split}"
            )
        if not self.converged:
            return f"not converged: the log-likelihood could still rise by about {self.gain:.2g}"
        restarted = f" after {self.n_restarts} restart(s)" if self.n_restarts else ""
        return f"converged{restarted}: the log-likelihood could still rise by {self.gain:.1g}"

    def covariance(self) -> Array:
        """Of the estimates, (m, m): twice the inverse of the Hessian; zero for what is held.

        NaN where the information is not positive definite.
        """
        m, free = len(self.free), np.flatnonzero(self.free)
        out = np.zeros((m, m))
        inner = self.hessian[np.ix_(free, free)]
        found = 2.0 * inverse(inner) if self.positive else np.full_like(inner, np.nan)
        out[np.ix_(free, free)] = found
        return out

    def rough_covariance(self) -> Array:
        """That by the Hessian of the last step, (m, m)."""
        m, free = len(self.free), np.flatnonzero(self.free)
        out, inner = np.zeros((m, m)), self.rough[np.ix_(free, free)]
        found = 2.0 * inverse(inner) if least_eigenvalue(inner) > POSITIVE else np.nan
        out[np.ix_(free, free)] = found
        return out


def information(criterion: Laplace, point: LaplacePoint, free: BoolArray) -> Array:
    """The Hessian of the deviance by central differences of the gradient, (m, m).

    Steps are parts of a standard error, short enough that covariances of estimates have seven
    digits; rows and columns of what is not free are zero.
    """
    where = np.flatnonzero(free)
    steps = FINE * scales(criterion, point)[where]
    moves = np.zeros((len(where), criterion.m))
    moves[np.arange(len(where)), where] = steps
    found = gradients(point, np.concatenate([point.x + moves, point.x - moves]))[:, where]
    high, low = np.split(found, 2)
    out = np.zeros((criterion.m, criterion.m))
    out[np.ix_(where, where)] = (high - low) / (2.0 * steps[:, None])
    return np.asarray(0.5 * (out + out.T))


def scales(criterion: Laplace, point: LaplacePoint) -> Array:
    """About a standard error of each parameter, (m,)."""
    theta, _, phi = criterion.split(point.x)
    # Of the covariances a share of their own size.
    sizes = 0.3 * np.maximum(np.abs(theta), 0.3 / criterion.units)
    fixed = np.sqrt(np.maximum(point.fixed_information().diagonal(), 1e-10))
    return np.concatenate([sizes, 1.0 / fixed, np.full(len(phi), 0.1)])
