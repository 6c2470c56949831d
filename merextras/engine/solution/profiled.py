"""The deviance and the fixed effects, once the random effects are eliminated.

Bates, Maechler, Bolker & Walker (2015), J. Stat. Softw. 67(1); equation numbers are theirs.
"""

from __future__ import annotations

from functools import cache, cached_property
from typing import Any

import numpy as np

from merextras.engine.kernels import dense
from merextras.engine.kernels.blocks import Array
from merextras.engine.products.crossprod import CrossProducts


@cache
def _cached_names(of: Any) -> tuple[str, ...]:
    """Names of a class's cached properties."""
    members = [pair for c in of.__mro__ for pair in vars(c).items()]
    return tuple(name for name, kind in members if isinstance(kind, cached_property))


class Profiled:
    """What is known at one theta of [X y] with the random effects eliminated.

    Attributes
    ----------
    reml : bool
        Which criterion the deviance and sigma**2 are for.
    """

    reml: bool

    @property
    def cp(self) -> CrossProducts:
        """What the model is fitted to."""
        raise NotImplementedError

    @property
    def gram(self) -> Array:
        """[X y]'V^-1 [X y] in the basis of the cross-products, (p + 1, p + 1)."""
        raise NotImplementedError

    @property
    def log_det(self) -> float:
        """The logarithm log |L|**2, L the factor of the random effects."""
        raise NotImplementedError

    def forget(self) -> None:
        """Let go of what is cached; it is made again on demand."""
        of: Any = type(self)
        for name in _cached_names(of):
            vars(self).pop(name, None)

    @property
    def p(self) -> int:
        """Fixed effects."""
        return self.cp.p

    @property
    def n(self) -> int:
        """Observations."""
        return self.cp.n

    @cached_property
    def fixed_low(self) -> Array:
        """Lower Cholesky factor of X'V^-1 X in the basis of the cross-products, (p, p).

        NaN where a column of X depends on the others, or the random effects leave nothing of it.
        """
        p = self.p
        low = dense.cholesky(self.gram[:p, :p])
        # A pivot is a difference: at this size it holds no digit of what it was taken from.
        if np.count_nonzero(low.diagonal() ** 2 <= self.cp.noise):
            return np.full((p, p), np.nan)
        return low

    @cached_property
    def _beta(self) -> Array:
        return dense.solve(self.fixed_low, self.gram[: self.p, self.p, None])[:, 0]

    @cached_property
    def contrast(self) -> Array:
        """(p + 1,) vector ``(-beta, 1)`` in the basis: the columns combine to y - X beta."""
        out = np.ones(self.p + 1)
        out[:-1] = -self._beta
        return out

    @cached_property
    def pwrss(self) -> float:
        """Penalised weighted residual sum of squares, r**2 (eq. 19)."""
        # The quadratic form: an error in beta enters it squared only.
        return float(self.contrast @ self.gram @ self.contrast)

    @cached_property
    def log_det_fixed(self) -> float:
        """The logarithm log |R_X|**2 = log |X'V^-1 X|, of the X that was given."""
        low = float(np.log(self.fixed_low.diagonal()).sum())
        return 2.0 * (low - self.cp.basis.log_det())

    @property
    def df(self) -> int:
        """The divisor of the residual variance: n - p under REML, n under ML."""
        return self.n - self.p if self.reml else self.n

    @property
    def sigma2(self) -> float:
        """Residual variance: given, or profiled, r**2 / n (eq. 34) or r**2 / (n - p) (eq. 41)."""
        return self.cp.scale.sigma2(self.pwrss, self.df) if self.df > 0 else np.nan

    @property
    def sigma_df(self) -> float:
        """Degrees of freedom that sigma**2 is estimated with, n - p; infinite where it is given."""
        return np.inf if self.cp.scale.is_known else self.n - self.p

    @property
    def unbiased_sigma2(self) -> float:
        """sigma**2 given, or r**2 / (n - p) by either criterion."""
        return self.cp.scale.sigma2(self.pwrss, np.float64(self.n - self.p))

    def deviance(self, *, reml: bool | None = None) -> float:
        """Profiled deviance (eq. 35), or the REML criterion (eq. 42); at a given sigma before that.

        NaN where it does not exist: no degrees of freedom, a matrix that is not positive definite;
        minus infinity where the model fits exactly.
        """
        reml = self.reml if reml is None else reml
        df = self.n - self.p if reml else self.n
        if df <= 0:
            return np.nan
        log_det = self.log_det + (self.log_det_fixed if reml else 0.0)
        scale = self.cp.scale
        if self.pwrss <= 0.0 and not scale.is_known:
            return -np.inf
        fit = scale.fit(self.pwrss, df)
        return float(log_det + fit - self.cp.sum_log_w)

    @cached_property
    def slope_weight(self) -> Array:
        """What stands between ``Z'V^-1 [X y]`` and its transpose in the deviance's derivative.

        ``c c' df / r**2``, or over a given sigma**2, and, under REML, (X'V^-1 X)^-1;
        (p + 1, p + 1), in the basis.
        """
        p, (df, square) = self.p, self.cp.scale.ratio(self.pwrss, self.df)
        weight = self.contrast[:, None] * self.contrast * df / square
        if self.reml and p:
            weight[:p, :p] += dense.solve(self.fixed_low, np.eye(p))
        return np.asarray(weight)
