"""Further starts of the search, and when to use them: a deviance may have several minima.

As a rule in small or unbalanced designs: one with a variance at zero and one inside, or one for
each effect that can take the same variation. A search that started near a minimum and ended inside
has found it; where the end is singular or the way was long, it is repeated from other starts and
the best end is kept.

Starts are in units of the covariates, an effect of size one moving a row by one residual standard
deviation, so that they do not depend on the scale of anything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from typing import Any, Protocol, TypeVar

import numpy as np

from merextras.engine.kernels.blocks import Array, BoolArray
from merextras.engine.optimum.criterion import Criterion

#: Iterations after which a way was long; a well-started search takes about five.
LONG_WAY = 12
#: A step cut to less than this: the start was where the quadratic model does not hold.
SHORT_STEP = 0.5
# Random effects of a model that is searched from a few starts only: each costs a fit.
_LARGE = 2000
# Relative standard deviations: of all effects alike; of the one direction that has much, and of the
# others beside it; of a direction set free.
_ALIKE, _ONLY, _BESIDE, _FREED = (1.0, 3.0, 10.0, 30.0, 0.3), (3.0, 1.0, 0.3), 0.1, (3.0, 1.0)
# A relative standard deviation that counts as none.
_NONE = 1e-3
# Deviances that are one end's: relative to 1 + its size; absolute, of ends known to a few digits.
_LOWER, _SAME = 1e-7, 1e-2
# Covariances that are one place's: relative to the largest; absolute, of effects of size one.
_CLOSE, _CLOSE_TO_NONE = 0.1, 1e-6


class End(Protocol):
    """Where a search stopped."""

    @property
    def theta(self) -> Array:
        """The covariance parameters there, (n_theta,)."""

    @property
    def deviance(self) -> float:
        """The criterion's value there."""


E = TypeVar("E", bound=End)


def starts(criterion: Criterion, theta: Array) -> Iterator[Array]:
    """Starting thetas for another search, the most promising first.

    Parameters
    ----------
    criterion : Criterion
        Of a large model there are fewer starts.
    theta : (n_theta,) array
        Where the first search ended.
    """
    large = sum(levels * k for levels, k in criterion.system.cp.shapes) > _LARGE
    found = [
        alike(criterion, _ALIKE[:2] if large else _ALIKE),
        freed(criterion, theta, _FREED[:1] if large else _FREED),
        *([] if large else [alone(criterion, _ONLY)]),
    ]
    for start in chain.from_iterable(found):
        yield criterion.parameters.with_theta(theta, start)


def alike(criterion: Criterion, sizes: Iterable[float]) -> Iterator[Array]:
    """All effects independent and of one size."""
    for size in sizes:
        yield _theta_of(criterion, [size**2 * np.eye(k) for k in criterion.covariances.ks])


def freed(criterion: Criterion, theta: Array, sizes: Iterable[float]) -> Iterator[Array]:
    """An end with each direction that has no variance set free in turn."""
    scaled = _scaled(criterion, theta)
    for size in sizes:
        for t, g in enumerate(scaled):
            for change in criterion.covariances.structures[t].released(g, _NONE):
                grown = g + size**2 * change
                yield _theta_of(criterion, [*scaled[:t], grown, *scaled[t + 1 :]])


def alone(criterion: Criterion, sizes: Iterable[float]) -> Iterator[Array]:
    """A covariance far from even and all others small; see `Structure.uneven`."""
    structures = criterion.covariances.structures
    little = [_BESIDE**2 * np.eye(s.k) for s in structures]
    for size in sizes:
        for t, structure in enumerate(structures):
            for large in structure.uneven():
                g = little[t] + size**2 * large
                yield _theta_of(criterion, [*little[:t], g, *little[t + 1 :]])


def _scaled(criterion: Criterion, theta: Array) -> list[Array]:
    """The covariance of each term, of effects of size one."""
    own = criterion.parameters.theta(theta)
    pairs = zip(criterion.covariances.factors(own), criterion.sizes, strict=True)
    rows = [lam * unit[:, None] for lam, unit in pairs]
    return [row @ row.T for row in rows]


def _theta_of(criterion: Criterion, scaled: Sequence[Array]) -> Array:
    pairs = zip(scaled, criterion.sizes, strict=True)
    return criterion.covariances.from_covariances([g / np.outer(u, u) for g, u in pairs])


def are_one_place(criterion: Criterion, one: Array, other: Array) -> bool:
    """Whether two thetas are so near that searches from them go the same way."""
    n = criterion.covariances.n
    pairs = zip(_scaled(criterion, one), _scaled(criterion, other), strict=True)
    alike = all(
        np.abs(a - b).max() <= max(_CLOSE * np.abs(a).max(initial=0.0), _CLOSE_TO_NONE)
        for a, b in pairs
    )
    return alike and bool((np.abs(one[n:] - other[n:]) <= _CLOSE).all())


def lowest(
    criterion: Criterion,
    first: E,
    others: Iterable[Array],
    foresee: Callable[[Array], tuple[Array, float]],
    descend: Callable[[Array], E],
    is_last: Callable[[E], bool],
) -> tuple[E, int]:
    """Search from other starts, and return the lowest end and the number of those that differ.

    A search that comes to where one has been goes no further.

    Parameters
    ----------
    criterion : Criterion
    first : End
        Of the search that was made.
    others : iterable of (n_theta,) arrays
    foresee : callable theta -> (theta, deviance)
        A short search: where it was left, and the deviance that its end will have.
    descend : callable theta -> End
        A search to its end.
    is_last : callable End -> bool
        Whether there is no use in looking further: the deviance has no minimum.
    """
    ends, places = [first], [(first.theta, first.deviance)]
    for theta in others:
        near, deviance = foresee(theta)
        best = min(end.deviance for end in ends)
        known = any(
            abs(deviance - value) <= _SAME and are_one_place(criterion, near, place)
            for place, value in places
        )
        worth = _is_lower(deviance, best) or _is_new(deviance, ends)
        if np.isfinite(deviance) and worth and not known:
            end = descend(near)
            places += [(near, deviance), (end.theta, end.deviance)]
            if is_last(end):
                # A flat end far out may lie above a minimum; one that is lower has no minimum.
                if end.deviance < best:
                    return end, len(ends)
                continue
            if _is_new(end.deviance, ends):
                ends.append(end)
            elif end.deviance < best:
                at = int(np.argmin([abs(e.deviance - end.deviance) for e in ends]))
                ends[at] = end
    return min(ends, key=lambda end: end.deviance), len(ends)


def are_worth_it(foreseen: Array, known: Array) -> BoolArray:
    """Which searches of many models may end lower than, or elsewhere than, the end that is known.

    By the deviance that each will end with, as `lowest` has it for one model.
    """
    elsewhere = _is_lower(foreseen, known) | (np.abs(foreseen - known) > _SAME)
    return np.asarray(np.isfinite(foreseen) & elsewhere)


def _is_lower(deviance: Any, known: Any) -> Any:
    return deviance < known - _LOWER * (1.0 + abs(known))


def _is_new(deviance: float, ends: Sequence[E]) -> bool:
    return bool(all(abs(deviance - end.deviance) > _SAME for end in ends))
