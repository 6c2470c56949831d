"""The interface of a covariance structure: the covariance of one term as the engine uses it.

``b_j ~ N(0, sigma**2 G)`` for each level j of the term, and ``G = Lambda Lambda'`` is a function of
the term's parameters theta. The engine needs some square root Lambda, its derivatives, and the way
back from a covariance; that is a structure. All arrays lead with an axis of m models, one for a
single fit.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np

from merextras.engine.covariance.cholesky import lower_indices
from merextras.engine.kernels.blocks import Array, BoolArray, IntArray


class Freedom(Enum):
    """Which changes of a term's effects leave the structure of their covariance as it is."""

    ANY = "any"  # all combinations of the effects
    SCALES = "scales"  # a unit for each effect
    SCALE = "scale"  # one unit for all


@dataclass(frozen=True)
class NearLinear:
    """G in parameters in which it is linear or nearly so; of degree one in their `values`.

    Attributes
    ----------
    slopes : (n, k, k) array
        ``dG / dphi_i``.
    second : (n, n, k, k) array
        ``d2G / dphi_i dphi_j``.
    values : (n,) array
        ``G = sum_i values_i dG / dphi_i``: the variances, and zero for a correlation.
    """

    slopes: Array
    second: Array
    values: Array


@dataclass(frozen=True)
class Structure(ABC):
    """The covariance of one term as a function of its parameters.

    Attributes
    ----------
    k : int
        Effects per level.
    """

    k: int

    @property
    @abstractmethod
    def n(self) -> int:
        """Parameters."""

    @property
    @abstractmethod
    def freedom(self) -> Freedom:
        """The coordinates in which the effects may stand."""

    @property
    def is_full(self) -> bool:
        """Whether there are as many parameters as variances and covariances."""
        return self.n == self.k * (self.k + 1) // 2

    @property
    @abstractmethod
    def lower(self) -> Array:
        """Lower bounds of the parameters, (n,)."""

    @property
    def natural_lower(self) -> Array:
        """Those of the parameters as they are told, (n,)."""
        return self.lower

    @abstractmethod
    def factor(self, theta: Array) -> Array:
        """Lambda, a root of G: (m, n) -> (m, k, k)."""

    @abstractmethod
    def slopes(self, theta: Array) -> Array:
        """``dLambda / dtheta_i``, (m, n, k, k)."""

    @abstractmethod
    def from_covariance(self, g: Array) -> Array:
        """The parameters whose G is nearest to given ones: (m, k, k) -> (m, n)."""

    @abstractmethod
    def units(self, sizes: Array) -> Array:
        """The unit of each parameter, (n,), where the effects' covariates have these sizes, (k,).

        A parameter times its unit is a pure number.
        """

    @property
    def powers(self) -> Array:
        """The power of each parameter that is a standard deviation, (n,); zero if none is."""
        return np.ones(self.n)

    def near_linear(self, theta: Array) -> NearLinear:
        """In variances and covariances; `theta` is (n,)."""
        slopes = self.directions(theta)
        g = self.factor(theta[None])[0]
        g = g @ g.T
        inside = np.einsum("iab,ab->i", slopes, g) / np.einsum("iab,iab->i", slopes, slopes)
        return NearLinear(slopes, np.zeros((self.n, *slopes.shape)), inside)

    def directions(self, theta: Array) -> Array:
        """Ways in which G can change, (d, k, k), none of them zero; `theta` is (n,)."""
        del theta
        rows, cols = lower_indices(self.k)
        out = np.zeros((len(rows), self.k, self.k))
        out[np.arange(len(rows)), rows, cols] = out[np.arange(len(rows)), cols, rows] = 1.0
        return out

    def released(self, g: Array, none: float) -> list[Array]:
        """Changes, (k, k), that give a G of units its rank back; none for one that has it.

        `none` is a standard deviation that is none.
        """
        lost = bool(np.linalg.eigvalsh(g)[0] < none**2)
        return [np.eye(self.k)] if lost else []

    @abstractmethod
    def uneven(self) -> list[Array]:
        """Covariances of size one, (k, k), far from independent effects of one size."""

    @abstractmethod
    def zero_groups(self) -> tuple[list[IntArray], list[IntArray]]:
        """Places of parameters that may be zero together: whole effects, then parts of them."""

    @abstractmethod
    def near_zero(self, theta: Array, sizes: Array, limit: float) -> BoolArray:
        """Whether a model is within `limit` of a covariance that has lost rank, (m,)."""

    @property
    def turn(self) -> tuple[float, float]:
        """The angle of a correlation in its drawn out arc sine u: ``start + rate u``."""
        raise NotImplementedError

    @property
    def ends(self) -> tuple[float, float]:
        """The least and the largest correlation."""
        return -1.0, 1.0

    @abstractmethod
    def inward(
        self, theta: Array, slope: Array, sizes: Array, held: Sequence[int] = ()
    ) -> tuple[Array, BoolArray]:
        """A change that lowers the criterion, for a model on the boundary.

        Parameters
        ----------
        slope : (m, k, k) array
            D, the derivative of the criterion in G.
        sizes : (k,) array
            Of the effects' covariates.
        held : sequence of int
            Parameters that may not change, where each stands for itself.

        Returns
        -------
        change : (m, ...) array
            What `grown` takes: where the structure allows it a positive semidefinite (m, k, k)
            that any multiple of may be added to G.
        found : (m,) boolean array
            Whether there is one with a slope that is not rounding.
        """

    def grown(self, theta: Array, change: Array, size: float, sizes: Array) -> Array:
        """Theta after a change of `inward` of some size, (m, n)."""
        del sizes
        lam = self.factor(theta)
        return self.from_covariance(lam @ np.swapaxes(lam, 1, 2) + size * change)

    def from_factor(self, lam: Array) -> Array:
        """The parameters of a root of G that `factor` gave: (m, k, k) -> (m, n)."""
        return self.from_covariance(lam @ np.swapaxes(lam, 1, 2))

    @property
    def elements(self) -> tuple[IntArray, IntArray, IntArray | None]:
        """(rows, columns) of Lambda's elements that may not be zero, and the parameters they are.

        None where they are functions of several.
        """
        rows, cols = lower_indices(self.k)
        return rows, cols, None

    @property
    def pairs(self) -> tuple[IntArray, IntArray]:
        """(rows, columns) of G's elements that are reported, as many as parameters.

        A standard deviation for each on the diagonal, a correlation for each off it.
        """
        return lower_indices(self.k)

    @property
    def covaries(self) -> bool:
        """Whether a covariance is a parameter beside variances; else a correlation stays one."""
        return True

    @property
    def is_sd(self) -> BoolArray:
        """Which of the parameters are standard deviations, (n,)."""
        rows, cols = self.pairs
        return np.asarray(rows == cols)

    def reported(self, g: Array) -> Array:
        """Standard deviations and correlations of a G: (m, k, k) -> (m, n).

        NaN for a correlation of effects that do not vary.
        """
        rows, cols = self.pairs
        sds = np.sqrt(np.diagonal(g, axis1=1, axis2=2))
        with np.errstate(invalid="ignore", divide="ignore"):
            correlation = g[:, rows, cols] / (sds[:, rows] * sds[:, cols])
        return np.where(rows == cols, sds[:, rows], correlation)

    def labels(self, names: Sequence[str]) -> list[tuple[str, ...]]:
        """What the parameters are called after: an effect, or two of a correlation."""
        pairs = zip(*self.pairs, strict=True)
        return [(names[i],) if i == j else (names[i], names[j]) for i, j in pairs]

    def lines(self, names: Sequence[str]) -> list[tuple[str, int, list[int]]]:
        """How the parameters are shown: a name, its standard deviation, correlations beside it.

        By their places among the parameters.
        """
        rows, cols = self.pairs
        place = {pair: i for i, pair in enumerate(zip(rows.tolist(), cols.tolist(), strict=True))}
        every = range(self.k)
        return [(names[a], place[a, a], [place[a, b] for b in range(a)]) for a in every]

    def natural(self, theta: Array) -> Array:
        """The parameters as they are told, standard deviations over sigma and correlations."""
        return theta

    def from_natural(self, parameters: Array) -> Array:
        """The theta of parameters as they are told."""
        return parameters

    def natural_gradient(self, theta: Array, gradient: Array) -> Array:
        """The derivative in the parameters as they are told, (n,), of that in theta, (n,)."""
        del theta
        return gradient

    def mapped(self, theta: Array, change: Callable[[Array], Array], scale: Array) -> Array:
        """Theta of the effects in other coordinates, (m, n).

        Parameters
        ----------
        change : callable (m, k, k) -> (m, k, k)
            Makes roots of G in the other coordinates, for a structure that allows any.
        scale : (k,) array
            By which the effects are multiplied, for the others.
        """
        del change
        return theta * self.units(scale)

    def canonical(self, theta: Array) -> Array:
        """The one theta of those with the same G that is reported, (m, n)."""
        return theta

    def second(self, theta: Array, weight: Array) -> Array:
        """``sum_ab w_ab d2Lambda_ab / dtheta_i dtheta_j``, (m, n, n); zero if Lambda is linear."""
        del weight
        return np.zeros((len(theta), self.n, self.n))

    def pull(self, theta: Array, weight: Array) -> Array:
        """``sum_ab w_ab dLambda_ab / dtheta_i``: (m, k, k) -> (m, n)."""
        return np.asarray(np.einsum("miab,mab->mi", self.slopes(theta), weight))

    def covariance_slopes(self, theta: Array) -> Array:
        """``dG / dtheta_i = S_i Lambda' + Lambda S_i'`` with S the slopes, (m, n, k, k)."""
        half = self.slopes(theta) @ np.swapaxes(self.factor(theta), -1, -2)[:, None]
        return np.asarray(half + np.swapaxes(half, -1, -2))

    def curvature(self, theta: Array, slope: Array) -> Array:
        """``tr(D d2G / dtheta_i dtheta_j)``, (m, n, n), for D = `slope`, (m, k, k)."""
        s = self.slopes(theta)
        turned = np.einsum("mab,mibc->miac", slope, s)
        inner = 2.0 * np.einsum("miac,mjac->mij", turned, s, optimize=True)
        return np.asarray(inner + self.second(theta, 2.0 * slope @ self.factor(theta)))


def all_of(names: Sequence[str]) -> str:
    """Effects that share what is said of them: ``t[1] ... t[9]``."""
    return names[0] if len(names) == 1 else f"{names[0]} ... {names[-1]}"
