"""The joint distribution of the fixed and random effects given the data, at a fixed theta.

Given y, theta and sigma, (beta, b) is normal around the estimates (beta flat) with covariance
sigma**2 times the inverse of the penalised information, Henderson's mixed-model equations:

    [ X'WX        X'WZ      ]^-1
    [ Z'WX   Z'WZ + G^-1    ]          G = Lambda Lambda', which may be singular.

The same matrix is the covariance of (beta^ - beta, b^ - b) over repeated samples. It is never
formed: eliminating the random effects from a linear combination leaves a sum of squares, and
back-substitution turns independent normals into a draw.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy.sparse as sp

from merextras.engine.elimination.factor import Factor, flat
from merextras.engine.kernels import blocks, dense
from merextras.engine.kernels.blocks import Array, IntArray
from merextras.engine.products.effects import EffectBasis
from merextras.engine.solution.pls import Solution


def variances(solution: Solution, z: Sequence[sp.csr_array], x: Array) -> Array:
    """Variances over sigma**2 of ``x_i'beta + z_i'b`` for each row i.

    Parameters
    ----------
    z : sequence of sparse (m, q_t) arrays, one per term
    x : (m, p) array

    Returns
    -------
    (m,) array

    Notes
    -----
    ``z'Nz`` is taken off term by term, each elimination passing on ``z_a - C_at N z_t``. Memory is
    m times the tail's size: the caller works in blocks of rows.
    """
    parts, rest, tail = whitened(solution, z, x)
    out = np.zeros(len(x))
    for half in parts:
        out += np.asarray(half.multiply(half).sum(axis=1)).reshape(-1)
    out += np.einsum("im,im->m", tail, tail) + np.einsum("im,im->m", rest, rest)
    return out


def covariance(solution: Solution, z: Sequence[sp.csr_array], x: Array) -> Array:
    """Return the (m, m) covariance over sigma**2 of the same linear combinations."""
    parts, rest, tail = whitened(solution, z, x)
    out = tail.T @ tail + rest.T @ rest
    for half in parts:
        out += (half @ half.T).toarray()
    return np.asarray(out)


def whitened(
    solution: Solution, z: Sequence[sp.csr_array], x: Array
) -> tuple[list[sp.csr_array], Array, Array]:
    """Rows as combinations of independent unit normals: leading terms, fixed effects, tail.

    Returns
    -------
    parts : list of sparse (m, q_t) arrays, one per leading term
    rest : (p, m) array
    tail : (q_tail, m) array
    """
    factor, basis = solution.factor, solution.cp.basis
    z = [_in_basis(part, own) for part, own in zip(z, basis.effects, strict=True)]
    current = {t: sp.csr_array(z[t]) for t in factor.system.plan.leading}
    tail = _tail_rows(factor, z, len(x))
    fixed = basis.columns(x)
    parts = []
    for lead in factor.leads:
        mine = current[lead.term]
        parts.append(
            sp.csr_array(mine @ blocks.block_diagonal(blocks.transpose(lead.whitened_lambda)))
        )
        # N as half' half, from the left: see `factor`.
        gained = sp.csr_array(parts[-1] @ blocks.block_diagonal(lead.whitened_lambda))
        for s, block in lead.nested.items():
            levels = factor.system.cp.shapes[s][0]
            up = blocks.block_columns(
                blocks.transpose(block), factor.system.plan.parents[lead.term, s], levels
            )
            current[s] = sp.csr_array(current[s] - gained @ up)
        if lead.to_tail is not None:
            tail = tail - (gained @ lead.to_tail.T).toarray().T
        fixed = fixed - gained @ flat(solution.reduced.leads[lead.term][:, :, : solution.p])
    if len(factor.tail):
        tail = factor.tail.whiten(tail)
        gained_tail = factor.tail.colour(tail)
        fixed = fixed - gained_tail.T @ solution.reduced.tail[:, : solution.p]
    rest = dense.solve_lower(solution.fixed_low, fixed.T)
    return parts, rest, tail


def _in_basis(z: sp.csr_array, own: EffectBasis) -> sp.csr_array:
    """Rows of a term, sparse (m, J k), on its effects in their coordinates."""
    if np.array_equal(own.transform, np.eye(own.k)):
        return z
    levels = z.shape[1] // own.k
    return sp.csr_array(z @ sp.kron(sp.eye_array(levels), sp.csr_array(own.transform)))


def _tail_rows(factor: Factor, z: Sequence[sp.csr_array], m: int) -> Array:
    """Return the rows' coefficients on the tail, (q_tail, m)."""
    if len(factor.tail) == 0:
        return np.empty((0, m))
    return np.concatenate([z[t].toarray().T for t in factor.system.plan.tail])


