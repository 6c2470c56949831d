"""The Cholesky factor as a matrix, for those who want to look at it.

The engine works with blocks and never needs it. Rows and columns are in the order of elimination.
"""

from __future__ import annotations

import numpy as np
import scipy.linalg as la
import scipy.sparse as sp

from merextras.engine.elimination.factor import Factor, factorise, flat
from merextras.engine.kernels import blocks
from merextras.engine.kernels.blocks import Array, IntArray
from merextras.engine.solution.pls import Solution


def as_given(solution: Solution) -> Solution:
    """The same solution with its spherical random effects those of the user's triangular Lambda."""
    factor = solution.factor
    pairs = zip(solution.cp.basis.effects, factor.lams, strict=True)
    turned = [lam @ own.turn(lam).T for own, lam in pairs]
    return Solution(factorise(factor.system, turned), solution.reml)


def random_factor(factor: Factor) -> tuple[sp.csc_array, IntArray]:
    """L with ``L L' = (Lambda'Z'WZ Lambda + I)[perm][:, perm]``, and perm.

    Returns
    -------
    low : sparse (q, q)
    perm : (q,) integer array
        Places in the model's order of the random effects, in the order of elimination.
    """
    plan, shapes = factor.system.plan, factor.system.cp.shapes
    n = len(plan.leading) + bool(plan.tail)
    tail_low, tail_order = _tail(factor)
    grid: list[list[sp.sparray | None]] = [[None] * n for _ in range(n)]
    for i, lead in enumerate(factor.leads):
        grid[i][i] = blocks.block_diagonal(lead.low)
        # Columns of L below the diagonal: Lambda_a' C_at Lambda_t L_t^-T.
        inverse = blocks.solve_lower(lead.low, np.eye(len(lead.lam))[None])
        right = lead.lam @ blocks.transpose(inverse)
        for s, block in lead.nested.items():
            part = factor.lams[s].T @ block @ right
            parents = plan.parents[lead.term, s]
            spread = blocks.block_columns(blocks.transpose(part), parents, shapes[s][0])
            grid[plan.leading.index(s)][i] = spread.T
        if lead.to_tail is not None:
            scaled = sp.csr_array(lead.to_tail @ blocks.block_diagonal(right))
            grid[n - 1][i] = sp.csr_array(_tail_lambda(factor).T @ scaled)[tail_order]
    if plan.tail:
        grid[n - 1][n - 1] = tail_low
    sizes = np.concatenate([[0], np.cumsum([levels * k for levels, k in shapes])])
    places = [[np.arange(sizes[t], sizes[t + 1]) for t in of] for of in (plan.leading, plan.tail)]
    order = [*places[0], *([np.concatenate(places[1])[tail_order]] if plan.tail else [])]
    return sp.csc_array(sp.block_array(grid, format="csc")), np.concatenate(order).astype(np.intp)


def _tail(factor: Factor) -> tuple[sp.csc_array, IntArray]:
    """The tail's Cholesky factor and the order of its rows."""
    if len(factor.tail) == 0:
        return sp.csc_array((0, 0)), np.empty(0, dtype=np.intp)
    return factor.tail.cholesky()


def _tail_lambda(factor: Factor) -> sp.csr_array:
    parts = [
        sp.kron(sp.eye_array(levels), sp.csr_array(factor.lams[t]))
        for t, (levels, _) in zip(factor.system.plan.tail, factor.system.tail_shapes, strict=True)
    ]
    return sp.csr_array(sp.block_diag(parts, format="csr"))


def random_fixed_factor(solution: Solution) -> Array:
    """RZX, (q, p): ``L^-1 Lambda'Z'WX`` in the order of elimination, for the X that was given."""
    factor, p = solution.factor, solution.p
    parts = [
        flat(blocks.solve_lower(lead.low, lead.lam.T @ solution.reduced.leads[lead.term][:, :, :p]))
        for lead in factor.leads
    ]
    if len(factor.tail):
        parts.append(factor.tail.whiten(solution.reduced.tail[:, :p])[_tail(factor)[1]])
    inverse = la.inv(factor.system.cp.basis.transform) if p else np.empty((0, 0))
    return np.concatenate(parts) @ inverse
