"""Comparing arrays by their largest element."""

from __future__ import annotations

import numpy as np


def close(actual, desired, rtol, scale=0.0):
    """Hold `actual` within `rtol` of the largest element of `desired`, or of `scale`."""
    actual, desired = np.asarray(actual, dtype=float), np.asarray(desired, dtype=float)
    size = max(float(np.max(np.abs(desired), initial=0.0)), scale)
    np.testing.assert_allclose(actual, desired, rtol=0.0, atol=rtol * size)
