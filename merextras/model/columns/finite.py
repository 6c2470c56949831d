"""The check that columns are finite."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from merextras.exceptions import InvalidArgumentError
from merextras.foundation.aliases import Array


def check_finite(values: Array, names: Sequence[str], what: str) -> None:
    """Raise if a column of the values is not finite everywhere."""
    finite = np.isfinite(values)
    if finite.all():
        return
    each: list[bool] = np.all(finite, axis=0).tolist()
    bad = [name for name, ok in zip(names, each, strict=True) if not ok]
    raise InvalidArgumentError(f"{what}: infinite or undefined values in {bad}")
