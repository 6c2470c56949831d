"""Cross-products of a smaller model: some of the terms, with combinations of their effects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import scipy.sparse as sp

from merextras.engine.covariance.structure import Freedom
from merextras.engine.kernels import dense
from merextras.engine.kernels.blocks import Array, block_diagonal
from merextras.engine.products.change import sparse_times_both, times_both
from merextras.engine.products.crossprod import CrossProducts
from merextras.engine.products.effects import EffectBasis

#: Number of a term, and the (k, r) combinations of its effects that take their place.
Kept = Sequence[tuple[int, Array]]


def restricted(
    cp: CrossProducts, kept: Kept, freedoms: Sequence[Freedom] | None = None
) -> CrossProducts:
    """The cross-products with ``Z_t (I x C_t)`` in place of Z_t, other terms left out.

    Parameters
    ----------
    cp : CrossProducts
    kept : sequence of (t, (k, r) array)
        In the new order; the identity leaves a term as it is. Parts of one term without their
        covariances are several terms of the same t.
    freedoms : sequence of Freedom, optional
        Of the new terms, by default those of the old.

    Notes
    -----
    O(numbers in the blocks times k). The pattern of the levels that share a row stays.
    """
    effects, turns = [], []
    old = [cp.basis.effects[t].freedom for t, _ in kept]
    for (t, c), free in zip(kept, old if freedoms is None else freedoms, strict=True):
        new, turn = _combined(cp, t, c, free)
        effects.append(new)
        turns.append((t, turn))
    cross = {
        (i, j): sparse_times_both(_block(cp, s, t), left, right)
        for j, (t, right) in enumerate(turns)
        for i, (s, left) in enumerate(turns[:j])
    }
    same = np.eye(cp.p + 1)
    return replace(
        cp,
        own=tuple(times_both(cp.own[t], c, c) for t, c in turns),
        to_xy=tuple(times_both(cp.to_xy[t], c, same) for t, c in turns),
        cross=cross,
        basis=cp.basis.with_effects(effects),
    )


def _combined(cp: CrossProducts, t: int, c: Array, free: Freedom) -> tuple[EffectBasis, Array]:
    """Coordinates of combinations of a term's effects, and their own in the term's coordinates."""
    own, k = cp.basis.effects[t], len(c)
    if own.freedom is free and c.shape[1] == k and np.array_equal(c, np.eye(k)):
        return own, c
    new = EffectBasis.from_rows(cp.effect_rows(t) @ c, cp.n, freedom=free)
    return new, own.coordinates(dense.times_triangle([c], new.transform))


def _block(cp: CrossProducts, s: int, t: int) -> sp.csc_array:
    if s == t:
        return sp.csc_array(block_diagonal(cp.own[s]))
    return cp.cross[s, t] if s < t else sp.csc_array(cp.cross[t, s].T)
