"""The normal distribution of all effects around a generalised model's estimate and modes.

Given the fixed effects beta the random effects are normal at their mode, with the covariance of the
working linear model; beta is normal with a covariance of its own, that of the observed information
of all parameters instead of the working model's X'V^-1 X. What the verbs ask of a linear model's
solution is then the same of a generalised model.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from merextras.engine.kernels.blocks import Array
from merextras.engine.solution.pls import Solution


@dataclass(frozen=True)
class AtMode(Solution):
    """The working model at the mode, with other estimates and another precision of beta.

    Attributes
    ----------
    factor, reml
        Of the working model, whose sigma is one and known.
    precision_low : (p, p) array
        Lower factor of the precision of beta in the basis; NaN where there is none.
    estimate : (p,) array
        The fixed effects as the user counts them.
    at_mode : tuple of (J, k) arrays
        The random effects' modes as the user counts them.
    """

    precision_low: Array
    estimate: Array
    at_mode: tuple[Array, ...]

    def __getstate__(self) -> dict[str, Any]:
        names = ("factor", "reml", "precision_low", "estimate", "at_mode")
        return {name: getattr(self, name) for name in names}

    @cached_property
    def fixed_low(self) -> Array:
        """Lower factor of the precision of beta in the basis, (p, p)."""
        return self.precision_low

    @cached_property
    def beta(self) -> Array:
        """Fixed effects, (p,)."""
        return self.estimate

    @cached_property
    def b(self) -> tuple[Array, ...]:
        """Conditional modes of the random effects, a (J, k) array per term."""
        return self.at_mode
