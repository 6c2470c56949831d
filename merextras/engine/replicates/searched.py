"""What a search of many replicates at once asks of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from typing import Generic, TypeVar

import numpy as np

from merextras.engine.covariance.covariances import Covariances
from merextras.engine.kernels.blocks import Array, IntArray
from merextras.engine.optimum.criterion import difference_steps

S = TypeVar("S", bound="Standing")


@dataclass
class Standing:
    """Where each replicate stands; the leading axis is the replicates'.

    Attributes
    ----------
    theta : (m, n) array
        The parameters, those of the covariances first.
    deviance : (m,) array
        The criterion.
    """

    theta: Array
    deviance: Array

    def take(self: S, which: IntArray) -> S:
        """Copy some replicates' points."""
        return type(self)(*(getattr(self, f.name)[which] for f in fields(self)))

    def put(self: S, which: IntArray, other: S) -> None:
        """Replace some replicates' points."""
        for f in fields(self):
            getattr(self, f.name)[which] = getattr(other, f.name)


class Replicates(ABC, Generic[S]):
    """A block of criteria of one layout, one of each response.

    Attributes
    ----------
    covariances : Covariances
        Of the first parameters.
    sizes : tuple of (k,) arrays
        Root mean squares of the covariates of each term.
    n_responses : int
    enough : float
        The decrement up to which a replicate has converged.
    """

    covariances: Covariances
    sizes: tuple[Array, ...]
    n_responses: int
    enough: float = 1e-8

    @abstractmethod
    def noise(self, deviance: Array) -> Array:
        """What of a difference of deviances is rounding, (m,)."""

    @abstractmethod
    def plain_start(self) -> Array | None:
        """Parameters for replicates that have no deviance at the start, (n,); None for none."""

    @abstractmethod
    def at(self, which: IntArray, theta: Array) -> S:
        """The deviance and what belongs to it, of some replicates at their parameters.

        A deviance that does not exist is NaN, and minus infinity where the fit is exact, as in
        `pls`.
        """

    @abstractmethod
    def local_model(self, which: IntArray, point: S) -> tuple[Array, Array, Array]:
        """Gradient and approximate Hessian, and D of `gradient.deviance_slopes`.

        Returns
        -------
        gradient : (m, n) array
        hessian : (m, n, n) array
        slopes : (m, k, k) array
        """

    def gradient(self, which: IntArray, point: S) -> Array:
        """The gradient alone, (m, n)."""
        return self.local_model(which, point)[0]

    def canonical(self, theta: Array) -> Array:
        """The parameters that are reported of those with the same criterion, (m, n)."""
        return self.covariances.canonical(theta)

    def longest(self, theta: Array, step: Array) -> Array:
        """The part of each step that is tried first, (m,)."""
        del theta
        return np.ones(len(step))

    def difference_steps(self, theta: Array) -> Array:
        """Steps for central differences, of the shape of `theta`."""
        return difference_steps(theta, self.covariances.units(self.sizes))

    def learn(self, which: IntArray, hessian: Array) -> None:
        """Take note of Hessians that were found by differences."""
        del which, hessian


def differenced(problem: Replicates[S], which: IntArray, theta: Array) -> Array:
    """Hessians by central differences of the gradient, (m, n, n)."""
    (m, n), steps = theta.shape, problem.difference_steps(theta)
    out = np.empty((m, n, n))
    # Both ends of some parameters at once, no more points than there are replicates.
    size = max(1, problem.n_responses // (2 * m))
    for at in range(0, n, size):
        own = np.arange(at, min(at + size, n))
        ends = np.tile(theta, (2, len(own), 1, 1))
        for i, j in enumerate(own):
            ends[0, i, :, j] += steps[:, j]
            ends[1, i, :, j] -= steps[:, j]
        every = np.tile(which, 2 * len(own))
        point = problem.at(every, ends.reshape(-1, n))
        slopes = problem.gradient(every, point).reshape(ends.shape)
        change = slopes[0] - slopes[1]
        out[:, own] = np.swapaxes(change, 0, 1) / (2.0 * steps[:, own, None])
    return 0.5 * (out + np.swapaxes(out, 1, 2))
