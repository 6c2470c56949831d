"""Second-order information on the profiled deviance, for Newton steps.

The average information (Gilmour, Thompson & Cullis 1995, Biometrics 51) replaces the traces of the
Hessian by quadratic forms in the working columns ``V_i P y``, with ``V_i = dV / d theta_i``.
Written for the deviance with sigma**2 profiled out, ``a_ij = y'P V_i P V_j P y`` and
``q_i = y'P V_i P y``,

    H_ij = df (a_ij / r**2 - q_i q_j / r**4) + tr(D_t d2G_t / d theta_i d theta_j),

whose first part is positive semidefinite and whose second vanishes at an interior optimum.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy.linalg as la

from merextras.engine import blocks, columns, covpar, dense
from merextras.engine.blocks import Array
from merextras.engine.crossprod import CrossProducts
from merextras.engine.factor import flat
from merextras.engine.pls import Solution


def average_information(solution: Solution) -> Array:
    """Return the first part of H, (n_theta, n_theta); cost n_theta columns through the factor."""
    cp, p = solution.factor.system.cp, solution.p
    if not cp.own:
        return np.zeros((0, 0))
    working = _working_columns(solution)
    m = sum(part.shape[2] for part in working)
    by_term, to_xy, gram = _cross_products(cp, working, m)
    # The columns ride along with X, so that one elimination gives all inner products.
    pairs = zip(by_term, cp.to_xy, strict=True)
    joint = [np.concatenate([a, b[:, :, :p]], axis=2) for a, b in pairs]
    x_gram = np.block([[gram, to_xy[:, :p]], [to_xy[:, :p].T, cp.xy[:p, :p]]])
    reduced = columns.reduce(solution.factor, joint, x_gram).gram
    half = dense.solve_lower(solution.fixed_low, reduced[m:, :m])
    quadratic = reduced[:m, :m] - half.T @ half
    scores = np.concatenate(
        [np.einsum("jkm,jk->m", a, h) for a, h in zip(working, solution.scores, strict=True)]
    )
    r2 = solution.pwrss
    return np.asarray(solution.df * (quadratic / r2 - np.outer(scores / r2, scores / r2)))


def second_part(slopes: Sequence[Array], ks: Sequence[int]) -> Array:
    """``tr(D_t d2G_t)``: `slopes` are the D_t of `gradient.covariance_slopes`."""
    parts = []
    for d, k in zip(slopes, ks, strict=True):
        rows, cols = covpar.triangle(k)
        parts.append(2.0 * d[np.ix_(rows, rows)] * (cols[:, None] == cols[None, :]))
    if len(parts) == 1:
        return parts[0]
    return np.asarray(la.block_diag(*parts)) if parts else np.zeros((0, 0))


def _working_columns(solution: Solution) -> list[Array]:
    """``(E_i Lambda' + Lambda E_i') Z'Py`` of each term, (J, k, n_theta of the term)."""
    found = []
    for lam, score in zip(solution.factor.lams, solution.scores, strict=True):
        rows, cols = covpar.triangle(len(lam))
        scaled = score @ lam
        out = np.zeros((*score.shape, len(rows)))
        for i, (a, b) in enumerate(zip(rows, cols, strict=True)):
            out[:, a, i] += scaled[:, b]
            out[:, :, i] += lam[:, b] * score[:, a, None]
        found.append(out)
    return found


def _cross_products(
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
                found = between.T @ flat(part)
                by_term[s][:, :, mine] += found.reshape(by_term[s][:, :, mine].shape)
        at = mine.stop
    gram = np.zeros((m, m))
    for t, part in enumerate(working):
        gram[spans[t]] = blocks.outer_sum(part, by_term[t])
    return by_term, to_xy, gram
