"""Coordinates of one term's random effects in which its covariates are nearly orthonormal.

The covariates z of a row are replaced by z T. As the basis of X does for the fixed effects, this
leaves the model as it is and takes out of the numbers where zero is and what a unit is: an
intercept and a slope on years 2001 to 2010 are as well told apart as on 1 to 10. With ``b = T c``
for the effects c in the new coordinates,

    Z b = (Z T) c,    G = T G_c T',    Lambda Lambda' = (T Lambda_c)(T Lambda_c)'.

Everything in the engine is in these coordinates; what is reported goes through here. A triangular
factor of G is T Lambda_c turned by an orthogonal matrix, which turns the spherical effects, too.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from merextras.engine.covariance.structure import Freedom
from merextras.engine.kernels import dense
from merextras.engine.kernels.blocks import Array

# Significant binary digits of T for covariates that are orthogonal as they are: one in a million.
# Covariates with few digits, such as days, then have products without rounding, and levels with
# the same rows in another order the same sums.
_DIGITS = 20
# What counts as rounding of an element of a factor, in units of its row's size.
_ROUNDING = 8.0 * float(np.finfo(float).eps)


@dataclass(frozen=True)
class EffectBasis:
    """``z -> z T`` for the covariates of one term.

    Attributes
    ----------
    transform : (k, k) array
        Upper triangular T with a positive diagonal; diagonal or a multiple of the identity where
        the covariance allows no more.
    freedom : Freedom
        Of the covariance's structure.
    """

    transform: Array
    freedom: Freedom = Freedom.ANY

    @classmethod
    def identity(cls, k: int, freedom: Freedom = Freedom.ANY) -> EffectBasis:
        """The covariates as they are."""
        return cls(np.eye(k), freedom)

    @classmethod
    def from_rows(
        cls,
        values: Array,
        n: float,
        weights: Array | None = None,
        freedom: Freedom = Freedom.ANY,
        told: dense.Told | None = None,
    ) -> EffectBasis:
        """Covariates of mean square one over n observations; cost O(rows k**2).

        A single effect gets a power of two, which changes no digit of any number, and so do all
        where they keep their directions. A covariate that these rows cannot tell from those before
        it is freed of what those explain. `told` is the `scaled_cholesky` of the covariates, where
        it is known and there are no weights.
        """
        k, root = values.shape[1], np.sqrt(max(n, 1.0))
        if k == 1 or freedom is not Freedom.ANY:
            size = dense.lengths(values, weights) / root
            if freedom is Freedom.SCALE:
                size = np.full(k, np.sqrt(np.mean(size**2)))
            usable = (size > 0.0) & (size < np.inf)
            return cls(np.diag(2.0 ** -np.round(np.log2(np.where(usable, size, 1.0)))), freedom)
        transform = root * dense.orthonormal_coordinates(values, weights, told)
        size = dense.lengths(values, weights) / root
        lost = math.log2(max(float((size @ np.abs(transform)).max()), 1.0))
        return cls(_rounded(transform, _DIGITS + math.ceil(lost)))

    def of_rows(self, values: Array, n: float) -> EffectBasis:
        """The basis that other rows make, with the same freedom."""
        return EffectBasis.from_rows(values, n, freedom=self.freedom)

    @property
    def k(self) -> int:
        """Effects per level."""
        return len(self.transform)

    @cached_property
    def sizes(self) -> Array:
        """Standard deviations of the user's effects where these have covariance one, (k,)."""
        return np.asarray(np.linalg.norm(self.transform, axis=1))

    @property
    def scale(self) -> Array:
        """The diagonal of T, (k,)."""
        return self.transform.diagonal()

    @property
    def is_allowed(self) -> bool:
        """Whether T is one of those that the freedom allows."""
        one = bool(np.all(self.scale == self.scale[0]))
        return {
            Freedom.ANY: True,
            Freedom.SCALES: self._is_diagonal,
            Freedom.SCALE: self._is_diagonal and one,
        }[self.freedom]

    @cached_property
    def _is_diagonal(self) -> bool:
        return bool(np.count_nonzero(self.transform) <= self.k)

    def is_same(self, other: EffectBasis) -> bool:
        """Whether the two are equal to the last digit."""
        return np.array_equal(self.transform, other.transform)

    def rows(self, values: Array) -> Array:
        """Covariates of rows, (n, k), in these coordinates: z T."""
        if self._is_diagonal:
            scale = self.transform.diagonal()
            return values if (scale == 1.0).all() else values * scale
        return dense.times_triangle([values], self.transform)

    def coordinates(self, effects: Array) -> Array:
        """Effects, (..., k, m), in these coordinates: T^-1 b."""
        return dense.divided(self.transform, effects)

    def change_to(self, other: EffectBasis) -> Array:
        """Matrix C, (k, k), with ``[covariates in other] = [covariates in self] C``."""
        return dense.divided(self.transform, other.transform)

    def modes(self, c: Array) -> Array:
        """Effects as the user counts them, (..., k), of those in these coordinates: T c."""
        return np.asarray(c @ self.transform.T)

    def columns(self, c: Array) -> Array:
        """The same of columns of effects, (..., k, m)."""
        return c * self.transform[0, 0] if self.k == 1 else np.asarray(self.transform @ c)

    def covariance(self, g: Array) -> Array:
        """Covariance of the user's effects, (..., k, k): T G T'."""
        return np.asarray(self.transform @ g @ self.transform.T)

    def between(self, g: Array, other: EffectBasis) -> Array:
        """Covariance of the user's effects of two terms, (..., k, m)."""
        return np.asarray(self.transform @ g @ other.transform.T)

    def to_user(self, lams: Array) -> Array:
        """Triangular factors of the user's effects, (..., k, k), of roots in these coordinates."""
        if self._is_diagonal and not np.any(np.triu(lams, 1)):
            return np.asarray(self.transform @ lams)
        return lower_of(self.transform, lams)

    def from_user(self, lams: Array) -> Array:
        """Triangular factors in these coordinates, (..., k, k), of those of the user's effects."""
        moved = self.coordinates(lams)
        if self._is_diagonal:
            return moved
        inverse = np.linalg.inv(self.transform)
        return _lower(moved, np.abs(inverse) @ np.linalg.norm(lams, axis=-1)[..., None])

    def covariance_from_user(self, covariance: Array) -> Array:
        """Covariance in these coordinates, (k, k), of that of the user's effects: T^-1 G T^-T."""
        half = self.coordinates(covariance)
        inner = self.coordinates(np.ascontiguousarray(half.T))
        return 0.5 * (inner + inner.T)

    def turn(self, lam: Array) -> Array:
        """Orthogonal Q with ``T Lambda_c = Lambda Q``, (k, k), Lambda the user's triangle."""
        if self._is_diagonal and not np.any(np.triu(lam, 1)):
            return np.eye(self.k)
        q, r = np.linalg.qr((self.transform @ lam).T, mode="complete")
        return np.asarray((q * np.where(np.diag(r) < 0.0, -1.0, 1.0)).T)

    def slopes(self, slopes: Array, lam: Array) -> Array:
        """Derivatives in the user's Lambda, (k, k), of those in Lambda_c: ``T^-T S Q'``."""
        if self._is_diagonal:
            return slopes / self.transform.diagonal()[:, None]
        inverse = np.linalg.inv(self.transform)
        return np.asarray(inverse.T @ slopes @ self.turn(lam).T)


def _rounded(values: Array, digits: int) -> Array:
    """Values with so many significant binary digits."""
    mantissa, exponent = np.frexp(values)
    return np.asarray(np.ldexp(np.round(np.ldexp(mantissa, digits)), exponent - digits))


def lower_of(transform: Array, lams: Array) -> Array:
    """Lower triangular L with ``L L' = (T Lambda)(T Lambda)'``, (..., k, k)."""
    # The same product without signs is what rounding is measured by.
    size = np.abs(transform) @ np.linalg.norm(lams, axis=-1)[..., None]
    return _lower(transform @ lams, size)


def _lower(moved: Array, size: Array) -> Array:
    """Lower triangular L with L L' = M M', (..., k, k); `size` bounds the rows of M, (..., k, 1).

    Elements that are rounding are zero: a variance of zero is one in all coordinates.
    """
    right = np.linalg.qr(np.swapaxes(moved, -1, -2), mode="r")
    low = np.swapaxes(right, -1, -2)
    diagonal = np.diagonal(low, axis1=-2, axis2=-1)
    low = low * np.where(diagonal < 0.0, -1.0, 1.0)[..., None, :]
    return np.asarray(np.where(np.abs(low) <= _ROUNDING * size, 0.0, low))