def needed(solution: Solution, used: Sequence[IntArray]) -> tuple[IntArray, ...]:
    """The levels of each term that must be drawn for some, sorted: those, and what they depend on.

    A level of a leading term depends on its parents in later ones and on the whole tail, and on no
    other level of its own term.
    """
    factor = solution.factor
    plan, shapes = factor.system.plan, factor.system.cp.shapes
    found = {t: np.unique(levels).astype(np.intp) for t, levels in enumerate(used)}
    for lead in factor.leads:
        for s in lead.nested:
            parents = plan.parents[lead.term, s][found[lead.term]]
            found[s] = np.union1d(found[s], parents)
    if any(len(levels) for levels in found.values()):
        found |= {t: np.arange(shapes[t][0]) for t in plan.tail}
    return tuple(found[t] for t in range(len(used)))


def draw(
    solution: Solution,
    n_sims: int,
    rng: np.random.Generator,
    levels: Sequence[IntArray] | None = None,
) -> tuple[Array, tuple[Array, ...]]:
    """Draws of (beta^ - beta, b^ - b) over sigma: normal, jointly, around zero.

    Parameters
    ----------
    levels : sequence of integer arrays, optional
        The levels of each term to draw, as `needed` has them; all by default.

    Returns
    -------
    beta : (n_sims, p) array
    b : tuple of (n_sims, levels, k) arrays, in the model's order of terms

    Notes
    -----
    Back-substitution from the last eliminated to the first: ``beta`` from X'V^-1 X, then each term
    given those after it, ``b_t = Lambda L^-T z - N (C_tX beta + sum_a C_ta b_a)``. Cost O(n_sims)
    times the entries of the factor that belong to the levels.
    """
    factor, p = solution.factor, solution.p
    plan = factor.system.plan
    noise = rng.standard_normal((p, n_sims))
    beta = dense.solve_upper(solution.fixed_low, noise)
    found: dict[int, Array] = {}
    tail = None
    if len(factor.tail) and (levels is None or any(len(levels[t]) for t in plan.tail)):
        noise = rng.standard_normal((len(factor.tail), n_sims))
        known = factor.tail.whiten(solution.reduced.tail[:, :p] @ beta)
        tail = factor.tail.colour(noise - known)
        found.update(factor.split_tail(tail))
    else:
        found.update({t: np.empty((0, len(factor.lams[t]), n_sims)) for t in plan.tail})
    for lead in reversed(factor.leads):
        at = slice(None) if levels is None else levels[lead.term]
        rest = solution.reduced.leads[lead.term][at][:, :, :p] @ beta
        for s, block in lead.nested.items():
            parents = plan.parents[lead.term, s][at]
            places = parents if levels is None else np.searchsorted(levels[s], parents)
            rest += blocks.transpose(block[at]) @ found[s][places]
        if lead.to_tail is not None and tail is not None:
            rest += (_columns(lead.to_tail, at, rest.shape[1]).T @ tail).reshape(rest.shape)
        half = lead.whitened_lambda[at]
        noise = rng.standard_normal(rest.shape)
        found[lead.term] = blocks.transpose(half) @ (noise - half @ rest)
    basis = solution.cp.basis
    beta = basis.transform @ beta
    b = (own.columns(found[t]) for t, own in enumerate(basis.effects))
    return np.ascontiguousarray(beta.T), tuple(np.moveaxis(part, 2, 0) for part in b)


def _columns(to_tail: sp.csc_array, levels: IntArray | slice, k: int) -> sp.csc_array:
    """The columns of some levels, all of their k effects."""
    if isinstance(levels, slice):
        return to_tail
    return sp.csc_array(to_tail[:, (levels[:, None] * k + np.arange(k)).reshape(-1)])
