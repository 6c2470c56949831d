"""A smooth trend of a cloud of points, for the eye."""

from __future__ import annotations

import numpy as np

from merextras.foundation.aliases import Array

#: Bins of equal counts that the points are averaged in, and the share of them in each local fit.
_BINS, _SPAN = 200, 2.0 / 3.0


def trend(x: Array, y: Array) -> tuple[Array, Array]:
    """Local linear regression with tricube weights on means of bins; O(n log n).

    Returns
    -------
    x, y : arrays
        Points of the curve, x ascending; empty for fewer than four distinct x.

    Notes
    -----
    Cleveland, W. S. (1979). J. Am. Stat. Assoc. 74, 829-836, without the robust iterations.
    """
    known = np.isfinite(x) & np.isfinite(y)
    x, y = x[known], y[known]
    order = np.argsort(x, kind="stable")
    bins = np.array_split(order, min(_BINS, max(len(order), 1)))
    at = np.array([np.mean(x[part]) for part in bins if len(part)])
    value = np.array([np.mean(y[part]) for part in bins if len(part)])
    count = np.array([len(part) for part in bins if len(part)], dtype=float)
    points = np.unique(at)
    if len(points) < 4:
        return np.empty(0), np.empty(0)
    near = max(3, int(np.ceil(_SPAN * len(at))))
    gap = np.abs(points[:, None] - at)
    reach = np.partition(gap, near - 1, axis=1)[:, near - 1, None]
    weights = count * np.clip(1.0 - (gap / np.maximum(reach * 1.0001, 1e-300)) ** 3, 0.0, 1.0) ** 3
    total = np.sum(weights, axis=1)
    centre = weights @ at / total
    mean = weights @ value / total
    deviation = at - centre[:, None]
    spread = np.sum(weights * deviation**2, axis=1)
    slope = np.sum(weights * deviation * value, axis=1) / np.where(spread > 0.0, spread, np.inf)
    return points, mean + slope * (points - centre)
