"""A search for directions along which the random effects can explain the response exactly.

A covariance of lower rank, ``G = S**2 U U'``, has fewer effects, and their span depends on U: with
as many free directions as the span lacks dimensions, for some U the response is in it. There the
residual sum of squares falls as ``1 / S**2`` while the determinant grows with a lower power of S:
the criterion has no minimum, along a ray about 1 / S wide that no search comes upon. Here U is
looked for by least squares, whose valley is wide. Only few rows more than effects make it possible.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy import optimize

from merextras.engine.covariance.structure import Freedom
from merextras.engine.kernels.blocks import Array
from merextras.engine.optimum.criterion import Criterion

# Relative standard deviations at which the direction is looked for, in turn: it depends on them.
_SIZES = (1e3, 1e4, 1e5)
# Searches for the directions; each may end where the response is only nearly explained.
_SEARCHES = 4
# The least fall over the last two sizes, half of 2 log 10.
_FALL = math.log(10.0)
# Of the coordinates, and of the logarithm of the residual sum of squares.
_EXACT = {"xatol": 1e-9, "fatol": 1e-9}


@dataclass(frozen=True)
class _Face:
    """Covariances of given ranks, one each term: those of size S are ``S**2 U U'``.

    ``U`` is the span of the first columns of a rotation, turned by `free` coordinates.
    """

    criterion: Criterion
    ranks: tuple[int, ...]

    @property
    def shapes(self) -> list[tuple[int, int]]:
        """(k - rank, rank) of each term."""
        ks = self.criterion.covariances.ks
        return [(k - r, r) for k, r in zip(ks, self.ranks, strict=True)]

    @property
    def free(self) -> int:
        """Coordinates of all directions."""
        return sum(lost * r for lost, r in self.shapes)

    @property
    def most(self) -> int:
        """An upper bound of the rank of the fixed and the random effects together."""
        cp = self.criterion.system.cp
        return cp.p + sum(n * r for (n, _), r in zip(cp.shapes, self.ranks, strict=True))

    def theta(self, turns: list[Array], coordinates: Array, size: float) -> Array:
        """The parameters of the covariances of one size."""
        found, at = [], 0
        for turn, (lost, r), unit in zip(turns, self.shapes, self.criterion.sizes, strict=True):
            below = coordinates[at : at + lost * r].reshape(lost, r)
            at += lost * r
            u = np.linalg.qr(turn @ np.vstack([np.eye(r), below]))[0] * (size / unit[:, None])
            found.append(u @ u.T)
        return self.criterion.covariances.from_covariances(found)

    def lacks(self, theta: Array, larger: Array) -> int:
        """Dimensions that the span of all effects lacks, by how the determinant grows."""
        reml = self.criterion.by(reml=True)
        df = reml.system.cp.n - reml.system.cp.p
        one, other = reml.at(theta), reml.at(larger)
        by_rss = df * math.log(other.solution.sigma2 / one.solution.sigma2)
        grown = other.value() - one.value() - by_rss
        return df - round(grown / (2.0 * _FALL))


def bottomless(criterion: Criterion, deviance: float) -> Array | None:
    """A theta below a known end from which on the criterion falls; None where none is found.

    Parameters
    ----------
    criterion : Criterion
        With a prior, or where the residual variance is known, none is looked for.
    deviance : float
        Of the lowest end that is known. A ray that is lower only where the residual variance has
        no digit left is not told from a valley.

    Notes
    -----
    Cost: none but for models whose effects are about as many as rows; there some hundred
    evaluations. Structures other than the free covariance have no direction to turn.
    """
    if criterion.system.cp.scale.is_known or criterion.penalty or criterion.strata:
        return None
    for face in _faces(criterion):
        theta = _along(face, deviance)
        if theta is not None:
            return theta
    return None


def _faces(criterion: Criterion) -> Iterator[_Face]:
    """Those on which the count of effects leaves it possible."""
    structures = criterion.covariances.structures
    ranks = [range(s.k + 1) if s.freedom is Freedom.ANY else (0, s.k) for s in structures]
    for each in itertools.product(*ranks):
        face = _Face(criterion, each)
        if face.free and face.most >= criterion.system.cp.n - face.free:
            yield face


def _along(face: _Face, deviance: float) -> Array | None:
    """The far end of a ray on one face."""
    criterion, rng = face.criterion, np.random.default_rng(0)
    for _ in range(_SEARCHES):
        turns = [np.linalg.qr(rng.normal(size=(k, k)))[0] for k in criterion.covariances.ks]
        at, ends = np.zeros(face.free), []
        if not 0 < face.lacks(*(face.theta(turns, at, size) for size in _SIZES[:2])) <= face.free:
            return None
        for size in _SIZES:
            at = _nearest(face, turns, at, size)
            ends.append(face.theta(turns, at, size))
        before, last = (criterion.at(end).value() for end in ends[-2:])
        if last < min(before - _FALL, deviance):
            return ends[-1]
    return None


def _nearest(face: _Face, turns: list[Array], at: Array, size: float) -> Array:
    """The coordinates at which the effects explain most."""
    criterion = face.criterion

    def rss(coordinates: Array) -> float:
        return math.log(criterion.at(face.theta(turns, coordinates, size)).solution.sigma2)

    return np.asarray(optimize.minimize(rss, at, method="Nelder-Mead", options=_EXACT).x)
