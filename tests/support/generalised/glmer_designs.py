"""Random generalised models: separation, rare events, tiny groups, huge counts; all families."""

from __future__ import annotations

import numpy as np
import pandas as pd

FAMILIES = (
    "binomial", "binomial(probit)", "binomial(cloglog)", "poisson", "negative_binomial", "gamma",
    "gamma(inverse)", "inverse_gaussian", "gaussian(log)", "gaussian(inverse)",
)  # fmt: skip
FORMULAS = (
    "{y} ~ x + (1 | g)", "{y} ~ x + c + (1 | g) + (1 | h)", "{y} ~ x + (1 + x | g)",
    "{y} ~ c + (x || g)", "{y} ~ 1 + (1 | g / h)",
)  # fmt: skip


def design(seed):
    """A formula, rows and a family."""
    rng, family = np.random.default_rng(seed), FAMILIES[seed % len(FAMILIES)]
    n = int(rng.choice([12, 30, 60, 150, 400]))
    levels = int(min(rng.choice([3, 8, 20, 60]), n // 2))
    g, h = rng.integers(0, levels, n), rng.integers(0, int(rng.choice([2, 5, 9])), n)
    x = rng.normal(size=n) * 10 ** rng.uniform(-2, 2)
    eta = rng.choice([-4, -1, 0, 1, 3]) + rng.normal() * x / np.std(x)
    eta = eta + rng.choice([0, 0.3, 1, 3]) * rng.normal(size=levels)[g]
    if "inverse)" in family:
        eta = np.abs(eta) + 0.3
    data, name = {"x": x, "c": rng.choice(list("abc"), n), "g": g, "h": h}, "y"
    if family.startswith("binomial"):
        m = int(rng.choice([1, 1, 5, 1000]))
        s = rng.binomial(m, 1.0 / (1.0 + np.exp(-eta)))
        data, name = {**data, "s": s, "f": m - s}, "cbind(s, f)"
    elif family in {"poisson", "negative_binomial"}:
        mean = rng.choice([0.01, 1, 1, 1e4]) * np.exp(np.clip(eta, -20, 8))
        data["y"] = rng.poisson(np.minimum(mean * rng.gamma(2.0, 0.5, n), 1e9))
    else:
        mean = 1.0 / eta if "inverse)" in family else np.exp(np.clip(eta, -8, 8))
        noise = rng.normal(0.0, 0.2 * np.mean(mean), n)
        positive = not family.startswith("gaussian")
        data["y"] = mean * rng.gamma(5.0, 0.2, n) + 1e-8 if positive else mean + noise
    formula = str(rng.choice(FORMULAS)).format(y=name)
    return formula, pd.DataFrame(data), family
