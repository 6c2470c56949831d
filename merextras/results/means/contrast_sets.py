"""Sets of contrasts among k estimates: all pairs, each against a control, and others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from merextras._checks import check_choice, one_of
from merextras._typing import Array
from merextras.exceptions import InvalidArgumentError

METHODS = ("pairwise", "control", "trt.vs.ctrl", "eff", "consec")


def contrast_set(
    method: Any, labels: Sequence[str], ref: object = None
) -> tuple[str, list[str], Array]:
    """The kind of a set, its contrasts' names and their weights, (contrasts, k).

    Parameters
    ----------
    method : str, mapping, DataFrame or array
    labels : sequence of str
        Of the estimates.
    ref : str or int, optional
        The control: a label or a position, the first by default.

    Raises
    ------
    InvalidArgumentError
        An unknown method or control, weights of another length or that are not finite; one estimate
        only.
    """
    k = len(labels)
    if not isinstance(method, str):
        names, weights = _custom(method, k)
        return "custom", names, weights
    check_choice(method, METHODS, "method")
    if k < 2:
        raise InvalidArgumentError(
            f"method={method!r}: there is one estimate in a family, nothing to compare it with"
        )
    unit = np.eye(k)
    if method in {"control", "trt.vs.ctrl"}:
        base = _position(ref, labels)
        others = [i for i in range(k) if i != base]
        names = [f"{labels[i]} - {labels[base]}" for i in others]
        return "control", names, unit[others] - unit[base]
    if ref is not None:
        raise InvalidArgumentError(f"ref={ref!r}: only method='control' has a reference")
    if method == "eff":
        return "eff", [f"{label} effect" for label in labels], unit - 1.0 / k
    if method == "consec":
        names = [f"{labels[i + 1]} - {labels[i]}" for i in range(k - 1)]
        return "consec", names, unit[1:] - unit[:-1]
    first, second = np.triu_indices(k, 1)
    names = [f"{labels[int(i)]} - {labels[int(j)]}" for i, j in zip(first, second, strict=True)]
    return "pairwise", names, unit[first] - unit[second]


def _position(ref: object, labels: Sequence[str]) -> int:
    if ref is None:
        return 0
    if str(ref) in labels:
        return list(labels).index(str(ref))
    if isinstance(ref, (int, np.integer)) and -len(labels) <= ref < len(labels):
        return int(ref) % len(labels)
    raise InvalidArgumentError(f"ref={ref!r}: {one_of(ref, list(labels))}, or a position")


def _custom(given: Any, k: int) -> tuple[list[str], Array]:
    if isinstance(given, Mapping):
        names, rows = [str(name) for name in given], list(given.values())
    elif isinstance(given, pd.DataFrame):
        names, rows = [str(name) for name in given.index], list(given.to_numpy())
    else:
        rows = list(np.atleast_2d(np.asarray(given, dtype=object)))
        names = [f"C{i + 1}" for i in range(len(rows))]
    try:
        weights = np.array([np.asarray(row, dtype=float) for row in rows])
    except (TypeError, ValueError):
        weights = np.empty(0)
    if weights.ndim != 2 or weights.shape[1:] != (k,) or not np.all(np.isfinite(weights)):
        raise InvalidArgumentError(
            f"method: expected a mapping of names to {k} finite weights, one for each estimate, or "
            f"a table with {k} columns"
        )
    if not np.all(np.any(weights != 0.0, axis=1)):
        raise InvalidArgumentError("method: a contrast has no weight that is not zero")
    return names, weights
