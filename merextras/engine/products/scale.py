"""The residual variance: estimated with the rest, or given.

Where sigma**2 is not known the deviance is profiled over it (Bates et al. 2015, eq. 34 and 41).
Where it is known, as in a meta-analysis whose sampling variances are its weights, it is a number
of the criterion. All that differs between the two is here; arrays may lead with replicates.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from merextras.engine.kernels.blocks import Array

#: One model's number, or those of many.
N = TypeVar("N", float, Array)


@dataclass(frozen=True)
class Scale:
    """What is known of the residual variance.

    Attributes
    ----------
    given : float or None
        sigma**2 where it is known, None where it is estimated.
    """

    given: float | None = None

    @property
    def is_known(self) -> bool:
        """Whether it is given."""
        return self.given is not None

    def sigma2(self, pwrss: N, df: N | float) -> N:
        """sigma**2: given, or ``r**2 / df``."""
        if self.given is not None:
            return 0.0 * pwrss + self.given
        return pwrss / df

    def fit(self, pwrss: N, df: N | float) -> N:
        """What the residuals add to the deviance, 2 pi and sigma**2 included."""
        if self.given is not None:
            return df * float(np.log(2.0 * np.pi * self.given)) + pwrss / self.given
        out: N = df * (1.0 + np.log(2.0 * np.pi * np.maximum(pwrss, 0.0) / df))
        return out

    def weight(self, pwrss: Array, df: Array | float) -> Array:
        """The derivative of `fit` in r**2."""
        numerator, denominator = self.ratio(pwrss, df)
        return np.asarray(np.broadcast_to(numerator / denominator, np.shape(pwrss)))

    def ratio(self, pwrss: N, df: N | float) -> tuple[N | float, N | float]:
        """Numerator and denominator of that."""
        return (df, pwrss) if self.given is None else (1.0, self.given)

    def information(
        self, quadratic: Array, slopes: Array, pwrss: float | Array, df: float | Array
    ) -> Array:
        """The average information in theta, (..., n_theta, n_theta).

        Parameters
        ----------
        quadratic : (..., n_theta, n_theta) array
            ``y'P V_i P V_j P y``.
        slopes : (..., n_theta) array
            ``y'P V_i P y``.
        pwrss, df : numbers or (...) arrays
        """
        if self.given is not None:
            return np.asarray(quadratic / self.given)
        if np.ndim(pwrss):
            pwrss, df = np.asarray(pwrss)[..., None, None], np.asarray(df)[..., None, None]
        scaled = slopes[..., None] / pwrss
        spread = scaled * scaled.swapaxes(-1, -2)
        return np.asarray(df * (quadratic / pwrss - spread))


#: Of a model whose residual variance is estimated.
ESTIMATED = Scale()
