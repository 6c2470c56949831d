"""Entries of the inverse, from the roots of the fronts back to the leaves.

With ``S = Lambda' C Lambda + I = L L'`` each front takes the rows' block of ``S^-1`` from its
parent's and adds that of its pivots,

    S^-1_UP = - S^-1_UU L_UP L_PP^-1,     S^-1_PP = L_PP^-T (I + L_UP' S^-1_UU L_UP) L_PP^-1,

Takahashi's recursion (see `selected`) by fronts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from merextras.engine.fronts.eliminate import Eliminated
from merextras.engine.fronts.layout import Batch, Layout
from merextras.engine.kernels import blocks
from merextras.engine.kernels.blocks import Array

# From a front and the rows' block to the pivots' blocks, (B, p, p) and (B, p, u).
Step = Callable[[Eliminated, Array], tuple[Array, Array]]


def invert(
    layout: Layout, found: Sequence[Eliminated], n_entries: int
) -> tuple[Array, Array | None]:
    """``S^-1`` and ``W = Lambda S^-1 Lambda'`` at the matrix's stored entries.

    No W where every node is one row: there it is the former times two numbers each.
    """
    inverse = np.zeros(n_entries)
    scaled = None if layout.scalar else np.zeros(n_entries)
    for batch, part, own, cross, _ in _descend(layout, found, _inverse):
        inverse[batch.sources] = _side_by_side(own, cross).reshape(-1)[batch.places]
        if scaled is not None:
            right = [part.pivots.times_turned(own), part.rows.times_turned(cross)]
            wide = blocks.transpose(np.concatenate(right, axis=2))
            wide = blocks.transpose(part.pivots.times_turned(wide))
            scaled[batch.sources] = wide.reshape(-1)[batch.places]
    return inverse, scaled


def _side_by_side(own: Array, cross: Array) -> Array:
    return np.concatenate([own, cross], axis=2) if cross.shape[2] else np.ascontiguousarray(own)


def projected(layout: Layout, found: Sequence[Eliminated], n_entries: int) -> Array:
    """``C - C W C`` at the stored entries between pivots of one front; 0 at the others.

    About twice the cost of `invert`, and as good where Lambda is singular.
    """
    out = np.zeros(n_entries)
    for batch, part, _, _, rest in _descend(layout, found, _covariance):
        p = batch.p
        own, cross = part.entries[:, :, :p], part.entries[:, :, p:]
        # I - N C, written so that a large C costs no digits.
        grown = blocks.transpose(part.pivots.times_turned(part.pivots.times(own)))
        grown[:, np.arange(p), np.arange(p)] += 1.0
        keep = blocks.inverse(grown)
        carry = cross @ rest @ blocks.transpose(cross)
        wide = np.zeros((len(own), p, p + batch.u))
        wide[:, :, :p] = own @ keep - blocks.transpose(keep) @ carry @ keep
        out[batch.sources] = wide.reshape(-1)[batch.places]
    return out


def _inverse(part: Eliminated, rest: Array) -> tuple[Array, Array]:
    """``S^-1_PP`` and ``S^-1_PU``."""
    turn, up = blocks.transpose(part.inverse), part.rows.times(part.up)
    return _pivots(part.inverse, up, rest), -turn @ (up @ rest)


def _covariance(part: Eliminated, rest: Array) -> tuple[Array, Array]:
    """W_PP and W_PU."""
    turn = blocks.transpose(part.half)
    return _pivots(part.half, part.up, rest), -turn @ (part.up @ rest)


def _pivots(half: Array, up: Array, rest: Array) -> Array:
    turn, p = blocks.transpose(half), half.shape[1]
    if rest.shape[1] == 0:
        return turn @ half
    inner = up @ rest @ blocks.transpose(up)
    inner[:, np.arange(p), np.arange(p)] += 1.0
    return turn @ inner @ half


def _descend(
    layout: Layout, found: Sequence[Eliminated], step: Step
) -> Iterator[tuple[Batch, Eliminated, Array, Array, Array]]:
    """Batches from the roots to the leaves, with their pivots' and rows' blocks."""
    below: dict[int, Array] = {}
    for number in range(len(layout.batches) - 1, -1, -1):
        batch, part = layout.batches[number], found[number]
        rest = below.pop(number) if batch.u else np.zeros((len(batch.pivots), 0, 0))
        with np.errstate(invalid="ignore", over="ignore"):
            own, cross = step(part, rest)
            yield batch, part, own, cross, rest
        if batch.families:
            _hand_down(layout, batch, (own, cross, rest), below)


def _hand_down(
    layout: Layout, batch: Batch, known: tuple[Array, Array, Array], below: dict[int, Array]
) -> None:
    """Give the children of a batch their rows' block."""
    whole = _whole(*known)
    for family in batch.families:
        child = layout.batches[family.batch]
        if family.batch not in below:
            below[family.batch] = np.zeros((len(child.pivots), child.u, child.u))
        at, parents = family.local, family.parents[:, None, None]
        below[family.batch][family.children] = whole[parents, at[:, :, None], at[:, None, :]]


def _whole(own: Array, cross: Array, rest: Array) -> Array:
    """The blocks as one, with a last row and column that are those of no row."""
    n, p = cross.shape[:2]
    m = p + cross.shape[2]
    whole = np.zeros((n, m + 1, m + 1))
    whole[:, :p, :p], whole[:, :p, p:m] = own, cross
    whole[:, p:m, :p], whole[:, p:m, p:m] = blocks.transpose(cross), rest
    return whole
