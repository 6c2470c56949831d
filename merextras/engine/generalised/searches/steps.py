"""Newton's step and BFGS updates of a Hessian in parameters of different units."""

from __future__ import annotations

import numpy as np

from merextras.engine.kernels.blocks import Array, BoolArray, eigh

# The least part of the largest eigenvalue that a step believes.
_FLAT = 1e-4


def newton_step(hessian: Array, gradient: Array, free: BoolArray) -> tuple[Array, float]:
    """``-H^-1 g`` by the sizes of the eigenvalues of the scaled Hessian, and ``g'H^-1 g``.

    No step and infinity where there is no number for them.
    """
    if not (np.isfinite(hessian).all() and np.isfinite(gradient).all()):
        return np.zeros(len(gradient)), np.inf
    if not free.all():
        where = np.flatnonzero(free)
        step = np.zeros(len(gradient))
        step[where], decrement = _step(hessian[np.ix_(where, where)], gradient[where])
        return step, decrement
    return _step(hessian, gradient)


def _step(hessian: Array, gradient: Array) -> tuple[Array, float]:
    size = np.sqrt(np.maximum(np.abs(hessian.diagonal()), 1e-8))
    found, directions = eigh((hessian / size[:, None] / size)[None])
    values, vectors = np.abs(found[0]), directions[0]
    values = np.maximum(values, _FLAT * values.max(initial=1e-300))
    with np.errstate(over="ignore", invalid="ignore"):
        turned = vectors.T @ (gradient / size)
        rescaled = turned / values
        step, decrement = -(vectors @ rescaled) / size, float(turned @ rescaled)
    if not np.isfinite(decrement):
        return np.zeros(len(gradient)), np.inf
    return step, decrement


def updated(hessian: Array, dx: Array, dg: Array) -> Array:
    """BFGS, where the curvature along the step is positive."""
    with np.errstate(over="ignore", invalid="ignore"):
        moved = hessian @ dx
        along, model = float(dx @ dg), float(dx @ moved)
        if not model > 0.0 or not along > 1e-3 * model:
            return hessian
        return np.asarray(hessian - np.outer(moved, moved) / model + np.outer(dg, dg) / along)


def least_eigenvalue(inner: Array) -> float:
    """The least eigenvalue of a symmetric matrix scaled to a diagonal of one.

    Minus infinity where it is not finite, infinity where it is empty.
    """
    if not np.isfinite(inner).all():
        return -np.inf
    size = np.sqrt(np.maximum(np.abs(inner.diagonal()), 1e-300))
    return float(np.linalg.eigvalsh(inner / np.outer(size, size))[0]) if len(inner) else np.inf


def inverse(inner: Array) -> Array:
    """The inverse of a symmetric matrix, by its scaled version."""
    size = np.sqrt(np.abs(inner.diagonal()))
    return np.asarray(np.linalg.inv(inner / np.outer(size, size)) / np.outer(size, size))
