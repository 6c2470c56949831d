"""Type aliases used across the package."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
IntArray = NDArray[np.intp]
BoolArray = NDArray[np.bool_]
Rng = int | np.random.Generator | np.random.SeedSequence | None
