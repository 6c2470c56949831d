"""The deviance of many responses at once, each at its own theta.

Let ``Z'WZ = R R'``. The cross-products of any columns with Z are R times their coordinates on an
orthonormal basis of Z's columns. In these

    A'V^-1 B = (A'WB less its part in Z) + a'P b,    P = (I + R'G R)^-1,

a sum of positive parts, in which a large or singular G is nothing special. How P is laid out is the
business of the two kinds of `Problem`: by levels (`by_levels`) or as a whole (`whole`). This file
has the deviance and its derivatives in terms of P.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

import numpy as np

from merextras.engine.covariance.covariances import Covariances
from merextras.engine.covariance.priors import Penalty
from merextras.engine.kernels import blocks
from merextras.engine.kernels.blocks import Array, IntArray
from merextras.engine.optimum.boundary import NOISE
from merextras.engine.optimum.criterion import sizes_of
from merextras.engine.products.crossprod import CrossProducts
from merextras.engine.replicates.searched import Replicates, Standing


@dataclass
class Point(Standing):
    """Where each replicate stands; the criterion is its deviance and the penalty of a prior."""

    beta: Array
    pwrss: Array
    low: Array


class Deviances(Replicates[Point]):
    """A block of responses to one design, whose parameters are theta alone.

    Attributes
    ----------
    cp : CrossProducts
    reml : bool
    penalty : Penalty or None
    df : int
        Divisor of the residual variance.
    """

    def __init__(
        self,
        cp: CrossProducts,
        covariances: Covariances,
        n_responses: int,
        *,
        reml: bool,
        penalty: Penalty | None,
    ) -> None:
        self.cp, self.reml, self.n_responses = cp, reml, n_responses
        self.covariances, self.penalty = covariances, penalty
        self.df: int | Array = cp.n - cp.p if reml else cp.n
        self.sizes = sizes_of(cp)

    def noise(self, deviance: Array) -> Array:
        """A part of the deviance and of the rows."""
        return np.asarray(NOISE * (np.abs(deviance) + self.cp.n))

    def plain_start(self) -> Array | None:
        """Relative standard deviations of one."""
        return self.covariances.from_covariances([np.diag(s**-2.0) for s in self.sizes])


class Problem(Deviances):
    """Responses whose P is laid out, see above.

    Coordinates are arrays of the subclass's own shape; it says how they are multiplied.

    Attributes
    ----------
    x_within : (p, p) array
    xy_within : (m, p) array
    yy_within : (m,) array
        Cross-products of X and the responses less their parts in Z.
    log_w : float or (m,) array
        Sum of the logarithms of the weights.
    """

    x_within: Array
    xy_within: Array
    yy_within: Array

    def __init__(
        self,
        cp: CrossProducts,
        covariances: Covariances,
        n_responses: int,
        *,
        reml: bool,
        penalty: Penalty | None,
    ) -> None:
        super().__init__(cp, covariances, n_responses, reml=reml, penalty=penalty)
        self.basis_log_det = cp.basis.log_det()
        self.log_w: float | Array = cp.sum_log_w
        self._last: tuple[Array, Array] | None = None

    @abstractmethod
    def shrinkage(self, lams: Array) -> tuple[Array, Array]:
        """P and ``log |I + R'GR|``, (m,), of each Lambda, (m, k, k)."""

    @abstractmethod
    def responses(self, which: IntArray) -> Array:
        """Coordinates of some responses."""

    @abstractmethod
    def fitted(self, beta: Array) -> Array:
        """Coordinates of X beta for each row of beta."""

    @abstractmethod
    def times(self, shrink: Array, vector: Array) -> Array:
        """P times one vector of coordinates a replicate."""

    @abstractmethod
    def dot(self, one: Array, other: Array) -> Array:
        """Inner products of vectors of coordinates, (m,)."""

    @abstractmethod
    def dot_x(self, vector: Array) -> Array:
        """Inner products with X, (m, p)."""

    @abstractmethod
    def x_gram(self, shrink: Array) -> Array:
        """``x'P x``, (m, p, p)."""

    @abstractmethod
    def slopes(self, shrink: Array, score: Array, weight: Array, inverse: Array | None) -> Array:
        """``R (P - P x A x'P - w s s') R'`` summed over the levels of each term, (m, k, k).

        Only the terms' own blocks matter. `inverse` is A, (m, p, p), or None for zero.
        """

    @abstractmethod
    def working(self, covariance_slopes: Array, score: Array) -> list[Array]:
        """``R' dG_i R s`` for each element of theta: coordinates of the working columns.

        `covariance_slopes` are the dG_i, (m, n_theta, k, k).
        """

    def _shrinkage(self, theta: Array) -> tuple[Array, Array]:
        """P and the log-determinant; the last is kept, as the next step starts from it."""
        if self._last is None or not np.array_equal(self._last[0], theta):
            self._last = None
            shrink, log_det = self.shrinkage(self.covariances.joint(theta))
            self._last, self._log_det = (theta.copy(), shrink), log_det
        return self._last[1], self._log_det

    def at(self, which: IntArray, theta: Array) -> Point:
        """See `Deviances`."""
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            shrink, log_det = self._shrinkage(theta)
            y = self.responses(which)
            xy = self.xy_within[which] + self.dot_x(self.times(shrink, y))
            low = self._fixed_low(self.x_within + self.x_gram(shrink))
            half = blocks.solve_lower(low, xy[:, :, None])
            beta = blocks.solve_upper(low, half)[:, :, 0]
            rest = y - self.fitted(beta)
            pwrss = self._within(which, beta) + self.dot(rest, self.times(shrink, rest))
            deviance = self._deviance(log_det, pwrss, low)
            if self.penalty is not None:
                deviance = deviance + self.penalty.value(theta)
        return Point(theta, deviance, beta, pwrss, low)

    def _deviance(self, log_det: Array, pwrss: Array, low: Array) -> Array:
        if np.all(np.less_equal(self.df, 0)):
            return np.full(len(pwrss), np.nan)
        fit = self.cp.scale.fit(pwrss, self.df)
        deviance = log_det + fit - self.log_w
        if self.reml:
            fixed = np.log(np.diagonal(low, axis1=1, axis2=2)).sum(axis=1)
            deviance += 2.0 * (fixed - self.basis_log_det)
        return np.asarray(deviance)

    def _fixed_low(self, gram: Array) -> Array:
        low = blocks.cholesky(gram)
        noise = self.cp.noise
        bad = ~np.all(np.diagonal(low, axis1=1, axis2=2) ** 2 > noise, axis=1)
        low[bad] = np.nan
        return low

    def _within(self, which: IntArray, beta: Array) -> Array:
        """The part of the residual sum of squares that no random effect can explain."""
        cross = (beta[:, None, :] @ self.x_within)[:, 0] - 2.0 * self.xy_within[which]
        return np.asarray(self.yy_within[which] + np.einsum("mp,mp->m", beta, cross))

    def local_model(self, which: IntArray, point: Point) -> tuple[Array, Array, Array]:
        """See `Deviances`; the Hessian is the average information's."""
        theta, cov = point.theta, self.covariances
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            shrink, _ = self._shrinkage(theta)
            score = self.times(shrink, self.responses(which) - self.fitted(point.beta))
            inverse = self._inverse(point) if self.reml else None
            slopes = self.slopes(shrink, score, self.cp.scale.weight(point.pwrss, self.df), inverse)
            slopes = 0.5 * (slopes + blocks.transpose(slopes))
            working = self.working(cov.joint_covariance_slopes(theta), score)
            hessian = self._information(point, shrink, score, working)
            if self.penalty is not None:
                slopes += self.penalty.slopes(theta)
                hessian += self.penalty.second(theta)
        hessian += cov.joint_curvature(theta, slopes)
        return cov.joint_gradient(theta, 2.0 * slopes @ cov.joint(theta)), hessian, slopes

    def _inverse(self, point: Point) -> Array:
        p = self.cp.p
        half = blocks.solve_lower(point.low, np.broadcast_to(np.eye(p), (len(point.low), p, p)))
        return blocks.transpose(half) @ half

    def _information(
        self, point: Point, shrink: Array, score: Array, working: list[Array]
    ) -> Array:
        """Average information in theta with sigma**2 profiled out."""
        size = len(working)
        quadratic = np.empty((len(point.pwrss), size, size))
        to_x, totals = [], []
        for i, column in enumerate(working):
            shrunk = self.times(shrink, column)
            for j in range(i + 1):
                quadratic[:, i, j] = quadratic[:, j, i] = self.dot(working[j], shrunk)
            to_x.append(self.dot_x(shrunk))
            totals.append(self.dot(column, score))
        half = blocks.solve_lower(point.low, np.stack(to_x, axis=2))
        quadratic -= blocks.transpose(half) @ half
        return self.cp.scale.information(
            quadratic, np.stack(totals, axis=1), point.pwrss, np.asarray(self.df)
        )
