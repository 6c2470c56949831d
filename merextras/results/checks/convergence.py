"""The result of the convergence check, with advice where it fails."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from merextras.foundation.aliases import Array
from merextras.foundation.frozen import FrozenArrays
from merextras.results.base import TextResult

__all__ = ["ConvergenceCheck"]


@dataclass(frozen=True, eq=False, repr=False)
class ConvergenceCheck(FrozenArrays, TextResult):
    """What `check_convergence` returns.

    Attributes
    ----------
    names : tuple of str
        Elements of theta.
    theta, gradient, scaled_gradient : (n_theta,) arrays
        The estimate, the derivative of the criterion, and the same times the inverse root of the
        Hessian: how far off the estimate is, in standard errors (times the square root of two).
    eigenvalues : array
        Of the Hessian over the elements that are not at their bound, theta in units of the
        residual standard deviation; NaN, which is no minimum, where the criterion has lost its
        digits.
    still_to_gain : float
        How much the criterion could still fall, by its quadratic approximation.
    at_bound : tuple of str
        Elements at their bound, zero.
    pushes_inside : bool
        Whether the criterion would fall if a variance left its bound.
    singular : bool
    advice : tuple of str
        What to do; empty for an optimum inside.
    confounded : tuple of str
        Variances that the data can't tell apart, so that their estimates are one of many.
    unbounded : bool
        Whether the likelihood has no maximum: the residual variance goes to zero.

    Examples
    --------
    >>> import numpy as np
    >>> from merextras.results.checks.convergence import ConvergenceCheck
    >>> check = ConvergenceCheck(
    ...     ("school.Intercept",), np.ones(1), np.zeros(1), np.zeros(1), np.ones(1), 0.0, (), False,
    ...     False, ())
    >>> check.converged
    True
    """

    names: tuple[str, ...]
    theta: Array
    gradient: Array
    scaled_gradient: Array
    eigenvalues: Array
    still_to_gain: float
    at_bound: tuple[str, ...]
    pushes_inside: bool
    singular: bool
    advice: tuple[str, ...]
    confounded: tuple[str, ...] = ()
    unbounded: bool = False

    #: lme4's limit of the scaled gradient; a smallest eigenvalue below this share of the largest.
    LIMIT = 2e-3
    FLAT = 1e-8

    _arrays = ("theta", "gradient", "scaled_gradient", "eigenvalues")

    @property
    def max_gradient(self) -> float:
        """The largest scaled derivative, at least 0."""
        return float(np.max(np.abs(self.scaled_gradient), initial=0.0))

    @property
    def is_minimum(self) -> bool:
        """Whether the Hessian is positive definite: no direction is flat or goes down."""
        if len(self.eigenvalues) == 0:
            return True
        return bool(self.eigenvalues[0] > self.FLAT * max(float(self.eigenvalues[-1]), 0.0))

    @property
    def converged(self) -> bool:
        """Whether all hold: no gradient, a minimum, and the only one, nothing to gain inside."""
        there = self.max_gradient <= self.LIMIT and self.is_minimum
        return there and not (self.pushes_inside or self.confounded or self.unbounded)

    def to_frame(self) -> pd.DataFrame:
        """A row per element of theta: ``term theta gradient scaled_gradient at_bound``."""
        columns = {
            "term": list(self.names),
            "theta": np.array(self.theta),
            "gradient": np.array(self.gradient),
            "scaled_gradient": np.array(self.scaled_gradient),
            "at_bound": [name in self.at_bound for name in self.names],
        }
        return pd.DataFrame(columns)

    def to_text(self) -> str:
        """Write the verdict, the numbers behind it, and the advice."""
        lines = [
            "converged" if self.converged else "not converged",
            f"largest scaled gradient: {self.max_gradient:.1e} (limit {self.LIMIT:g}); the "
            f"criterion could still fall by {self.still_to_gain:.1e}",
        ]
        if len(self.eigenvalues):
            low, high = self.eigenvalues[0], self.eigenvalues[-1]
            lines.append(f"eigenvalues of the Hessian: {low:.3g} to {high:.3g}")
        if self.at_bound:
            lines.append(f"at the bound: {', '.join(self.at_bound)}")
        lines.append("singular" if self.singular else "not singular")
        lines += self.confounded
        if self.unbounded:
            lines.append("the likelihood has no maximum: the residual variance goes to zero")
        return "\n".join([*lines, *(f"- {text}" for text in self.advice)])
