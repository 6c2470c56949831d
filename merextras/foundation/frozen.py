"""Arrays that can't be changed."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from merextras.foundation.aliases import Array


def freeze(array: Array) -> Array:
    """A read-only copy, of numbers as floats; truth values stay what they are."""
    kept = bool if np.asarray(array).dtype == bool else float
    out = np.array(array, dtype=kept)
    out.flags.writeable = False
    return out


def read_only(array: Array) -> Array:
    """A view that can't be written to: draws can be most of the memory in use."""
    out = np.asarray(array).view()
    out.flags.writeable = False
    return out


class FrozenArrays:
    """A dataclass whose arrays are read-only copies, after it was pickled, too.

    A subclass names them in `_arrays`, and calls this `__post_init__` in its own.
    """

    _arrays: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        for name in self._arrays:
            if getattr(self, name) is not None:
                object.__setattr__(self, name, freeze(getattr(self, name)))

    def __setstate__(self, state: dict[str, Any]) -> None:
        # An unpickled array is writable again.
        self.__dict__.update(state)
        self.__post_init__()
