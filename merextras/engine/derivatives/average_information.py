"""Second-order information on the profiled deviance, for Newton steps.

The average information (Gilmour, Thompson & Cullis 1995, Biometrics 51) replaces the traces of the
Hessian by quadratic forms in the working columns ``V_i P y``, with ``V_i = dV / d theta_i``.
Written for the deviance with sigma**2 profiled out, ``a_ij = y'P V_i P V_j P y`` and
``q_i = y'P V_i P y``,

    H_ij = df (a_ij / r**2 - q_i q_j / r**4) + tr(D_t d2G_t / d theta_i d theta_j),

whose first part is positive semidefinite, and is here (``a_ij / sigma**2`` alone where sigma is
given), and whose second vanishes at an interior
optimum (`Covariances.curvature`). How G depends on theta is the caller's: all that is needed of it
is dG / d theta.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from merextras.engine.covariance.cholesky import lower_indices
from merextras.engine.elimination import columns
from merextras.engine.elimination.factor import flat
from merextras.engine.kernels import blocks, dense
from merextras.engine.kernels.blocks import Array, IntArray
from merextras.engine.products.crossprod import CrossProducts
from merextras.engine.solution.pls import Solution


def average_information(solution: Solution, covariance_slopes: Sequence[Array]) -> Array:
    """Return the first part of H, (n_theta, n_theta); cost n_theta columns through the factor.

    Parameters
    ----------
    covariance_slopes : sequence of (n_t, k, k) arrays
        ``dG_t / d theta_i`` of each term's own parameters.
    """
    if not covariance_slopes:
        return np.zeros((0, 0))
    quadratic, scores, half = working_products(solution, solution.scores, covariance_slopes)
    scale = solution.cp.scale
    return scale.information(quadratic - half.T @ half, scores, solution.pwrss, solution.df)


def working_products(
    solution: Solution, scores: Sequence[Array], covariance_slopes: Sequence[Array]
) -> tuple[Array, Array, Array]:
    """Inner products of the working columns ``V_i V^-1 e``; `scores` are Z'V^-1 e by terms.

    Parameters
    ----------
    covariance_slopes : sequence of (n_t, k, k) arrays
        ``dG_t / d theta_i``.

    Returns
    -------
    gram : (n_theta, n_theta) array
        ``a_ij`` with V^-1 in place of P.
    slopes : (n_theta,) array
        ``q_i = e'V^-1 V_i V^-1 e``.
    half : (p, n_theta) array
        ``R_X^-T X'V^-1 V_i V^-1 e`` in the basis: ``half' half`` is what P takes off `gram`.
    """
    cp, p = solution.factor.system.cp, solution.p
    if len(covariance_slopes) == 1 and len(covariance_slopes[0]) > covariance_slopes[0].shape[1]:
        return _products_by_elements(solution, scores[0], covariance_slopes[0])
    working = [working_columns(*each) for each in zip(scores, covariance_slopes, strict=True)]
    m = sum(part.shape[2] for part in working)
    by_term, to_xy, gram = cross_products(cp, working, m)
    # The columns ride along with X, so that one elimination gives all inner products.
    pairs = zip(by_term, cp.to_xy, strict=True)
    joint = [np.concatenate([a, b[:, :, :p]], axis=2) for a, b in pairs]
    x_gram = np.empty((m + p, m + p))
    x_gram[:m, :m], x_gram[m:, m:] = gram, cp.xy[:p, :p]
    x_gram[:m, m:] = to_xy[:, :p]
    x_gram[m:, :m] = to_xy[:, :p].T
    reduced = columns.reduce(solution.factor, joint, x_gram).gram
    half = dense.solve_lower(solution.fixed_low, reduced[m:, :m])
    slopes = [np.einsum("jkm,jk->m", a, h) for a, h in zip(working, scores, strict=True)]
    return reduced[:m, :m], np.concatenate(slopes), half


def _products_by_elements(
    solution: Solution, scores: Array, covariance_slopes: Array
) -> tuple[Array, Array, Array]:
    """`working_products` of a single term, from sums over its levels.

    With ``S_j = s_j s_j'`` of the scores, H_j and B_j the blocks of ``Z'V^-1 X`` and ``Z'V^-1 Z``,

        a_ij = sum_l tr(dG_i B_l dG_j S_l),    X'V^-1 V_i V^-1 e = sum_l H_l' dG_i s_l,

    so that the levels are met once for the pairs of elements of G, of which there are fewer than
    parameters times effects.
    """
    k, p = covariance_slopes.shape[1], solution.p
    rows, cols = lower_indices(k)
    flat_slopes = covariance_slopes.reshape(-1, k * k)
    squares = scores[:, rows] * scores[:, cols]
    inner = solution.lead_blocks[0][:, rows, cols]
    elements = covariance_slopes[:, rows, cols] * np.where(rows == cols, 0.5, 1.0)
    gram = elements @ element_pairs(inner.T @ squares, k) @ elements.T
    slopes = flat_slopes @ (scores.T @ scores).reshape(-1)
    across = solution.projected[0][:, :, :p].reshape(len(scores), k * p).T @ scores
    across = across.reshape(k, p, k).transpose(1, 0, 2).reshape(p, k * k) @ flat_slopes.T
    return gram, slopes, dense.solve_lower(solution.fixed_low, across)


def working_columns(score: Array, covariance_slopes: Array) -> Array:
    """``dG_i Z'V^-1 e`` of a term, (J, k, n_t)."""
    size, k, _ = covariance_slopes.shape
    return (score @ covariance_slopes.transpose(2, 1, 0).reshape(k, k * size)).reshape(-1, k, size)


