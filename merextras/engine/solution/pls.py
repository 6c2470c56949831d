"""Penalised least squares: the deviance and the estimates at a given theta.

Bates, Maechler, Bolker & Walker (2015), J. Stat. Softw. 67(1); equation numbers are theirs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from merextras.engine.elimination import columns
from merextras.engine.elimination.columns import Reduced
from merextras.engine.elimination.conditional_variances import (
    Selected,
    projected_blocks,
    selected_inverse,
)
from merextras.engine.elimination.factor import Factor, factorise
from merextras.engine.elimination.plan import System
from merextras.engine.kernels import dense
from merextras.engine.kernels.blocks import Array
from merextras.engine.products.crossprod import CrossProducts
from merextras.engine.products.effects import EffectBasis
from merextras.engine.solution.profiled import Profiled


@dataclass(frozen=True)
class Solution(Profiled):
    """The profiled estimates at one theta.

    The factor, and what is made of it, has the effects of each term in the coordinates of the
    cross-products (see `products.effects`); `lams`, `b`, `u`, `conditional` and `between` are of
    the effects as the user counts them.

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
        known: Selected | None = vars(self).get("selected_at_rows")
        return selected_inverse(self.factor) if known is None else known

    @cached_property
    def selected_at_rows(self) -> Selected:
        """The same with the entries between all effects that share a row."""
        return selected_inverse(self.factor, to_tail=True)

    @cached_property
    def lead_blocks(self) -> dict[int, Array]:
        """Diagonal blocks of Z'V^-1 Z of the leading terms, (J, k, k)."""
        leads = self.factor.leads
        schur_carry = {} if all(lead.is_last for lead in leads) else self.selected.schur_carry
        return {lead.term: projected_blocks(lead, schur_carry.get(lead.term)) for lead in leads}

    @cached_property
    def beta(self) -> Array:
        """Fixed effects, (p,)."""
        return self.factor.system.cp.basis.coefficients(self._beta)

    @cached_property
    def lams(self) -> tuple[Array, ...]:
        """Lambda of each term's effects as the user counts them, (k, k) lower triangular."""
        pairs = zip(self._effects, self.factor.lams, strict=True)
        return tuple(own.to_user(lam) for own, lam in pairs)

    @cached_property
    def b(self) -> tuple[Array, ...]:
        """Conditional modes of the random effects, a (J, k) array per term."""
        pairs = zip(self._effects, self.modes_map, strict=True)
        return tuple(own.modes(part @ self.contrast) for own, part in pairs)

    @cached_property
    def u(self) -> tuple[Array, ...]:
        """Spherical random effects: b = Lambda u, a (J, k) array per term."""
        each = zip(self._effects, self.scores, self.factor.lams, strict=True)
        return tuple(h @ lam @ own.turn(lam).T for own, h, lam in each)

    def conditional(self, t: int) -> Array:
        """Covariances of a term's effects by level, given beta, over sigma**2: (J, k, k)."""
        return self._effects[t].covariance(self.selected.own[t])

    def between(self, s: int, t: int) -> Array:
        """The same between two terms on the same grouping factor, (J, k_s, k_t)."""
        found = self.selected.between(self.factor, s, t)
        return self._effects[s].between(found, self._effects[t])

    @property
    def _effects(self) -> tuple[EffectBasis, ...]:
        return self.cp.basis.effects

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

    def whitening(self) -> Array:
        """Matrix H, (p, p), with ``H V H' = 1`` for V the covariance of beta, sigma**2 included."""
        half = dense.divided(self.cp.basis.transform, np.eye(self.p))
        return np.asarray(self.fixed_low.T @ half / np.sqrt(self.sigma2))

    def basis_covariance(self) -> Array:
        """The same of X in the basis of the cross-products, (p, p); see `fixed_covariance`."""
        return dense.solve(self.fixed_low, np.eye(self.p))

    def fixed_covariance(self) -> Array:
        """(X'V^-1 X)^-1, (p, p): the covariance of beta over sigma**2."""
        half = dense.solve_lower(self.fixed_low, self.factor.system.cp.basis.transform.T)
        return half.T @ half


def solve(system: System, lams: Sequence[Array], *, reml: bool) -> Solution:
    """Eliminate the random effects and return the profiled estimates at Lambda."""
    return Solution(factorise(system, lams), reml)
