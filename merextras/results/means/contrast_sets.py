"""Sets of contrasts among k estimates: all pairs, each against a control, polynomials, others."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from math import gcd, lcm
from typing import Any

import numpy as np
import pandas as pd

from merextras.exceptions import InvalidArgumentError
from merextras.foundation.aliases import Array
from merextras.foundation.arguments import check_choice, one_of

#: Contrasts' names and weights, (contrasts, k).
_Set = tuple[list[str], Array]

#: What emmeans calls them besides.
_SAME = {
    "trt.vs.ctrl": "control",
    "trt.vs.ctrl1": "control",
    "dunnett": "control",
    "tukey": "pairwise",
    "del_eff": "del.eff",
    "mean.chg": "mean_chg",
}

# Of polynomials, as in emmeans.
_HIGHEST = 6
_DEGREES = ("linear", "quadratic", "cubic", "quartic", "degree 5", "degree 6")


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
    method = check_choice(_SAME.get(method, method), METHODS, "method")
    if k < 2 and method != "identity":
        raise InvalidArgumentError(
            f"method={method!r}: there is one estimate in a family, nothing to compare it with"
        )
    if method in {"control", "trt.vs.ctrlk"}:
        last = k - 1 if method == "trt.vs.ctrlk" else None
        return "control", *_against(labels, _position(last if ref is None else ref, labels))
    if ref is not None:
        raise InvalidArgumentError(f"ref={ref!r}: only method='control' has a reference")
    return method, *_SETS[method](labels)


def method_name(method: Any) -> str:
    """What a set is called in the name of a column."""
    return method if isinstance(method, str) else "custom"


def _pairwise(labels: Sequence[str]) -> _Set:
    """The differences of all pairs, the earlier less the later."""
    return _differences(labels, list(zip(*np.triu_indices(len(labels), 1), strict=True)))


def _revpairwise(labels: Sequence[str]) -> _Set:
    """The later less the earlier."""
    return _differences(labels, [(j, i) for j in range(len(labels)) for i in range(j)])


def _consecutive(labels: Sequence[str]) -> _Set:
    """Each less the one before."""
    return _differences(labels, [(i + 1, i) for i in range(len(labels) - 1)])


def _differences(labels: Sequence[str], pairs: Sequence[tuple[Any, Any]]) -> _Set:
    unit = np.eye(len(labels))
    names = [f"{labels[int(i)]} - {labels[int(j)]}" for i, j in pairs]
    return names, np.array([unit[int(i)] - unit[int(j)] for i, j in pairs])


def _against(labels: Sequence[str], base: int) -> _Set:
    return _differences(labels, [(i, base) for i in range(len(labels)) if i != base])


def _effects(labels: Sequence[str]) -> _Set:
    """Each less the mean of all."""
    k = len(labels)
    return [f"{label} effect" for label in labels], np.eye(k) - 1.0 / k


def _deleted_effects(labels: Sequence[str]) -> _Set:
    """Each less the mean of the others."""
    names, weights = _effects(labels)
    k = len(labels)
    return names, weights * (k / (k - 1.0))


def _mean_changes(labels: Sequence[str]) -> _Set:
    """The mean of those after a place less the mean of those up to it."""
    k = len(labels)
    names = [f"{labels[i]}|{labels[i + 1]}" for i in range(k - 1)]
    first = np.tri(k - 1, k, dtype=bool)
    cut = np.arange(1.0, k)[:, None]
    return names, np.where(first, -1.0 / cut, 1.0 / (k - cut))


def _helmert(labels: Sequence[str]) -> _Set:
    """Each less the mean of those before it."""
    k = len(labels)
    before = np.tri(k, k, -1)[1:] / np.arange(1.0, k)[:, None]
    return [f"{label} vs. earlier" for label in labels[1:]], np.eye(k)[1:] - before


def _identity(labels: Sequence[str]) -> _Set:
    """The estimates themselves."""
    return [str(label) for label in labels], np.eye(len(labels))


def _polynomials(labels: Sequence[str]) -> _Set:
    """Orthogonal polynomials of equal steps, in the smallest whole numbers."""
    k = len(labels)
    found: list[list[Fraction]] = [[Fraction(1)] * k]
    for degree in range(1, min(k - 1, _HIGHEST) + 1):
        values = [Fraction(i) ** degree for i in range(k)]
        for other in found:
            size = sum((v * v for v in other), Fraction(0))
            share = sum((a * b for a, b in zip(values, other, strict=True)), Fraction(0)) / size
            values = [a - share * b for a, b in zip(values, other, strict=True)]
        found.append(values)
    rows = [_whole(values) for values in found[1:]]
    return list(_DEGREES[: len(rows)]), np.array(rows, dtype=float)


def _whole(values: Sequence[Fraction]) -> list[int]:
    scale = lcm(*(v.denominator for v in values))
    whole = [int(v * scale) for v in values]
    common = gcd(*whole)
    return [v // common for v in whole]


_SETS: Mapping[str, Callable[[Sequence[str]], _Set]] = {
    "pairwise": _pairwise,
    "revpairwise": _revpairwise,
    "consec": _consecutive,
    "eff": _effects,
    "del.eff": _deleted_effects,
    "mean_chg": _mean_changes,
    "helmert": _helmert,
    "poly": _polynomials,
    "identity": _identity,
}

METHODS = ("pairwise", "control", "trt.vs.ctrlk", *[m for m in _SETS if m != "pairwise"])
#: The kinds of sets that are all pairs.
PAIRS = ("pairwise", "revpairwise")


def _position(ref: object, labels: Sequence[str]) -> int:
    if ref is None:
        return 0
    if str(ref) in labels:
        return list(labels).index(str(ref))
    if isinstance(ref, (int, np.integer)) and -len(labels) <= ref < len(labels):
        return int(ref) % len(labels)
    raise InvalidArgumentError(f"ref={ref!r}: {one_of(ref, list(labels))}, or a position")


def _custom(given: Any, k: int) -> _Set:
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
