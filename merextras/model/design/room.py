"""Saying before the rows are gone through what memory that will take, where it is a lot."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

from merextras.exceptions import LargeModelWarning
from merextras.foundation.memory import ALWAYS, PART, available_memory
from merextras.model.frame.labels import warn_user

# Numbers of each row beside its columns: the response, its residuals, what of the frame is copied;
# and of what two effects of different terms have in common, places and products.
_BY_ROW, _BY_PAIR = 4.0, 7.0


def pass_gigabytes(n: int, p: int, ks: Sequence[int]) -> float:
    """What a pass over n rows takes, of p columns of X and terms of `ks` effects.

    X and the effects' covariates once, as the pass goes in blocks; those of several terms are there
    in their basis, too.
    """
    covariates, pairs = sum(ks), sum(k * m for k, m in combinations(ks, 2))
    again = covariates if len(ks) > 1 else 0
    return 8e-9 * n * (_BY_ROW + p + covariates + again + len(ks) + _BY_PAIR * pairs)


def warn_of_rows(n: int, p: int, ks: Sequence[int]) -> None:
    """Say so before X and the effects' covariates are made, where these fill memory.

    Warns
    -----
    LargeModelWarning
    """
    needed = pass_gigabytes(n, p, ks)
    free = available_memory() if needed > ALWAYS else None
    if free is not None and needed > PART * free / 1e9:
        warn_user(
            f"{n} rows of {p} columns of the fixed part and {sum(ks)} of random effects, and what "
            f"is made of them, will take about {needed:.2g} GB more memory, of which "
            f"{free / 1e9:.3g} GB are free. With chunk_size=100_000 lmer goes through the rows in "
            "pieces and keeps none",
            LargeModelWarning,
        )
