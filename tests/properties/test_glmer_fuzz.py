"""`glmer` on random designs: an optimum, or a sentence of ours that says what is wrong.

Separation, rare events, tiny groups and huge counts are all among them.
"""

from __future__ import annotations

import os
import warnings

import numpy as np
import pandas as pd
import pytest

import merextras as mx
from merextras.exceptions import ConvergenceWarning, MerextrasError, MerextrasWarning

FAMILIES = (
    "binomial", "binomial(probit)", "binomial(cloglog)", "poisson", "negative_binomial", "gamma",
    "gamma(inverse)", "inverse_gaussian", "gaussian(log)", "gaussian(inverse)",
)  # fmt: skip
FORMULAS = (
    "{y} ~ x + (1 | g)", "{y} ~ x + c + (1 | g) + (1 | h)", "{y} ~ x + (1 + x | g)",
    "{y} ~ c + (x || g)", "{y} ~ 1 + (1 | g / h)",
)  # fmt: skip
#: Designs by default; a nightly run asks for 500.
N = int(os.environ.get("MEREXTRAS_GLMM_DESIGNS", "60"))


def _design(seed):
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


@pytest.mark.parametrize("seed", range(N))
def test_it_fits_or_says_why_not(seed):
    formula, data, family = _design(seed)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        try:
            m = mx.glmer(formula, data, family)
        except MerextrasError:
            return
    assert all(issubclass(w.category, MerextrasWarning) for w in said)
    doubtful = any(issubclass(w.category, ConvergenceWarning) for w in said)
    assert m.optimum.converged or doubtful
    if doubtful:
        return
    assert np.isfinite(m.summary().coefficients.to_numpy()).all()
    # No better model nearby: a maximum in every direction that is free.
    criterion, x = m.laplace.criterion, m.laplace.x
    rng, base = np.random.default_rng(seed), m.deviance()
    se = np.sqrt(np.maximum(np.diag(m.optimum.covariance()), 0.0))
    for _ in range(5):
        other = criterion.at(x + 0.3 * se * rng.normal(size=len(x)), m.laplace)
        assert other.deviance() >= base - 1e-7 * (1.0 + abs(base))
