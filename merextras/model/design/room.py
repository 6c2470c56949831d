"""Saying before the rows are gone through what memory that will take, where it is a lot."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

from merextras.engine.elimination.blocks_of_plan import levels_gigabytes
from merextras.engine.kernels.dense import block_rows
from merextras.exceptions import LargeModelWarning
from merextras.foundation.memory import ALWAYS, PART, available_memory
from merextras.model.frame.labels import warn_user

# Numbers of each row beside its columns, the response; of what two effects of different terms have
# in common, places and products; and of the blocks that a pass goes in.
_BY_ROW, _BY_PAIR, _IN_BLOCKS = 1.0, 5.0, 1.5
# The share of what levels keep where these are summed up: the only term has one effect.
_SUMMED = 0.3


def pass_gigabytes(n: int, p: int, shapes: Sequence[tuple[int, int]]) -> float:
    """What a pass over n rows takes, of p columns of X and terms of (levels, effects).

    X and the effects' covariates once, as the pass goes in blocks; those of several terms are there
    in their basis, too. The sums by level are made in it.
    """
    ks = [k for _, k in shapes]
    covariates, pairs = sum(ks), sum(k * m for k, m in combinations(ks, 2))
    again = covariates if len(ks) > 1 else 0
    rows = n * (_BY_ROW + p + covariates + again + _BY_PAIR * pairs)
    blocks = _IN_BLOCKS * block_rows(n, p + covariates) * (p + covariates)
    return 8e-9 * (rows + blocks + _sums(p, shapes))


def one_factor_gigabytes(n: int, p: int, shapes: Sequence[tuple[int, int]]) -> float:
    """The peak of the pass and the fit, but for what crossed factors take; see `pass_gigabytes`."""
    kept = n * (_BY_ROW + p + sum(k for _, k in shapes)) + _sums(p, shapes)
    part = _SUMMED if [k for _, k in shapes] == [1] else 1.0
    fit = 8e-9 * kept + part * levels_gigabytes(shapes, p)
    return max(pass_gigabytes(n, p, shapes), fit)


def _sums(p: int, shapes: Sequence[tuple[int, int]]) -> float:
    """Numbers of the cross-products by level."""
    return sum(float(levels * k * (k + p + 1)) for levels, k in shapes)


def warn_of_rows(n: int, p: int, shapes: Sequence[tuple[int, int]]) -> None:
    """Say so before X and the effects' covariates are made, where these fill memory.

    Of crossed factors more is told once it is known how they cross (`state.size`).

    Warns
    -----
    LargeModelWarning
    """
    needed = one_factor_gigabytes(n, p, shapes)
    free = available_memory() if needed > ALWAYS else None
    if free is not None and needed > PART * free / 1e9:
        levels = " and ".join(str(levels) for levels, _ in shapes)
        warn_user(
            f"{n} rows of {p} columns of the fixed part and {sum(k for _, k in shapes)} of random "
            f"effects of {levels} levels, and what is made of them, will take about {needed:.2g} "
            f"GB more memory, of which {free / 1e9:.3g} GB are free. With chunk_size=100_000 lmer "
            "goes through the rows in pieces and keeps none; what is kept by levels is as large "
            "then, and less with fewer columns",
            LargeModelWarning,
        )
