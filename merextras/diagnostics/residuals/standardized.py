"""Internally studentised residuals, which the residual checks use."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from merextras.engine.posterior.leverage import hat_values
from merextras.foundation.aliases import Array, IntArray
from merextras.model.state.fitted import FittedModel

#: A row whose leverage is this close to one has no residual.
_ALL = 1e-10


@dataclass(frozen=True, eq=False)
class Standardized:
    """The rows that are observations, in the user's order.

    Attributes
    ----------
    rows : (r,) integer array
        Their positions in the design.
    fitted : (r,) array
        Conditional means.
    leverage : (r,) array
        Diagonal of the hat matrix H, fitted = H y.
    values : (r,) array
        ``sqrt(w) (y - mu) / (sigma sqrt(1 - h))``: under the model their variance is one, as that
        of the residuals is sigma**2 (I - H). NaN where the leverage is one.
    """

    rows: IntArray
    fitted: Array
    leverage: Array
    values: Array

    @classmethod
    def of(cls, model: FittedModel) -> Standardized:
        """Compute them; the cost is that of the leverages."""
        design, solution = model.design, model.solution
        rows = np.arange(design.n)[design.observed]
        terms = [term.rows for term in design.terms]
        leverage = hat_values(solution, design.x, terms, design.precision)[rows]
        left = 1.0 - leverage
        left = np.where(left > _ALL, left, np.nan)
        residuals = (design.y - model.mu)[rows]
        if design.precision is not None:
            residuals = residuals * np.sqrt(design.precision[rows])
        with np.errstate(invalid="ignore", divide="ignore"):
            values = residuals / np.sqrt(solution.sigma2 * left)
        return cls(rows, model.mu[rows], leverage, values)
