"""Rows that are alike as one, and levels that are alike as one.

Rows with the same X, offset, levels and covariates of the effects have the same linear predictor: a
*cell*. Binomial and Poisson responses of a cell have a sum; of other families only rows whose
responses are equal, too, are joined. Where all terms are on one factor, levels with the same cells
have the same effects at their mode: a *class* of M levels. A level of a class counts M times when
its rows do and its covariates are divided by sqrt(M): with ``z / sqrt(M)`` and ``sqrt(M) u``

    M sum_i l_i + M u'u / 2,    H = Lambda'Z'WZ Lambda + I of one level,

so that nothing but what sums over H (log |H|, its derivatives) needs to know of M. No number
changes but by rounding.

Equal rows are found by numbers of 64 bits that are made of their columns; that the rows of a group
are equal is then checked, number by number.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from merextras.engine.generalised.families.family import Family, Repeated
from merextras.engine.kernels.blocks import Array, IntArray
from merextras.engine.products.term_rows import TermRows

#: Numbers of 64 bits.
Hashes: TypeAlias = "np.ndarray[Any, np.dtype[np.uint64]]"
# Rows below which nothing is looked for, and the share of rows (of levels) above which what is
# left is not worth the change.
_FEW, _WORTH = 2000, 0.7
# Of the groups one in so many is looked at first.
_SAMPLED = np.uint64(63)
# Groups up to which they are looked up in a table of those in the first rows.
_TABLE, _FIRST = 256, 2000
# Numbers of a dense table of groups, for each row.
_DENSE = 4
_ODD = np.uint64(0x9E3779B97F4A7C15)
_START = np.uint64(0x243F6A8885A308D3)


@dataclass(frozen=True, eq=False)
class Cells:
    """What stands for what.

    Attributes
    ----------
    rows : (m,) array
        A row of each cell that is kept.
    of_row : (n,) array
        The cell of each row.
    counts : (m,) array
        How many rows each is.
    codes : (m,) array or None
        The class of each cell, where levels are joined.
    level_of : (J,) array or None
        The class of each level.
    copies : (classes,) array or None
        M.
    """

    rows: IntArray
    of_row: IntArray
    counts: Array
    codes: IntArray | None = None
    level_of: IntArray | None = None
    copies: Array | None = None


@dataclass(frozen=True)
class _Groups:
    """Groups of equal elements: the first of each, (m,), and the group of each, (n,)."""

    first: IntArray
    of: IntArray

    def __len__(self) -> int:
        return len(self.first)


def joined(
    x: Array, terms: Sequence[TermRows], offset: Array | None, family: Family, *, levels: bool
) -> tuple[Cells, Family] | None:
    """The cells of a model's rows and the log-density of their responses; None if not worth it.

    Parameters
    ----------
    levels : bool
        Whether to look for levels that are alike.
    """
    n = len(x)
    if n < _FEW or not terms:
        return None
    columns = [*x.T, *(column for term in terms for column in term.values.T), *family.apart]
    if offset is not None:
        columns.append(offset)
    alike = _alike(columns, 0.5)
    if alike is None:
        return None
    one = all(np.array_equal(term.codes, terms[0].codes) for term in terms)
    levels = levels and one
    found = _cells(alike, terms, one, 1.0 if levels else _WORTH)
    if found is None:
        return None
    merged, counts = family.merged(found.of, found.first)
    cells = Cells(found.first, found.of, np.bincount(found.of).astype(float))
    if levels:
        classes = _classes(cells, alike, terms[0], merged, counts)
        if classes is not None:
            cells, kept = classes
            merged, counts = merged.taken(kept), counts if counts is None else counts[kept]
            assert cells.copies is not None
            copies = cells.copies[cells.codes]
            counts = copies if counts is None else counts * copies
    if len(cells.rows) > _WORTH * n:
        return None
    return cells, merged if counts is None else Repeated(merged, counts)


def _cells(alike: _Groups, terms: Sequence[TermRows], one: bool, most: float) -> _Groups | None:
    """Rows with one X and the same levels, of one factor in the order of its levels."""
    if one and len(alike) * terms[0].n_levels <= _DENSE * len(alike.of):
        key = terms[0].codes * len(alike) + alike.of
        there = np.zeros(len(alike) * terms[0].n_levels, dtype=bool)
        there[key] = True
        number = np.cumsum(there) - 1
        return _numbered(number[key], int(number[-1]) + 1)
    codes = [terms[0].codes] if one else [term.codes for term in terms]
    return _alike([alike.of, *codes], most)


def _classes(
    cells: Cells, alike: _Groups, term: TermRows, family: Family, counts: Array | None
) -> tuple[Cells, IntArray] | None:
    """The cells of one level of each class, and which of the given cells they are."""
    code, kind = term.codes[cells.rows], alike.of[cells.rows]
    order = np.lexsort((kind, code))
    columns: list[Array | IntArray] = [kind, *family.told, *([] if counts is None else [counts])]
    columns = [column[order] for column in columns]
    code = code[order]
    hashes: Hashes = np.zeros(term.n_levels, dtype=np.uint64)
    np.add.at(hashes, code, _hashed(columns))
    sizes = np.bincount(code, minlength=term.n_levels)
    starts = np.cumsum(sizes) - sizes
    groups = _sorted(_mixed(hashes, sizes.astype(np.uint64)))
    if len(groups) > _WORTH * term.n_levels:
        return None
    # The same place in the level that stands for each level.
    stands = groups.first[groups.of]
    if not np.array_equal(sizes, sizes[stands]):
        return None
    like = starts[stands][code] + np.arange(len(code)) - starts[code]
    if not all(np.array_equal(column, column[like]) for column in columns):
        return None
    kept = np.flatnonzero(groups.first[groups.of[code]] == code)
    place = np.empty(len(code), dtype=np.intp)
    place[kept] = np.arange(len(kept))
    of_cell = np.empty(len(code), dtype=np.intp)
    of_cell[order] = place[like]
    chosen = order[kept]
    out = Cells(
        cells.rows[chosen], of_cell[cells.of_row], cells.counts[chosen], groups.of[code[kept]],
        groups.of, np.bincount(groups.of).astype(float),
    )  # fmt: skip
    return out, chosen


def _alike(columns: Sequence[Array | IntArray], most: float) -> _Groups | None:
    """Rows that are equal in all columns; None if groups are more than this share of the rows."""
    n = len(columns[0])
    columns = [column for column in columns if not (column == column[0]).all()]
    if not columns:
        return _Groups(np.zeros(1, dtype=np.intp), np.zeros(n, dtype=np.intp))
    found = _hashed(columns)
    groups = _in_table(found)
    if groups is None:
        sample = found[(found & _SAMPLED) == 0]
        if most < 1.0 and len(np.unique(sample)) > most * max(len(sample), 16):
            return None
        groups = _sorted(found)
    if len(groups) > most * n:
        return None
    same = all(np.array_equal(column, column[groups.first][groups.of]) for column in columns)
    return groups if same else None


def _hashed(columns: Sequence[Array | IntArray]) -> Hashes:
    """A number for each row, of 64 bits, that equal rows have alike."""
    out: Hashes = np.full(len(columns[0]), _START)
    for column in columns:
        whole = column.dtype.kind in "iu"
        # There are two zeros.
        bits = column.astype(np.uint64) if whole else (column + 0.0).view(np.uint64)
        out = _mixed(out, bits)
    return out


def _mixed(hashes: Hashes, bits: Hashes) -> Hashes:
    hashes = np.asarray((hashes ^ bits) * _ODD)
    hashes ^= hashes >> np.uint64(32)
    hashes *= _ODD
    hashes ^= hashes >> np.uint64(29)
    return hashes


def _in_table(found: Hashes) -> _Groups | None:
    """The groups, if they are few and all among the first rows."""
    table = np.unique(found[:_FIRST])
    if len(table) > _TABLE:
        return None
    of = np.minimum(np.searchsorted(table, found), len(table) - 1)
    return _numbered(of, len(table)) if np.array_equal(table[of], found) else None


def _sorted(found: Hashes) -> _Groups:
    """The groups, by sorting."""
    order = np.argsort(found)
    ordered = found[order]
    new = np.ones(len(order), dtype=bool)
    np.not_equal(ordered[1:], ordered[:-1], out=new[1:])
    of = np.empty(len(order), dtype=np.intp)
    of[order] = np.cumsum(new) - 1
    return _Groups(order[np.flatnonzero(new)], of)


def _numbered(of: IntArray, size: int) -> _Groups:
    """Groups that have numbers."""
    first = np.empty(size, dtype=np.intp)
    # The first of several writes is the last one.
    first[of[::-1]] = np.arange(len(of) - 1, -1, -1)
    return _Groups(first, of)
