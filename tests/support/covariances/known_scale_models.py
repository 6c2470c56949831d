"""Models with a given residual standard deviation, and their likelihood through V, n x n."""

from __future__ import annotations

import functools
import json
from pathlib import Path

import numpy as np
import pandas as pd

import merextras as mx

EXPECTED = json.loads(
    (Path(__file__).parents[2] / "reference" / "known_scale" / "expected.json").read_text()
)


@functools.cache
def bcg():
    """The thirteen trials of the BCG vaccine: log risk ratios, their variances, latitudes."""
    return pd.DataFrame(EXPECTED["bcg"]).assign(w=lambda d: 1.0 / d["v"])


def meta(formula="y ~ 1 + (1 | study)", *, reml=True):
    return mx.lmer(formula, bcg(), weights="w", sigma=1, reml=reml)


@functools.cache
def two_factors(seed=3):
    """Crossed factors, a slope, weights: 150 rows."""
    rng = np.random.default_rng(seed)
    g, h = np.repeat(np.arange(15), 10), rng.integers(0, 6, 150)
    x, w = rng.normal(size=150), rng.uniform(0.5, 3.0, 150)
    effects = rng.normal(size=(15, 2)) @ np.array([[1.2, 0.3], [0.0, 0.7]])
    y = 2.0 + 0.5 * x + effects[g, 0] + effects[g, 1] * x + rng.normal(size=6)[h]
    y += 1.3 * rng.normal(size=150) / np.sqrt(w)
    return pd.DataFrame({"y": y, "x": x, "g": g, "h": h, "w": w})


def crossed(*, reml=True, sigma=1.3, formula="y ~ x + (1 + x | g) + (1 | h)"):
    return mx.lmer(formula, two_factors(), weights="w", sigma=sigma, reml=reml)


def covariance_of(m, gs):
    """V of a model with these covariances of its terms, (n, n), the residuals' from its sigma."""
    design = m.design
    w = np.ones(design.n) if design.weights is None else design.weights
    out = np.diag(m.design.options.sigma**2 / w)
    for term, g in zip(design.terms, gs, strict=True):
        z = term.rows.sparse().toarray()
        out += z @ np.kron(np.eye(len(term.levels)), g) @ z.T
    return out


def dense(m, gs, *, reml):
    """(deviance, beta, covariance of beta) from the marginal distribution N(X beta, V)."""
    x, y = m.design.x, m.design.y
    v = covariance_of(m, gs)
    inverse = np.linalg.inv(v)
    information = x.T @ inverse @ x
    beta = np.linalg.solve(information, x.T @ inverse @ y)
    rest = y - x @ beta
    df = len(y) - x.shape[1] if reml else len(y)
    deviance = np.linalg.slogdet(v)[1] + rest @ inverse @ rest + df * np.log(2.0 * np.pi)
    if reml:
        deviance += np.linalg.slogdet(information)[1]
    return deviance, beta, np.linalg.inv(information)


def given(m, theta):
    """The covariances of the terms at a theta of the user's effects."""
    return [m.sigma() ** 2 * lam @ lam.T for lam in m.design.covariances.factors(np.array(theta))]
