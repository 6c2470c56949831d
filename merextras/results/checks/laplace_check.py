"""Laplace's approximation beside adaptive quadrature."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from merextras.results.base import Parts, TextResult


@dataclass(frozen=True, repr=False)
class LaplaceCheck(TextResult):
    """Laplace's approximation beside adaptive quadrature.

    Attributes
    ----------
    n_agq : int
        Nodes of the quadrature in each effect.
    log_lik : float
        By Laplace's approximation at its optimum.
    log_lik_at_estimate, log_lik_exact : float
        By quadrature at the same estimate, and at its own optimum.
    names : tuple of str
        Fixed effects.
    estimates, exact_estimates : tuples of float
        By Laplace's approximation and by quadrature.
    shifts : tuple of float
        Their differences in standard errors (of quadrature's).
    """

    n_agq: int
    log_lik: float
    log_lik_at_estimate: float
    log_lik_exact: float
    names: tuple[str, ...]
    estimates: tuple[float, ...]
    exact_estimates: tuple[float, ...]
    shifts: tuple[float, ...]

    @property
    def error(self) -> float:
        """What Laplace's approximation of the log-likelihood lacks at its own estimate."""
        return self.log_lik_at_estimate - self.log_lik

    @property
    def largest_shift(self) -> float:
        """The largest difference of a fixed effect, in standard errors."""
        return float(np.max(np.abs(self.shifts), initial=0.0))

    def to_frame(self) -> pd.DataFrame:
        """By fixed effect: ``laplace quadrature shift``."""
        columns = {
            "laplace": self.estimates,
            "quadrature": self.exact_estimates,
            "shift": self.shifts,
        }
        return pd.DataFrame(columns, index=list(self.names))

    def to_text(self) -> str:
        """Both log-likelihoods and the estimates."""
        return f"{self._head()}\n{self.to_frame().to_string(float_format='%.4f')}"

    def _parts(self) -> Parts:
        return [self._head(), self.to_frame()]

    def _head(self) -> str:
        return (
            f"Log-likelihood: {self.log_lik:.4f} by Laplace's approximation, "
            f"{self.log_lik_at_estimate:.4f} by {self.n_agq} nodes there and "
            f"{self.log_lik_exact:.4f} at their own optimum"
        )
