"""The hat matrix, formed: what the checks of residuals are held against."""

from __future__ import annotations

import numpy as np
import pandas as pd


def hat(m):
    """The fitted values are this times the response, at the model's theta; (n, n)."""
    x, z = m.design.x, m.design.z().toarray() @ m.get_me("Lambda").toarray()
    w = np.ones(len(x)) if m.design.weights is None else m.design.weights
    a, p = np.hstack([x, z]), x.shape[1]
    penalty = np.diag(np.append(np.zeros(p), np.ones(z.shape[1])))
    return a @ np.linalg.solve(a.T @ (w[:, None] * a) + penalty, a.T * w)


def standardised(m):
    """Pearson residuals over sigma times the root of one less their leverage."""
    w = np.ones(m.design.n) if m.design.weights is None else m.design.weights
    residuals = (m.design.y - m.mu) * np.sqrt(w)
    return residuals / (m.sigma() * np.sqrt(1 - np.diag(hat(m))))


def spread_frame(power):
    """600 rows in 30 groups whose residual standard deviation is ``x ** power``."""
    rng = np.random.default_rng(4)
    group, x = np.repeat(np.arange(30), 20), rng.uniform(1, 9, 600)
    y = 3 * x + rng.normal(size=30)[group] + x**power * rng.normal(size=600)
    return pd.DataFrame({"y": y, "x": x, "g": group})
