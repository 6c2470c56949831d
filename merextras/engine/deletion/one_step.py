"""One Newton step in theta for many refits at once, from what the criterion is made of.

At the theta of the fit to all rows everything a refit's criterion needs is a sum over levels, and
so is what it needs for its slope and curvature (see `curvature`): with H = Z'V^-1 [X y] and
``dG_i = e_a lambda_b' + lambda_b e_a'`` for the i-th element of theta, (a, b),

    U_i = sum_j H_j' dG_i H_j,          T_ij = sum_j H_j' dG_i (Z'V^-1 Z)_jj dG_j H_j

give ``q_i = c'U_i c`` and ``a_ij = c'T_ij c`` for any beta, c = (-beta, 1).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from merextras.engine.covariance.covariances import Covariances
from merextras.engine.deletion.estimates import Estimates
from merextras.engine.kernels import blocks
from merextras.engine.kernels.blocks import Array
from merextras.engine.products.basis import Basis
from merextras.engine.products.scale import ESTIMATED, Scale

# The least share of the curvature of all rows, and what of a Hessian's largest eigenvalue is zero.
_LEAST, _FLAT = 0.5, 1e-6


@dataclass(frozen=True)
class Slopes:
    """The criteria of m refits at one theta.

    Attributes
    ----------
    gram : (m, p + 1, p + 1) array
        [X y]'V^-1 [X y] in the basis.
    gram_slopes : (m, n_theta, p + 1, p + 1) array
        U_i: the derivatives of `gram` but for their sign.
    gradient, hessian : (m, n_theta) and (m, n_theta, n_theta) arrays
        Of the criterion.
    df : (m,) array
    """

    gram: Array
    gram_slopes: Array
    gradient: Array
    hessian: Array
    df: Array


def one_step(
    at: Slopes,
    theta: Array,
    hessian: Array,
    covariances: Covariances,
    basis: Basis,
    scale: Scale = ESTIMATED,
) -> Estimates:
    """Newton's step in theta from a common one, and the other estimates after it.

    ``log sigma**2``, beta and the logarithm of beta's covariance are continued linearly along the
    step, so that no refit costs another factorisation. `hessian` is that of all rows at theta.
    """
    p, step = len(basis.offset), _steps(at, hessian)
    low, inverse, beta = profiled(at.gram)
    contrast = np.concatenate([-beta, np.ones((len(beta), 1))], axis=1)
    pwrss = np.einsum("mc,mcd,md->m", contrast, at.gram, contrast)
    moved = np.einsum("mi,micd->mcd", step, at.gram_slopes)
    along = np.einsum("mcd,md->mc", moved, contrast)
    fall = np.einsum("mc,mc->m", along, contrast)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        change = 0.0 if scale.is_known else -fall / pwrss
        sigma2 = scale.sigma2(pwrss, at.df) * np.exp(change)
    beta = beta - np.einsum("mpq,mq->mp", inverse, along[:, :p])
    # C^(1/2) exp(C^(1/2) dX'V^-1 X C^(1/2)) C^(1/2), which stays positive definite.
    turned = blocks.solve_lower(low, np.swapaxes(blocks.solve_lower(low, moved[:, :p, :p]), 1, 2))
    turned = 0.5 * (turned + np.swapaxes(turned, 1, 2))
    bad = ~np.all(np.isfinite(turned), axis=(1, 2))
    values, vectors = np.linalg.eigh(np.where(bad[:, None, None], 0.0, turned))
    half = basis.transform @ blocks.solve_upper(low, vectors * np.exp(0.5 * values)[:, None, :])
    covariance = sigma2[:, None, None] * (half @ np.swapaxes(half, 1, 2))
    after = covariances.canonical(theta + step)
    return Estimates(after, basis.offset + beta @ basis.transform.T, sigma2, covariance)


def _steps(at: Slopes, hessian: Array) -> Array:
    """``-H^-1 g`` of each refit, NaN without a slope, such as that of an exact fit.

    In coordinates in which the Hessian of all rows is one, that of the rows that are left is taken
    to be a half at least: far from its own optimum it can be anything.
    """
    size = np.sqrt(np.abs(np.diag(hessian)))
    size[size == 0.0] = 1.0
    values, vectors = np.linalg.eigh(hessian / np.outer(size, size))
    values = np.maximum(np.abs(values), _FLAT * np.max(np.abs(values), initial=1e-300))
    turn = vectors / np.sqrt(values) / size[:, None]
    found = np.all(np.isfinite(at.hessian), axis=(1, 2)) & np.all(np.isfinite(at.gradient), axis=1)
    inner = turn.T @ np.where(found[:, None, None], at.hessian, 0.0) @ turn
    values, vectors = np.linalg.eigh(0.5 * (inner + np.swapaxes(inner, 1, 2)))
    rotated = np.einsum("mij,mi->mj", vectors, at.gradient @ turn)
    back = np.einsum("mij,mj->mi", vectors, rotated / np.maximum(values, _LEAST))
    return np.asarray(-back @ turn.T)


def profiled(gram: Array) -> tuple[Array, Array, Array]:
    """Cholesky factor and inverse of X'V^-1 X, and beta, of each (p + 1, p + 1) gram."""
    m, p = len(gram), gram.shape[1] - 1
    low = blocks.cholesky(gram[:, :p, :p])
    low[~np.all(np.diagonal(low, axis1=1, axis2=2) > 0.0, axis=1)] = np.nan
    half = blocks.solve_lower(low, np.broadcast_to(np.eye(p), (m, p, p)))
    inverse = np.swapaxes(half, 1, 2) @ half
    return low, inverse, np.einsum("mpq,mq->mp", inverse, gram[:, :p, p])