def cross_products(
    cp: CrossProducts, working: Sequence[Array], m: int
) -> tuple[list[Array], Array, Array]:
    """Z'WA by terms, A'W[X y] and A'WA for the columns ``A = [Z_t working_t]``."""
    by_term = [np.zeros((*own.shape[:2], m)) for own in cp.own]
    to_xy, at = np.zeros((m, cp.p + 1)), 0
    spans = []
    for t, part in enumerate(working):
        mine = slice(at, at + part.shape[2])
        spans.append(mine)
        by_term[t][:, :, mine] += cp.own[t] @ part
        to_xy[mine] = blocks.outer_sum(part, cp.to_xy[t])
        for (r, s), between in cp.cross.items():
            if s == t:
                found = between @ flat(part)
                by_term[r][:, :, mine] += found.reshape(by_term[r][:, :, mine].shape)
            elif r == t:
                found = cp.crossed_back[r, s] @ flat(part)
                by_term[s][:, :, mine] += found.reshape(by_term[s][:, :, mine].shape)
        at = mine.stop
    gram = np.zeros((m, m))
    for t, part in enumerate(working):
        gram[spans[t]] = blocks.outer_sum(part, by_term[t])
    return by_term, to_xy, gram


def element_pairs(sums: Array, k: int) -> Array:
    """``sum_l tr(E_e B_l E_f S_l)``, E_e = e_a e_b' + e_b e_a', from the sums of B_bc S_da."""
    (rows, cols), place = lower_indices(k), _places(k)
    a, b = rows[:, None], cols[:, None]
    out = sums[place[b, rows], place[a, cols]]
    out += sums[place[b, cols], place[a, rows]]
    out += sums[place[a, rows], place[b, cols]]
    out += sums[place[a, cols], place[b, rows]]
    return np.asarray(out)


@lru_cache(maxsize=64)
def _places(k: int) -> IntArray:
    """Number of the element of the triangle that each element of a symmetric matrix is, (k, k)."""
    rows, cols = lower_indices(k)
    place = np.empty((k, k), dtype=np.intp)
    place[rows, cols] = place[cols, rows] = np.arange(len(rows))
    return place
