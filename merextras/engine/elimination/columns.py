"""Columns of the data (X, y, new responses) under the elimination of the random effects.

A column enters by its cross-products with Z; the factor, which knows nothing of it, is shared by
all of them. Forward elimination gives ``A'V^-1 A`` for the columns A, back-substitution gives
``G Z'V^-1 A``, the conditional modes as a linear map of the columns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from merextras.engine.elimination.factor import EliminatedTerm, Factor, flat
from merextras.engine.kernels import blocks
from merextras.engine.kernels.blocks import Array


@dataclass(frozen=True)
class Reduced:
    """m columns after the elimination.

    Attributes
    ----------
    leads : mapping t -> (J, k, m) array
        Cross-products with a leading term at the moment it was eliminated.
    tail : (q_tail, m) array
        The same for the tail.
    gram : (m, m) array
        ``A'V^-1 A``.
    """

    leads: Mapping[int, Array]
    tail: Array
    gram: Array


def reduce(factor: Factor, by_term: Sequence[Array], gram: Array) -> Reduced:
    """Eliminate the random effects from columns with cross-products ``Z'WA`` and ``A'WA``.

    Parameters
    ----------
    factor : Factor
    by_term : sequence of (J, k, m) arrays
        Z'WA, in the model's order of terms.
    gram : (m, m) array
        A'WA.
    """
    found = _eliminated(factor, by_term, gram.copy())
    if len(factor.tail):
        below = factor.tail.whiten(found.tail)
        found.gram[:] -= below.T @ below
    return found


def conditional_modes(factor: Factor, by_term: Sequence[Array]) -> tuple[Array, ...]:
    """``(Z'WZ + G^-1)^-1`` times columns, (J, k, m) by terms: `modes` of cross-products alone."""
    return modes(factor, _eliminated(factor, by_term, None))


def _eliminated(factor: Factor, by_term: Sequence[Array], gram: Array | None) -> Reduced:
    """Eliminate the leading terms; the Gram matrix is changed in place, if it is wanted."""
    plan, shapes = factor.system.plan, factor.system.cp.shapes
    current = {t: by_term[t] for t in plan.leading}
    tail = factor.join_tail({t: by_term[t] for t in plan.tail}) if plan.tail else None
    for lead in factor.leads:
        if gram is None and lead.is_last:
            continue
        mine = current[lead.term]
        half = blocks.times(lead.whitened_lambda, mine)
        if gram is not None:
            gram -= blocks.outer_sum(half, half)
        for s, block in lead.nested.items():
            left = blocks.times(block, blocks.transpose(lead.whitened_lambda))
            change = blocks.times(left, half)
            parents = plan.parents[lead.term, s]
            current[s] = current[s] - blocks.sum_by(change, parents, shapes[s][0])
        if tail is not None and lead.to_tail is not None:
            back = blocks.times(blocks.transpose(lead.whitened_lambda), half)
            tail = tail - lead.to_tail @ flat(back)
    none = np.empty((0, 0)) if gram is None else gram
    if tail is None:
        tail = np.empty((0, by_term[0].shape[2] if by_term else len(none)))
    return Reduced(current, tail, none)


def modes(factor: Factor, reduced: Reduced) -> tuple[Array, ...]:
    """``G Z'V^-1 A`` by terms, (J, k, m)."""
    found = _backward(factor, reduced)[0]
    return tuple(found[t] for t in range(len(factor.lams)))


def projected(factor: Factor, reduced: Reduced, found: Sequence[Array]) -> tuple[Array, ...]:
    """``Z'V^-1 A`` by terms, (J, k, m), given the `modes`; a singular Lambda hides nothing."""
    by_term = dict(enumerate(found))
    rests = {lead.term: _rest(factor, lead, reduced, by_term) for lead in factor.leads}
    return _projected(factor, reduced, by_term, rests)


def solved(factor: Factor, by_term: Sequence[Array]) -> tuple[tuple[Array, ...], tuple[Array, ...]]:
    """`modes` and `projected` of columns of which only the cross-products with Z are asked."""
    reduced = _eliminated(factor, by_term, None)
    found, rests = _backward(factor, reduced)
    ordered = tuple(found[t] for t in range(len(factor.lams)))
    return ordered, _projected(factor, reduced, found, rests)


def _backward(factor: Factor, reduced: Reduced) -> tuple[dict[int, Array], dict[int, Array]]:
    """The modes, and what they are N times of where a term leads."""
    found: dict[int, Array] = {}
    rests: dict[int, Array] = {}
    if len(factor.tail):
        found = factor.split_tail(factor.tail.colour(factor.tail.whiten(reduced.tail)))
    for lead in reversed(factor.leads):
        rests[lead.term] = _rest(factor, lead, reduced, found)
        found[lead.term] = lead.times_gain(rests[lead.term])
    return found, rests


def _projected(
    factor: Factor, reduced: Reduced, found: Mapping[int, Array], rests: Mapping[int, Array]
) -> tuple[Array, ...]:
    out = {
        lead.term: rests[lead.term] - blocks.times(lead.own, found[lead.term])
        for lead in factor.leads
    }
    if len(factor.tail):
        out.update(factor.split_tail(reduced.tail - factor.tail.times(factor.join_tail(found))))
    return tuple(out[t] for t in range(len(factor.lams)))


def _rest(
    factor: Factor, lead: EliminatedTerm, reduced: Reduced, found: Mapping[int, Array]
) -> Array:
    """Cross-products of a term with the columns less what the later terms' modes explain."""
    out = reduced.leads[lead.term]
    for s, block in lead.nested.items():
        mine = found[s][factor.system.plan.parents[lead.term, s]]
        out = out - blocks.times(blocks.transpose(block), mine)
    if lead.to_tail is not None:
        out = out - (lead.from_tail @ factor.join_tail(found)).reshape(out.shape)
    return out
