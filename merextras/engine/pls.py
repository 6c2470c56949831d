"""Penalised least squares: the deviance and the estimates at a given theta.

Bates, Maechler, Bolker & Walker (2015), J. Stat. Softw. 67(1); equation numbers are theirs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from merextras.engine import columns, dense
from merextras.engine.blocks import Array
from merextras.engine.columns import Reduced
from merextras.engine.factor import Factor, factorise
from merextras.engine.plan import System
from merextras.engine.selected import Selected, selected_inverse

# Pivots of X'V^-1 X that are rounding: relative to the column's own size, and for a column that was
# one already in the basis, whose columns are of size one.
NO_DIGITS = 1e-14
NO_COLUMN = 1e-25


@dataclass(frozen=True)
class Solution:
    """The profiled estimates at one theta.

    Attributes
    ----------
    factor : Factor
    reml : bool
        Which criterion the deviance and sigma**2 are for.
    """

    factor: Factor
    reml: bool

    @cached_property
    def reduced(self) -> Reduced:
        """[X y] with the random effects eliminated, in the basis of the cross-products."""
        cp = self.factor.system.cp
        return columns.reduce(self.factor, cp.to_xy, cp.xy)

    @cached_property
    def fixed_low(self) -> Array:
        """Lower Cholesky factor of X'V^-1 X in the basis of the cross-products, (p, p).

        NaN where a column of X depends on the others, or the random effects leave nothing of it.
        """
        p = self.p
        low = dense.cholesky(self.reduced.gram[:p, :p])
        # A pivot is a difference: at this size it holds no digit of what it was taken from.
        noise = NO_DIGITS * np.diag(self.factor.system.cp.xy)[:p]
        if np.any(np.diag(low) ** 2 <= np.maximum(noise, NO_COLUMN)):
            return np.full((p, p), np.nan)
        return np.asarray(low)

    def __getstate__(self) -> dict[str, Any]:
        # What is cached is made again on demand; it can be larger than the rest.
        return {"factor": self.factor, "reml": self.reml}

    @cached_property
    def selected(self) -> Selected:
        """Diagonal blocks of the conditional covariance of the random effects over sigma**2."""
        return selected_inverse(self.factor)

    @property
    def p(self) -> int:
        """Fixed effects."""
        return self.factor.system.cp.p

    @property
    def n(self) -> int:
        """Observations."""
        return self.factor.system.cp.n

    @cached_property
    def _beta(self) -> Array:
        rhs = self.reduced.gram[: self.p, self.p]
        return dense.solve(self.fixed_low, rhs[:, None])[:, 0]

    @cached_property
    def contrast(self) -> Array:
        """(p + 1,) vector ``(-beta, 1)`` in the basis: the columns combine to y - X beta."""
        return np.append(-self._beta, 1.0)

    @cached_property
    def pwrss(self) -> float:
        """Penalised weighted residual sum of squares, r**2 (eq. 19)."""
        # The quadratic form: an error in beta enters it squared only.
        return float(self.contrast @ self.reduced.gram @ self.contrast)

    @cached_property
    def log_det_fixed(self) -> float:
        """The logarithm log |R_X|**2 = log |X'V^-1 X|, of the X that was given."""
        low = float(np.sum(np.log(np.diag(self.fixed_low))))
        return 2.0 * (low - self.factor.system.cp.basis.log_det())

    @property
    def df(self) -> int:
        """The divisor of the residual variance: n - p under REML, n under ML."""
        return self.n - self.p if self.reml else self.n

    @property
    def sigma2(self) -> float:
        """Profiled residual variance, r**2 / n (eq. 33) or r**2 / (n - p) (eq. 41)."""
        return self.pwrss / self.df if self.df > 0 else np.nan

    def deviance(self, *, reml: bool | None = None) -> float:
        """Profiled deviance (eq. 35), or the REML criterion (eq. 42).

        NaN where it does not exist: no degrees of freedom, a matrix that is not positive definite;
        minus infinity where the model fits exactly.
        """
        reml = self.reml if reml is None else reml
        df = self.n - self.p if reml else self.n
        if df <= 0:
            return np.nan
        log_det = self.factor.log_det + (self.log_det_fixed if reml else 0.0)
        if self.pwrss <= 0.0:
            return -np.inf
        fit = df * (1.0 + np.log(2.0 * np.pi * self.pwrss / df))
        return float(log_det + fit - self.factor.system.cp.sum_log_w)

    @cached_property
    def beta(self) -> Array:
        """Fixed effects, (p,)."""
        return self.factor.system.cp.basis.coefficients(self._beta)

    @cached_property
    def b(self) -> tuple[Array, ...]:
        """Conditional modes of the random effects, a (J, k) array per term."""
        return tuple(part @ self.contrast for part in self.modes_map)

    @cached_property
    def u(self) -> tuple[Array, ...]:
        """Spherical random effects: b = Lambda u, a (J, k) array per term."""
        return tuple(h @ lam for h, lam in zip(self.scores, self.factor.lams, strict=True))

    @cached_property
    def modes_map(self) -> tuple[Array, ...]:
        """G Z'V^-1 [X y] of each term, (J, k, p + 1): the modes as linear in [X y]."""
        return columns.modes(self.factor, self.reduced)

    @cached_property
    def scores(self) -> tuple[Array, ...]:
        """Z'V^-1 (y - X beta) of each term, (J, k)."""
        return tuple(h @ self.contrast for h in self.projected)

    @cached_property
    def projected(self) -> tuple[Array, ...]:
        """Z'V^-1 [X y] of each term, (J, k, p + 1)."""
        return columns.projected(self.factor, self.reduced, self.modes_map)

    def fixed_covariance(self) -> Array:
        """(X'V^-1 X)^-1, (p, p): the covariance of beta over sigma**2."""
        half = dense.solve_lower(self.fixed_low, self.factor.system.cp.basis.transform.T)
        return half.T @ half


def solve(system: System, lams: Sequence[Array], *, reml: bool) -> Solution:
    """Eliminate the random effects and return the profiled estimates at Lambda."""
    return Solution(factorise(system, lams), reml)
