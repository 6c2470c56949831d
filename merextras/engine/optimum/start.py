"""A starting theta by the method of moments, from the cross-products alone.

With ``C_j = Z_j'WZ_j`` and ``s_j = Z_j'W(y - X b0)`` of level j, b0 the least-squares fit,
``E s_j s_j'`` is about ``sigma**2 C_j + C_j G C_j``; summed over the levels this is linear in G:

    sum_j (s_j s_j' - sigma**2 C_j) = sum_j C_j G C_j.

Crossed effects claim the same variation twice and the degrees of freedom of b0 are ignored: a
start, not an estimate.
"""

from __future__ import annotations

import numpy as np

from merextras.engine.covariance.cholesky import lower_indices
from merextras.engine.covariance.covariances import Covariances
from merextras.engine.derivatives.average_information import element_pairs
from merextras.engine.derivatives.strata import conditional_traces
from merextras.engine.kernels import dense
from merextras.engine.kernels.blocks import Array
from merextras.engine.optimum.criterion import Criterion
from merextras.engine.products.crossprod import CrossProducts

# Bounds on the part of a row's standard deviation that a random effect may start with.
_LEAST, _MOST = 0.1, 10.0
# Rounds of taking what the random effects explain out of the residual variance.
_ROUNDS = 3
# Logarithm of the largest ratio of a stratum's residual variance to the middle one's at the start.
_FARTHEST = 6.0


def moments(cp: CrossProducts, covariances: Covariances | None = None) -> Array:
    """Find a starting theta, scale-free in y, X and Z; cost O(sum J k**4).

    The covariances are free ones by default.
    """
    if covariances is None:
        covariances = Covariances.unstructured([k for _, k in cp.shapes])
    units = [_units(own, cp.n) for own in cp.own]
    total = float(cp.xy[-1, -1]) / cp.n if cp.n else 0.0
    if not total > 0.0:
        return covariances.from_covariances([np.diag(unit**2) for unit in units])
    # In coordinates in which each effect moves a row by one on average.
    pairs = zip(cp.own, cp.to_xy, units, strict=True)
    equations = [_Equations(u[:, None] * own * u, to_xy[:, :, -1] * u) for own, to_xy, u in pairs]
    sigma2 = before = total if cp.scale.given is None else cp.scale.given
    for _ in range(0 if cp.scale.is_known else _ROUNDS):
        before = sigma2
        explained = sum(each.explained(sigma2) for each in equations) / cp.n
        sigma2 = max(total - explained, 0.05 * total)
    started = []
    most = np.inf if cp.scale.is_known else _MOST
    for unit, each in zip(units, equations, strict=True):
        values, vectors = np.linalg.eigh(each.solve(before) / sigma2)
        bounded = vectors * np.minimum(np.maximum(values, _LEAST**2), most**2) @ vectors.T
        started.append(unit[:, None] * bounded * unit)
    return covariances.from_covariances(started)


def _units(own: Array, n: int) -> Array:
    """One over the root mean square of each effect's covariate, (k,)."""
    size = np.sqrt(np.einsum("jaa->a", own) / max(n, 1))
    size[size == 0.0] = 1.0
    return np.asarray(1.0 / size)


class _Equations:
    """The moment equations of one term, of blocks C_j, (J, k, k), and scores s_j, (J, k).

    In an orthonormal basis of the symmetric matrices: an element of the lower triangle each.
    """

    def __init__(self, blocks: Array, scores: Array) -> None:
        k = blocks.shape[1]
        rows, cols = lower_indices(k)
        weights = np.where(rows == cols, 0.5, np.sqrt(0.5))
        own = blocks.sum(axis=0)
        flat = blocks[:, rows, cols]
        system = weights[:, None] * weights * element_pairs(flat.T @ flat, k)
        sides = np.stack([(scores.T @ scores)[rows, cols], own[rows, cols]], axis=1)
        sides *= 2.0 * weights[:, None]
        found = _least_squares(system, sides) * weights[:, None]
        both = np.zeros((2, k, k))
        both[:, rows, cols] = found.T
        self._both = both + both.transpose(0, 2, 1)
        self._explained = self._both.reshape(2, -1) @ own.reshape(-1)

    def solve(self, sigma2: float) -> Array:
        """G, (k, k); it may be indefinite."""
        squares, blocks = self._both
        return np.asarray(squares - sigma2 * blocks)

    def explained(self, sigma2: float) -> float:
        """What G explains of the sum of squares of the rows."""
        squares, blocks = self._explained
        return float(squares - sigma2 * blocks)


def _least_squares(system: Array, sides: Array) -> Array:
    """Solve positive semidefinite equations, (n, n) and (n, m), by the shortest solution."""
    size = np.sqrt(system.diagonal())
    if size.all():
        low = dense.cholesky(system / size[:, None] / size)
        if dense.is_clear(low):
            return dense.solve(low, sides / size[:, None]) / size[:, None]
    return np.asarray(np.linalg.lstsq(system, sides, rcond=1e-10)[0])


def residual_start(criterion: Criterion, theta: Array) -> Array:
    """A start for the parameters of strata's residuals, (n_residual,), at a theta.

    From the residuals of each stratum in the model in which all have one variance, that of a
    stratum whose rows the effects explain no further from the others' than `_FARTHEST`.
    """
    strata = criterion.strata
    if strata is None:
        return np.empty(0)
    point = criterion.at(np.concatenate([theta, np.zeros(len(strata) - 1)]))
    solution = point.solution
    residual = strata.residual(solution.modes_map)
    squares = residual.gram @ solution.contrast @ solution.contrast
    left = strata.n - conditional_traces(solution, strata)
    each = np.log(np.maximum(squares / np.maximum(left, 0.1 * strata.n), 1e-300))
    middle = float(np.median(each))
    log_omega = -np.clip(each, middle - _FARTHEST, middle + _FARTHEST)
    return np.asarray(log_omega[1:] - log_omega[0])
