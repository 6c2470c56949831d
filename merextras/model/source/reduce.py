"""Chunks reduced to cross-products, and these added; the second pass where there are two."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import NoReturn

import numpy as np
import pandas as pd

from merextras.engine.products.accumulate import Accumulator, Part, permuted, reindexed, union
from merextras.engine.products.basis import Basis
from merextras.engine.products.crossprod import CrossProducts
from merextras.engine.products.strata import Strata
from merextras.exceptions import InvalidArgumentError, TooLargeError
from merextras.foundation.aliases import BoolArray, IntArray
from merextras.foundation.memory import available_memory
from merextras.model.columns.levels import LevelCounter
from merextras.model.source.chunks import Source
from merextras.model.source.learn import LearntSchema, watched
from merextras.model.structure.column_summaries import ColumnSummaries
from merextras.model.structure.structure import ChunkRows, Structure

#: What the fit needs beside the cross-products by level, in multiples of them.
_COPIES = 3.0
#: Copies of X and y of a chunk in a pass, and numbers of what a row has of each pair of effects.
_OF_X, _OF_PAIR = 4.0, 5.0
#: Bytes of a level's label, and of its entry in the table that finds it.
_LABEL = 40


@dataclass(frozen=True, eq=False)
class Reduced:
    """A source without its rows.

    Attributes
    ----------
    products : CrossProducts
    rows : (up to p + 1, p + 1) array
        Triangular factor of the weighted ``[X y]``.
    facts : ColumnSummaries
    seen : tuple of (J,) boolean arrays
        Levels with an observation, by terms.
    strata : Strata or None
        By groups with residual variances of their own.
    """

    products: CrossProducts
    rows: np.ndarray
    facts: ColumnSummaries
    seen: tuple[BoolArray, ...]
    strata: Strata | None = None


class Sums:
    """What rows that come one chunk after the other add up to.

    Parameters
    ----------
    structure : Structure
        Its levels may become more as the rows have them.
    """

    def __init__(self, structure: Structure) -> None:
        self._structure = structure
        freedoms = [term.structure.freedom for term in structure.terms]
        self._total = Accumulator(len(structure.fixed.names), structure.shapes, freedoms)
        self._seen = [np.zeros(levels, dtype=bool) for levels, _ in structure.shapes]
        self._facts: ColumnSummaries | None = None
        self._parts: dict[int, Part] = {}

    @property
    def n_kept(self) -> int:
        """Complete rows."""
        return 0 if self._facts is None else self._facts.n

    @property
    def nbytes(self) -> int:
        """Bytes of the arrays by level."""
        return self._total.nbytes

    def add(self, rows: ChunkRows) -> None:
        """Add rows whose levels are all known."""
        if len(rows.y) == 0:
            return
        self._total.add_rows(rows.x, rows.target, rows.terms, rows.weights, rows.frequencies)
        add_parts(self._parts, strata_parts(rows))
        new = ColumnSummaries.of(rows)
        self._facts = new if self._facts is None else self._facts + new
        for t, term in enumerate(rows.terms):
            flags = self._seen[t]
            if term.n_levels > len(flags):
                flags = self._seen[t] = np.pad(flags, (0, term.n_levels - len(flags)))
            flags[term.codes[rows.observed]] = True

    def reduced(self) -> Reduced:
        """The sums; nothing may be added after it."""
        assert self._facts is not None
        products = self._total.products()
        strata = strata_of(self._structure, self._parts, products.basis)
        return Reduced(products, self._total.rows, self._facts, tuple(self._seen), strata)

    def reduced_in_order(
        self, structure: Structure, places: Mapping[tuple[str, ...], IntArray]
    ) -> Reduced:
        """The same for a structure with the terms and the levels in their final order.

        Parameters
        ----------
        structure : Structure
        places : mapping columns -> (J,) integer array
            Of a grouping factor's levels: where each is to go.
        """
        terms = self._structure.terms
        at = [places[term.coder.columns] for term in terms]
        sizes = [len(place) for place in at]
        order = [[t.key for t in terms].index(term.key) for term in structure.terms]
        products = permuted(reindexed(self._total.products(), at, sizes), order)
        parts = {}
        if structure.residual is not None:
            where = places[structure.residual.columns]
            moved = {h: part.moved(at).permuted(order) for h, part in self._parts.items()}
            parts = {int(where[h]): part for h, part in moved.items()}
        assert self._facts is not None
        facts = replace(self._facts, effects=tuple(self._facts.effects[t] for t in order))
        seen = [np.empty_like(flags) for flags in self._seen]
        for flags, mine, place in zip(seen, self._seen, at, strict=True):
            flags[place] = mine
        strata = strata_of(structure, parts, products.basis)
        return Reduced(products, self._total.rows, facts, tuple(seen[t] for t in order), strata)


def reduce_source(source: Source, learnt: LearntSchema, *, progress: bool | None) -> Reduced:
    """Go through the source once more and add up its cross-products.

    Raises
    ------
    TooLargeError
        What is kept would not fit in memory; said before the pass starts.
    InvalidArgumentError
        Values that are not allowed, or other rows than in the first pass.
    """
    structure = learnt.structure
    n_kept = learnt.n_rows - learnt.n_dropped
    check_memory(structure, n_kept, chunk=min(source.size, n_kept))
    sums, n_rows = Sums(structure), 0
    for frame in watched(source.chunks(structure.columns), source, "rows", progress):
        n_rows += len(frame)
        sums.add(known_rows(structure, frame))
    check_count(n_rows, sums.n_kept, learnt)
    return sums.reduced()


def strata_parts(rows: ChunkRows) -> dict[int, Part]:
    """Rows reduced by groups with residual variances of their own, if there are such."""
    if rows.strata is None:
        return {}
    out = {}
    for h in np.unique(rows.strata).tolist():
        at = np.flatnonzero(rows.strata == h)
        terms = [replace(t, codes=t.codes[at], values=t.values[at]) for t in rows.terms]
        weights, counts = (None if v is None else v[at] for v in (rows.weights, rows.frequencies))
        out[h] = Part.from_rows(rows.x[at], rows.target[at], terms, weights, counts)
    return out


def add_parts(parts: dict[int, Part], more: Mapping[int, Part]) -> None:
    """Add others to parts by groups, in place."""
    for h, part in more.items():
        parts[h] = parts[h] + part if h in parts else part


def strata_of(structure: Structure, parts: Mapping[int, Part], basis: Basis) -> Strata | None:
    """All groups' cross-products in one basis."""
    if structure.residual is None:
        return None
    sizes = [levels for levels, _ in structure.shapes]
    every = range(len(structure.residual.levels))
    return Strata.of_parts([parts[h] for h in every], sizes, basis)


