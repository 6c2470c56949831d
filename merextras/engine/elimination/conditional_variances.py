"""The blocks of ``(Z'WZ + G^-1)^-1`` that are needed, without the matrix.

sigma**2 times them are the conditional variances of the random effects given beta (lme4's
``condVar``).

``G = Lambda Lambda'`` may be singular. The recursion is Takahashi's (Erisman & Tinney 1975,
Commun. ACM 18), by blocks and in terms of N (see `factor`): for an eliminated term t and the
remaining ones a, b it meets,

    W_at = - sum_b W_ab C_bt N,     W_tt = N + N (sum_ab C_ta W_ab C_bt) N.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import scipy.sparse as sp

from merextras.engine.elimination.factor import EliminatedTerm, Factor, flat
from merextras.engine.elimination.tail import TailInverse
from merextras.engine.kernels import blocks, sparse
from merextras.engine.kernels.blocks import Array, IntArray


@dataclass(frozen=True)
class Selected:
    """Selected blocks of the inverse.

    Attributes
    ----------
    own : dict t -> (J, k, k) array
        Diagonal blocks of each term.
    schur_carry : dict t -> (J, k, k) array
        The part of a leading term's inverse block that comes from later terms,
        ``sum_ab C_ta W_ab C_bt``; of terms that meet no later one there is none.
    tail : TailInverse
        The tail's block.
    nested : dict (t, s) -> (J_t, k_s, k_t) array
        Blocks between leading terms, at each level of t and its parent in s.
    to_tail : dict t -> sparse (q_tail, J k)
        Entries between the tail and a leading term, where C has some; of the first of them only if
        they were asked for.
    """

    own: dict[int, Array]
    schur_carry: dict[int, Array]
    tail: TailInverse
    nested: dict[tuple[int, int], Array]
    to_tail: dict[int, sp.csc_array]

    def entries(self, factor: Factor, s: int, t: int, rows: IntArray, cols: IntArray) -> Array:
        """W at random effects of term s and of term t whose levels share a row, a number each.

        Needs an inverse that was made with ``to_tail``.
        """
        starts = _tail_starts(factor)
        if s in starts and t in starts:
            return self.tail.entries(starts[s] + rows, starts[t] + cols)
        if s in starts:
            return sparse.entries_at(self.to_tail[t], starts[s] + rows, cols)
        if t in starts or (t, s) not in self.nested:
            return self.entries(factor, t, s, cols, rows)
        found = self.nested[t, s]
        k_s, k_t = found.shape[1:]
        return np.asarray(found[cols // k_t, rows % k_s, cols % k_t])

    def between(self, factor: Factor, s: int, t: int) -> Array:
        """Blocks (s, t) at each level of two terms on the same grouping factor, (J, k_s, k_t)."""
        if (t, s) in self.nested:
            return self.nested[t, s]
        if (s, t) in self.nested:
            return blocks.transpose(self.nested[s, t])
        # Terms on one factor meet the same levels, so that both lead or both are in the tail.
        rows = factor.split_tail(np.arange(float(len(factor.tail)))[:, None])
        at_s, at_t = (rows[term][:, :, 0].astype(np.intp) for term in (s, t))
        return self.tail.entries(at_s[:, :, None], at_t[:, None, :])


def projected_blocks(lead: EliminatedTerm, schur_carry: Array | None) -> Array:
    """The diagonal blocks of Z'V^-1 Z of a leading term, (J, k, k); see `Selected`."""
    # I - N C, written so that a large C costs no digits; its transpose.
    grown = (flat(lead.own) @ (lead.lam @ lead.lam.T)).reshape(lead.own.shape)
    grown = blocks.plus_identity(grown)
    if schur_carry is None:
        return blocks.divided(grown, lead.own)
    keep = blocks.inverse(grown)
    carried = blocks.times(blocks.times(keep, schur_carry), blocks.transpose(keep))
    return np.asarray(blocks.times(keep, lead.own) - carried)


@dataclass
class _Known:
    """Blocks found so far, going back from the last term to the first."""

    own: dict[int, Array] = field(default_factory=dict)
    nested: dict[tuple[int, int], Array] = field(default_factory=dict)
    to_tail: dict[int, sp.csc_array] = field(default_factory=dict)


