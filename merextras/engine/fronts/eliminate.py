"""The numerical part of the sparse factorisation: dense fronts in batches of one size.

In each front the entries of C between its pivots P and its rows U are put together from the matrix
and from what its children passed on. Eliminating the pivots is that of a leading term (see
`factor`): with ``half = L^-1 Lambda_P'``, where L is the Cholesky factor of
``Lambda_P' C_PP Lambda_P + I``, and ``up = half C_PU``,

    C_UU  <-  C_UU - up' up

goes to the parent. Sizes are rounded up, by pivots of no entries and no variance, so that fronts of
about the same size are one batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.linalg as la
import scipy.sparse as sp

from merextras.engine.fronts.layout import Batch, Layout, Scales
from merextras.engine.kernels import blocks
from merextras.engine.kernels.blocks import Array, IntArray

# Above this size of a front its own calls of LAPACK are faster than loops over its rows.
_LOOP_LIMIT = 12


@dataclass(frozen=True)
class Eliminated:
    """The fronts of a batch at one theta: B of them, p pivots and u rows each.

    Attributes
    ----------
    pivots, rows : Scales
        Lambda_P and Lambda_U.
    entries : (B, p, p + u) array
        C_PP and C_PU.
    inverse : (B, p, p) array
        L^-1.
    up : (B, p, u) array
    """

    pivots: Scales
    rows: Scales
    entries: Array
    inverse: Array
    up: Array

    @property
    def half(self) -> Array:
        """``L^-1 Lambda_P'``, (B, p, p)."""
        return self.pivots.times_turned(self.inverse)

    def low(self) -> Array:
        """L, (B, p, p), made again."""
        return _cholesky(_inner(self.pivots, self.entries))

    def whiten(self, rhs: Array) -> Array:
        """``L^-1 Lambda_P'`` times a (B, p, m) array."""
        return _whitened(self.pivots, self.inverse, rhs)

    def colour(self, rhs: Array) -> Array:
        """``Lambda_P L^-T`` times a (B, p, m) array."""
        found = blocks.transpose(self.inverse) @ rhs
        return blocks.transpose(self.pivots.times_turned(blocks.transpose(found)))


def eliminate(layout: Layout, values: Array, lams: Sequence[Array]) -> list[Eliminated]:
    """Eliminate all fronts; `values` are the matrix's stored entries."""
    passed: dict[int, Array] = {}
    found = []
    with np.errstate(invalid="ignore", over="ignore"):
        for number, batch in enumerate(layout.batches):
            entries, left = _put_together(batch, values, passed)
            for done in batch.frees:
                del passed[done]
            pivots, rows = (layout.scales(at, lams) for at in (batch.pivots, batch.rows))
            found.append(_eliminated(pivots, rows, entries))
            if batch.u:
                up = found[-1].up
                change = blocks.transpose(up) @ up
                passed[number] = np.negative(change, out=change) if left is None else left - change
    return found


def _put_together(
    batch: Batch, values: Array, passed: dict[int, Array]
) -> tuple[Array, Array | None]:
    """``[C_PP C_PU]`` of each front, and C_UU unless it is null."""
    n, p, m = len(batch.pivots), batch.p, batch.p + batch.u
    if not batch.families:
        entries = np.zeros((n, p, m))
        entries.reshape(-1)[batch.places] = values[batch.sources]
        return entries, None
    # The last row and column take what is rounded up in the children.
    whole = np.zeros((n, m + 1, m + 1))
    for family in batch.families:
        at = family.local
        update = passed[family.batch][family.children]
        whole[family.parents[:, None, None], at[:, :, None], at[:, None, :]] += update
    entries = np.ascontiguousarray(whole[:, :p, :m])
    entries.reshape(-1)[batch.places] += values[batch.sources]
    return entries, whole[:, p:m, p:m] if batch.u else None


def _eliminated(pivots: Scales, rows: Scales, entries: Array) -> Eliminated:
    p = entries.shape[1]
    inverse = _inverse(_cholesky(_inner(pivots, entries)))
    up = _whitened(pivots, inverse, entries[:, :, p:])
    return Eliminated(pivots, rows, entries, inverse, up)


