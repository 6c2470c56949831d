"""Derivatives of the criterion in the logarithms of the residual precisions of strata, omega.

A row's variance is ``sigma**2 / (w omega_h)`` in stratum h. With ``V_h = -W^-1`` on the rows of h
and zero elsewhere, W^-1 the residuals' part of V, the formulas of `gradient` and of
`average_information` hold; nothing in them is by row:

    tr(P V_h) = omega_h (tr W_b Z_h'Z_h + tr M E_h'E_h) - n_h,      V_h P y = -(residuals of h),

with W_b the conditional covariance of the random effects, M = (X'V^-1 X)^-1 and E = X - Z (G Z'V^-1
X) what is left of X (M only under REML), all weighted as the data are. That is, the derivative is
the sum of the stratum's leverages and of its share of the residual sum of squares, less its rows.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from merextras.engine.derivatives.average_information import cross_products, working_columns
from merextras.engine.elimination import columns
from merextras.engine.kernels import blocks, dense, sparse
from merextras.engine.kernels.blocks import Array
from merextras.engine.products.strata import Residual, Strata
from merextras.engine.solution.pls import Solution


def strata_gradient(
    solution: Solution,
    strata: Strata,
    omega: Array,
    residual: Residual | None = None,
    weight: Array | None = None,
) -> Array:
    """The derivative in log omega_h of each stratum, (H,).

    `weight`, (p + 1, p + 1), is that of `gradient.factor_slopes`.
    """
    residual = strata.residual(solution.modes_map) if residual is None else residual
    weight = solution.slope_weight if weight is None else weight
    fixed = np.einsum("hij,ij->h", residual.gram, weight)
    return np.asarray(omega * (conditional_traces(solution, strata) + fixed) - strata.n)


def conditional_traces(solution: Solution, strata: Strata) -> Array:
    """``tr W_b Z_h'WZ_h`` of each stratum with weights as given, (H,)."""
    found, out = solution.selected_at_rows, np.zeros(len(strata))
    for t, (level, stratum) in enumerate(zip(strata.level, strata.stratum, strict=True)):
        each = np.einsum("jab,jab->j", strata.pairs.own[t], found.own[t][level])
        out += np.bincount(stratum, each, len(strata))
    for (s, t), (pattern, place, stratum) in strata.placed.items():
        rows = pattern.indices.astype(np.intp)
        between = found.entries(solution.factor, s, t, rows, sparse.columns_of(pattern))
        each = strata.pairs.cross[s, t].data * between[place]
        out += 2.0 * np.bincount(stratum, each, len(strata))
    return out


def strata_information(
    solution: Solution,
    strata: Strata,
    omega: Array,
    covariance_slopes: Sequence[Array],
    residual: Residual | None = None,
) -> Array:
    """The average information in theta and all log omega_h, (n_theta + H, n_theta + H).

    Parameters
    ----------
    covariance_slopes : sequence of (n_t, k, k) arrays
        ``dG_t / d theta_i`` of each term's own parameters.
    """
    residual = strata.residual(solution.modes_map) if residual is None else residual
    cp, p, n_strata = solution.cp, solution.p, len(strata)
    working = [
        working_columns(*each) for each in zip(solution.scores, covariance_slopes, strict=True)
    ]
    m = sum(part.shape[2] for part in working)
    by_term, to_xy, gram = cross_products(cp, working, m)
    own_by_term, own_to_x, squares = _residual_columns(solution, strata, omega, residual)
    both = np.empty((m + n_strata + p, m + n_strata + p))
    at = slice(m, m + n_strata)
    both[:m, :m], both[at, at] = gram, np.diag(squares)
    both[:m, at] = np.concatenate(
        [blocks.outer_sum(a, b) for a, b in zip(working, own_by_term, strict=True)]
    )
    both[at, :m] = both[:m, at].T
    both[m + n_strata :, m + n_strata :] = cp.xy[:p, :p]
    both[:m, m + n_strata :], both[at, m + n_strata :] = to_xy[:, :p], own_to_x
    both[m + n_strata :, : m + n_strata] = both[: m + n_strata, m + n_strata :].T
    joint = [
        np.concatenate([a, b, c[:, :, :p]], axis=2)
        for a, b, c in zip(by_term, own_by_term, cp.to_xy, strict=True)
    ]
    reduced = columns.reduce(solution.factor, joint, both).gram
    kept = m + n_strata
    half = dense.solve_lower(solution.fixed_low, reduced[kept:, :kept])
    slopes = [np.einsum("jkm,jk->m", a, h) for a, h in zip(working, solution.scores, strict=True)]
    q = np.concatenate([*slopes, -squares]) / solution.pwrss
    quadratic = (reduced[:kept, :kept] - half.T @ half) / solution.pwrss
    return np.asarray(solution.df * (quadratic - np.outer(q, q)))


def _residual_columns(
    solution: Solution, strata: Strata, omega: Array, residual: Residual
) -> tuple[list[Array], Array, Array]:
    """Products of minus the residuals of each stratum with Z by terms, with X, with themselves."""
    by_term = []
    parts = zip(residual.by_pair, strata.level, strata.stratum, strata.sizes, strict=True)
    for part, level, stratum, size in parts:
        made = np.zeros((size, part.shape[1], len(strata)))
        values = -omega[stratum][:, None] * (part @ solution.contrast)
        for a in range(part.shape[1]):  # a pair may be there twice
            np.add.at(made[:, a], (level, stratum), values[:, a])
        by_term.append(made)
    to_x = -omega[:, None] * (residual.cross @ solution.contrast)[:, : solution.p]
    squares = omega * (residual.gram @ solution.contrast @ solution.contrast)
    return by_term, to_x, squares
