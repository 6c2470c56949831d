"""Effects of which every two have the same correlation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from merextras.engine.covariance.correlated import Correlated
from merextras.engine.covariance.structure import NearLinear
from merextras.engine.kernels.blocks import Array, BoolArray


@dataclass(frozen=True)
class CompoundSymmetry(Correlated):
    """Every two effects have the correlation rho, from -1/(k - 1) to 1.

    R has the eigenvalues ``1 + (k - 1) rho`` and ``1 - rho``, which are ``k cos(a)**2`` and
    ``k sin(a)**2 / (k - 1)``; C is R's symmetric root.
    """

    @property
    def turn(self) -> tuple[float, float]:
        """``rho = (1 + l) / 2 + (1 - l) / 2 cos(2 a)``."""
        return 0.25 * np.pi, -0.5

    def root(self, angle: Array) -> tuple[Array, Array, Array]:
        """Of the two eigenvalues."""
        mean = np.full((self.k, self.k), 1.0 / self.k)
        rest = np.sqrt(self.k / (self.k - 1.0)) * (np.eye(self.k) - mean)
        mean = np.sqrt(self.k) * mean
        cos, sin = np.cos(angle)[:, None, None], np.sin(angle)[:, None, None]
        root = cos * mean + sin * rest
        return root, cos * rest - sin * mean, -root

    def angle_of_root(self, root: Array) -> Array:
        """From its parts along the mean and across it."""
        along = root.sum(axis=(1, 2)) / self.k
        across = np.einsum("maa->m", root) - along
        return np.asarray(np.arctan2(across / np.sqrt(self.k - 1.0), along) % (2.0 * np.pi))

    def rho(self, angle: Array) -> Array:
        """From the eigenvalue ``1 - rho``."""
        return np.asarray(1.0 - np.sin(angle) ** 2 * self.k / (self.k - 1.0))

    def rho_turned(self, angle: Array) -> Array:
        """Of twice the angle."""
        return np.asarray(-np.sin(2.0 * angle) * self.k / (self.k - 1.0))

    def angle(self, rho: Array) -> Array:
        """From both eigenvalues."""
        sin2 = (1.0 - rho) * (self.k - 1.0)
        cos2 = 1.0 + (self.k - 1.0) * rho
        return np.arctan2(np.sqrt(np.maximum(sin2, 0.0)), np.sqrt(np.maximum(cos2, 0.0)))

    def rho_slope(self, rho: Array) -> Array:
        """One off the diagonal."""
        off = 1.0 - np.eye(self.k)
        return np.broadcast_to(off, (len(rho), self.k, self.k))

    def rho_bend(self, rho: Array) -> Array:
        """R is linear in rho."""
        return np.zeros((len(rho), self.k, self.k))

    def near_linear(self, theta: Array) -> NearLinear:
        """One variance and one covariance, if the variances are the same."""
        if not self.hom:
            return super().near_linear(theta)
        sd, rho = self.natural(theta[None])[0]
        slopes = np.array([np.eye(self.k), 1.0 - np.eye(self.k)])
        second = np.zeros((2, *slopes.shape))
        return NearLinear(slopes, second, np.array([sd**2, rho * sd**2]))

    def least_rho(self) -> float:
        """Where the eigenvalue of the mean is zero."""
        return -1.0 / (self.k - 1.0)

    def _correlation(self, r: Array, seen: BoolArray) -> Array:
        count = seen.sum(axis=(1, 2))
        return np.asarray((r * seen).sum(axis=(1, 2)) / np.maximum(count, 1))
