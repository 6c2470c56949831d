"""Weighted least squares in each level of a factor."""

from __future__ import annotations

import numpy as np

from merextras.engine.kernels import blocks
from merextras.foundation.aliases import Array, IntArray

# Smallest eigenvalue of a level's cross-products, scaled to a unit diagonal.
_DEPENDENT = 1e-10


def solved(z: Array, w: Array, codes: IntArray, right: Array) -> Array:
    """``(Z_j'WZ_j)^-1 r_j`` by levels, (J, k); NaN where a level's rows do not determine it."""
    levels, k = right.shape
    gram = np.empty((levels, k, k))
    for a in range(k):
        gram[:, a] = blocks.sum_by(z * (w * z[:, a])[:, None], codes, levels)
    size = np.sqrt(np.einsum("jkk->jk", gram))
    size = np.where(size > 0.0, size, 1.0)
    scaled = gram / (size[:, :, None] * size[:, None, :])
    finite = np.isfinite(scaled).all(axis=(1, 2))
    known = finite.copy()
    known[finite] = np.linalg.eigvalsh(scaled[finite])[:, 0] > _DEPENDENT
    out = np.full((levels, k), np.nan)
    inner = np.linalg.solve(scaled[known], (right / size)[known][:, :, None])[:, :, 0]
    out[known] = inner / size[known]
    return out
