"""Compact letter displays: means with a letter in common are not told apart."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from merextras.exceptions import InvalidArgumentError
from merextras.foundation.aliases import BoolArray, IntArray

_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ1234567890"


def letters_of(apart: BoolArray, order: Sequence[int]) -> list[str]:
    """Letters so that two share one just if they are not apart, ``""`` for none of the order.

    Parameters
    ----------
    apart : (k, k) boolean array
        Which are told apart; symmetric.
    order : sequence of int
        The first gets the first letter; those that are left out get none.

    Raises
    ------
    InvalidArgumentError
        More sets than there are letters.

    Notes
    -----
    Piepho (2004, *J. Comput. Graph. Stat.* 13): start from one set of all; for each pair apart that
    some set has both of, put in its place the set without the one and the set without the other;
    drop sets that are within others. What is left are all sets of means that are pairwise not
    apart and can't be enlarged.
    """
    order = list(order)
    sets = [frozenset(order)] if order else []
    for a, i in enumerate(order):
        for j in order[:a]:
            if not apart[i, j]:
                continue
            both = [s for s in sets if i in s and j in s]
            split = [s - {one} for s in both for one in (i, j)]
            sets = [s for s in sets if s not in both]
            candidates = list(dict.fromkeys([*sets, *split]))
            sets = [s for s in candidates if not any(s < other for other in candidates)]
    place = {mean: rank for rank, mean in enumerate(order)}
    sets.sort(key=lambda s: sorted(place[mean] for mean in s))
    if len(sets) > len(_LETTERS):
        raise InvalidArgumentError(
            f"cld: {len(sets)} sets of means, more than there are letters; compare fewer means"
        )
    out = [""] * len(apart)
    for mean in order:
        out[mean] = "".join(letter for letter, s in zip(_LETTERS, sets, strict=False) if mean in s)
    return out


def with_letters(
    table: pd.DataFrame, families: Sequence[IntArray], apart: BoolArray
) -> pd.DataFrame:
    """A table of estimates with a column ``letters``, each family by size.

    Parameters
    ----------
    table : DataFrame
    families : sequence of integer arrays
        The rows that are compared.
    apart : (pairs,) boolean array
        Which pairs are told apart, all pairs of the first family, then of the next.
    """
    letters, order, start = [""] * len(table), list[int](), 0
    for at in families:
        k = len(at)
        pairs = np.triu_indices(k, 1)
        told = np.zeros((k, k), dtype=bool)
        told[pairs] = apart[start : start + len(pairs[0])]
        start += len(pairs[0])
        estimate = table["estimate"].to_numpy()[at]
        by_size = np.argsort(estimate, kind="stable")  # missing ones are last
        known = [int(i) for i in by_size if np.isfinite(estimate[i])]
        for i, found in enumerate(letters_of(told | told.T, known)):
            letters[int(at[i])] = found
        order += at[by_size].tolist()
    return table.assign(letters=letters).iloc[order].reset_index(drop=True)
