"""Data that come in chunks, and models of them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from tolerances import CHUNKS_DEVIANCE, CHUNKS_ESTIMATES

#: Formula and arguments, from a random intercept to crossed factors, weights and transforms.
MODELS = {
    "intercept": ("y ~ x + (1 | g)", {}),
    "slope": ("y ~ x + (1 + x | g)", {}),
    "independent": ("y ~ x + (1 + I(x - 50) || g)", {}),
    "nested": ("y ~ c + (1 | h/k)", {}),
    "crossed": ("y ~ x * c + b + (1 | g) + (1 | h)", {}),
    "weights": ("y ~ c + (1 | g)", {"weights": "w"}),
    "frequencies": ("y ~ x + t + (1 | g)", {"freq_weights": "f", "reml": False}),
    "code": ("np.log(y) ~ np.log(x) + C(c, Sum) + offset(x / 1000) + (1 | h)", {}),
    "transforms": ("y ~ center(x) + bs(t, df=4) + (1 | g)", {}),
    "nested transforms": ("y ~ standardize(center(x)) + (1 | g)", {}),
    "contrasts": ("y ~ C(f) + c + (1 | g)", {"contrasts": {"c": "Sum"}}),
    "offset": ("y ~ x + (1 | g)", {"offset": "w"}),
    "R's functions": ("y ~ log(x) + poly(t, 2) + scale(x) + (1 | g)", {}),
    "raw polynomial": ("y ~ poly(x / 50, 2, raw=True) + (1 | g)", {}),
    "factor effects": ("y ~ x + (0 + b | h)", {}),
}


def table(n: int = 1500) -> pd.DataFrame:
    """Rows with missing values; the last category and the last level come late."""
    rng = np.random.default_rng(5)
    g = rng.integers(0, 60, n)
    h, k = rng.integers(0, 8, n), rng.integers(0, 4, n)
    data = pd.DataFrame(
        {
            "g": 3 * g + 7,
            "h": np.array(list("hgfedcba"))[h],
            "k": np.array(["k1", "k2", "k3", "k10"])[k],
            "x": rng.normal(50.0, 3.0, n),
            "c": rng.choice(["u", "v", "w"], n),
            "b": rng.random(n) < 0.4,
            "w": rng.uniform(0.5, 2.0, n),
            "f": rng.integers(0, 4, n),
            "t": np.arange(n) + 1e5,
        }
    )
    y = 1e3 + 0.3 * data["x"] + (data["c"] == "v") + rng.normal(0.0, 1.0, n)
    y += rng.normal(0.0, 1.0, 60)[g] + rng.normal(0.0, 1.0, (8, 4))[h, k]
    y += 0.5 * rng.normal(0.0, 1.0, 60)[g] * (data["x"] - 50.0) + np.arange(8)[h] * (
        1.0 + data["b"]
    )
    data["y"] = y
    data.loc[data.index[::97], "x"] = np.nan
    data.loc[data.index[:-30], "c"] = data["c"][:-30].replace({"w": "u"})
    data.loc[data.index[-1], "g"] = 9999
    data.loc[data.index[-2], "g"] = 9999
    return data


def assert_same(found, expected):
    """The same deviance, estimates, names and levels."""
    assert found.solution.deviance() == pytest.approx(
        expected.solution.deviance(), rel=CHUNKS_DEVIANCE
    )
    assert list(found.fixef().index) == list(expected.fixef().index)
    apart = (found.fixef() - expected.fixef()) / np.sqrt(np.diag(expected.vcov()))
    assert np.max(np.abs(apart)) < CHUNKS_ESTIMATES
    np.testing.assert_allclose(found.theta, expected.theta, rtol=1e-7, atol=1e-8)
    np.testing.assert_allclose(found.vcov(), expected.vcov(), rtol=1e-7)
    for mine, theirs in zip(found.design.terms, expected.design.terms, strict=True):
        assert (mine.factor, mine.names) == (theirs.factor, theirs.names)
        assert list(mine.levels) == list(theirs.levels)
    for mine, theirs in zip(found.solution.b, expected.solution.b, strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-7)
    assert (found.nobs(), found.n_dropped) == (expected.nobs(), expected.n_dropped)
    assert found.design.constant == expected.design.constant
    assert found.design.n == expected.design.n
