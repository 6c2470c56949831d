"""Two matrices of one size in one array: a symmetric one and a Cholesky factor."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from merextras.engine.kernels.blocks import Array

# Numbers of a part of a matrix (8 MB), and rows that are not parted.
_CHUNK, _WHOLE = 1 << 20, 128


@dataclass(frozen=True)
class Shared:
    """C below the diagonal, and from the diagonal on L'.

    Attributes
    ----------
    matrix : (q, q) array
    own : (q,) array
        The diagonal of C.
    """

    matrix: Array
    own: Array

    def rows(self, part: slice, stop: int | None = None) -> Array:
        """Rows of C up to a column, a copy."""
        matrix, start = self.matrix, part.start
        stop = len(matrix) if stop is None else stop
        out = np.empty((part.stop - start, stop))
        out[:, :start] = matrix[part, :start]
        out[:, start : part.stop] = self.block(part, part)
        out[:, part.stop :] = matrix[part.stop : stop, part].T
        return out

    def block(self, rows: slice, cols: slice) -> Array:
        """C of some rows and some columns up to them, or the same."""
        if rows.start != cols.start:
            return self.matrix[rows, cols]
        out = np.tril(self.matrix[rows, cols], -1)
        out += out.T
        np.fill_diagonal(out, self.own[rows])
        return out

    def times(self, rhs: Array) -> Array:
        """C times a (q, m) array."""
        return symmetric_product(self.matrix, self.own, rhs)


def set_upper(block: Array, values: Array) -> None:
    """Put symmetric values on the diagonal and above, in place."""
    np.copyto(block, values, where=~np.tri(len(block), k=-1, dtype=bool))


def symmetric_product(low: Array, own: Array, rhs: Array) -> Array:
    """A symmetric matrix, given below its diagonal and on it, times a (q, m) array."""
    out = own[:, None] * rhs
    for part in parts_of(len(low)):
        below = low[part, : part.start]
        out[part] += below @ rhs[: part.start]
        out[: part.start] += below.T @ rhs[part]
        inner = np.tril(low[part, part], -1)
        out[part] += inner @ rhs[part] + inner.T @ rhs[part]
    return np.asarray(out)


def parts_of(size: int) -> Iterator[slice]:
    """Parts of the rows of a matrix: so many numbers each, and of a large one eight at least."""
    step = max(1, min(_CHUNK // max(size, 1), max(-(-size // 8), _WHOLE)))
    for start in range(0, size, step):
        yield slice(start, min(start + step, size))
