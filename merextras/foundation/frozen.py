"""Arrays that can't be changed."""

from __future__ import annotations

import numpy as np

from merextras.foundation.aliases import Array


def freeze(array: Array) -> Array:
    """A read-only copy."""
    out = np.array(array, dtype=float)
    out.flags.writeable = False
    return out
