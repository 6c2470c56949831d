"""Generalised models of rows that are read for each step, beside those of the rows in memory."""

from __future__ import annotations

import numpy as np
import pandas as pd
from tolerances import STREAMED_DEVIANCE, STREAMED_ESTIMATES

#: Formula, family and arguments: families, forms of a response, and layouts of terms.
MODELS = {
    "yes or no": ("yes ~ x + c + (1 | g)", "binomial", {}),
    "true or false": ("truth ~ x + (1 | g)", "binomial", {}),
    "labels": ("word ~ x + (1 | g)", "binomial", {}),
    "categories": ("ordered ~ x + (1 | g)", "binomial", {}),
    "cbind": ("cbind(s, m - s) ~ x * c + (1 + x | g)", "binomial(probit)", {}),
    "proportions": ("share ~ x + (1 | g) + (1 | h)", "binomial(cloglog)", {"weights": "m"}),
    "crossed": ("count ~ x + c + (1 | g) + (1 | h)", "poisson", {"offset": "t"}),
    "nested": ("count ~ c + offset(np.log(time)) + (1 | g / h)", "poisson", {}),
    "crossed slopes": ("count ~ x + (1 + x | g) + (0 + b | h)", "poisson", {}),
    "transforms": ("count ~ scale(x) + poly(t, 2) + (1 | g)", "poisson", {}),
    "contrasts": ("count ~ c + (x || g)", "poisson", {"contrasts": {"c": "Sum"}}),
    "spread": ("spread ~ x + (1 | g)", "negative_binomial", {}),
    "known size": ("spread ~ x + (1 | g) + (1 | h)", "negative_binomial", {"dispersion": 2.0}),
    "gamma": ("size ~ x + c + (1 | g)", "gamma", {}),
    "gamma, inverse": ("size ~ c + (1 | g)", "gamma(inverse)", {}),
    "inverse Gaussian": ("wait ~ x + (1 | g)", "inverse_gaussian", {}),
    "normal, log": ("level ~ x + (1 | g)", "gaussian(log)", {}),
    "code on the left": ("np.log(size) ~ x + (1 | g)", "gaussian", {}),
    "effects with structure": ("count ~ x + cs(0 + c | g)", "poisson", {}),
    "rank deficient": ("count ~ x + I(2 * x) + (1 | g)", "poisson", {}),
}


def table(n: int = 900, seed: int = 8) -> pd.DataFrame:
    """Rows with missing values and text ids; a category and a level come last."""
    rng = np.random.default_rng(seed)
    g, h, x = rng.integers(0, 25, n), rng.integers(0, 6, n), rng.normal(size=n)
    c, b = rng.choice(["u", "v", "w"], n, p=[0.5, 0.4, 0.1]), rng.random(n) < 0.4
    eta = 0.2 + 0.4 * x + 0.5 * rng.normal(size=25)[g] + 0.3 * rng.normal(size=6)[h]
    eta = eta + 0.3 * rng.normal(size=25)[g] * x + 0.4 * (c == "v")
    mu, m, time = np.exp(eta), rng.integers(1, 9, n), rng.uniform(0.5, 2.0, n)
    yes = rng.random(n) < mu / (1.0 + mu)
    s = rng.binomial(m, mu / (1.0 + mu))
    word = np.where(yes, "no trouble", "a lot")
    data = pd.DataFrame(
        {
            "yes": yes.astype(int), "truth": yes, "word": word,
            "ordered": pd.Categorical(word, ["no trouble", "a lot"]),
            "s": s, "m": m, "share": s / m, "count": rng.poisson(mu * time),
            "spread": rng.negative_binomial(2.0, 2.0 / (2.0 + mu)),
            "size": rng.gamma(4.0, mu / 4.0), "wait": rng.wald(mu, 3.0),
            "level": mu + 0.3 * rng.normal(size=n), "x": x, "c": c, "b": b,
            "t": np.log(time), "time": time,
            "g": np.array([f"id {k}" for k in range(25)])[g], "h": h,
        }
    )  # fmt: skip
    data["c"] = np.where((data["c"] == "w") & (data.index < n // 2), "u", data["c"])
    late = data["g"] == "id 7"
    data.loc[late & (data.index < n // 2), "g"] = "id 8"
    data.loc[data.index[::90], "x"] = np.nan
    data.loc[data.index[5::211], "h"] = 2
    return data


def pieces(data: pd.DataFrame, rng: np.random.Generator, count: int = 4) -> list[pd.DataFrame]:
    """The rows in several frames, one of them empty."""
    cuts = np.sort(rng.integers(0, len(data), count - 1)).tolist()
    ends = zip([0, *cuts], [*cuts, len(data)], strict=True)
    return [*(data.iloc[a:b] for a, b in ends), data.iloc[:0]]


def assert_same(found, expected):
    """The same deviance, estimates, standard errors, names and levels."""
    base = abs(expected.deviance())
    assert abs(found.deviance() - expected.deviance()) <= STREAMED_DEVIANCE * max(base, 1.0)
    assert list(found.fixef().index) == list(expected.fixef().index)
    se = np.sqrt(np.diag(expected.vcov()))
    assert np.max(np.abs(found.fixef() - expected.fixef()) / se) < STREAMED_ESTIMATES
    np.testing.assert_allclose(found.theta, expected.theta, atol=STREAMED_ESTIMATES)
    np.testing.assert_allclose(found.vcov(), expected.vcov(), rtol=1e-5, atol=1e-7 * np.max(se**2))
    for mine, theirs in zip(found.design.terms, expected.design.terms, strict=True):
        assert (mine.factor, mine.names) == (theirs.factor, theirs.names)
        assert list(mine.levels) == list(theirs.levels)
    for mine, theirs in zip(found.modes, expected.modes, strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-6)
    if expected.dispersion is not None:
        np.testing.assert_allclose(found.dispersion, expected.dispersion, rtol=1e-6)
    assert (found.nobs(), found.n_dropped) == (expected.nobs(), expected.n_dropped)
    assert found.optimum.converged == expected.optimum.converged
