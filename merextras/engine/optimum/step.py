"""Newton steps that are safe far from an optimum, for one model or many."""

from __future__ import annotations

import numpy as np

from merextras.engine.kernels.blocks import Array

# The least eigenvalue of a scaled Hessian that is divided by, relative to its largest.
_FLAT = 1e-6


def positive_root(hessian: Array) -> Array:
    """V with ``V V'`` the inverse of a Hessian made positive definite; (m, n, n).

    By the size of its eigenvalues, in coordinates scaled by its diagonal first: a slope in
    milliseconds is as good as one in days.
    """
    size = np.sqrt(np.abs(np.diagonal(hessian, axis1=1, axis2=2)))
    size = np.where(size == 0.0, 1.0, size)
    values, vectors = np.linalg.eigh(hessian / (size[:, :, None] * size[:, None, :]))
    values = np.abs(values)
    floor = _FLAT * np.maximum(values.max(axis=1, initial=0.0), 1e-300)
    values = np.maximum(values, floor[:, None])
    return np.asarray(vectors / np.sqrt(values)[:, None, :] / size[:, :, None])


def newton_steps(gradient: Array, hessian: Array) -> tuple[Array, Array]:
    """``-H^-1 g`` and ``g'H^-1 g`` of each model, (m, n) and (m,), with `positive_root`."""
    root = positive_root(hessian)
    rotated = gradient[:, None] @ root
    steps = root @ rotated.transpose(0, 2, 1)
    return -steps[:, :, 0], np.asarray((rotated[:, 0] ** 2).sum(axis=1))
