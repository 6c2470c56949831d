"""Penalised least squares: the deviance and the estimates at a given theta.

Bates, Maechler, Bolker & Walker (2015), J. Stat. Softw. 67(1); equation numbers are theirs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from merextras.engine.elimination import columns
from merextras.engine.elimination.columns import Reduced
from merextras.engine.elimination.conditional_variances import Selected, selected_inverse
from merextras.engine.elimination.factor import Factor, factorise
from merextras.engine.elimination.plan import System
from merextras.engine.kernels import dense
from merextras.engine.kernels.blocks import Array
from merextras.engine.products.crossprod import CrossProducts
from merextras.engine.solution.profiled import Profiled


@dataclass(frozen=True)
class Solution(Profiled):
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

    @property
    def cp(self) -> CrossProducts:
        """What the model is fitted to."""
        return self.factor.system.cp

    @property
    def gram(self) -> Array:
        """[X y]'V^-1 [X y] in the basis of the cross-products."""
        return self.reduced.gram

    @property
    def log_det(self) -> float:
        """The logarithm log |L|**2."""
        return self.factor.log_det

    def __getstate__(self) -> dict[str, Any]:
        # What is cached is made again on demand; it can be larger than the rest.
        return {"factor": self.factor, "reml": self.reml}

    @cached_property
    def selected(self) -> Selected:
        """Diagonal blocks of the conditional covariance of the random effects over sigma**2."""
        return selected_inverse(self.factor)

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
