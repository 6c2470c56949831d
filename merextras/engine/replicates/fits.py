"""The optima of a model's fits to many responses."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from merextras.engine.kernels.blocks import Array

BoolArray = NDArray[np.bool_]


@dataclass(frozen=True)
class ManyFits:
    """The optimum of each replicate.

    Attributes
    ----------
    theta : (m, n_theta) array
    deviance : (m,) array
        By the criterion that was minimised; NaN or minus infinity where there is none.
    beta : (m, p) array
        Fixed effects of the X that was given.
    sigma2 : (m,) array
    converged, singular : (m,) boolean arrays
    """

    theta: Array
    deviance: Array
    beta: Array
    sigma2: Array
    converged: BoolArray
    singular: BoolArray

    def __len__(self) -> int:
        return len(self.deviance)
