"""Eliminating the random effects at a given theta: the one place where Z is solved for.

Eliminating a term from the cross-products ``C`` leaves those of the data with the term's variance
taken out: with ``N = Lambda (Lambda' C_tt Lambda + I)^-1 Lambda'``,

    C_ab  <-  C_ab - C_at N C_tb        for all remaining terms a, b,

which is ``Z_a' V_t^-1 Z_b`` for ``V_t = W^-1 + Z_t Lambda Lambda' Z_t'``. What the same elimination
does to X, y or any other columns is in `columns`. This is the block Cholesky factorisation of Bates
et al. (2015), eq. 18, by blocks, written so that a singular Lambda is nothing special: the Cholesky
factors of ``Lambda' C_tt Lambda + I`` are the diagonal blocks of their L.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import scipy.sparse as sp

from merextras.engine.elimination.plan import System
from merextras.engine.elimination.tail import TailFactor
from merextras.engine.kernels import blocks, sparse
from merextras.engine.kernels.blocks import Array


@dataclass(frozen=True)
class EliminatedTerm:
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
    whitened_lambda : (J, k, k) array
        low^-1 Lambda'. ``X N Y`` is computed as ``(X half') (half Y)``: where a level has fewer
        rows than effects N is of the size of Lambda**2 in a direction in which X and Y vanish,
        and their product with it is all rounding.
    nested : mapping s -> (J, k_s, k) array
        C_st at the level's parent in the later leading term s.
    to_tail : sparse (q_tail, J k)
        C of the tail with this term.
    """

    term: int
    lam: Array
    own: Array
    low: Array
    whitened_lambda: Array
    nested: Mapping[int, Array]
    to_tail: sp.csc_array | None

    @property
    def log_det(self) -> float:
        """``log |Lambda' C_tt Lambda + I|`` of all levels."""
        return 2.0 * float(np.log(blocks.diagonals(self.low)).sum())

    @cached_property
    def gain(self) -> Array:
        """N = half' half, (J, k, k)."""
        return blocks.times(blocks.transpose(self.whitened_lambda), self.whitened_lambda)

    @cached_property
    def from_tail(self) -> sp.csr_array:
        """The transpose of `to_tail`, which shares its numbers."""
        assert self.to_tail is not None
        return self.to_tail.T

    def __getstate__(self) -> dict[str, Any]:
        """Without what is made on demand: a model that was asked is pickled as one that was not."""
        made = {"gain", "from_tail"}
        return {name: value for name, value in vars(self).items() if name not in made}

    @property
    def is_last(self) -> bool:
        """Whether it meets no term that is eliminated later."""
        return not self.nested and self.to_tail is None

    def times_gain(self, rhs: Array) -> Array:
        """N times a (J, k, m) array."""
        half = blocks.times(self.whitened_lambda, rhs)
        return blocks.times(blocks.transpose(self.whitened_lambda), half)


@dataclass(frozen=True)
class Factor:
    """All terms eliminated at one theta.

    Attributes
    ----------
    system : System
    lams : tuple of (k, k) arrays
        Lambda of every term, in the model's order.
    leads : tuple of EliminatedTerm
    tail : TailFactor
    log_det : float
        log |L|**2 = log |V| + sum(log w).
    """

    system: System
    lams: tuple[Array, ...]
    leads: tuple[EliminatedTerm, ...]
    tail: TailFactor
    log_det: float

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
    and for the tail O(q_tail**3), or that of its fronts. A `log_det` of NaN: some block was not
    positive definite.
    """
    own = {t: system.cp.own[t] for t in system.plan.leading}
    nested = dict(system.nested)
    to_tail = dict(system.to_tail)
    tail, log_det = system.tail.start(), 0.0
    leads = []
    for at, t in enumerate(system.plan.leading):
        later = system.plan.leading[at + 1 :]
        lead = _lead(t, lams[t], own[t], {s: nested[t, s] for s in later}, to_tail.get(t))
        leads.append(lead)
        log_det += lead.log_det
        half_tail = None
        if lead.to_tail is not None:
            entries = sparse.times_blocks(
                lead.to_tail, lead.to_tail.data, blocks.transpose(lead.whitened_lambda)
            )
            half_tail = sparse.with_data(lead.to_tail, entries)
        for i, s in enumerate(later):
            parents, n_levels = system.plan.parents[t, s], system.cp.shapes[s][0]
            up = blocks.times(lead.whitened_lambda, blocks.transpose(lead.nested[s]))
            change = blocks.times(blocks.transpose(up), up)
            own[s] = own[s] - blocks.sum_by(change, parents, n_levels)
            for r in later[i + 1 :]:
                change = blocks.times(
                    blocks.times(lead.nested[r], blocks.transpose(lead.whitened_lambda)), up
                )
                nested[s, r] = nested[s, r] - blocks.sum_by(change, parents, n_levels)
            if half_tail is not None:
                change_tail = half_tail @ blocks.block_columns(up, parents, n_levels)
                to_tail[s] = sparse.subtract_on_pattern(to_tail[s], sp.csc_array(change_tail))
        if half_tail is not None:
            system.tail.subtract(tail, t, half_tail)
    eliminated = system.tail.factorise(tail, lams)
    if len(eliminated):
        log_det += eliminated.log_det
    return Factor(system, tuple(lams), tuple(leads), eliminated, log_det)


def _lead(
    t: int, lam: Array, own: Array, nested: Mapping[int, Array], to_tail: sp.csc_array | None
) -> EliminatedTerm:
    if lam.size == 1:
        scalar = np.sqrt(own * lam[0, 0] ** 2 + 1.0)
        return EliminatedTerm(t, lam, own, scalar, lam[0, 0] / scalar, nested, to_tail)
    # As products of two matrices, which are quick for small blocks, too; own is symmetric.
    right = (flat(own) @ lam).reshape(own.shape)
    inner = (flat(blocks.transpose(right)) @ lam).reshape(own.shape)
    low = blocks.cholesky(blocks.plus_identity(inner))
    half = blocks.solve_lower(low, lam.T[None])
    return EliminatedTerm(t, lam, own, low, half, nested, to_tail)
