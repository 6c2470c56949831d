"""Averages over the reference grid."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from merextras.foundation.aliases import Array, IntArray
from merextras.inference.functions.grid import Grid


def averaged(
    grid: Grid, names: Sequence[str], shares: Array | None = None
) -> tuple[pd.DataFrame, Array, Array]:
    """X and offset averaged over all but the named variables; first the labels of the rows.

    The first of the names changes most slowly. `shares` are the weights of the cells, by default
    `equal`.
    """
    shares = equal(grid, names) if shares is None else shares
    codes = _codes(grid, names)
    first, at = np.unique(codes, return_index=True, return_inverse=True)[1:]
    total = np.bincount(at, weights=shares)
    weight = shares / total[at]
    out = np.zeros((len(total), grid.rows.shape[1]))
    np.add.at(out, at, weight[:, None] * grid.rows)
    labels = grid.frame[list(names)].iloc[first].reset_index(drop=True)
    offset = np.bincount(at, weights=weight * grid.offset)
    return labels, out, np.asarray(offset, dtype=float)


def _codes(grid: Grid, names: Sequence[str]) -> IntArray:
    """A number for each combination of the named variables' values, in their order."""
    codes = np.zeros(len(grid.frame), dtype=np.intp)
    for name in names:
        values = {value: i for i, value in enumerate(grid.values[name])}
        here = np.array([values[v] for v in grid.frame[name]], dtype=np.intp)
        codes = codes * len(values) + here
    return codes


def equal(grid: Grid, names: Sequence[str]) -> Array:
    """Weights of the cells that are equal for all levels that are averaged over.

    A nested factor is averaged within each cell of what it is nested in, before the others are, so
    that those with few levels do not count for less.
    """
    shares, left = np.ones(len(grid.frame)), list(grid.values)
    within = sorted(
        (n for n in grid.nesting if n not in names), key=lambda n: -len(grid.nesting[n])
    )
    for name in within:
        left.remove(name)
        cells = np.unique(_codes(grid, [*left, name]), return_inverse=True)[1]
        groups = np.unique(_codes(grid, left), return_inverse=True)[1]
        of_cell = np.zeros(cells.max() + 1, dtype=np.intp)
        of_cell[cells] = groups
        shares = shares / np.bincount(of_cell)[groups]
    return shares


def proportional(grid: Grid, names: Sequence[str]) -> Array:
    """How often the combinations occur that are averaged over, whatever the named ones are."""
    over = [n for n in grid.values if n in grid.factors and n not in names]
    if not over:
        return np.ones(len(grid.frame))
    counts = grid.counts()
    groups = grid.frame[over].astype(object).apply(tuple, axis=1)
    return pd.Series(counts).groupby(groups).transform("sum").to_numpy(dtype=float)


def said_of(grid: Grid, names: Sequence[str], var: str | None = None) -> tuple[str, ...]:
    """Where numbers are held and what is averaged over, for notes below a table.

    Parameters
    ----------
    names : sequence of str
        Variables that the rows of the table tell apart.
    var : str, optional
        The one that slopes are in.
    """
    several = [n for n, v in grid.values.items() if len(v) > 1 and n not in names and n != var]
    held = [n for n in grid.numbers if n not in names and len(grid.values[n]) == 1]
    notes, said = [], [f"{n} = {grid.values[n][0]:.6g}" for n in held]
    if grid.held.said:
        said.append(grid.held.said)
    if said:
        notes.append(f"At {', '.join(said)}.")
    if several:
        notes.append(f"Averaged over the levels of: {', '.join(several)}.")
    terms = [t for t in grid.design.term_variables() if t & set(names) and (not var or var in t)]
    involved = [n for n in several if n not in grid.nesting and any(n in t for t in terms)]
    if involved:
        notes.append(f"These interact with {', '.join(involved)}: an average may mislead.")
    nests = [f"{n} in {', '.join(g)}" for n, g in grid.nesting.items()]
    if nests:
        notes.append(f"Nested: {'; '.join(nests)}.")
    return tuple(notes)