def _inner(pivots: Scales, entries: Array) -> Array:
    """``Lambda_P' C_PP Lambda_P + I``."""
    p = entries.shape[1]
    inner = pivots.around(entries[:, :, :p])
    inner[:, np.arange(p), np.arange(p)] += 1.0
    return inner


def _whitened(pivots: Scales, inverse: Array, rhs: Array) -> Array:
    return inverse @ blocks.transpose(pivots.times(blocks.transpose(rhs)))


def _cholesky(inner: Array) -> Array:
    """Lower factors; large ones in place."""
    if inner.shape[1] <= _LOOP_LIMIT:
        return blocks.cholesky(inner)
    for one in inner:
        # The transpose of a row-major lower triangle is LAPACK's upper one.
        if la.lapack.dpotrf(one.T, lower=0, clean=1, overwrite_a=1)[1] != 0:
            one[:] = np.nan
    return inner


def _inverse(low: Array) -> Array:
    """Inverses of lower triangles; large ones in place."""
    if low.shape[1] <= _LOOP_LIMIT:
        return blocks.solve_lower(low, np.eye(low.shape[1])[None])
    for one in low:
        la.lapack.dtrtri(one.T, lower=0, overwrite_c=1)
    return low


def log_det(found: Sequence[Eliminated]) -> float:
    """Return log |L|**2."""
    logs = [np.log(np.diagonal(part.inverse, axis1=1, axis2=2)).sum() for part in found]
    return -2.0 * float(np.sum(logs))


def whiten(layout: Layout, found: Sequence[Eliminated], rhs: Array) -> Array:
    """``L^-1 Lambda' rhs``, the rows those of the pivots in the matrix."""
    q, m = rhs.shape
    rest, out = np.vstack([rhs, np.zeros((1, m))]), np.zeros((q + 1, m))
    for batch, part in zip(layout.batches, found, strict=True):
        mine = part.whiten(rest[batch.pivots])
        out[batch.pivots] = mine
        if batch.u:
            change = (blocks.transpose(part.up) @ mine).reshape(batch.rows.size, m)
            rest[batch.targets] -= batch.scatter @ change
    return out[:q]


def colour(layout: Layout, found: Sequence[Eliminated], rhs: Array) -> Array:
    """``Lambda L^-T rhs``."""
    q, m = rhs.shape
    rhs, out = np.vstack([rhs, np.zeros((1, m))]), np.zeros((q + 1, m))
    pairs = list(zip(layout.batches, found, strict=True))
    for batch, part in reversed(pairs):
        rest = rhs[batch.pivots]
        if batch.u:
            rest = rest - part.up @ out[batch.rows]
        out[batch.pivots] = part.colour(rest)
        out[q] = 0.0
    return out[:q]


def cholesky(
    layout: Layout, found: Sequence[Eliminated]
) -> tuple[sp.csc_array, sp.csc_array, IntArray]:
    """The pivots' blocks of L, ``up'`` (L below them, before Lambda_U'), and the order of pivots.

    Both matrices have the rows and columns of C.
    """
    own, below = [], []
    for batch, part in zip(layout.batches, found, strict=True):
        own.append(_spread(batch.pivots, batch.pivots, part.low()))
        below.append(_spread(batch.rows, batch.pivots, blocks.transpose(part.up)))
    q = len(layout.node) - 1
    order = np.concatenate([batch.pivots.reshape(-1) for batch in layout.batches])
    return _joined(own, q), _joined(below, q), order[order < q]


def _spread(rows: IntArray, cols: IntArray, values: Array) -> tuple[IntArray, IntArray, Array]:
    """Rows, columns and values of (B, r, c) blocks."""
    shape = values.shape
    row = np.broadcast_to(rows[:, :, None], shape).reshape(-1)
    col = np.broadcast_to(cols[:, None, :], shape).reshape(-1)
    return row, col, values.reshape(-1)


def _joined(parts: Sequence[tuple[IntArray, IntArray, Array]], q: int) -> sp.csc_array:
    row, col, value = (np.concatenate(three) for three in zip(*parts, strict=True))
    kept = (row < q) & (col < q) & (value != 0.0)
    at = (row[kept], col[kept])
    return sp.csc_array(sp.coo_array((value[kept], at), shape=(q, q)))
