"""Levels matched by value and kind: ``1`` is ``1.0``, but neither ``"1"`` nor ``True``."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Iterable

import numpy as np
import pandas as pd

from merextras.foundation.aliases import IntArray


def codes_in(column: pd.Series, levels: pd.Index) -> IntArray:
    """The place of each label among levels, -1 where it is missing or not there; O(n)."""
    return np.asarray(small_codes_in(column, levels), dtype=np.intp)


def small_codes_in(column: pd.Series, levels: pd.Index) -> IntArray:
    """The same, of a categorical in the fewest bytes: nothing to calculate with, it overflows."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        held = column.array
        if column.dtype.categories is levels:
            return np.asarray(held.codes)
        place = np.append(places(held.categories, levels), -1)
        return np.asarray(place.astype(np.min_scalar_type(-len(levels) - 1))[held.codes])
    if column.dtype.kind in "iu" and levels.dtype.kind in "iu" and len(column):
        return _integer_codes(column, levels)
    codes, labels = pd.factorize(column)
    place = np.append(places(pd.Index(labels), levels), -1)
    return np.asarray(place[codes], dtype=np.intp)


def places(labels: pd.Index, levels: pd.Index) -> IntArray:
    """The place of each of some labels among levels, -1 for one that is not there."""
    if labels.dtype != levels.dtype and {labels.dtype.kind, levels.dtype.kind} != {"M"}:
        # By each value itself: pandas would find a number in an interval, and round a long integer.
        labels, levels = labels.astype(object), levels.astype(object)
    if _are_bools(labels) != _are_bools(levels):  # True equals 1, and is another label
        return np.full(len(labels), -1, dtype=np.intp)
    return np.asarray(levels.get_indexer(labels), dtype=np.intp)


def _are_bools(labels: pd.Index) -> bool:
    return pd.api.types.infer_dtype(labels, skipna=True) == "boolean"


def _integer_codes(column: pd.Series, levels: pd.Index) -> IntArray:
    known = levels.to_numpy()
    low, high = int(known[0]), int(known[-1])
    values = column.to_numpy()
    # Numbers without a gap are their own codes.
    if (
        isinstance(column.dtype, np.dtype)
        and values.dtype == known.dtype
        and high - low + 1 == len(known)
        and levels.is_monotonic_increasing
    ):
        inside = (values >= low) & (values <= high)
        return np.where(inside, values - low, -1).astype(np.intp)
    codes, labels = pd.factorize(column)
    return np.asarray(np.append(places(pd.Index(labels), levels), -1)[codes], dtype=np.intp)


def other_kind(given: Iterable[object], known: Iterable[object]) -> str:
    """What to say of labels that are not known, but would be as text; empty if there are none.

    Parameters
    ----------
    given : iterable
        The labels that are not among `known`.
    known : iterable
    """
    texts = {as_text(level): level for level in known}
    for label in given:
        if as_text(label) in texts:
            level = texts[as_text(label)]
            return (
                f"they are of type {type(level).__name__}, not {type(label).__name__}: "
                f"{level!r} is not {label!r}"
            )
    return ""


def as_text(label: object) -> str:
    """A label as text that another kind may have too: ``1`` for 1.0, the day for a date."""
    if isinstance(label, (float, np.floating)) and float(label).is_integer():
        return str(int(label))
    if isinstance(label, (bool, np.bool_)):
        return str(int(label))
    return str(label).removesuffix(" 00:00:00").strip()


def warn_user(text: str, category: type[Warning]) -> None:
    """Warn at the line of the user's that called the package, however deep this is."""
    frame, depth = inspect.currentframe(), 1
    while frame is not None and frame.f_globals.get("__name__", "").startswith("merextras."):
        frame, depth = frame.f_back, depth + 1
    warnings.warn(text, category, stacklevel=depth)
