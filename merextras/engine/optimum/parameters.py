"""The parameters of a criterion in one vector: theta of the covariances, then the residuals'.

The residuals' are ``log omega_h`` of all strata but the first, relative to its own, where a
criterion has strata; none otherwise. What is asked of theta alone leaves them as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from merextras.engine.covariance.covariances import Covariances
from merextras.engine.kernels.blocks import Array, BoolArray, IntArray
from merextras.engine.products.basis import Basis


@dataclass(frozen=True)
class Parameters:
    """One vector of n parameters.

    Attributes
    ----------
    covariances : Covariances
    n_residual : int
    """

    covariances: Covariances
    n_residual: int = 0

    @property
    def n(self) -> int:
        """All parameters."""
        return self.covariances.n + self.n_residual

    def theta(self, v: Array) -> Array:
        """Those of the covariances; (n,) or (m, n)."""
        return v[..., : self.covariances.n] if self.n_residual else v

    def log_omega(self, v: Array) -> Array:
        """Logarithms of all strata's precisions relative to the first's, (H,)."""
        return np.concatenate([[0.0], v[self.covariances.n :]])

    def with_theta(self, v: Array, theta: Array) -> Array:
        """The vector with another theta; (n,) or (m, n)."""
        if not self.n_residual:
            return theta
        return np.concatenate([theta, v[..., self.covariances.n :]], axis=-1)

    def units(self, sizes: Sequence[Array]) -> Array:
        """The unit of each parameter, (n,)."""
        return np.concatenate([self.covariances.units(sizes), np.ones(self.n_residual)])

    def canonical(self, v: Array) -> Array:
        """The one of those with the same model that is reported."""
        return self.with_theta(v, self.covariances.canonical(self.theta(v)))

    def grown(self, v: Array, t: int, change: Array, size: float, sizes: Array) -> Array:
        """See `Covariances.grown`."""
        return self.with_theta(v, self.covariances.grown(self.theta(v), t, change, size, sizes))

    def amounts(self, v: Array, units: Array) -> Array:
        """See `Covariances.amounts`; zero for the residuals' parameters. (n,) or (m, n)."""
        own = self.covariances.amounts(self.theta(v), units[: self.covariances.n])
        if not self.n_residual:
            return own
        return self.with_theta(np.zeros(v.shape), own)

    def enlarged(self, v: Array, which: BoolArray, times: float) -> Array:
        """See `Covariances.enlarged`."""
        own = which[..., : self.covariances.n]
        return self.with_theta(v, self.covariances.enlarged(self.theta(v), own, times))

    def zero_groups(self) -> list[IntArray]:
        """See `Covariances.zero_groups`."""
        return self.covariances.zero_groups()

    def inside(self, v: Array, least: float) -> Array:
        """See `Covariances.inside`."""
        return self.with_theta(v, self.covariances.inside(self.theta(v), least))

    def to_user(self, v: Array, basis: Basis) -> Array:
        """With theta of the user's effects, (n,) or (m, n)."""
        return self.with_theta(v, basis.to_user(self.theta(v), self.covariances))

    def from_user(self, v: Array, basis: Basis) -> Array:
        """With theta in the coordinates of the cross-products, (n,) or (m, n)."""
        return self.with_theta(v, basis.from_user(self.theta(v), self.covariances))
