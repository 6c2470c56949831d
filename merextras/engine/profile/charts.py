"""Reparametrisations in which the profiled parameter is one coordinate, u.

All parameters are w = (theta, log sigma). The effects of the profiled parameter come first in the
order of their term, as the user counts them, so that a standard deviation is one element of the
Cholesky factor and a correlation the direction of one row of it; the others stand in coordinates in
which their covariates are orthonormal. A chart gives w as a function of v = (u, z), where z is
free: what is left is an unconstrained problem.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from merextras.engine.covariance.covariances import Covariances
from merextras.engine.covariance.structure import Freedom, Structure
from merextras.engine.covariance.unstructured import Unstructured
from merextras.engine.kernels.blocks import Array
from merextras.engine.products.effects import EffectBasis
from merextras.engine.profile.at_sigma import Held

# Relative standard deviations of starts from inside, and effects that each are left out of some.
_STARTS, _FEW = (1.0, 0.2), 3


@dataclass(frozen=True)
class Target:
    """A parameter to be profiled; here one that is a parameter of the chart itself.

    Attributes
    ----------
    model : Covariances
        Of the terms.
    term : int
        The term that the parameter belongs to; -1 for sigma and the fixed effects.
    effects : tuple of int
        Its effects in the term: one of a standard deviation, two of a correlation or covariance.
    basis : EffectBasis, optional
        The coordinates of the term's effects in the cross-products; by default the user's.
    """

    model: Covariances
    term: int = -1
    effects: tuple[int, ...] = ()
    basis: EffectBasis | None = None

    @cached_property
    def frames(self) -> tuple[Array, ...]:
        """B of each term, (k, k): its factor in the cross-products is B times that of the chart."""
        frames = [np.eye(k) for k in self.model.ks]
        if self.term >= 0 and self.basis is not None:
            k, m = self.basis.k, len(self.effects)
            order = [*self.effects, *(i for i in range(k) if i not in self.effects)]
            # T with its rows in this order is L Q, Q orthogonal: what L does to the effects that
            # are not profiled is left out.
            turned, right = np.linalg.qr(self.basis.transform[order].T)
            own = np.eye(k)
            own[:m, :m] = np.linalg.inv(right.T[:m, :m])
            frames[self.term][:, order] = turned @ own
        return tuple(frames)

    def sizes(self, sizes: Sequence[Array]) -> list[Array]:
        """Root mean squares of what each effect of the chart moves, by terms, (k,).

        `sizes` are those of the cross-products' coordinates.
        """
        pairs = zip(self.frames, sizes, strict=True)
        return [np.linalg.norm(frame * size[:, None], axis=0) for frame, size in pairs]

    @cached_property
    def covariances(self) -> Covariances:
        """Those of the model with the parameter's effects first in the triangle of its term."""
        structures = list(self.model.structures)
        if self.term >= 0:
            k = structures[self.term].k
            rest = [i for i in range(k) if i not in self.effects]
            structures[self.term] = Unstructured(k, (*self.effects, *rest))
        return replace(self.model, structures=tuple(structures))

    @property
    def frozen(self) -> tuple[int, ...]:
        """Effects of the term whose variance is not free to grow at a given u and z."""
        return self.effects

    def inward(self, theta: Array, slope: Array, sizes: Array) -> tuple[Array, bool]:
        """A change of the term's own covariance that leaves u and z as they are held.

        Arguments and results are those of `Structure.inward`, of the free effects alone.
        """
        del theta
        change = np.zeros((1, *slope.shape[1:]))
        free = np.setdiff1d(np.arange(slope.shape[1]), self.frozen)
        if len(free) == 0:
            return change, False
        among = np.ix_(free, free)
        part = Unstructured(len(free))
        inner, found = part.inward(np.zeros((1, part.n)), slope[0][among][None], sizes[free])
        change[0][among] = inner[0]
        return change, bool(found[0])

    @property
    def at(self) -> int:
        """Place in theta of the first element of the term's factor."""
        return int(self.covariances.parts[self.term].start)

    def parameters(self, gs: Sequence[Array], log_sigma: float) -> Array:
        """The w of a model with these covariances over sigma**2 in the cross-products."""
        inverses = [np.linalg.inv(frame) for frame in self.frames]
        own = [a @ g @ a.T for a, g in zip(inverses, gs, strict=True)]
        return np.append(self.covariances.from_covariances(own), log_sigma)

    def lams(self, w: Array) -> list[Array]:
        """A root of each term's covariance in the cross-products."""
        own = self.covariances.factors(w[:-1])
        return [frame @ lam for frame, lam in zip(self.frames, own, strict=True)]

    def held(self, u: float) -> Held | None:
        """The fixed effect that is held, if it is one."""
        del u
        return None

    def chart(self, u: float, z: Array) -> tuple[Array, Array]:
        """The w of u and z, and its derivative in v, (len(w), 1 + len(z))."""
        raise NotImplementedError

    def second_derivatives(self, w: Array, gradient: Array) -> Array:
        """The term ``sum_i (dD/dw_i) d2w_i / dv dv'`` of the chain rule."""
        del w
        size = len(gradient) + 1
        return np.zeros((size, size))

    def coordinates(self, w: Array) -> tuple[float, Array]:
        """The u and z of w."""
        raise NotImplementedError

    def away(self, u: float, z: Array, sizes: Sequence[Array]) -> Array:
        """The w of z with the held parameter away from the ends of its space."""
        del sizes
        return self.chart(u, z)[0]

    def is_singular(
        self, u: float, z: Array, sizes: Sequence[Array], limit: float, *, whole: bool
    ) -> bool:
        """Whether a covariance has nearly lost rank, and not (unless `whole`) by what is held."""
        theta = (self.chart(u, z)[0] if whole else self.away(u, z, sizes))[:-1]
        return bool(self.covariances.near_zero(theta[None], sizes, limit)[0].any())

    def inner_starts(self, u: float, z: Array, sizes: Sequence[Array]) -> list[Array]:
        """Other z inside: all effects wide or small, then each term alone in ways of its own."""
        w, covariances = self.chart(u, z)[0], self.covariances
        eyes = [np.diag(own**-2.0) for own in sizes]
        thetas = [covariances.from_covariances([size**2 * e for e in eyes]) for size in _STARTS]
        rows = zip(covariances.structures, covariances.parts, sizes, strict=True)
        for structure, part, own in rows:
            ways = _ways(structure, alone=len(covariances.structures) == 1)
            lam = structure.factor(w[None, part])[0]
            for g in [*(way / np.outer(own, own) for way in ways), *_turned(lam @ lam.T)]:
                theta = w[:-1].copy()
                theta[part] = structure.from_covariance(g[None])[0]
                thetas.append(theta)
        with np.errstate(divide="ignore", invalid="ignore"):
            found = [self.coordinates(np.append(theta, w[-1]))[1] for theta in thetas]
        # A way in which one of two effects does not vary has no correlation.
        return [z for z in found if np.all(np.isfinite(z))]


