"""Columns of a formula's terms from the values of its factors: numbers, or codes of levels."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from merextras.engine.products.cells import Cells
from merextras.foundation.aliases import Array, IntArray

# Combinations of categories that are told apart, at most: more are too many to have few.
_MOST = 1 << 12


@dataclass(frozen=True, eq=False)
class Block:
    """Columns of one term: products over factors, the first factor's columns varying fastest.

    Attributes
    ----------
    factors : tuple of int
    contrasts : tuple of (levels, columns) arrays, None for a numeric factor
    """

    factors: tuple[int, ...]
    contrasts: tuple[Array | None, ...]

    @property
    def is_categorical(self) -> bool:
        """Whether it has no number."""
        return all(contrast is not None for contrast in self.contrasts)

    def widths(self, values: Sequence[Array | IntArray]) -> list[int]:
        """Columns of each factor."""
        parts = zip(self.factors, self.contrasts, strict=True)
        return [(values[at] if c is None else c).shape[1] for at, c in parts]

    def write(self, values: Sequence[Array | IntArray], out: Array) -> None:
        """Make the columns from the factors' values, in `out`, (n, c); one at a time.

        What is infinite or too large is so in the columns, or NaN: who uses them looks at that.
        """
        parts = [(values[at], c) for at, c in zip(self.factors, self.contrasts, strict=True)]
        with np.errstate(over="ignore", invalid="ignore"):
            for j, at in enumerate(np.ndindex(*self.widths(values)[::-1])):
                if not parts:
                    out[:, j] = 1.0
                    continue
                first, *others = [(*part, i) for part, i in zip(parts, at[::-1], strict=True)]
                _write_column(out[:, j], *first)
                for other in others:
                    out[:, j] *= _column(*other)


def _write_column(out: Array, values: Array | IntArray, contrast: Array | None, j: int) -> None:
    own = np.empty(0) if contrast is None else np.flatnonzero(contrast[:, j])
    if contrast is not None and len(own) == 1 and contrast[own[0], j] == 1.0:
        np.equal(values[:, 0], values.dtype.type(own[0]), out=out, casting="unsafe")
    else:
        out[:] = _column(values, contrast, j)


def _column(values: Array | IntArray, contrast: Array | None, j: int) -> Array:
    out = (
        values[:, j]
        if contrast is None
        else contrast[:, j].take(values[:, 0].astype(np.intp, copy=False))
    )
    return np.asarray(out)


def columns_of(blocks: Sequence[Block], values: Sequence[Array | IntArray], n: int) -> Array:
    """The columns of all blocks, (n, p), by columns in memory."""
    sizes = [int(np.prod(block.widths(values), dtype=int)) for block in blocks]
    ends = list(itertools.accumulate(sizes, initial=0))
    out = np.empty((n, ends[-1]), order="F")
    for block, at, end in zip(blocks, ends, ends[1:], strict=False):
        block.write(values, out[:, at:end])
    return out


def cells_of(blocks: Sequence[Block], values: Sequence[Array | IntArray], x: Array) -> Cells | None:
    """The cells of the columns before the first number's; None without, or if they are many.

    `x` has the columns of all blocks.
    """
    first = list(itertools.takewhile(lambda block: block.is_categorical, blocks))
    each = [part for b in first for part in zip(b.factors, b.contrasts, strict=True)]
    levels = {f: len(contrast) for f, contrast in each if contrast is not None}
    n_cells = math.prod(levels.values())
    if not levels or n_cells > min(_MOST, len(x)):
        return None
    places = np.unravel_index(np.arange(n_cells), tuple(levels.values()))
    of_cells = {f: at[:, None] for f, at in zip(levels, places, strict=True)}
    table = columns_of(first, [of_cells.get(f, v) for f, v in enumerate(values)], n_cells)
    return Cells(x, _cell_codes(levels, values, n_cells), table)


def _cell_codes(
    levels: dict[int, int], values: Sequence[Array | IntArray], n_cells: int
) -> IntArray:
    """The number of each row's combination, in as few bytes as it needs."""
    (f, _), *others = levels.items()
    codes: IntArray = np.asarray(values[f][:, 0])
    small = np.min_scalar_type(-n_cells - 1) if others else codes.dtype
    for f, size in others:
        codes = codes.astype(small) * small.type(size) + values[f][:, 0].astype(small)
    return codes
