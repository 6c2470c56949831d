"""A starting theta by the method of moments, from the cross-products alone.

For a random coefficient with level sums ``c_j = z_j'Wz_j`` and ``s_j = z_j'W(y - X b0)``, b0 the
least-squares fit, ``E s_j**2`` is about ``sigma**2 c_j + tau**2 c_j**2``, hence

    tau**2 = sum_j (s_j**2 - sigma**2 c_j) / sum_j c_j**2.

Crossed and correlated effects claim the same variation twice and the degrees of freedom of b0 are
ignored: a start, not an estimate.
"""

from __future__ import annotations

import numpy as np

from merextras.engine import covpar
from merextras.engine.blocks import Array
from merextras.engine.crossprod import CrossProducts

# Bounds on the part of a row's standard deviation that a random effect may start with.
_LEAST, _MOST = 0.1, 10.0


def moments(cp: CrossProducts) -> Array:
    """Return theta with diagonal Lambdas; scale-free in y, X and Z. Cost O(levels)."""
    total = float(cp.xy[-1, -1]) / cp.n
    pairs = zip(cp.own, cp.to_xy, strict=True)
    found = [_variances(own, to_xy[:, :, -1], total) for own, to_xy in pairs]
    # What the terms explain of a row's variance on average, to leave the rest to sigma**2.
    share = [
        np.einsum("jaa,a->", own, tau2) / cp.n / max(total, np.finfo(float).tiny)
        for own, tau2 in zip(cp.own, found, strict=True)
    ]
    sigma2 = total * max(1.0 - float(np.sum(share)), 0.05)
    lams = []
    for own, tau2 in zip(cp.own, found, strict=True):
        size = np.sqrt(np.einsum("jaa->a", own) / cp.n)
        size[size == 0.0] = 1.0
        relative = np.sqrt(tau2 / sigma2) if sigma2 > 0 else np.ones_like(tau2)
        lams.append(np.diag(np.clip(relative, _LEAST / size, _MOST / size)))
    return covpar.pack(lams)


def _variances(own: Array, score: Array, total: float) -> Array:
    c = np.einsum("jaa->ja", own)
    square = np.sum(c**2, axis=0)
    excess = np.sum(score**2 - total * c, axis=0)
    return np.asarray(np.maximum(excess, 0.0) / np.where(square > 0, square, 1.0))
