"""A starting theta by the method of moments, from the cross-products alone.

With ``C_j = Z_j'WZ_j`` and ``s_j = Z_j'W(y - X b0)`` of level j, b0 the least-squares fit,
``E s_j s_j'`` is about ``sigma**2 C_j + C_j G C_j``; summed over the levels this is linear in G:

    sum_j (s_j s_j' - sigma**2 C_j) = sum_j C_j G C_j,

and so is the residual sum of squares, ``n sigma**2 + sum_j tr(C_j G)``. Under REML the degrees of
freedom of b0 are taken into account: with ``A_j = Z_j'WX`` for p orthonormal columns X,

    E sum_j s_j s_j' = sigma**2 sum_j D_j + sum_j D_j G D_j + sum_j A_j (sum_i!=j A_i'G A_i) A_j',
    E r'Wr = (n - p) sigma**2 + sum_j tr(D_j G),    D_j = C_j - A_j A_j'.

Solved for G and sigma**2 these are the estimates themselves where a design is balanced (of REML
Rao's MINQUE of zero variances; Searle, Casella & McCulloch 1992, Variance Components, ch. 11).
Crossed effects claim the same variation twice: a start, not an estimate.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from merextras.engine.covariance.cholesky import lower_indices
from merextras.engine.covariance.covariances import Covariances
from merextras.engine.derivatives.average_information import element_pairs
from merextras.engine.derivatives.strata import conditional_traces
from merextras.engine.kernels import dense
from merextras.engine.kernels.blocks import Array, eigh
from merextras.engine.optimum.criterion import Criterion
from merextras.engine.products.crossprod import CrossProducts

# Bounds on the part of a row's standard deviation that a random effect may start with.
_LEAST, _MOST = 0.1, 10.0
# The least part of the sum of squares, and of its degrees of freedom, that is the residuals'.
_NEVER = 0.05
# A share of an equation that is rounding.
_NO_DIGITS = 1e-10
# Logarithm of the largest ratio of a stratum's residual variance to the middle one's at the start.
_FARTHEST = 6.0


def moments(
    cp: CrossProducts,
    covariances: Covariances | None = None,
    *,
    reml: bool = False,
    sigma2: float = np.nan,
) -> Array:
    """Find a starting theta, scale-free in y, X and Z; cost O(sum J k**2 (k + p)**2).

    Parameters
    ----------
    cp : CrossProducts
    covariances : Covariances, optional
        Free ones by default.
    reml : bool
        Which criterion it is a start for.
    sigma2 : float
        A residual variance that is better than that of the equations, if there is one.
    """
    if covariances is None:
        covariances = Covariances.unstructured([k for _, k in cp.shapes])
    units = [_units(own, cp.n) for own in cp.own]
    rest = float(cp.xy[-1, -1])
    if not (cp.n and rest > 0.0):
        return covariances.from_covariances([np.diag(unit**2) for unit in units])
    # In coordinates in which each effect moves a row by one on average.
    rows = zip(cp.own, cp.to_xy, units, strict=True)
    equations = [_Equations(u[:, None] * own * u, u[:, None] * to, reml) for own, to, u in rows]
    most = _MOST
    if cp.scale.given is None:
        df = max(cp.n - cp.p if reml else cp.n, 1)
        found = sigma2 if np.isfinite(sigma2) else _residual_variance(equations, rest, df)
        sigma2 = max(found, _NEVER * rest / df)
    else:
        sigma2, most = cp.scale.given, np.inf
    started = []
    for unit, each in zip(units, equations, strict=True):
        values, vectors = eigh(each.solve(sigma2)[None] / sigma2)
        bounded = np.minimum(np.maximum(values[0], _LEAST**2), most**2)
        started.append(unit[:, None] * (vectors[0] * bounded @ vectors[0].T) * unit)
    return covariances.from_covariances(started)


def _residual_variance(equations: Sequence[_Equations], rest: float, df: int) -> float:
    """sigma**2 of the equation of the residual sum of squares, `rest`."""
    squares, used = (sum(each.explained[i] for each in equations) for i in (0, 1))
    return (rest - squares) / max(df - used, _NEVER * df)


def _units(own: Array, n: int) -> Array:
    """One over the root mean square of each effect's covariate, (k,)."""
    size = np.sqrt(np.einsum("jaa->a", own) / max(n, 1))
    size[size == 0.0] = 1.0
    return np.asarray(1.0 / size)


class _Equations:
    """The moment equations of one term, of blocks C_j, (J, k, k), and Z'W[X r], (J, k, p + 1).

    In an orthonormal basis of the symmetric matrices: an element of the lower triangle each.
    """

    def __init__(self, blocks: Array, to_xy: Array, reml: bool) -> None:
        k = blocks.shape[1]
        (rows, cols), weights = lower_indices(k), _weights(k)
        scores = to_xy[:, :, -1]
        system, own = _expected(blocks, to_xy[:, :, :-1] if reml else to_xy[:, :, :0])
        sides = np.empty((len(rows), 2))
        sides[:, 0], sides[:, 1] = (scores.T @ scores)[rows, cols], own[rows, cols]
        sides *= 2.0 * weights
        found = _least_squares(weights * weights.T * system, sides) * weights
        both = np.zeros((2, k, k))
        both[:, rows, cols] = found.T
        self._both = both + both.transpose(0, 2, 1)
        #: What G explains of the sum of squares of the rows, and that of it per sigma**2.
        self.explained: list[float] = (self._both.reshape(2, -1) @ own.reshape(-1)).tolist()

    def solve(self, sigma2: float) -> Array:
        """G, (k, k); it may be indefinite."""
        squares, blocks = self._both
        return np.asarray(squares - sigma2 * blocks)


@lru_cache(maxsize=64)
def _weights(k: int) -> Array:
    """What the elements of the triangle have to be multiplied by for that basis, (n, 1)."""
    rows, cols = lower_indices(k)
    return np.where(rows == cols, 0.5, np.sqrt(0.5))[:, None]


def _expected(blocks: Array, fixed: Array) -> tuple[Array, Array]:
    """What is linear in G and in sigma**2 of E sum_j s_j s_j', with A_j, (J, k, p); see above.

    Returns
    -------
    of_g : (n, n) array
        Of two elements of the triangle, as `element_pairs`.
    of_sigma2 : (k, k) array
    """
    levels, k, p = fixed.shape
    rows, cols = lower_indices(k)
    if p == 0:
        flat = blocks[:, rows, cols]
        return element_pairs(flat.T @ flat, k), blocks.sum(axis=0)
    whole = np.sqrt((blocks.diagonal(axis1=1, axis2=2) ** 2).sum(axis=0))
    taken = fixed @ fixed.transpose(0, 2, 1)
    blocks = blocks - taken
    flat, flat_taken = blocks[:, rows, cols], taken[:, rows, cols]
    columns = fixed.reshape(levels, k * p)
    pairs = (columns.T @ columns).reshape(k, p, k, p)
    across = (pairs + pairs.transpose(2, 1, 0, 3))[rows, :, cols].reshape(len(rows), p * p)
    system = element_pairs(flat.T @ flat - flat_taken.T @ flat_taken, k) + across @ across.T
    # What the fixed effects leave nothing of.
    lost = system.diagonal() <= _NO_DIGITS * whole[rows] * whole[cols]
    if lost.any():
        system[lost] = system[:, lost] = 0.0
    return system, blocks.sum(axis=0)


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
