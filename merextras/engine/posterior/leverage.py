"""Leverages: the diagonal of the hat matrix of the penalised least-squares problem, and its trace.

The fitted values are linear in the response at a given theta, ``X beta + Z b = H y``, with

    H = A (A'WA + diag(0, G^-1))^-1 A'W,     A = [X Z],

whose middle is the joint covariance of all effects over sigma**2 (see `joint`), so that h_i is a
row's weight times the variance of its own fitted value. Neither H nor that covariance is formed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import scipy.sparse as sp

from merextras.engine.derivatives.gradient import factor_slopes
from merextras.engine.kernels import dense, sparse
from merextras.engine.kernels.blocks import Array, IntArray
from merextras.engine.posterior import joint
from merextras.engine.products.term_rows import TermRows
from merextras.engine.solution.pls import Solution

# Numbers held at a time (32 MB).
_BLOCK = 1 << 22


def hat_values(
    solution: Solution, x: Array, terms: Sequence[TermRows], weights: Array | None = None
) -> Array:
    """The leverage of each row, (n,).

    Parameters
    ----------
    x : (n, p) array
    terms : sequence of TermRows
        The rows that the solution's cross-products were made from, or others of the same levels.
    weights : (n,) array, optional
        Precision weights: a row of weight zero has no leverage.

    Notes
    -----
    By blocks of rows. Without a tail, and for one leading term with a tail, O(n (p + sum k)**2)
    after one selected inverse; otherwise O(n q_tail**2).
    """
    variances, width = _method(solution)
    n = len(x)
    out = np.empty(n)
    step = max(1, _BLOCK // width)
    for start in range(0, n, step):
        rows = slice(start, start + step)
        mine = [replace(t, codes=t.codes[rows], values=t.values[rows]) for t in terms]
        out[rows] = variances(x[rows], mine)
    return out if weights is None else out * weights


def hat_trace(solution: Solution) -> float:
    """The trace of the hat matrix from cross-products alone, without rows; O(q).

    ``H = I - W^-1 P`` and ``W^-1 = V - Z G Z'`` make it ``p + tr(G Z'PZ)``, and the second part is
    what the gradient of ``log |V| + log |X'V^-1 X|`` is made of.
    """
    p = solution.p
    weight = np.zeros((p + 1, p + 1))
    weight[:p, :p] = dense.solve(solution.fixed_low, np.eye(p))
    slopes = factor_slopes(solution, weight)
    pairs = zip(solution.factor.lams, slopes, strict=True)
    return p + 0.5 * float(sum(np.sum(lam * slope) for lam, slope in pairs))


def _method(solution: Solution) -> tuple[Callable[[Array, Sequence[TermRows]], Array], int]:
    """How to find the variances of some rows' fitted values, and how many numbers a row takes."""
    plan, p = solution.factor.system.plan, solution.p
    k = sum(len(lam) for lam in solution.factor.lams)
    if plan.tail and len(plan.leading) == 1:
        return _through_inverse(solution), k * k + k * p

    def variances(x: Array, terms: Sequence[TermRows]) -> Array:
        return joint.variances(solution, [term.sparse() for term in terms], x)

    return variances, k * k + p + len(solution.factor.tail)


def _through_inverse(solution: Solution) -> Callable[[Array, Sequence[TermRows]], Array]:
    """Variances from entries of the inverse, for one leading term and a tail.

    ``z'Wz + a'(X'V^-1 X)^-1 a`` with W the covariance given beta and ``a = x - (G Z'V^-1 X)'z``. A
    row meets one level of each term, and the entries of W between levels that share a row are
    those that Takahashi's recursion finds: ``W_tail,t = -W_tail C_tail,t N`` for the leading t.
    """
    factor, selected, p = solution.factor, solution.selected, solution.p
    (lead,) = factor.leads
    assert lead.to_tail is not None
    met = selected.tail.met(lead.term)
    between = sparse.with_data(lead.to_tail, -sparse.times_blocks(lead.to_tail, met, lead.gain))
    to_x = [part[:, :, :p] for part in solution.modes_map]
    basis = solution.cp.basis
    starts = _starts(solution)

    def variances(x: Array, terms: Sequence[TermRows]) -> Array:
        terms = basis.rows(terms)
        own = terms[lead.term]
        tail = [terms[t] for t in factor.system.plan.tail]
        at = np.concatenate([s + _places(t) for s, t in zip(starts, tail, strict=True)], axis=1)
        z = np.concatenate([t.values for t in tail], axis=1)
        out = np.einsum("na,nab,nb->n", own.values, selected.own[lead.term][own.codes], own.values)
        among = selected.tail.entries(at[:, :, None], at[:, None, :])
        out += np.einsum("na,nab,nb->n", z, among, z)
        out += 2.0 * _cross_part(between, at, z, own)
        rest = basis.columns(x)
        for term, part in zip(terms, to_x, strict=True):
            rest -= np.einsum("na,nap->np", term.values, part[term.codes])
        half = dense.solve_lower(solution.fixed_low, rest.T)
        out += np.einsum("pn,pn->n", half, half)
        return np.asarray(out)

    return variances


def _cross_part(between: sp.csc_array, at: IntArray, z: Array, own: TermRows) -> Array:
    """``z_tail' W_tail,t z_t`` of each row."""
    places = _places(own)
    out = np.zeros(len(z))
    for a in range(at.shape[1]):
        for b in range(own.k):
            entries = sparse.entries_at(between, at[:, a], places[:, b])
            out += z[:, a] * entries * own.values[:, b]
    return out


def _places(term: TermRows) -> IntArray:
    """Where each row's effects stand among the term's random effects, (n, k)."""
    return term.codes[:, None] * term.k + np.arange(term.k)


def _starts(solution: Solution) -> list[int]:
    """Where each term of the tail starts in it."""
    sizes = [levels * k for levels, k in solution.factor.system.tail_shapes]
    return [sum(sizes[:i]) for i in range(len(sizes))]
