"""Eliminating the random effects at a given theta: the one place where Z is solved for.

Eliminating a term from the cross-products ``C`` leaves those of the data with the term's variance
taken out: with ``N = Lambda (Lambda' C_tt Lambda + I)^-1 Lambda'``,

    C_ab  <-  C_ab - C_at N C_tb        for all remaining terms a, b,

which is ``Z_a' V_t^-1 Z_b`` for ``V_t = W^-1 + Z_t Lambda Lambda' Z_t'``. What the same elimination
does to X, y or any other columns is in `columns`. This is the block Cholesky factorisation of Bates
et al. (2015), eq. 18 and 23-27, written so that a singular Lambda is nothing special: the Cholesky
factors of ``Lambda' C_tt Lambda + I`` are the diagonal blocks of their L.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import scipy.sparse as sp

from merextras.engine import blocks, dense, sparse
from merextras.engine.blocks import Array
from merextras.engine.plan import System


@dataclass(frozen=True)
class Lead:
    """A leading term at the moment it is eliminated (J levels, k effects each).

    Attributes
    ----------
    term : int
        Its number in the model's order.
    lam : (k, k) array
        Lambda.
    own : (J, k, k) array
        C_tt.
    low : (J, k, k) array
        Cholesky factors of Lambda' C_tt Lambda + I.
    half : (J, k, k) array
        low^-1 Lambda'. ``X N Y`` is computed as ``(X half') (half Y)``: where a level has fewer
        rows than effects N is of the size of Lambda**2 in a direction in which X and Y vanish,
        and their product with it is all rounding.
    gain : (J, k, k) array
        N = half' half.
    nested : mapping s -> (J, k_s, k) array
        C_st at the level's parent in the later leading term s.
    to_tail : sparse (q_tail, J k)
        C of the tail with this term.
    """

    term: int
    lam: Array
    own: Array
    low: Array
    half: Array
    gain: Array
    nested: Mapping[int, Array]
    to_tail: sp.csc_array | None

    def times_gain(self, rhs: Array) -> Array:
        """N times a (J, k, m) array."""
        return blocks.transpose(self.half) @ (self.half @ rhs)


@dataclass(frozen=True)
class Factor:
    """All terms eliminated at one theta.

    Attributes
    ----------
    system : System
    lams : tuple of (k, k) arrays
        Lambda of every term, in the model's order.
    leads : tuple of Lead
    tail : (q_tail, q_tail) array
        C of the dense tail.
    tail_low : (q_tail, q_tail) array
        Cholesky factor of Lambda' C_tail Lambda + I.
    log_det : float
        log |L|**2 = log |V| + sum(log w).
    """

    system: System
    lams: tuple[Array, ...]
    leads: tuple[Lead, ...]
    tail: Array
    tail_low: Array
    log_det: float

    def scale_tail(self, array: Array, *, transposed: bool = False) -> Array:
        """Lambda_tail times a (q_tail, m) array, or Lambda_tail' times it."""
        if all(k == 1 for _, k in self.system.tail_shapes):
            return array * self._tail_scale[:, None]
        out = np.empty_like(array)
        at = 0
        for term, (levels, k) in zip(self.system.plan.tail, self.system.tail_shapes, strict=True):
            lam = self.lams[term].T if transposed else self.lams[term]
            rows = slice(at, at + levels * k)
            part = array[rows].reshape(levels, k, -1)
            out[rows] = (lam @ part).reshape(levels * k, -1)
            at += levels * k
        return out

    @cached_property
    def _tail_scale(self) -> Array:
        """Lambda of each row of a tail of scalar terms."""
        lams = [self.lams[t][0, 0] for t in self.system.plan.tail]
        return np.repeat(lams, [levels for levels, _ in self.system.tail_shapes])

    def tail_gain(self, rhs: Array) -> Array:
        """N_tail times a (q_tail, m) array."""
        scaled = self.scale_tail(rhs, transposed=True)
        return self.scale_tail(dense.solve(self.tail_low, scaled))

    def split_tail(self, array: Array) -> dict[int, Array]:
        """Split a (q_tail, m) array into one (J, k, m) array per term of the tail."""
        out, at = {}, 0
        for term, (levels, k) in zip(self.system.plan.tail, self.system.tail_shapes, strict=True):
            out[term] = array[at : at + levels * k].reshape(levels, k, -1)
            at += levels * k
        return out

    def join_tail(self, by_term: Mapping[int, Array]) -> Array:
        """One (q_tail, m) array of the (J, k, m) arrays of the tail's terms."""
        return np.concatenate([flat(by_term[term]) for term in self.system.plan.tail])


