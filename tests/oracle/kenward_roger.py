"""Kenward and Roger's covariance by dense matrices, in any parameters of V."""

from __future__ import annotations

import numpy as np


def adjusted_covariance(v, first, second, x):
    """Of the fixed effects, (p, p).

    `first` are the derivatives of V in the parameters, (q, n, n), `second` the second ones, (q, q,
    n, n), of which what is in the span of the first does not count (Kenward & Roger 2009).
    """
    inverse = np.linalg.inv(v)
    plain = np.linalg.inv(x.T @ inverse @ x)
    p = inverse - inverse @ x @ plain @ x.T @ inverse
    moved = np.array([p @ each for each in first])
    gram = np.einsum("iab,jba->ij", moved, moved)
    w = 2.0 * np.linalg.inv(gram)
    inner = np.array([x.T @ inverse @ each @ inverse @ x for each in first])
    total = np.zeros_like(plain)
    for i, j in np.ndindex(w.shape):
        q = x.T @ inverse @ first[i] @ inverse @ first[j] @ inverse @ x
        along = np.array([np.sum((p @ second[i, j]) * each.T) for each in moved])
        tangent = np.einsum("e,ekl->kl", np.linalg.solve(gram, along), inner)
        r = x.T @ inverse @ second[i, j] @ inverse @ x - tangent
        total += w[i, j] * (q - inner[i] @ plain @ inner[j] - 0.25 * r)
    return plain + 2.0 * plain @ total @ plain
