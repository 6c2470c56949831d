"""What is asked of the inverse of a dense tail, found in one pass through its columns.

So the inverse, which is as large as all else of the tail, need not be there at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from merextras.engine.elimination.tail_scale import TailScale
from merextras.engine.elimination.tail_shared import Shared
from merextras.engine.kernels.blocks import Array, IntArray
from merextras.engine.kernels.inverse import WIDTH, inverse_columns
from merextras.engine.kernels.sparse import SampledProduct


@dataclass
class Found:
    """What a pass through the columns of S^-1 finds.

    Attributes
    ----------
    own : (q_tail, k) array
        Each row's diagonal block of W; k is that of the widest.
    met : mapping t -> SampledProduct
        W C_tail,t.
    traces : mapping t -> (k, k) array
        The blocks of C Lambda S^-1, summed over the levels.
    whole : (q_tail, q_tail) array, optional
        W, where it is kept.
    """

    own: Array
    met: Mapping[int, SampledProduct]
    traces: Mapping[int, Array]
    whole: Array | None

    @classmethod
    def of(
        cls,
        shared: Shared,
        scale: TailScale,
        between: Mapping[int, sp.csc_array],
        *,
        keep: bool,
    ) -> Found:
        """The pass: O(q_tail**3) and what the products on the patterns take."""
        size = len(shared.matrix)
        own = np.empty((size, max((k for _, k in scale.shapes), default=1)))
        met = {t: SampledProduct(block) for t, block in between.items()}
        found = cls(own, met, scale.zeros(), None)
        for part, columns in inverse_columns(shared.matrix, scale.parts(WIDTH)):
            found._add_traces(shared, scale, part, columns)
            scale.apply(columns, part.start, WIDTH)
            found._put(scale.first[part], part, columns)
            if keep:
                found._keep(part, columns)
        return found

    def _put(self, first: IntArray, part: slice, columns: Array) -> None:
        """Take in some columns of W, whose levels begin at `first`."""
        k = self.own.shape[1]
        if k == 1:
            self.own[part, 0] = columns.diagonal()
        for a in range(k if k > 1 else 0):
            # The effects that a level does not have are never asked for.
            rows = np.minimum(first + a, len(self.own) - 1)
            inside = np.minimum(rows - part.start, len(columns) - 1)
            self.own[part, a] = columns[inside, np.arange(len(first))]
        for product in self.met.values():
            product.add(columns, part.start)

    def _keep(self, part: slice, columns: Array) -> None:
        """Put some columns of W in their places."""
        if len(columns) == columns.shape[1] == len(self.own):
            self.whole = columns
            return
        if self.whole is None:
            self.whole = np.empty((len(columns), len(columns)))
        self.whole[part.start :, part] = columns
        self.whole[part, part.stop :] = columns[part.stop - part.start :].T

    def _add_traces(self, shared: Shared, scale: TailScale, part: slice, columns: Array) -> None:
        """Products of blocks of C Lambda and S^-1, those on both sides of the diagonal."""
        blocks = list(scale.parts(WIDTH))
        for left in blocks:
            if not part.start <= left.start < part.stop:
                continue
            out = self.traces[scale.term_at(left.start)]
            for below in blocks:
                if below.start < left.start:
                    continue
                c = shared.block(below, left)
                here = slice(below.start - part.start, below.stop - part.start)
                s = columns[here, left.start - part.start : left.stop - part.start]
                _add_products(out, scale.times(c, transposed=True, at=below.start).T, s.T)
                if below.start > left.start:
                    other = self.traces[scale.term_at(below.start)]
                    turned = scale.times(c.T, transposed=True, at=left.start).T
                    _add_products(other, turned, s)


def _add_products(out: Array, left: Array, right: Array) -> None:
    """Add the products of rows of the same level, in place; of each pair of effects."""
    k = len(out)
    for a in range(k):
        for b in range(k):
            out[a, b] += np.einsum("ij,ij->", left[a::k], right[b::k])
