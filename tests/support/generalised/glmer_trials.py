"""Data of generalised models: cows of herds, single trials in two crossed factors."""

from __future__ import annotations

import numpy as np
import pandas as pd

CBPP = "cbind(incidence, size - incidence) ~ C(period) + (1 | herd)"


def single(n=400, seed=3):
    """One trial a row, in 20 groups of a factor and 6 of another."""
    rng = np.random.default_rng(seed)
    g, h, x = rng.integers(0, 20, n), rng.integers(0, 6, n), rng.normal(size=n)
    eta = -0.3 + (0.8 + rng.normal(size=20)[g]) * x + rng.normal(size=20)[g]
    eta = eta + 0.7 * rng.normal(size=6)[h]
    y = (rng.random(n) < 1.0 / (1.0 + np.exp(-eta))).astype(int)
    return pd.DataFrame({"y": y, "x": x, "g": g, "h": h})
