"""Small unbalanced designs, drawn at random: where a deviance has several minima."""

from __future__ import annotations

import numpy as np
import pandas as pd

FIXED = ["1", "x1", "x2", "x1 + x2", "x1 + x3 + f", "x1 + x2 + x3"]
RANDOM = [
    "(1 | g)", "(x1 | g)", "(x1 || g)", "(0 + x1 | g)", "(0 + f | g)", "(1 | g) + (1 | h)",
    "(x1 || g) + (1 | h)", "(x1 | g) + (1 | h)", "(x1 || g) + (x1 | h)",
    "(1 | g) + (0 + x2 | h)", "(x1 + x2 || g)", "(x1 + x2 | g)",
]  # fmt: skip


def small_design(seed):
    """(formula, frame, reml) of 6 to 80 rows."""
    rng = np.random.default_rng([7, seed])
    n = int(np.exp(rng.uniform(np.log(6), np.log(80))))
    n_g = int(rng.integers(2, max(3, min(20, n // 2)) + 1))
    n_h = int(rng.integers(2, max(3, min(12, n // 2)) + 1))
    frame = pd.DataFrame({"g": _codes(rng, n, n_g), "h": _codes(rng, n, n_h)})
    for name in ("x1", "x2", "x3"):
        frame[name] = _covariate(rng, frame["g"].to_numpy(), n_g)
    frame["f"] = np.array(list("abc"))[rng.integers(rng.integers(2, 4), size=n)]
    sd = rng.choice([0.0, 0.1, 0.5, 1.0, 3.0], size=4)
    y = rng.normal(size=n) + frame["x1"] * rng.normal()
    y = y + sd[0] * rng.normal(size=n_g)[frame["g"]]
    y = y + sd[1] * rng.normal(size=n_g)[frame["g"]] * frame["x1"]
    y = y + sd[2] * rng.normal(size=n_h)[frame["h"]]
    y = y + sd[3] * rng.normal(size=n_h)[frame["h"]] * frame["x2"]
    frame["y"] = rng.standard_t(2, size=n) if rng.random() < 0.3 else y
    formula = f"y ~ {FIXED[rng.integers(len(FIXED))]} + {RANDOM[rng.integers(len(RANDOM))]}"
    return formula, frame, bool(rng.integers(2))


def _codes(rng, n, levels):
    """Levels of n rows: at random, most in the first, ever fewer, or in turn."""
    kind = rng.integers(4)
    if kind == 0:
        return rng.integers(levels, size=n)
    if kind == 1:
        codes = rng.integers(levels, size=n)
        codes[rng.random(n) < 0.7] = 0
        return codes
    if kind == 2:
        return np.minimum(rng.geometric(0.4, size=n) - 1, levels - 1)
    return np.arange(n) % levels


def _covariate(rng, g, n_g):
    """Standard, wide and off zero, with long tails, or varying between groups."""
    kind, n = rng.integers(4), len(g)
    x = rng.normal(size=n)
    if kind == 1:
        return x * 20 + 5
    if kind == 2:
        return rng.standard_t(2, size=n)
    return x + 3 * rng.normal(size=n_g)[g] if kind == 3 else x
