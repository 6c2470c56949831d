"""Priors on the covariances of the random effects, as what they add to the deviance.

With G = Lambda Lambda' the covariance of a term over sigma**2, a prior of density pi(G) adds
``-2 log pi(G)`` to the deviance or the REML criterion, whose minimum is then the posterior's mode
(Chung, Rabe-Hesketh, Dorie, Gelman & Liu (2013), Psychometrika 78, 685-709; Chung, Gelman,
Rabe-Hesketh, Liu & Dorie (2015), J. Educ. Behav. Stat. 40, 136-157). Both kinds are functions of G
whose first and second derivative in G are written down here; the chain rule to the parameters is
that of `Covariances`. In other coordinates of the effects a prior is one of the same kind.

Arrays lead with an axis of m models, one for a single fit.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from merextras.engine.covariance.covariances import Covariances
from merextras.engine.kernels.blocks import Array


class Prior(ABC):
    """What is added to the deviance for one term, a function of its G."""

    @abstractmethod
    def in_basis(self, transform: Array) -> Prior:
        """The same for effects c with ``b = T c``, so that the user's G is ``T G_c T'``."""

    @abstractmethod
    def value(self, lam: Array) -> Array:
        """``-2 log pi``, (m,), at roots of G, (m, k, k); infinite where the density is zero."""

    @abstractmethod
    def slope(self, lam: Array) -> Array:
        """The derivative in G, (m, k, k) symmetric."""

    @abstractmethod
    def second(self, lam: Array, covariance_slopes: Array) -> Array:
        """The second derivative along dG_i and dG_j, (m, n, n), of which there are (m, n, k, k)."""


@dataclass(frozen=True, eq=False)
class MatrixPrior(Prior):
    """``constant + power log|G| + tr(A G) + tr(B G^-1)``: Wishart and inverse Wishart.

    Attributes
    ----------
    power : float
    linear, inverse : (k, k) arrays
        A and B, positive semidefinite.
    constant : float
    """

    power: float
    linear: Array
    inverse: Array
    constant: float

    def in_basis(self, transform: Array) -> MatrixPrior:
        """``T'A T``, ``T^-1 B T^-T`` and ``log|G| + 2 log|T|``."""
        back = np.linalg.inv(transform)
        shift = 2.0 * self.power * float(np.linalg.slogdet(transform)[1])
        linear, inverse = transform.T @ self.linear @ transform, back @ self.inverse @ back.T
        return MatrixPrior(self.power, linear, inverse, self.constant + shift)

    def value(self, lam: Array) -> Array:
        """Of a singular G infinite, unless only A matters."""
        rising = np.einsum("mab,ac,mcb->m", lam, self.linear, lam)
        if not self._needs_inverse:
            return np.asarray(self.constant + rising)
        precision, log_det = _precision(lam)
        falling = np.einsum("ab,mab->m", self.inverse, precision)
        value = self.constant + self.power * log_det + rising + falling
        return np.where(np.isnan(value), np.inf, value)

    @property
    def _needs_inverse(self) -> bool:
        return bool(self.power != 0.0 or np.any(self.inverse))

    def slope(self, lam: Array) -> Array:
        """``power G^-1 + A - G^-1 B G^-1``."""
        if not self._needs_inverse:
            return np.broadcast_to(self.linear, lam.shape)
        precision, _ = _precision(lam)
        return np.asarray(
            self.power * precision + self.linear - precision @ self.inverse @ precision
        )

    def second(self, lam: Array, covariance_slopes: Array) -> Array:
        """``-power tr(G^-1 dG_i G^-1 dG_j) + 2 tr(B G^-1 dG_i G^-1 dG_j G^-1)``."""
        if not self._needs_inverse:
            return np.zeros((len(lam), covariance_slopes.shape[1], covariance_slopes.shape[1]))
        precision = _precision(lam)[0][:, None]
        turned = precision @ covariance_slopes
        middle = self.power * np.eye(lam.shape[1]) - 2.0 * precision @ self.inverse
        return np.asarray(-np.einsum("miab,mjba->mij", middle @ turned, turned, optimize=True))


