"""The covariances of all terms as functions of one vector of parameters, theta."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

from merextras.engine.covariance.structure import Structure
from merextras.engine.covariance.unstructured import Unstructured
from merextras.engine.kernels.blocks import Array, BoolArray, IntArray

#: The relative standard deviation below which a fit is singular, lme4's isSingular.
SINGULAR = 1e-4


@dataclass(frozen=True)
class Covariances:
    """One structure a term; theta has their parameters one term after the other.

    Methods that say so work on (m, n) arrays, a row per model, and on the joint matrices of all
    terms, (m, K, K), zero between the terms; the others on one model and tuples by terms.
    """

    structures: tuple[Structure, ...]

    @classmethod
    def of(cls, structures: Sequence[Structure]) -> Covariances:
        """Terms with these structures."""
        return _of(tuple(structures))

    @classmethod
    def unstructured(cls, ks: Sequence[int]) -> Covariances:
        """Terms with `ks` effects per level and free covariances."""
        return _of(tuple(Unstructured(k) for k in ks))

    @cached_property
    def ks(self) -> list[int]:
        """Effects per level of each term."""
        return [s.k for s in self.structures]

    @cached_property
    def n(self) -> int:
        """Length of theta."""
        return sum(s.n for s in self.structures)

    @cached_property
    def k(self) -> int:
        """Effects per level in all."""
        return sum(self.ks)

    @cached_property
    def parts(self) -> tuple[slice, ...]:
        """Each term's parameters."""
        ends = np.cumsum([s.n for s in self.structures]).tolist()
        return tuple(slice(e - s.n, e) for e, s in zip(ends, self.structures, strict=True))

    @cached_property
    def spans(self) -> tuple[slice, ...]:
        """Each term's effects."""
        ends = np.cumsum(self.ks).tolist()
        return tuple(slice(e - s.k, e) for e, s in zip(ends, self.structures, strict=True))

    @cached_property
    def lower(self) -> Array:
        """Lower bounds, (n,), lme4's ``lower``."""
        return _joined([s.lower for s in self.structures])

    @property
    def natural_lower(self) -> Array:
        """Lower bounds of the parameters as they are told, (n,)."""
        return _joined([s.natural_lower for s in self.structures])

    @cached_property
    def at_least_zero(self) -> BoolArray:
        """Parameters that are standard deviations: zero is their boundary, (n,)."""
        return np.asarray(self.lower == 0.0)

    def inside(self, theta: Array, least: float) -> Array:
        """The theta with no standard deviation below `least`, (n,)."""
        return np.where(self.at_least_zero & (theta < least), least, theta)

    def near_zero(self, theta: Array, sizes: Sequence[Array], limit: float) -> BoolArray:
        """Which terms of many models are within `limit` of losing rank, (m, terms)."""
        out = np.zeros((len(theta), len(self.structures)), dtype=bool)
        rows = zip(self.structures, self.parts, sizes, strict=True)
        for t, (s, at, size) in enumerate(rows):
            out[:, t] = s.near_zero(theta[:, at], size, limit)
        return out

    def is_singular(self, theta: Array, limit: float = SINGULAR) -> BoolArray:
        """Which of many models have a covariance that has (nearly) lost rank, (m,)."""
        return np.asarray(self.near_zero(theta, [np.ones(k) for k in self.ks], limit).any(axis=1))

    def factors(self, theta: Array) -> tuple[Array, ...]:
        """Lambda of each term, (k, k)."""
        pairs = zip(self.structures, self.parts, strict=True)
        return tuple(s.factor(theta[None, at])[0] for s, at in pairs)

    def parameters(self, lams: Sequence[Array]) -> Array:
        """The theta of given factors, (n,)."""
        pairs = zip(self.structures, lams, strict=True)
        return _joined([s.from_factor(lam[None])[0] for s, lam in pairs])

    def from_covariances(self, gs: Sequence[Array]) -> Array:
        """The theta of given covariances over sigma**2, (n,)."""
        pairs = zip(self.structures, gs, strict=True)
        return _joined([s.from_covariance(g[None])[0] for s, g in pairs])

    def natural_of(self, gs: Sequence[Array]) -> Array:
        """The parameters as they are told of given covariances over sigma**2, (n,)."""
        return self.natural(self.from_covariances(gs))

    def gradient(self, theta: Array, slopes: Sequence[Array]) -> Array:
        """The chain rule: `slopes` are ``2 D Lambda`` by terms, (k, k); returns (n,)."""
        parts = zip(self.structures, self.parts, slopes, strict=True)
        return _joined([s.pull(theta[None, at], w[None])[0] for s, at, w in parts])

    def covariance_slopes(self, theta: Array) -> tuple[Array, ...]:
        """``dG / dtheta_i`` of each term's own parameters, (n_t, k, k)."""
        pairs = zip(self.structures, self.parts, strict=True)
        return tuple(s.covariance_slopes(theta[None, at])[0] for s, at in pairs)

    def directions(self, theta: Array) -> list[Array]:
        """Ways in which each term's G can change, (d, k, k); see `Structure.directions`."""
        pairs = zip(self.structures, self.parts, strict=True)
        return [s.directions(theta[at]) for s, at in pairs]

    def curvature(self, theta: Array, slopes: Sequence[Array]) -> Array:
        """``tr(D d2G / dtheta_i dtheta_j)``, (n, n): `slopes` are the D by terms."""
        out = np.zeros((self.n, self.n))
        for s, at, d in zip(self.structures, self.parts, slopes, strict=True):
            out[at, at] = s.curvature(theta[None, at], d[None])[0]
        return out

    def units(self, sizes: Sequence[Array]) -> Array:
        """The unit of each parameter, (n,), from the sizes of the covariates by terms."""
        return _joined([s.units(size) for s, size in zip(self.structures, sizes, strict=True)])

    @cached_property
    def _powers(self) -> Array:
        return _joined([s.powers for s in self.structures])

    @cached_property
    def _are_linear(self) -> bool:
        return bool((self._powers == 1.0).all())

    def amounts(self, theta: Array, units: Array) -> Array:
        """The relative standard deviations that parameters are, (n,) or (m, n); zero if none."""
        size = np.abs(theta) * units
        if self._are_linear:
            return size
        powers = self._powers
        return np.where(powers > 0.0, size**powers, 0.0)

    def enlarged(self, theta: Array, which: BoolArray, times: float) -> Array:
        """The theta with some standard deviations so many times as large."""
        powers = self._powers
        factor = times ** (1.0 / np.where(powers > 0.0, powers, 1.0))
        return np.where(which, theta * factor, theta)

    def canonical(self, theta: Array) -> Array:
        """The one theta of those with the same covariances that is reported; (n,) or (m, n)."""
        return self._each(theta, lambda s, own: s.canonical(own))

    def grown(self, theta: Array, t: int, change: Array, size: float, sizes: Array) -> Array:
        """The theta of many models after a change of term t by `size`, see `Structure.grown`."""
        out, at = theta.copy(), self.parts[t]
        out[:, at] = self.structures[t].grown(theta[:, at], change, size, sizes)
        return out

    def mapped(
        self,
        theta: Array,
        maps: Sequence[Callable[[Array], Array]],
        scales: Sequence[Array],
    ) -> Array:
        """The theta of the effects in other coordinates, (n,) or (m, n); see `Structure.mapped`."""
        rows = zip(maps, scales, strict=True)
        each = iter(rows)
        return self._each(theta, lambda s, own: s.mapped(own, *next(each)))

    def natural(self, theta: Array) -> Array:
        """The parameters as they are told, (n,) or (m, n)."""
        return self._each(theta, lambda s, own: s.natural(own))

    def from_natural(self, parameters: Array) -> Array:
        """The theta of parameters as they are told, (n,) or (m, n)."""
        return self._each(parameters, lambda s, own: s.from_natural(own))

    def natural_gradient(self, theta: Array, gradient: Array) -> Array:
        """The derivative in the parameters as they are told, (n,), of that in theta."""
        pairs = zip(self.structures, self.parts, strict=True)
        return _joined([s.natural_gradient(theta[at], gradient[at]) for s, at in pairs])

    def _each(self, theta: Array, made: Callable[[Structure, Array], Array]) -> Array:
        many = np.atleast_2d(theta)
        pairs = zip(self.structures, self.parts, strict=True)
        found = [made(s, many[:, at]) for s, at in pairs]
        out = np.concatenate(found, axis=1) if found else many
        return out.reshape(theta.shape)

    def zero_groups(self) -> list[IntArray]:
        """Places of parameters that may be zero together: all terms' effects, then their parts."""
        found = [s.zero_groups() for s in self.structures]
        pairs = list(zip(found, self.parts, strict=True))
        return [at.start + group for i in (0, 1) for groups, at in pairs for group in groups[i]]

    def joint(self, theta: Array) -> Array:
        """Lambda of all terms, (m, K, K), for (m, n)."""
        out = np.zeros((len(theta), self.k, self.k))
        for s, at, span in zip(self.structures, self.parts, self.spans, strict=True):
            out[:, span, span] = s.factor(theta[:, at])
        return out

    def joint_gradient(self, theta: Array, slopes: Array) -> Array:
        """As `gradient` for many: (m, K, K) -> (m, n)."""
        rows = zip(self.structures, self.parts, self.spans, strict=True)
        found = [s.pull(theta[:, at], slopes[:, span, span]) for s, at, span in rows]
        return np.concatenate(found, axis=1) if found else np.empty((len(theta), 0))

    def joint_covariance_slopes(self, theta: Array) -> Array:
        """``dG / dtheta_i`` for many, (m, n, K, K)."""
        out = np.zeros((len(theta), self.n, self.k, self.k))
        for s, at, span in zip(self.structures, self.parts, self.spans, strict=True):
            out[:, at, span, span] = s.covariance_slopes(theta[:, at])
        return out

    def joint_curvature(self, theta: Array, slopes: Array) -> Array:
        """As `curvature` for many: (m, K, K) -> (m, n, n)."""
        out = np.zeros((len(theta), self.n, self.n))
        for s, at, span in zip(self.structures, self.parts, self.spans, strict=True):
            out[:, at, at] = s.curvature(theta[:, at], slopes[:, span, span])
        return out


@lru_cache(maxsize=256)
def _of(structures: tuple[Structure, ...]) -> Covariances:
    return Covariances(structures)


def _joined(parts: Sequence[Array]) -> Array:
    return np.concatenate(parts) if parts else np.empty(0)
