"""The check that columns are finite, and their squares too."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from merextras.exceptions import InvalidArgumentError
from merextras.foundation.aliases import Array, BoolArray

#: Beyond this sums of squares are infinite.
_LARGEST = 1e150


def check_finite(values: Array, names: Sequence[str], what: str) -> None:
    """Raise if a column of the values is not finite everywhere, or too large to be squared."""
    if values.size == 0:
        return
    if values.min() >= -_LARGEST and values.max() <= _LARGEST:  # neither if there is a NaN
        return
    finite, small = np.isfinite(values), np.abs(values) <= _LARGEST
    bad = _without(finite, names)
    if bad:
        raise InvalidArgumentError(f"{what}: infinite or undefined values in {bad}")
    raise InvalidArgumentError(
        f"{what}: values beyond {_LARGEST:g} in {_without(small, names)}, whose squares are "
        "infinite; give them in a larger unit"
    )


def _without(right: BoolArray, names: Sequence[str]) -> list[str]:
    """The columns that are not right everywhere."""
    each: list[bool] = np.all(right, axis=0).tolist()
    return [name for name, ok in zip(names, each, strict=True) if not ok]