@dataclass(frozen=True, eq=False)
class DeviationPrior(Prior):
    """A gamma distribution of each effect's ``(scale sd)**power``: independent effects.

    ``sum_a weight (2 rate x_a - 2 (shape - 1) log x_a) + constant`` with ``x_a`` that number.

    Attributes
    ----------
    shape, rate, power : float
        The power is one for standard deviations, two for variances, over sigma or sigma**2.
    scale : (k,) array
    weight : float
        One over the number of effects that have a standard deviation in common.
    constant : float
    """

    shape: float
    rate: float
    power: float
    scale: Array
    weight: float
    constant: float

    def in_basis(self, transform: Array) -> DeviationPrior:
        """The scale of each effect; T is diagonal where effects are independent."""
        return replace(self, scale=self.scale * np.diag(transform))

    def _variances(self, lam: Array) -> Array:
        return np.asarray(np.einsum("mab,mab->ma", lam, lam) * self.scale**2)

    def value(self, lam: Array) -> Array:
        """Infinite where a variance is zero, unless the shape is one."""
        v = self._variances(lam)
        rising = 2.0 * self.rate * v ** (0.5 * self.power)
        if self.shape == 1.0:
            return np.asarray(self.constant + self.weight * rising.sum(axis=1))
        with np.errstate(divide="ignore"):
            falling = self.power * (self.shape - 1.0) * np.log(v)
        return np.asarray(self.constant + self.weight * (rising - falling).sum(axis=1))

    def slope(self, lam: Array) -> Array:
        """On the diagonal."""
        first = self._slopes(lam)[0]
        return np.asarray(np.eye(lam.shape[1]) * first[:, None])

    def second(self, lam: Array, covariance_slopes: Array) -> Array:
        """By the diagonals of the dG_i."""
        own = np.einsum("miaa->mia", covariance_slopes)
        return np.asarray(np.einsum("ma,mia,mja->mij", self._slopes(lam)[1], own, own))

    def _slopes(self, lam: Array) -> tuple[Array, Array]:
        """First and second derivatives in the variances that lam has, (m, k) each."""
        v, half = self._variances(lam), 0.5 * self.power
        with np.errstate(divide="ignore", invalid="ignore"):
            rising = 2.0 * self.rate * half * v ** (half - 1.0)
            falling = (self.power * (self.shape - 1.0) / v) if self.shape != 1.0 else 0.0 * v
            first = rising - falling
            bent = (rising * (half - 1.0) + falling) / v if half != 1.0 else falling / v
        bent = np.where(np.isnan(bent) & (v == 0.0), 0.0, bent) if self.shape == 1.0 else bent
        unit = self.weight * self.scale**2
        return first * unit, bent * unit * self.scale**2


@dataclass(frozen=True, eq=False)
class Penalty:
    """What the priors of all terms add to the criterion, a function of theta.

    Methods work on (m, n) arrays, a row per model.

    Attributes
    ----------
    covariances : Covariances
    priors : tuple of Prior or None
        By terms, in the coordinates of theta.
    """

    covariances: Covariances
    priors: tuple[Prior | None, ...]

    def in_basis(self, transforms: Sequence[Array]) -> Penalty:
        """The same as a function of theta of effects c with ``b = T c``, term by term."""
        pairs = zip(self.priors, transforms, strict=True)
        return replace(self, priors=tuple(p and p.in_basis(transform) for p, transform in pairs))

    def value(self, theta: Array) -> Array:
        """``-2 log prior``, (m,)."""
        lams, out = self.covariances.joint(theta), np.zeros(len(theta))
        for prior, span in zip(self.priors, self.covariances.spans, strict=True):
            if prior is not None:
                out += prior.value(lams[:, span, span])
        return out

    def slopes(self, theta: Array) -> Array:
        """D, the derivative in the covariances of all terms, (m, K, K), zero between the terms."""
        lams = self.covariances.joint(theta)
        out = np.zeros_like(lams)
        for prior, span in zip(self.priors, self.covariances.spans, strict=True):
            if prior is not None:
                out[:, span, span] = prior.slope(lams[:, span, span])
        return out

    def second(self, theta: Array) -> Array:
        """``sum_t D2(dG_i, dG_j)``, (m, n, n): the Hessian in theta but for D's own part.

        That is what `Covariances.curvature` makes of D.
        """
        cov, out = self.covariances, np.zeros((len(theta), theta.shape[1], theta.shape[1]))
        rows = zip(cov.structures, self.priors, cov.parts, strict=True)
        for structure, prior, at in rows:
            if prior is not None:
                own = theta[:, at]
                covariance_slopes = structure.covariance_slopes(own)
                out[:, at, at] = prior.second(structure.factor(own), covariance_slopes)
        return out

    def hessian(self, theta: Array) -> Array:
        """The second derivative in theta, (m, n, n)."""
        return self.second(theta) + self.covariances.joint_curvature(theta, self.slopes(theta))


def _precision(lam: Array) -> tuple[Array, Array]:
    """``G^-1`` and ``log|G|`` of roots of G; NaN and minus infinity where it is singular."""
    sign, half = np.linalg.slogdet(lam)
    good = (sign != 0.0) & np.isfinite(half)
    inverse = np.linalg.inv(np.where(good[:, None, None], lam, np.eye(lam.shape[1])))
    inverse[~good] = np.nan
    return np.swapaxes(inverse, 1, 2) @ inverse, 2.0 * np.where(good, half, -np.inf)