def known_rows(structure: Structure, frame: pd.DataFrame) -> ChunkRows:
    """Rows whose levels were all there in the first pass."""
    rows = structure.rows(frame)
    for term, made in zip(structure.terms, rows.terms, strict=True):
        if np.any(made.codes < 0):
            _refuse_new(term.factor)
    if rows.strata is not None and np.any(rows.strata < 0):
        assert structure.residual is not None
        _refuse_new(":".join(structure.residual.columns))
    return rows


def _refuse_new(factor: str) -> NoReturn:
    raise InvalidArgumentError(
        f"source: {factor!r} has levels in the second pass that it did not have in the first; the "
        "source must give the same rows each time"
    )


def check_count(n_rows: int, n_kept: int, learnt: LearntSchema) -> None:
    """The rows reduced must be those that were counted."""
    if (n_rows, n_kept) != (learnt.n_rows, learnt.n_rows - learnt.n_dropped):
        raise InvalidArgumentError(
            f"source: {learnt.n_rows} rows were counted in the first pass, {n_rows} came in the "
            f"second ({learnt.n_rows - learnt.n_dropped} and {n_kept} of them complete); it must "
            "give the same rows each time"
        )


@dataclass(frozen=True, eq=False)
class PartitionProducts:
    """One partition's cross-products and facts, to be added to others in any grouping."""

    part: Part | None
    facts: ColumnSummaries | None
    seen: tuple[np.ndarray, ...]
    n_rows: int
    strata: dict[int, Part] = field(default_factory=dict)

    @classmethod
    def of(cls, structure: Structure, frame: pd.DataFrame) -> PartitionProducts:
        """Reduce a frame among its own levels."""
        rows = known_rows(structure, frame)
        if len(rows.y) == 0:
            return cls(None, None, (), len(frame))
        part = Part.from_rows(rows.x, rows.target, rows.terms, rows.weights, rows.frequencies)
        used = rows.observed
        seen = tuple(
            at if isinstance(used, slice) else np.unique(term.codes[used])
            for at, term in zip(part.at, rows.terms, strict=True)
        )
        return cls(part, ColumnSummaries.of(rows), seen, len(frame), strata_parts(rows))

    def __add__(self, other: PartitionProducts) -> PartitionProducts:
        n_rows = self.n_rows + other.n_rows
        if self.part is None or other.part is None:
            full = self if other.part is None else other
            return PartitionProducts(full.part, full.facts, full.seen, n_rows, full.strata)
        assert self.facts is not None
        assert other.facts is not None
        seen = tuple(union(a, b) for a, b in zip(self.seen, other.seen, strict=True))
        strata = dict(self.strata)
        add_parts(strata, other.strata)
        return PartitionProducts(
            self.part + other.part, self.facts + other.facts, seen, n_rows, strata
        )


