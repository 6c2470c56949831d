"""Effects in an order, whose correlation falls by the same factor with each step."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from merextras.engine.covariance.correlated import Correlated
from merextras.engine.kernels.blocks import Array, BoolArray


@dataclass(frozen=True)
class Autoregressive(Correlated):
    """Effects a step apart have the correlation rho, and ``rho**d`` those d steps apart.

    ``rho = sin(a)``; C is the Cholesky factor, ``rho**(i - j)`` in its first column and that times
    ``cos(a)`` in the others.
    """

    hom: bool = True

    @property
    def turn(self) -> tuple[float, float]:
        """The arc sine itself."""
        return 0.0, 1.0

    def root(self, angle: Array) -> tuple[Array, Array, Array]:
        """The Cholesky factor."""
        rows, cols = np.tril_indices(self.k)
        p = (rows - cols).astype(float)
        s, c = np.sin(angle)[:, None], np.cos(angle)[:, None]
        first = cols == 0
        power = s**p
        less = p * s ** np.maximum(p - 1.0, 0.0)
        least = p * (p - 1.0) * s ** np.maximum(p - 2.0, 0.0)
        values = (
            np.where(first, power, power * c),
            np.where(first, less * c, less * c**2 - power * s),
            np.where(first, least * c**2 - p * power, least * c**3 - (3.0 * p + 1.0) * power * c),
        )
        out = np.zeros((3, len(angle), self.k, self.k))
        for each, value in zip(out, values, strict=True):
            each[:, rows, cols] = value
        return out[0], out[1], out[2]

    def angle_of_root(self, root: Array) -> Array:
        """From the second row."""
        return np.arctan2(root[:, 1, 0], root[:, 1, 1])

    def rho(self, angle: Array) -> Array:
        """The sine."""
        return np.asarray(np.sin(angle))

    def rho_turned(self, angle: Array) -> Array:
        """The cosine."""
        return np.asarray(np.cos(angle))

    def angle(self, rho: Array) -> Array:
        """The arc sine."""
        return np.arcsin(np.clip(rho, -1.0, 1.0))

    def rho_slope(self, rho: Array) -> Array:
        """``d rho**(d - 1)``."""
        d = np.abs(np.subtract.outer(np.arange(self.k), np.arange(self.k))).astype(float)
        return np.asarray(d * rho[:, None, None] ** np.maximum(d - 1.0, 0.0))

    def rho_bend(self, rho: Array) -> Array:
        """``d (d - 1) rho**(d - 2)``."""
        d = np.abs(np.subtract.outer(np.arange(self.k), np.arange(self.k))).astype(float)
        return np.asarray(d * (d - 1.0) * rho[:, None, None] ** np.maximum(d - 2.0, 0.0))

    def least_rho(self) -> float:
        """Minus one."""
        return -1.0

    def _correlation(self, r: Array, seen: BoolArray) -> Array:
        """The mean of the nearest effects' that vary."""
        out, known = np.zeros(len(r)), np.zeros(len(r), dtype=bool)
        for d in range(1, self.k):
            here = np.diagonal(seen, d, axis1=1, axis2=2)
            mean = (np.diagonal(r, d, axis1=1, axis2=2) * here).sum(axis=1)
            mean /= np.maximum(here.sum(axis=1), 1)
            new = ~known & here.any(axis=1)
            out[new] = mean[new] if d == 1 else np.abs(mean[new]) ** (1.0 / d)
            known |= new
        return out
