"""Separation: a direction of the fixed effects along which the likelihood never falls.

Where ``x_i'd >= 0`` for all rows that are all successes, ``<= 0`` for those that are all failures
and zero for the others (Albert & Anderson 1984, Biometrika 71), every row's probability grows along
d whatever the random effects are, and there is no maximum. Likewise for counts of zero.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import scipy.linalg as la
from scipy import optimize

from merextras.engine.kernels.blocks import Array, IntArray

# What is zero in a linear programme's solution, of columns of length one.
_ROUNDING = 1e-7
# Rows' largest standard error of the fixed part up to which nothing is separated.
_DOUBTFUL = 8.0
# Rows that are added at a time, of a part at least, and how often.
_MORE, _LEAST, _ROUNDS = 5000, 20, 30


def is_doubtful(x: Array, covariance: Array, share: float = 1.0) -> bool:
    """Whether some row's fixed part has a standard error that only separation explains.

    Or more than a share of such a one.
    """
    if not np.isfinite(covariance).all():
        return True
    squares = np.einsum("np,np->n", x @ covariance, x)
    return bool(np.max(squares, initial=0.0) > (share * _DOUBTFUL) ** 2)


def separating(x: Array, signs: IntArray) -> Array | None:
    """A direction d, (p,), or None where there is none; by linear programming.

    Parameters
    ----------
    x : (n, p) array
    signs : (n,) array
        1: the row is best with an infinite linear predictor; -1: with minus infinity; 0: neither.
    """
    rows = np.unique(np.column_stack([x, signs]), axis=0)
    free, side = rows[:, :-1][rows[:, -1] != 0.0], rows[:, -1][rows[:, -1] != 0.0]
    held = rows[:, :-1][rows[:, -1] == 0.0]
    if len(free) == 0:
        return None
    turned = side[:, None] * free
    found = optimize.linprog(
        -turned.sum(axis=0), A_ub=-turned, b_ub=np.zeros(len(turned)),
        A_eq=held if len(held) else None, b_eq=np.zeros(len(held)) if len(held) else None,
        bounds=[(-1.0, 1.0)] * x.shape[1], method="highs",
    )  # fmt: skip
    if found.x is None or np.max(turned @ found.x) <= _ROUNDING:
        return None
    return np.asarray(found.x)


def separating_parts(parts: Callable[[], Iterator[tuple[Array, IntArray]]]) -> Array | None:
    """The direction for rows that come part by part, as `separating`.

    A pass takes some rows that have the rank of all, and with them every direction along which all
    could be separated; each pass after it adds rows that are against the direction found.
    """
    kept: list[Array] = []
    direction: Array | None = None
    most = _LEAST
    for _ in range(_ROUNDS):
        against = [_against(x, signs, direction, most) for x, signs in parts()]
        if direction is not None and not any(map(len, against)):
            return direction
        most = max(_LEAST, _MORE // max(len(against), 1))
        kept += against
        rows = np.concatenate(kept)
        direction = separating(rows[:, :-1], rows[:, -1].astype(np.intp))
        if direction is None:
            return None
    return None


def _against(x: Array, signs: IntArray, direction: Array | None, most: int) -> Array:
    """Up to `most` rows that are against a direction, or rows of the rank of all; with signs."""
    both = np.column_stack([x, signs])
    if direction is None:
        return np.asarray(both[la.qr(x.T, mode="r", pivoting=True)[1][: x.shape[1]]])
    along = x @ direction
    wrong = np.where(signs == 0, np.abs(along), -signs * along)
    worst = np.argsort(-wrong)[:most]
    return np.asarray(both[worst[wrong[worst] > _ROUNDING]])
