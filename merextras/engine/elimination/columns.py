"""Columns of the data (X, y, new responses) under the elimination of the random effects.

A column enters by its cross-products with Z; the factor, which knows nothing of it, is shared by
all of them. Forward elimination gives ``A'V^-1 A`` for the columns A, back-substitution gives
``G Z'V^-1 A``, the conditional modes as a linear map of the columns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from merextras.engine.elimination.factor import Factor, flat
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
        mine = current[lead.term]
        half = lead.whitened_lambda @ mine
        if gram is not None:
            gram -= blocks.outer_sum(half, half)
        for s, block in lead.nested.items():
            change = (block @ blocks.transpose(lead.whitened_lambda)) @ half
            parents = plan.parents[lead.term, s]
            current[s] = current[s] - blocks.sum_by(change, parents, shapes[s][0])
        if tail is not None and lead.to_tail is not None:
            tail = tail - lead.to_tail @ flat(blocks.transpose(lead.whitened_lambda) @ half)
    none = np.empty((0, 0)) if gram is None else gram
    if tail is None:
        tail = np.empty((0, by_term[0].shape[2] if by_term else len(none)))
    return Reduced(current, tail, none)


def modes(factor: Factor, reduced: Reduced) -> tuple[Array, ...]:
    """``G Z'V^-1 A`` by terms, (J, k, m)."""
    found = {}
    if len(factor.tail):
        found = factor.split_tail(factor.tail.colour(factor.tail.whiten(reduced.tail)))
    for lead in reversed(factor.leads):
        found[lead.term] = lead.times_gain(_rest(factor, lead.term, reduced, found))
    return tuple(found[t] for t in range(len(factor.lams)))


def projected(factor: Factor, reduced: Reduced, found: Sequence[Array]) -> tuple[Array, ...]:
    """``Z'V^-1 A`` by terms, (J, k, m), given the `modes`; a singular Lambda hides nothing."""
    by_term = dict(enumerate(found))
    out = {}
    for lead in factor.leads:
        rest = _rest(factor, lead.term, reduced, by_term)
        out[lead.term] = rest - lead.own @ by_term[lead.term]
    if len(factor.tail):
        left = reduced.tail - factor.tail.times(factor.join_tail(by_term))
        out.update(factor.split_tail(left))
    return tuple(out[t] for t in range(len(factor.lams)))


def _rest(factor: Factor, t: int, reduced: Reduced, found: Mapping[int, Array]) -> Array:
    """Cross-products of term t with the columns less what the later terms' modes explain."""
    lead = next(lead for lead in factor.leads if lead.term == t)
    out = reduced.leads[t].copy()
    for s, block in lead.nested.items():
        out -= blocks.transpose(block) @ found[s][factor.system.plan.parents[t, s]]
    if lead.to_tail is not None:
        out -= (lead.to_tail.T @ factor.join_tail(found)).reshape(out.shape)
    return out
