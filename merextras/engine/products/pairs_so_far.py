"""The block between two terms of cross-products that are added up."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from merextras.engine.kernels.blocks import Array, IntArray
from merextras.engine.products.change import sparse_times_both

#: Pairs of levels that wait to be summed.
_WAITING = 2**18


class PairsSoFar:
    """A sparse block between two terms that grows; zeros on its pattern are kept.

    Parameters
    ----------
    shape : (q_s, q_t)
        Effects of the two terms; may be set anew as they become more.
    """

    def __init__(self, shape: tuple[int, int]) -> None:
        self.shape = shape
        self._waiting: list[tuple[IntArray, IntArray, Array]] = []
        self._size = 0
        self._sum: sp.csc_array | None = None

    def add(self, rows: IntArray, cols: IntArray, data: Array) -> None:
        """Add numbers at places; those of a place that is there add up, now or later."""
        self._waiting.append((rows, cols, data))
        self._size += len(data)
        if self._size > max(_WAITING, 0 if self._sum is None else self._sum.nnz):
            self._sum = self.total()

    def change(self, left: Array, right: Array) -> None:
        """Put combinations of the effects in their place, as `sparse_times_both`."""
        self._sum = sparse_times_both(self.total(), left, right)

    def total(self) -> sp.csc_array:
        """Return the sum of all that was added."""
        parts = self._waiting
        if self._sum is not None:
            coo = self._sum.tocoo()
            parts = [(coo.row, coo.col, coo.data), *parts]
        if not parts:
            return sp.csc_array(self.shape)
        rows, cols, data = (np.concatenate(part) for part in zip(*parts, strict=True))
        self._sum = sp.csc_array(sp.coo_array((data, (rows, cols)), shape=self.shape))
        self._waiting, self._size = [], 0
        return self._sum
