"""A table in a folder of raw columns that numpy and R read alike, to the last bit.

``columns.tsv`` lists the columns: a name and ``number``, ``factor`` or ``text`` on each line.
Column i is ``i.f64`` (float64), or ``i.i32`` (codes from 0) with ``i.levels`` (one label a line).
Text is stored as a factor is, and given to the packages as text.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Factor:
    """A grouping factor or categorical covariate: codes from 0, and a label for each.

    With `text` the packages get a column of labels in place of a categorical.
    """

    codes: NDArray[np.int32]
    levels: list[str]
    text: bool = False

    @classmethod
    def of(cls, values: object) -> Factor:
        """Take the levels in the order of their text."""
        levels, codes = np.unique(np.asarray(values).astype(str), return_inverse=True)
        return cls(codes.astype(np.int32), levels.tolist())

    @classmethod
    def numbered(cls, codes: NDArray[np.integer], n_levels: int, prefix: str) -> Factor:
        """Label the codes ``prefix0``, ``prefix1``, ..."""
        return cls(codes.astype(np.int32), [f"{prefix}{i}" for i in range(n_levels)])

    def labels(self) -> NDArray[np.str_]:
        """Return the label of every row."""
        return np.asarray(self.levels)[self.codes]


Table = dict[str, "Numbers | Factor"]


def interaction(table: Table, group: str) -> Factor:
    """Return the factor of ``a:b:c``: one level for each combination that occurs."""
    return reduce(_cross, (factor(table, name) for name in group.split(":")))


def _cross(a: Factor, b: Factor) -> Factor:
    pairs = a.codes.astype(np.int64) * len(b.levels) + b.codes
    seen, codes = np.unique(pairs, return_inverse=True)
    first, second = np.divmod(seen, len(b.levels))
    levels = [f"{a.levels[i]}:{b.levels[j]}" for i, j in zip(first, second, strict=True)]
    return Factor(codes.astype(np.int32), levels)


def factor(table: Table, name: str) -> Factor:
    """Return a column that must be a factor."""
    column = table[name]
    if not isinstance(column, Factor):
        raise TypeError(f"column {name!r} is not a factor")
    return column


def numbers(table: Table, name: str) -> Numbers:
    """Return a column that must be numeric."""
    column = table[name]
    if isinstance(column, Factor):
        raise TypeError(f"column {name!r} is a factor")
    return column


def n_rows(table: Table) -> int:
    """Return the number of rows."""
    first = next(iter(table.values()))
    return len(first.codes if isinstance(first, Factor) else first)


def write(table: Table, folder: Path) -> None:
    """Write a table to a folder that exists."""
    lines = []
    for i, (name, column) in enumerate(table.items()):
        if isinstance(column, Factor):
            column.codes.astype("<i4").tofile(folder / f"{i}.i32")
            (folder / f"{i}.levels").write_text("\n".join(column.levels) + "\n", encoding="utf-8")
            lines.append(f"{name}\t{'text' if column.text else 'factor'}\n")
        else:
            column.astype("<f8").tofile(folder / f"{i}.f64")
            lines.append(f"{name}\tnumber\n")
    (folder / "columns.tsv").write_text("".join(lines), encoding="utf-8")


def read(folder: Path) -> Table:
    """Read what `write` wrote."""
    table: Table = {}
    for i, line in enumerate((folder / "columns.tsv").read_text(encoding="utf-8").splitlines()):
        name, kind = line.split("\t")
        if kind in ("factor", "text"):
            levels = (folder / f"{i}.levels").read_text(encoding="utf-8").splitlines()
            codes = np.fromfile(folder / f"{i}.i32", dtype="<i4")
            table[name] = Factor(codes, levels, kind == "text")
        else:
            table[name] = np.fromfile(folder / f"{i}.f64", dtype="<f8")
    return table
