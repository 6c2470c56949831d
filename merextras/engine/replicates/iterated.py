"""Many responses to a design of many random effects: one factor for all, conjugate gradients.

Each replicate has its own theta, near one at which the factor is known. Henderson's equations

    [ X'WX      X'WZ      ] [beta]   [ X'Wy ]
    [ Z'WX   Z'WZ + G^-1  ] [ b  ] = [ Z'Wy ]

are solved by conjugate gradients, with the inverse at that one theta as preconditioner: the
eigenvalues of the product lie between those of ``G_0 G^-1``, so that ten or twenty steps leave
nothing but rounding. All that a response enters follows from (beta, b),

    r**2 = y'Wy - y'W(X beta + Z b),    Z'V^-1 (y - X beta) = G^-1 b,

and what none enters is a `SharedPart`. A replicate that leaves its box, where the deviance is not
known, does not converge here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from merextras.engine.elimination import columns
from merextras.engine.elimination.factor import flat
from merextras.engine.kernels import blocks, dense
from merextras.engine.kernels.blocks import Array, BoolArray, IntArray
from merextras.engine.optimum.boundary import NEAR_BOUNDARY
from merextras.engine.optimum.criterion import Criterion
from merextras.engine.replicates.problem import Deviances, Point
from merextras.engine.replicates.responses import Responses
from merextras.engine.replicates.shared_part import SharedPart

# The residual of a solution in the norm of its preconditioner, relative to its right-hand side: of
# a response, whose digits the deviance has, and of a working column, which only steers a step.
_EXACT, _STEERING = 1e-11, 1e-4
_MOST_STEPS = 200
# The least share of y'Wy that r**2, a difference, may be.
_DIGITS = 1e-3


class Equations:
    """Henderson's equations of one design, X in its basis, and their inverse at one theta.

    Vectors are (p + q, m), beta first.
    """

    def __init__(self, criterion: Criterion, theta: Array) -> None:
        self.cov, self.cp = criterion.covariances, criterion.system.cp
        solution = criterion.solution_at(theta, self.cov.factors(theta))
        self.factor, self.fixed_low = solution.factor, solution.fixed_low
        p, n = self.cp.p, len(self.cp.own)
        self.p = p
        grid: list[list[sp.sparray | None]] = [[None] * n for _ in range(n)]
        for t, own in enumerate(self.cp.own):
            grid[t][t] = blocks.block_diagonal(own)
        for (s, t), between in self.cp.cross.items():
            grid[s][t], grid[t][s] = between, between.T
        self.z = sp.csr_array(sp.block_array(grid, format="csr"))
        self.to_x = np.concatenate([flat(part[:, :, :p]) for part in self.cp.to_xy])
        self.x = self.cp.xy[:p, :p]
        self.modes_x = np.concatenate([flat(part[:, :, :p]) for part in solution.modes_map])

    def __len__(self) -> int:
        return self.p + len(self.to_x)

    def split(self, vector: Array) -> list[Array]:
        """The random effects of each term, (J, k, m)."""
        out, at = [], self.p
        for levels, k in self.cp.shapes:
            out.append(vector[at : at + levels * k].reshape(levels, k, -1))
            at += levels * k
        return out

    def by_terms(self, vector: Array, matrices: Array) -> Array:
        """The random effects of each column times its own block diagonal matrix; (m, K, K)."""
        out = np.zeros_like(vector)
        pairs = zip(self.split(vector), self.split(out), self.cov.spans, strict=True)
        for part, made, span in pairs:
            for a in range(span.stop - span.start):
                for b in range(span.stop - span.start):
                    made[:, a] += part[:, b] * matrices[:, span.start + a, span.start + b]
        return out

    def outer(self, one: Array, other: Array) -> Array:
        """``sum_j s_j r_j'`` of each term and column, (m, K, K), zero between the terms."""
        out = np.zeros((one.shape[1], self.cov.k, self.cov.k))
        pairs = zip(self.split(one), self.split(other), self.cov.spans, strict=True)
        for left, right, span in pairs:
            out[:, span, span] = np.einsum("jam,jbm->mab", left, right)
        return out

    def products(self, vector: Array) -> Array:
        """[X Z]'W[X Z] times columns."""
        beta, b = vector[: self.p], vector[self.p :]
        out = np.empty_like(vector)
        out[: self.p] = self.x @ beta + self.to_x.T @ b
        out[self.p :] = self.z @ b
        out[self.p :] += self.to_x @ beta
        return out

    def inverse(self, vector: Array) -> Array:
        """The inverse at the one theta times columns."""
        out = np.empty_like(vector)
        found = columns.conditional_modes(self.factor, self.split(vector))
        rest = vector[: self.p] - self.modes_x.T @ vector[self.p :]
        out[: self.p] = dense.solve(self.fixed_low, rest) if self.p else rest
        out[self.p :] = np.concatenate([flat(part) for part in found])
        out[self.p :] -= self.modes_x @ out[: self.p]
        return out

    def solve(self, rhs: Array, inverses: Array, start: Array | None, tolerance: float) -> Array:
        """The solutions for columns, each with its own G^-1, (m, K, K); NaN where none is found."""
        out = np.zeros_like(rhs) if start is None else start.copy()
        size = np.einsum("im,im->m", rhs, self.inverse(rhs))
        rest = rhs if start is None else rhs - self._times(out, inverses)
        going = np.arange(rhs.shape[1])
        rest, own = rest.copy(), inverses
        turned = self.inverse(rest)
        direction, left = turned.copy(), np.einsum("im,im->m", rest, turned)
        for _ in range(_MOST_STEPS):
            more = left > tolerance**2 * size[going]
            if not more.all():
                going, own, left = going[more], own[more], left[more]
                rest, direction = rest[:, more], direction[:, more]
            if len(going) == 0:
                return out
            times = self._times(direction, own)
            length = left / np.einsum("im,im->m", direction, times)
            out[:, going] += length * direction
            rest -= length * times
            turned = self.inverse(rest)
            before, left = left, np.einsum("im,im->m", rest, turned)
            direction *= left / before
            direction += turned
        out[:, going] = np.nan
        return out

    def _times(self, vector: Array, inverses: Array) -> Array:
        return self.products(vector) + self.by_terms(vector, inverses)


