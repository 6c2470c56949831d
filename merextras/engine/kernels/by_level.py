"""Least squares in each level of a factor, all levels at once: rows in, no cross-products.

Modified Gram and Schmidt on the rows of all levels together, O(n p**2).
"""

from __future__ import annotations

import numpy as np

from merextras.engine.kernels import blocks
from merextras.engine.kernels.blocks import Array, BoolArray, IntArray

#: R's: a column that has less than this of its length left beside those before it depends on them.
_DEPENDENT = 1e-7


def orthonormal(
    x: Array, codes: IntArray, levels: int, known: BoolArray | None = None
) -> tuple[Array, BoolArray, list[Array]]:
    """R of each level, (J, p, p), which columns it has, (J, p), and the columns of Q by rows.

    Modified Gram and Schmidt, each column twice. A column that depends on those before it in a
    level is left out there, or those that `known` says.
    """
    p, q = x.shape[1], list[Array]()
    upper, found = np.zeros((levels, p, p)), np.zeros((levels, p), dtype=bool)
    for j in range(p):
        column = x[:, j].copy()
        length = np.sqrt(blocks.sum_by(column * column, codes, levels))
        for _ in range(2):
            for i, own in enumerate(q):
                part = blocks.sum_by(own * column, codes, levels)
                column -= own * part[codes]
                upper[:, i, j] += part
        left = np.sqrt(blocks.sum_by(column * column, codes, levels))
        found[:, j] = left > _DEPENDENT * length if known is None else known[:, j]
        upper[:, j, j] = np.where(found[:, j], left, 1.0)
        q.append(np.where(found[codes, j], column / upper[codes, j, j], 0.0))
    return upper, found, q


def inverse(upper: Array, known: BoolArray) -> Array:
    """The inverses of R without the columns that are not known, (J, p, p)."""
    both = known[:, :, None] & known[:, None, :]
    p = upper.shape[1]
    return np.asarray(np.linalg.inv(np.where(both, upper, np.eye(p))) * both)
