"""Newton steps that are safe far from an optimum, for one model or many."""

from __future__ import annotations

import numpy as np

from merextras.engine.kernels.blocks import Array, eigh

# The least eigenvalue of a scaled Hessian that is divided by, relative to its largest.
_FLAT = 1e-6


def positive_root(hessian: Array) -> Array:
    """V with ``V V'`` the inverse of a Hessian made positive definite; (m, n, n).

    By the size of its eigenvalues, in coordinates scaled by its diagonal first: a slope in
    milliseconds is as good as one in days.
    """
    return _root(hessian)[0]


def newton_steps(gradient: Array, hessian: Array) -> tuple[Array, Array, Array]:
    """``-H^-1 g``, ``g'H^-1 g`` and flatness of each model, (m, n), (m,) and (m,).

    With `positive_root`; flatness is the smallest eigenvalue of the scaled Hessian over its
    largest. Where numbers are too large there is no step, and the second is infinite.
    """
    root, flatness = _root(hessian)
    usable = np.isfinite(gradient).all(axis=1) & (flatness >= 0.0)
    every = bool(usable.all())
    if not every:
        gradient = np.where(usable[:, None], gradient, 0.0)
    rotated = gradient[:, None] @ root
    steps = root @ rotated.transpose(0, 2, 1)
    decrements = (rotated[:, 0] ** 2).sum(axis=1)
    if not every:
        decrements = np.where(usable, decrements, np.inf)
    return -steps[:, :, 0], decrements, flatness


def _root(hessian: Array) -> tuple[Array, Array]:
    """`positive_root`, and flatness: negative where the scaled Hessian is not finite."""
    size = np.sqrt(np.abs(hessian.diagonal(axis1=1, axis2=2)))
    size[size == 0.0] = 1.0
    with np.errstate(over="ignore", invalid="ignore"):
        scaled = hessian / (size[:, :, None] * size[:, None, :])
    finite = np.isfinite(scaled)
    every = bool(finite.all())
    if not every:
        finite = finite.all(axis=(1, 2))
        scaled = np.where(finite[:, None, None], scaled, np.eye(scaled.shape[1]))
    values, vectors = eigh(scaled)
    values = np.abs(values)
    largest = np.maximum(values.max(axis=1, initial=0.0), 1e-300)
    flatness = values.min(axis=1, initial=np.inf) / largest
    if not every:
        flatness = np.where(finite, flatness, -1.0)
    values = np.maximum(values, _FLAT * largest[:, None])
    return np.asarray(vectors / np.sqrt(values)[:, None, :] / size[:, :, None]), flatness