@dataclass(frozen=True, eq=False)
class Common:
    """What the replicates of one design near one theta have in common."""

    equations: Equations
    shared: SharedPart

    @classmethod
    def at(cls, criterion: Criterion, shared: SharedPart) -> Common:
        """For the theta of a `SharedPart`."""
        return cls(Equations(criterion, shared.start), shared)


class IteratedProblem(Deviances):
    """Responses whose replicates end near the start of a `SharedPart`."""

    def __init__(self, criterion: Criterion, common: Common, responses: Responses) -> None:
        cov = criterion.covariances
        super().__init__(
            criterion.system.cp, cov, len(responses), reml=criterion.reml, penalty=None
        )
        self.equations, self.shared, self.sizes = common.equations, common.shared, criterion.sizes
        to_y = [flat(part) for part in responses.to_y]
        self.rhs = np.concatenate([responses.xy, *to_y])
        self.yy = responses.yy
        #: The last solution of each response, where the next starts from.
        self.last = self.equations.inverse(self.rhs)

    def covers(self, theta: Array) -> BoolArray:
        """Where the deviance is known, (m,): within the box, and where every G can be inverted."""
        near = self.covariances.near_zero(theta, self.sizes, 2.0 * NEAR_BOUNDARY)
        return np.asarray(self.shared.covers(theta) & ~near.any(axis=1))

    def _solved(self, which: IntArray, theta: Array) -> Array:
        """(beta, b) of responses at thetas that are covered."""
        found = self.equations.solve(
            self.rhs[:, which], self._inverses(theta), self.last[:, which], _EXACT
        )
        good = np.isfinite(found[0] if len(found) else found)
        self.last[:, which[good]] = found[:, good]
        return found

    def _inverses(self, theta: Array) -> Array:
        """G^-1 of all terms, (m, K, K)."""
        lams = self.covariances.joint(theta)
        half: Array = np.linalg.inv(lams).astype(float)
        return np.asarray(blocks.transpose(half) @ half)

    def at(self, which: IntArray, theta: Array) -> Point:
        """See `Deviances`; NaN outside of the box."""
        m, p = len(which), self.cp.p
        known = np.flatnonzero(self.covers(theta))
        deviance, pwrss, beta = np.full(m, np.nan), np.full(m, np.nan), np.full((m, p), np.nan)
        if len(known) and self.df > 0:
            own, there = which[known], theta[known]
            found = self._solved(own, there)
            rhs, equations = self.rhs[:, own], self.equations
            times = equations.products(found) + equations.by_terms(found, self._inverses(there))
            # An error of the solution enters this by its square.
            pwrss[known] = self.yy[own] + np.einsum("im,im->m", found, times - 2.0 * rhs)
            beta[known] = found[:p].T
            fit = self.cp.scale.fit(pwrss[known], self.df)
            fit[pwrss[known] < _DIGITS * self.yy[own]] = np.nan
            deviance[known] = self.shared.value(there) + fit - self.cp.sum_log_w
        return Point(theta, deviance, beta, pwrss, np.empty((m, 0, 0)))

    def local_model(self, which: IntArray, point: Point) -> tuple[Array, Array, Array]:
        """See `Deviances`; the Hessian itself. There is no D, which only a boundary needs."""
        theta, cov, equations = point.theta, self.covariances, self.equations
        m, p = len(theta), self.cp.p
        lams, inverses = cov.joint(theta), self._inverses(theta)
        score = equations.by_terms(self._solved(which, theta), inverses)
        score[:p] = 0.0
        slopes = -equations.outer(score, score)
        weight = self.cp.scale.weight(point.pwrss, self.df)
        gradient = cov.joint_gradient(theta, 2.0 * slopes @ lams)
        quadratic = self._working(theta, score, inverses)
        second = self.cp.scale.information(2.0 * quadratic, -gradient, point.pwrss, self.df)
        second += weight[:, None, None] * cov.joint_curvature(theta, slopes)
        none = np.full((m, cov.k, cov.k), np.nan)
        whole = self.shared.gradient(theta) + weight[:, None] * gradient
        return whole, self.shared.hessian(theta) + second, none

    def _working(self, theta: Array, score: Array, inverses: Array) -> Array:
        """``y'P V_i P V_j P y``, (m, n_theta, n_theta)."""
        equations, (m, n) = self.equations, theta.shape
        covariance_slopes = np.swapaxes(self.covariances.joint_covariance_slopes(theta), 0, 1)
        working = np.concatenate(
            [equations.by_terms(score, slope) for slope in covariance_slopes], axis=1
        )
        rhs = equations.products(working)
        found = equations.solve(rhs, np.tile(inverses, (n, 1, 1)), None, _STEERING)
        size = len(working)
        one, other = working.reshape(size, n, m), rhs.reshape(size, n, m)
        out = np.einsum("xim,xjm->mij", one, other)
        out -= np.einsum("xim,xjm->mij", other, found.reshape(size, n, m))
        return np.asarray(0.5 * (out + blocks.transpose(out)))
