"""The second pass over a source: each chunk reduced to cross-products, and these added."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from merextras._typing import BoolArray
from merextras.engine.products.accumulate import Accumulator, Part
from merextras.engine.products.crossprod import CrossProducts
from merextras.exceptions import InvalidArgumentError, TooLargeError
from merextras.model.source.chunks import Source
from merextras.model.source.learn import Learnt, watched
from merextras.model.structure.column_summaries import Facts
from merextras.model.structure.structure import ChunkRows, Structure

#: What the fit needs beside the cross-products by level, in multiples of them.
_COPIES = 3.0
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
    facts : Facts
    seen : tuple of (J,) boolean arrays
        Levels with an observation, by terms.
    """

    products: CrossProducts
    rows: np.ndarray
    facts: Facts
    seen: tuple[BoolArray, ...]


def reduce_source(source: Source, learnt: Learnt, *, progress: bool | None) -> Reduced:
    """Go through the source once more and add up its cross-products.

    Raises
    ------
    TooLargeError
        What is kept would not fit in memory; said before the pass starts.
    InvalidArgumentError
        Values that are not allowed, or other rows than in the first pass.
    """
    structure = learnt.structure
    check_memory(structure, learnt.n_rows - learnt.n_dropped)
    freedoms = [term.structure.freedom for term in structure.terms]
    total = Accumulator(len(structure.fixed.names), structure.shapes, freedoms)
    seen = tuple(np.zeros(levels, dtype=bool) for levels, _ in structure.shapes)
    facts: Facts | None = None
    n_rows = 0
    for frame in watched(source.chunks(structure.columns), source, "rows", progress):
        n_rows += len(frame)
        rows = known_rows(structure, frame)
        if len(rows.y) == 0:
            continue
        total.add_rows(rows.x, rows.target, rows.terms, rows.weights, rows.frequencies)
        new = Facts.of(rows)
        facts = new if facts is None else facts + new
        for flags, term in zip(seen, rows.terms, strict=True):
            flags[term.codes[rows.observed]] = True
    check_count(n_rows, 0 if facts is None else facts.n, learnt)
    assert facts is not None
    return Reduced(total.products(), total.rows, facts, seen)


def known_rows(structure: Structure, frame: pd.DataFrame) -> ChunkRows:
    """Rows whose levels were all there in the first pass."""
    rows = structure.rows(frame)
    for term, made in zip(structure.terms, rows.terms, strict=True):
        if np.any(made.codes < 0):
            raise InvalidArgumentError(
                f"source: {term.factor!r} has levels in the second pass that it did not have in "
                "the first; the source must give the same rows each time"
            )
    return rows


def check_count(n_rows: int, n_kept: int, learnt: Learnt) -> None:
    """The rows reduced must be those that were counted."""
    if (n_rows, n_kept) != (learnt.n_rows, learnt.n_rows - learnt.n_dropped):
        raise InvalidArgumentError(
            f"source: {learnt.n_rows} rows were counted in the first pass, {n_rows} came in the "
            f"second ({learnt.n_rows - learnt.n_dropped} and {n_kept} of them complete); it must "
            "give the same rows each time"
        )


@dataclass(frozen=True, eq=False)
class Piece:
    """One partition's cross-products and facts, to be added to others in any grouping."""

    part: Part | None
    facts: Facts | None
    seen: tuple[np.ndarray, ...]
    n_rows: int

    @classmethod
    def of(cls, structure: Structure, frame: pd.DataFrame) -> Piece:
        """Reduce a frame among its own levels."""
        rows = known_rows(structure, frame)
        if len(rows.y) == 0:
            return cls(None, None, (), len(frame))
        part = Part.from_rows(rows.x, rows.target, rows.terms, rows.weights, rows.frequencies)
        seen = tuple(np.unique(term.codes[rows.observed]) for term in rows.terms)
        return cls(part, Facts.of(rows), seen, len(frame))

    def __add__(self, other: Piece) -> Piece:
        n_rows = self.n_rows + other.n_rows
        if self.part is None or other.part is None:
            full = self if other.part is None else other
            return Piece(full.part, full.facts, full.seen, n_rows)
        assert self.facts is not None
        assert other.facts is not None
        seen = tuple(np.union1d(a, b) for a, b in zip(self.seen, other.seen, strict=True))
        return Piece(self.part + other.part, self.facts + other.facts, seen, n_rows)


def memory_needed(structure: Structure, n_rows: int) -> dict[str, float]:
    """Bytes that the second pass and the fit keep, by what they are for.

    Pairs of levels of two crossed factors are counted as the most there can be.
    """
    p = len(structure.fixed.names)
    out = {}
    for term in structure.terms:
        levels, k = term.shape
        blocks = 8.0 * levels * k * (k + p + 1)
        out[f"{levels} levels of {term.factor}"] = blocks * (1.0 + _COPIES) + levels * _LABEL
    for t, right in enumerate(structure.terms):
        for left in structure.terms[:t]:
            pairs = float(min(n_rows, left.shape[0] * right.shape[0]))
            name = f"pairs of {left.factor} and {right.factor}"
            size = 24.0 * pairs * left.shape[1] * right.shape[1]
            out[name] = out.get(name, 0.0) + size
    return out


def check_memory(structure: Structure, n_rows: int) -> None:
    """Refuse what would not fit, before it is begun."""
    needed = memory_needed(structure, n_rows)
    available = available_memory()
    if available is None or sum(needed.values()) <= available:
        return
    parts = sorted(needed.items(), key=lambda item: -item[1])
    listed = ", ".join(f"{size / 1e9:.3g} GB for {name}" for name, size in parts)
    raise TooLargeError(
        f"the fit would keep about {sum(needed.values()) / 1e9:.3g} GB in memory, of which "
        f"{available / 1e9:.3g} GB are available: {listed}"
    )


def available_memory() -> float | None:
    """Bytes that can be had without swapping, if the system says so."""
    try:
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return float(line.split()[1]) * 1024.0
    except OSError:
        pass
    try:
        return float(os.sysconf("SC_PHYS_PAGES")) * float(os.sysconf("SC_PAGE_SIZE"))
    except (AttributeError, OSError, ValueError):
        return None


def pieces_total(pieces: Sequence[Piece]) -> Piece:
    """The sum, pairwise and always in the same order."""
    left = list(pieces)
    while len(left) > 1:
        pairs = [left[i : i + 2] for i in range(0, len(left), 2)]
        left = [pair[0] + pair[1] if len(pair) == 2 else pair[0] for pair in pairs]
    return left[0]