def _tail_starts(factor: Factor) -> dict[int, int]:
    """Where each term of the tail starts in it."""
    system = factor.system
    ends = np.cumsum([levels * k for levels, k in system.tail_shapes]).tolist()
    return dict(zip(system.plan.tail, [0, *ends], strict=False))


def selected_inverse(factor: Factor, *, to_tail: bool = False) -> Selected:
    """All diagonal blocks; cost about twice that of the factorisation.

    Parameters
    ----------
    to_tail : bool
        Those between the first leading term and the tail too.
    """
    between = {lead.term: lead.to_tail for lead in factor.leads if lead.to_tail is not None}
    tail = factor.tail.inverse(between, whole=to_tail and len(factor.system.plan.tail) > 1)
    known, schur_carry = _Known(tail.own()), {}
    for lead in reversed(factor.leads):
        if lead.is_last:
            known.own[lead.term] = lead.gain
            continue
        # Nothing is eliminated before the first, which would need them.
        kept = to_tail or lead is not factor.leads[0]
        schur_carry[lead.term] = _eliminated(factor, lead, known, tail, to_tail=kept)
    return Selected(known.own, schur_carry, tail, known.nested, known.to_tail)


def _eliminated(
    factor: Factor, lead: EliminatedTerm, known: _Known, tail: TailInverse, *, to_tail: bool
) -> Array:
    """Add the blocks of `lead` to `known`; return its schur_carry."""
    t, k = lead.term, len(lead.lam)
    later = list(lead.nested)
    met = {s: _met_nested(factor, lead, known, s) for s in later}
    schur_carry = np.zeros_like(lead.own)
    if lead.to_tail is not None:
        met_tail = tail.met(t)
        for s in later:
            met_tail = met_tail + _tail_through(factor, lead, known.to_tail[s], s)
        schur_carry += sparse.level_products(lead.to_tail, met_tail, k)
        if to_tail:
            scaled = sparse.times_blocks(lead.to_tail, met_tail, lead.gain)
            known.to_tail[t] = sparse.with_data(lead.to_tail, -scaled)
    for s in later:
        schur_carry += blocks.times(blocks.transpose(lead.nested[s]), met[s])
        known.nested[t, s] = -blocks.times(met[s], lead.gain)
    carried = blocks.times(blocks.times(lead.gain, schur_carry), lead.gain)
    known.own[t] = lead.gain + carried
    return schur_carry


def _met_nested(factor: Factor, lead: EliminatedTerm, known: _Known, s: int) -> Array:
    """``sum_b W_sb C_bt`` at each level of t and its parent in s, (J_t, k_s, k_t)."""
    parents = factor.system.plan.parents
    mine = parents[lead.term, s]
    out = blocks.times(known.own[s][mine], lead.nested[s])
    for r in lead.nested:
        if (s, r) in known.nested:
            out += blocks.times(blocks.transpose(known.nested[s, r])[mine], lead.nested[r])
        elif (r, s) in known.nested:
            out += blocks.times(known.nested[r, s][parents[lead.term, r]], lead.nested[r])
    if lead.to_tail is not None:
        rows, cols = lead.to_tail.indices, sparse.columns_of(lead.to_tail)
        k_s, k_t = out.shape[1], out.shape[2]
        for a in range(k_s):
            between = sparse.entries_at(known.to_tail[s], rows, mine[cols // k_t] * k_s + a)
            total = np.bincount(cols, between * lead.to_tail.data, minlength=lead.to_tail.shape[1])
            out[:, a, :] += total.reshape(-1, k_t)
    return out


def _tail_through(factor: Factor, lead: EliminatedTerm, between: sp.csc_array, s: int) -> Array:
    """``W_tail,s C_st`` on the pattern of C_tail,t; `between` is W_tail,s."""
    assert lead.to_tail is not None
    rows, cols = lead.to_tail.indices, sparse.columns_of(lead.to_tail)
    k_s, k_t = lead.nested[s].shape[1:]
    levels: IntArray = cols // k_t
    mine = factor.system.plan.parents[lead.term, s][levels]
    out = np.zeros(len(rows))
    for a in range(k_s):
        weight = lead.nested[s][levels, a, cols % k_t]
        out += sparse.entries_at(between, rows, mine * k_s + a) * weight
    return out
