"""Lambda of a tail, block diagonal: a (k, k) block of each term, once for each of its levels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from merextras.engine.kernels.blocks import Array, IntArray


@dataclass(frozen=True)
class TailScale:
    """Lambda_tail.

    Attributes
    ----------
    terms : tuple of term numbers
    lams : tuple of (k, k) arrays
        Lambda of each term.
    shapes : tuple of (levels, effects), one per term of the tail
    """

    terms: tuple[int, ...]
    lams: tuple[Array, ...]
    shapes: tuple[tuple[int, int], ...]

    def __getstate__(self) -> dict[str, Any]:
        """Without what is made on demand."""
        return {"terms": self.terms, "lams": self.lams, "shapes": self.shapes}

    @cached_property
    def is_scalar(self) -> bool:
        """Whether each term has one effect a level, so that Lambda is diagonal."""
        return all(k == 1 for _, k in self.shapes)

    @cached_property
    def diagonal(self) -> Array:
        """Lambda of each row of a tail of scalar terms."""
        scales = [lam[0, 0] for lam in self.lams]
        return np.repeat(scales, [levels for levels, _ in self.shapes])

    @cached_property
    def first(self) -> IntArray:
        """The first row of the level that each row is of, (q_tail,)."""
        found, at = [np.empty(0, dtype=np.intp)], 0
        for levels, k in self.shapes:
            found.append(np.repeat(at + k * np.arange(levels), k))
            at += levels * k
        return np.concatenate(found)

    def term_at(self, row: int) -> int:
        """The term that a row is of."""
        ends = np.cumsum([levels * k for levels, k in self.shapes])
        return self.terms[int(np.searchsorted(ends, row, side="right"))]

    def zeros(self) -> dict[int, Array]:
        """A (k, k) array of zeros for each term."""
        return {t: np.zeros((k, k)) for t, (_, k) in zip(self.terms, self.shapes, strict=True)}

    def parts(self, most: int) -> Iterator[slice]:
        """Rows of whole levels of one term, up to so many at a time if a level has not more."""
        first = 0
        for levels, k in self.shapes:
            step, end = max(most - most % k, k), first + levels * k
            for start in range(first, end, step):
                yield slice(start, min(start + step, end))
            first = end

    def times(self, array: Array, *, transposed: bool = False, at: int = 0) -> Array:
        """Lambda_tail, or its transpose, times an array of rows of whole levels from `at` on."""
        end = at + len(array)
        if self.is_scalar:
            return array * self.diagonal[at:end, None]
        out, first = np.empty(array.shape), 0
        for lam, (levels, k) in zip(self.lams, self.shapes, strict=True):
            rows = slice(max(first, at) - at, min(first + levels * k, end) - at)
            if rows.start < rows.stop:
                part = array[rows].reshape((rows.stop - rows.start) // k, k, array.shape[1])
                out[rows] = ((lam.T if transposed else lam) @ part).reshape(out[rows].shape)
            first += levels * k
        return out

    def both(self, rows: Array, at: int, columns_at: int = 0, *, transposed: bool = False) -> Array:
        """Some rows and columns, of whole levels, of ``Lambda M Lambda'``, or ``Lambda'M Lambda``.

        `rows` are those of M from `at` on, their columns from `columns_at`; they may be
        overwritten.
        """
        if self.is_scalar:
            rows *= self.diagonal[at : at + len(rows), None]
            rows *= self.diagonal[columns_at : columns_at + rows.shape[1]]
            return rows
        right = self.times(rows.T, transposed=transposed, at=columns_at).T
        return self.times(right, transposed=transposed, at=at)

    def apply(self, columns: Array, start: int, most: int) -> None:
        """``Lambda M Lambda'`` in place of columns of M from row `start` on.

        They begin where one of the `parts` of up to `most` rows does.
        """
        if self.is_scalar:
            self.both(columns, start, start)
            return
        for rows in self.parts(most):
            if rows.start >= start:
                here = slice(rows.start - start, rows.stop - start)
                columns[here] = self.both(columns[here], rows.start, start)
