"""The ML deviance at a given Lambda *and* a given sigma, with the fixed effects profiled out.

    d(theta, sigma) = log |L|**2 + n log(2 pi sigma**2) + r**2 / sigma**2 - sum log w

is what a profile of a standard deviation minimises (Bates et al. 2015, before sigma is profiled
out, eq. 32). One fixed effect may be held at a value b: that drops its column and shifts the
response, which is a linear map of the cross-products, so that no row is read. With the estimate
and the variance of the free fixed effect at hand it is not even a new elimination:

    r**2(b) = r**2 + (b - beta_i)**2 / C_ii,        C = (X'V^-1 X)^-1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from merextras.engine.covariance.covariances import Covariances
from merextras.engine.derivatives.average_information import working_products
from merextras.engine.derivatives.gradient import deviance_slopes, factor_slopes
from merextras.engine.elimination.plan import System
from merextras.engine.kernels import dense
from merextras.engine.kernels.blocks import Array
from merextras.engine.solution.pls import Solution, solve

# A relative standard deviation, or one over the condition number, that is not divided by.
_SINGULAR = 1e-6


@dataclass(frozen=True)
class Held:
    """A fixed effect held at a value."""

    column: int
    value: float


@dataclass(frozen=True)
class Conditional:
    """The deviance and its derivatives at one Lambda and one sigma.

    Attributes
    ----------
    solution : Solution
        At Lambda.
    log_sigma : float
    held : Held, optional
    """

    solution: Solution
    log_sigma: float
    held: Held | None = None

    @property
    def sigma2(self) -> float:
        """sigma**2."""
        return float(np.exp(2.0 * self.log_sigma))

    @cached_property
    def _holding(self) -> tuple[Array, float, float]:
        """``R_X^-T`` times the held effect's row of the basis, its C_ii, and b - beta_i."""
        assert self.held is not None
        row = self.solution.factor.system.cp.basis.transform[self.held.column]
        half = dense.solve_lower(self.solution.fixed_low, row[:, None])[:, 0]
        gap = self.held.value - float(self.solution.beta[self.held.column])
        return half, float(half @ half), gap

    @cached_property
    def contrast(self) -> Array:
        """(p + 1,) vector ``(-beta, 1)`` in the basis."""
        if self.held is None:
            return self.solution.contrast
        half, variance, gap = self._holding
        change = dense.solve_upper(self.solution.fixed_low, half[:, None])[:, 0]
        return np.asarray(self.solution.contrast - np.append(change * (gap / variance), 0.0))

    @property
    def beta(self) -> Array:
        """Fixed effects, (p,)."""
        return self.solution.factor.system.cp.basis.coefficients(-self.contrast[:-1])

    @property
    def r2(self) -> float:
        """Penalised residual sum of squares."""
        if self.held is None:
            return self.solution.pwrss
        _, variance, gap = self._holding
        return self.solution.pwrss + gap * gap / variance

    @property
    def deviance(self) -> float:
        """The deviance; NaN where a matrix is not positive definite, infinite at sigma = 0."""
        cp = self.solution.factor.system.cp
        if self.sigma2 == 0.0:
            return np.inf
        fit = cp.n * (np.log(2.0 * np.pi) + 2.0 * self.log_sigma) + self.r2 / self.sigma2
        return float(self.solution.factor.log_det + fit - cp.sum_log_w)

    @property
    def held_slope(self) -> float:
        """The derivative in the value of the held effect."""
        _, variance, gap = self._holding
        return 2.0 * gap / (variance * self.sigma2)

    @property
    def held_curvature(self) -> float:
        """The second derivative in the value of the held effect."""
        return 2.0 / (self._holding[1] * self.sigma2)

    @cached_property
    def _weight(self) -> Array:
        return np.outer(self.contrast, self.contrast) / self.sigma2

    @cached_property
    def _slopes(self) -> tuple[Array, ...]:
        return factor_slopes(self.solution, self._weight)

    def deviance_slopes(self, units: Sequence[Array]) -> tuple[Array, ...]:
        """D_t of each term: the derivative in the covariance over sigma**2, at this sigma.

        Parameters
        ----------
        units : sequence of (k,) arrays
            The size of each covariate.
        """
        found = []
        for slope, lam, size in zip(self._slopes, self.solution.factor.lams, units, strict=True):
            inverse = _inverse(lam, size)
            if inverse is None:
                return deviance_slopes(self.solution, self._weight)
            # The slopes are 2 D Lambda; dividing is cheaper than the tail's cubic cost.
            d = 0.5 * slope @ inverse
            found.append(0.5 * (d + d.T))
        return tuple(found)

    def gradient(self, covariances: Covariances, theta: Array, frames: Sequence[Array]) -> Array:
        """In theta (of the factors that the frames B make those of the model) and log sigma."""
        slopes = [frame.T @ slope for slope, frame in zip(self._slopes, frames, strict=True)]
        last = 2.0 * self.solution.n - 2.0 * self.r2 / self.sigma2
        return np.append(covariances.gradient(theta, slopes), last)

    def hessian(
        self,
        covariances: Covariances,
        theta: Array,
        frames: Sequence[Array],
        ds: Sequence[Array],
    ) -> Array:
        """Average information in the same parameters, exact in log sigma.

        `ds` are the `deviance_slopes`.
        """
        scores = [h @ self.contrast for h in self.solution.projected]
        pairs = zip(frames, covariances.covariance_slopes(theta), strict=True)
        covariance_slopes = [frame @ own @ frame.T for frame, own in pairs]
        gram, slopes, half = working_products(self.solution, scores, covariance_slopes)
        gram = gram - half.T @ half
        if self.held is not None:
            row, variance, _ = self._holding
            kept = row @ half
            gram += np.outer(kept, kept) / variance
        ordered = [frame.T @ d @ frame for d, frame in zip(ds, frames, strict=True)]
        m = len(slopes)
        out = np.empty((m + 1, m + 1))
        out[:m, :m] = gram / self.sigma2 + covariances.curvature(theta, ordered)
        out[:m, m] = out[m, :m] = 2.0 * slopes / self.sigma2
        out[m, m] = 4.0 * self.r2 / self.sigma2
        return out


def _inverse(lam: Array, size: Array) -> Array | None:
    """The inverse of Lambda, unless it is nearly singular where `size` are the effects' units."""
    scaled = lam * size[:, None]
    if len(lam) == 1:
        return None if abs(scaled[0, 0]) < _SINGULAR else np.asarray(1.0 / lam)
    try:
        inverse = np.linalg.inv(lam)
    except np.linalg.LinAlgError:
        return None
    largest = max(float(np.max(np.abs(scaled))), 1.0) * float(np.max(np.abs(inverse / size)))
    return np.asarray(inverse) if largest * _SINGULAR < 1.0 else None


def conditional(
    system: System, lams: Sequence[Array], log_sigma: float, held: Held | None = None
) -> Conditional:
    """The deviance at Lambda and sigma; cost of one factorisation."""
    return Conditional(solve(system, lams, reml=False), log_sigma, held)