def memory_needed(
    structure: Structure,
    n_rows: int,
    growing: Mapping[tuple[str, ...], LevelCounter] | None = None,
    chunk: int = 0,
) -> dict[str, float]:
    """Bytes at the peak of the passes over the rows, or of the fit, by what they are for.

    Pairs of levels of two crossed factors are counted as the most there can be. With `growing` the
    levels, by the columns of the factors, are those there. `chunk` are the rows that come at a
    time, if some are still to be read.
    """
    p = len(structure.fixed.names)
    shapes = structure.shapes
    if growing is not None:
        shapes = [(len(growing[t.coder.columns]), t.shape[1]) for t in structure.terms]
    sums: dict[str, float] = {}
    labels: dict[str, float] = {}
    for term, (levels, k) in zip(structure.terms, shapes, strict=True):
        name = f"{levels} levels of {term.factor}"
        sums[name] = sums.get(name, 0.0) + 8.0 * levels * k * (k + p + 1)
        labels[name] = labels.get(name, 0.0) + levels * _LABEL
    pairs: dict[str, float] = {}
    for t, (right, right_shape) in enumerate(zip(structure.terms, shapes, strict=True)):
        for left, left_shape in zip(structure.terms[:t], shapes, strict=False):
            most = float(min(n_rows, left_shape[0] * right_shape[0]))
            name = f"pairs of {left.factor} and {right.factor}"
            size = 24.0 * most * left_shape[1] * right_shape[1]
            pairs[name] = pairs.get(name, 0.0) + size
    reading = {name: size + labels[name] for name, size in sums.items()} | pairs
    reading[f"{chunk} rows of {p} columns at a time"] = chunk_bytes(chunk, p, shapes)
    fitting = {name: size * (1.0 + _COPIES) + labels[name] for name, size in sums.items()} | pairs
    return max(reading, fitting, key=lambda parts: sum(parts.values()))


def chunk_bytes(rows: int, p: int, shapes: Sequence[tuple[int, int]]) -> float:
    """What some rows of p columns of X, of terms of (levels, effects), take in a pass."""
    ks = [k for _, k in shapes]
    each = _OF_X * (p + 1) + sum(k + 1 for k in ks)
    each += _OF_PAIR * sum(k * m for k, m in combinations(ks, 2))
    return 8.0 * rows * each


def check_memory(
    structure: Structure,
    n_rows: int,
    growing: Mapping[tuple[str, ...], LevelCounter] | None = None,
    held: int = 0,
    chunk: int = 0,
) -> None:
    """Refuse what would not fit, as soon as it is known; `held` are bytes that are there by now.

    `chunk` is that of `memory_needed`.
    """
    needed = memory_needed(structure, n_rows, growing, chunk)
    available = available_memory()
    if available is None or sum(needed.values()) <= available + held:
        return
    parts = sorted(needed.items(), key=lambda item: -item[1])
    listed = ", ".join(f"{size / 1e9:.3g} GB for {name}" for name, size in parts)
    raise TooLargeError(
        f"the fit would take about {sum(needed.values()) / 1e9:.3g} GB of memory, of which "
        f"{available / 1e9:.3g} GB are available: {listed}"
    )