def flat(array: Array) -> Array:
    """(J, k, m) as (J k, m)."""
    levels, k, m = array.shape
    return array.reshape(levels * k, m)


def factorise(system: System, lams: Sequence[Array]) -> Factor:
    """Eliminate all terms.

    Cost: O(sum J k**3) for the leading terms, the sparse product of their columns with themselves
    and O(q_tail**3) for the tail. A `log_det` of NaN: some block was not positive definite.
    """
    own = {t: system.cp.own[t] for t in system.plan.leading}
    nested = dict(system.nested)
    to_tail = dict(system.to_tail)
    tail, log_det = system.tail.copy(), 0.0
    leads = []
    for at, t in enumerate(system.plan.leading):
        later = system.plan.leading[at + 1 :]
        lead = _lead(t, lams[t], own[t], {s: nested[t, s] for s in later}, to_tail.get(t))
        leads.append(lead)
        log_det += 2.0 * float(np.sum(np.log(np.diagonal(lead.low, axis1=1, axis2=2))))
        half_tail = None
        if lead.to_tail is not None:
            entries = sparse.times_blocks(
                lead.to_tail, lead.to_tail.data, blocks.transpose(lead.half)
            )
            half_tail = sparse.with_data(lead.to_tail, entries)
        for i, s in enumerate(later):
            parents, n_levels = system.plan.parents[t, s], system.cp.shapes[s][0]
            up = lead.half @ blocks.transpose(lead.nested[s])
            change = blocks.transpose(up) @ up
            own[s] = own[s] - blocks.sum_by(change, parents, n_levels)
            for r in later[i + 1 :]:
                change = (lead.nested[r] @ blocks.transpose(lead.half)) @ up
                nested[s, r] = nested[s, r] - blocks.sum_by(change, parents, n_levels)
            if half_tail is not None:
                change_tail = half_tail @ blocks.block_columns(up, parents, n_levels)
                to_tail[s] = sparse.subtract_on_pattern(to_tail[s], sp.csc_array(change_tail))
        if half_tail is not None:
            tail -= (half_tail @ half_tail.T).toarray()
    return _with_tail(Factor(system, tuple(lams), tuple(leads), tail, tail, log_det))


def _lead(
    t: int, lam: Array, own: Array, nested: Mapping[int, Array], to_tail: sp.csc_array | None
) -> Lead:
    inner = lam.T @ own @ lam
    inner[:, np.arange(len(lam)), np.arange(len(lam))] += 1.0
    low = blocks.cholesky(inner)
    half = blocks.solve_lower(low, lam.T[None])
    return Lead(t, lam, own, low, half, blocks.transpose(half) @ half, nested, to_tail)


def _with_tail(factor: Factor) -> Factor:
    """Return the factor with its tail's Cholesky factor."""
    if len(factor.tail) == 0:
        return factor
    inner = factor.scale_tail(factor.tail, transposed=True)
    inner = factor.scale_tail(inner.T, transposed=True)
    inner[np.diag_indices_from(inner)] += 1.0
    low = dense.cholesky(inner)
    log_det = factor.log_det + 2.0 * float(np.sum(np.log(np.diag(low))))
    return replace(factor, tail_low=low, log_det=log_det)