def _ways(structure: Structure, *, alone: bool) -> list[Array]:
    """Covariances of size one to start from, (k, k); of three effects without one of them, too."""
    eye = np.eye(structure.k)
    ways = [] if alone else [eye]
    uneven = structure.uneven()
    if structure.k == _FEW and structure.freedom is not Freedom.SCALE:
        several = [way for way in (eye, *uneven) if np.count_nonzero(way.diagonal()) == _FEW]
        ways += [way * np.outer(one, one) for way in several for one in 1.0 - eye]
    return [*ways, *uneven]


def _turned(g: Array) -> list[Array]:
    """A covariance with the signs of one effect's correlations turned, for each effect, (k, k)."""
    k = len(g)
    signs = 1.0 - 2.0 * np.eye(k)[: k if k > 2 else k - 1]
    return [g * np.outer(sign, sign) for sign in signs]


@dataclass(frozen=True)
class FixedEffect(Target):
    """u is a fixed effect; w is all free."""

    column: int = 0

    def held(self, u: float) -> Held | None:
        """The fixed effect at u."""
        return Held(self.column, u)

    def chart(self, u: float, z: Array) -> tuple[Array, Array]:
        """All of w is z."""
        del u
        return z, np.eye(len(z), len(z) + 1, 1)

    def coordinates(self, w: Array) -> tuple[float, Array]:
        """No u is in w."""
        return np.nan, w


@dataclass(frozen=True)
class Sigma(Target):
    """u is log sigma."""

    def chart(self, u: float, z: Array) -> tuple[Array, Array]:
        """All of theta is z."""
        m = len(z)
        jacobian = np.eye(m + 1, m + 1, 1)
        jacobian[m, 0] = 1.0
        return np.append(z, u), jacobian

    def second_derivatives(self, w: Array, gradient: Array) -> Array:
        """The chart is linear."""
        del w
        return np.zeros((len(gradient), len(gradient)))

    def coordinates(self, w: Array) -> tuple[float, Array]:
        """Log sigma, and theta."""
        return float(w[-1]), w[:-1]


@dataclass(frozen=True)
class StandardDeviation(Target):
    """u is a standard deviation: ``Lambda_11 = u / sigma``."""

    def chart(self, u: float, z: Array) -> tuple[Array, Array]:
        """All of w but Lambda_11 is z."""
        at, m = self.at, len(z)
        scale = float(np.exp(-z[-1]))
        w = np.insert(z, at, u * scale)
        jacobian = np.insert(np.eye(m, m + 1, 1), at, 0.0, axis=0)
        jacobian[at, 0], jacobian[at, m] = scale, -u * scale
        return w, jacobian

    def second_derivatives(self, w: Array, gradient: Array) -> Array:
        """Lambda_11 in log sigma."""
        m = len(w) - 1
        out = np.zeros((m + 1, m + 1))
        scale = float(np.exp(-w[-1]))
        out[m, m] = gradient[self.at] * w[self.at]
        out[0, m] = out[m, 0] = -gradient[self.at] * scale
        return out

    def coordinates(self, w: Array) -> tuple[float, Array]:
        """The standard deviation, and the rest."""
        return float(w[self.at] * np.exp(w[-1])), np.delete(w, self.at)

    def away(self, u: float, z: Array, sizes: Sequence[Array]) -> Array:
        """At sigma in the unit of its covariate."""
        w = self.chart(u, z)[0]
        w[self.at] = 1.0 / sizes[self.term][0]
        return w


