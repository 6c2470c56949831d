"""The lowest of several minima with one parameter held.

Where a variance is at zero or a correlation at its end, what is minimised may have several minima,
and one that is followed along the parameter need not stay the lowest. There it is searched for from
inside and from the minima at other values of the parameter, too, and so where the minima found do
not make one continuous curve.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from merextras.engine.kernels.blocks import Array
from merextras.engine.profile.constrained import Reached

# A difference of deviances that makes another minimum.
_LOWER = 1e-6
# Starts from inside of those there are, and other minima that are followed beside the lowest.
_USUAL, _KEPT = 1, 3
# The mean slope of zeta between two points is between those at the points, but for this share and
# this difference of zeta.
_SLACK, _APART = 0.2, 1e-4


class Followed(Protocol):
    """What has a minimum at each value of a parameter, or several."""

    curvature_correction: Any

    def minimum(self, u: float, z: Array) -> Reached:
        """A minimum of the deviance with the parameter at u, from other coordinates z."""
        ...

    def afresh(self) -> Followed:
        """The same with nothing learned, for another start."""
        ...

    def is_singular(self, at: Reached, *, whole: bool = False) -> bool:
        """Whether a covariance has nearly lost rank, and not (unless `whole`) by what is held."""
        ...

    def inner_starts(self, at: Reached) -> list[Array]:
        """Other coordinates inside the space of covariances."""
        ...


class Lowest:
    """A problem whose minimum at each value is the lowest of those that are found.

    Attributes
    ----------
    problem : Followed
    start : Reached
        At the optimum.
    searches : bool
        Whether there may be others wherever a covariance has lost rank, which takes many searches;
        else where those found are no continuous curve.
    known : list of Reached
        All minima.
    jumped : bool
        Whether the last one was another than that which the given coordinates lead to.
    """

    def __init__(self, problem: Followed, start: Reached, *, searches: bool = True) -> None:
        self.problem, self.start, self.searches = problem, start, searches
        self.known, self.jumped = [start], False
        self._singular: dict[int, tuple[Reached, bool]] = {}
        # Minima that are not the lowest at the parameter's last value.
        self._others: list[Reached] = []

    @property
    def curvature_correction(self) -> Any:
        """The problem's."""
        return self.problem.curvature_correction

    @curvature_correction.setter
    def curvature_correction(self, value: float) -> None:
        self.problem.curvature_correction = value

    def minimum(self, u: float, z: Array) -> Reached:
        """The lowest minimum with the parameter at u, from other coordinates z and others."""
        found, self.jumped = self.problem.minimum(u, z), False
        if not found.converged or self.may_be_others(found):
            found = self._lowest(found, _USUAL)
        if found.converged:
            self.known.append(found)
        return found

    def again(self, at: Reached) -> Reached:
        """A minimum that was found, or one that is lower from any of the starts inside."""
        self.jumped = False
        found = self._lowest(at, None)
        if self.jumped:
            self.known.append(found)
        return found

    def went_back(self, points: list[Reached], at: int, step: int = -1) -> int:
        """Put lower minima in the place of those next to one of the points; where they end."""
        while 0 <= at + step < len(points):
            other = self.from_neighbour(points[at + step], points[at])
            if other is None:
                break
            at += step
            points[at] = other
        return at

    def from_neighbour(self, at: Reached, neighbour: Reached) -> Reached | None:
        """A lower minimum than one that was found, from a neighbour's coordinates."""
        other, _ = self._tried(at.u, neighbour.z)
        if not is_lower(other, at):
            return None
        self.known.append(other)
        return other

    def may_be_others(self, found: Reached) -> bool:
        """Whether a minimum is singular, or the nearest that was found before is."""
        if not self.searches:
            return False
        nearest = self._neighbours(found.u)[0]
        return any(map(self._is_singular, (found, nearest)))

    def _is_singular(self, at: Reached) -> bool:
        kept = self._singular.get(id(at))
        if kept is None or kept[0] is not at:
            kept = self._singular[id(at)] = at, self.problem.is_singular(at)
        return kept[1]

    def _neighbours(self, u: float) -> list[Reached]:
        """The nearest minima on either side, the nearer first."""
        below = max((k for k in self.known if k.u <= u), key=lambda k: k.u, default=None)
        above = min((k for k in self.known if k.u > u), key=lambda k: k.u, default=None)
        found = [at for at in (below, above) if at is not None]
        return sorted(found, key=lambda k: abs(k.u - u))

    def _lowest(self, found: Reached, most: int | None) -> Reached:
        """The lowest of a minimum and those from neighbours, other minima and `most` inside."""
        neighbours = self._neighbours(found.u)
        inner = self.problem.inner_starts(found if found.converged else neighbours[0])[:most]
        minima = [found] if found.converged else []
        for z in [*(at.z for at in (*neighbours, *self._others)), *inner]:
            other, problem = self._tried(found.u, z)
            if other.converged:
                minima.append(other)
            if is_lower(other, found):
                found, self.problem, self.jumped = other, problem, True
        self._others = []
        for other in sorted(minima, key=lambda at: at.deviance):
            if is_lower([found, *self._others][-1], other) and len(self._others) < _KEPT:
                self._others.append(other)
        return found

    def _tried(self, u: float, z: Array) -> tuple[Reached, Followed]:
        """A minimum from other coordinates, by a problem that has learned nothing of others."""
        problem = self.problem.afresh()
        return problem.minimum(u, z), problem


def is_lower(other: Reached, found: Reached) -> bool:
    """Whether a minimum is lower than another at the same value, which may not be one."""
    if not other.converged:
        return False
    return not found.converged or other.deviance < found.deviance - _LOWER


def zeta_of(point: Reached, start: Reached) -> tuple[float, float]:
    """Zeta without its sign, and its derivative in u."""
    zeta = float(np.sqrt(max(point.deviance - start.deviance, 0.0)))
    return zeta, point.slope / (2.0 * zeta) if zeta > 0.0 else 0.0


def is_broken(inner: Reached, outer: Reached, start: Reached) -> bool:
    """Whether no continuous curve is likely between two minima, the second further out."""
    (here, first), (there, last) = zeta_of(inner, start), zeta_of(outer, start)
    span = outer.u - inner.u
    low, high = sorted((np.sign(span) * first, np.sign(span) * last))
    slack = _SLACK * max(abs(low), abs(high)) + _APART / abs(span)
    return not low - slack <= (there - here) / abs(span) <= high + slack