@dataclass(frozen=True)
class Correlation(Target):
    """u is the arc sine of a correlation: row 2 of Lambda is ``exp(z) (sin u, cos u)``.

    Both effects' standard deviations are by their logarithms: at zero the correlation would not be
    one. In the arc sine the deviance is smooth at a correlation of one, too.
    """

    @property
    def places(self) -> tuple[int, int, int]:
        """Places in theta of Lambda_11, Lambda_21 and Lambda_22."""
        return self.at, self.at + 1, self.at + self.covariances.structures[self.term].k

    def chart(self, u: float, z: Array) -> tuple[Array, Array]:
        """In z the logarithms of both lengths stand in the places of Lambda_11 and Lambda_22."""
        first, cross, second = self.places
        m = len(z)
        w = np.insert(z, cross, 0.0)
        length = float(np.exp(w[second]))
        w[first] = np.exp(w[first])
        w[cross], w[second] = length * np.sin(u), length * np.cos(u)
        jacobian = np.insert(np.eye(m, m + 1, 1), cross, 0.0, axis=0)
        jacobian[first, 1 + first] = w[first]
        jacobian[cross, [0, second]] = w[second], w[cross]
        jacobian[second, [0, second]] = -w[cross], w[second]
        return w, jacobian

    def second_derivatives(self, w: Array, gradient: Array) -> Array:
        """Exponentials and the angle."""
        first, cross, second = self.places
        out = np.zeros((len(w), len(w)))
        along = gradient[cross] * w[cross] + gradient[second] * w[second]
        across = gradient[cross] * w[second] - gradient[second] * w[cross]
        out[1 + first, 1 + first] = gradient[first] * w[first]
        out[second, second], out[0, 0] = along, -along
        out[0, second] = out[second, 0] = across
        return out

    def coordinates(self, w: Array) -> tuple[float, Array]:
        """The angle, and the rest."""
        first, cross, second = self.places
        z = w.copy()
        z[first] = np.log(w[first])
        z[second] = np.log(np.hypot(w[cross], w[second]))
        return float(np.arctan2(w[cross], abs(w[second]))), np.delete(z, cross)

    def away(self, u: float, z: Array, sizes: Sequence[Array]) -> Array:
        """At no correlation."""
        del u, sizes
        return self.chart(0.0, z)[0]


@dataclass(frozen=True)
class Covariance(Target):
    """u is a covariance: ``Lambda_21 = u / (sigma**2 Lambda_11)``."""

    @property
    def frozen(self) -> tuple[int, ...]:
        """Only the first effect: the second's variance is free."""
        return self.effects[:1]

    def chart(self, u: float, z: Array) -> tuple[Array, Array]:
        """In z stands the logarithm of Lambda_11, and no Lambda_21."""
        at, m = self.at, len(z)
        w = np.insert(z, at + 1, 0.0)
        scale = float(np.exp(-2.0 * z[-1] - z[at]))
        w[at], w[at + 1] = np.exp(z[at]), u * scale
        jacobian = np.insert(np.eye(m, m + 1, 1), at + 1, 0.0, axis=0)
        jacobian[at, 1 + at] = w[at]
        jacobian[at + 1, 0] = scale
        jacobian[at + 1, 1 + at] -= w[at + 1]
        jacobian[at + 1, m] -= 2.0 * w[at + 1]
        return w, jacobian

    def second_derivatives(self, w: Array, gradient: Array) -> Array:
        """Exponentials."""
        at, m = self.at, len(w) - 1
        out = np.zeros((m + 1, m + 1))
        turned, scale = gradient[at + 1] * w[at + 1], float(np.exp(-2.0 * w[-1]) / w[at])
        out[1 + at, 1 + at] = gradient[at] * w[at] + turned
        out[1 + at, m] = out[m, 1 + at] = 2.0 * turned
        out[m, m] = 4.0 * turned
        out[0, 1 + at] = out[1 + at, 0] = -gradient[at + 1] * scale
        out[0, m] = out[m, 0] = -2.0 * gradient[at + 1] * scale
        return out

    def coordinates(self, w: Array) -> tuple[float, Array]:
        """The covariance, and the rest."""
        at = self.at
        z = np.delete(w, at + 1)
        z[at] = np.log(w[at])
        return float(w[at] * w[at + 1] * np.exp(2.0 * w[-1])), z
