"""Contrasts among estimates, with their tests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from merextras.exceptions import InvalidArgumentError
from merextras.foundation.aliases import Array, IntArray
from merextras.results.base import Parts, Table, TextResult
from merextras.results.means.contrast_sets import contrast_set, method_name

__all__ = ["Contrasts"]

#: The levels of `by` of each family, and its rows.
Groups = list[tuple[tuple[Any, ...], IntArray]]


@dataclass(frozen=True, eq=False, repr=False)
class Contrasts(TextResult):
    """What `Emmeans.contrasts` and `Emmeans.test` return.

    Attributes
    ----------
    frame : DataFrame
    by : tuple of str
    adjust : str
    level : float
    notes : tuple of str
    what : str
        The heading.
    """

    frame: pd.DataFrame
    by: tuple[str, ...]
    adjust: str
    level: float
    notes: tuple[str, ...]
    what: str = "Contrasts"

    def to_frame(self) -> pd.DataFrame:
        """``contrast <by> estimate std_error df statistic p_value conf_low conf_high``.

        Of interaction contrasts a column for each factor in place of ``contrast``; of tests of the
        means themselves their factors.
        """
        return Table.of(self.frame.copy())

    def _parts(self) -> Parts:
        """The table and its notes."""
        return [self.what, shown(self.frame), *self.notes, f"Confidence level {self.level:g}."]


@dataclass(frozen=True)
class ContrastSet:
    """Contrasts among the estimates of one family.

    Attributes
    ----------
    kind : str
        What the default adjustment goes by.
    labels : DataFrame
        What the contrasts are called, in one column or one for each factor.
    weights : (r, k) array
    """

    kind: str
    labels: pd.DataFrame
    weights: Array


def simple_set(labels: pd.DataFrame, method: Any, ref: object) -> ContrastSet:
    """Contrasts among all rows."""
    words = [" ".join(map(str, row)) for row in labels.to_numpy()]
    kind, names, weights = contrast_set(method, words, ref)
    return ContrastSet(kind, pd.DataFrame({"contrast": names}), weights)


def interaction_set(labels: pd.DataFrame, methods: Sequence[Any], ref: object) -> ContrastSet:
    """Products of contrasts of each factor.

    Raises
    ------
    InvalidArgumentError
        Another number of methods than factors, cells that are missing.
    """
    factors = list(labels.columns)
    if len(methods) == 1:
        methods = list(methods) * len(factors)
    if len(methods) != len(factors):
        raise InvalidArgumentError(
            f"interaction={list(methods)!r}: expected one method for each of {factors}"
        )
    levels = [list(dict.fromkeys(labels[name])) for name in factors]
    cells = pd.MultiIndex.from_product(levels).to_frame(index=False).to_numpy()
    if labels.astype(object).to_numpy().tolist() != cells.tolist():
        raise InvalidArgumentError(
            f"interaction: not all combinations of the levels of {factors} are there, in order"
        )
    sets = [
        contrast_set(method, list(map(str, known)), ref if method == "control" else None)
        for method, known in zip(methods, levels, strict=True)
    ]
    weights: Array = np.ones((1, 1))
    for _, _, own in sets:
        weights = np.asarray(np.kron(weights, own), dtype=float)
    names = pd.MultiIndex.from_product([names for _, names, _ in sets]).to_frame(index=False)
    columns = [f"{name}_{method_name(m)}" for name, m in zip(factors, methods, strict=True)]
    return ContrastSet("custom", names.set_axis(columns, axis=1), weights)


def groups(labels: pd.DataFrame, by: Sequence[str]) -> Groups:
    """The rows of each combination of levels, in their order."""
    found: dict[tuple[Any, ...], list[int]] = {}
    columns = [labels[name].tolist() for name in by]
    for i, where in enumerate(zip(*columns, strict=True) if by else [()] * len(labels)):
        found.setdefault(tuple(where), []).append(i)
    return [(where, np.array(at, dtype=np.intp)) for where, at in found.items()]


def families(
    labels: pd.DataFrame,
    within: Sequence[str],
    method: Any,
    interaction: Any,
    ref: object,
    *,
    nested: bool,
) -> tuple[Groups, list[ContrastSet]]:
    """The rows and the contrasts of each family that has something to compare.

    Of nested factors some have a single row, which is compared with nothing.
    """
    names = [name for name in labels.columns if name not in within]
    where = groups(labels, within)
    if nested and any(len(at) > 1 for _, at in where):
        where = [(levels, at) for levels, at in where if len(at) > 1]
    parts = [labels[names].iloc[at].reset_index(drop=True) for _, at in where]
    if interaction is None or interaction is False:
        return where, [simple_set(part, method, ref) for part in parts]
    each = method if interaction is True else interaction
    methods = list(each) if isinstance(each, (list, tuple)) else [each]
    return where, [interaction_set(part, methods, ref) for part in parts]


def joined(
    tables: Sequence[pd.DataFrame], by: Sequence[str], where: Sequence[tuple[Any, ...]]
) -> pd.DataFrame:
    """The tables of all families below one another, with the levels that each is of."""
    parts = []
    for table, levels in zip(tables, where, strict=True):
        at = list(table.columns).index("estimate")
        for name, value in reversed(list(zip(by, levels, strict=True))):
            table.insert(at, name, pd.Series([value] * len(table), dtype=object))
        parts.append(table)
    frame = pd.concat(parts, ignore_index=True)
    for name in by:
        frame[name] = frame[name].infer_objects()
    return frame


def shown(frame: pd.DataFrame) -> pd.DataFrame:
    """A table as it is printed."""
    out = frame.copy()
    if "p_value" in out:
        out["p_value"] = [
            "" if np.isnan(p) else "<1e-16" if p < 1e-16 else f"{p:.3g}" for p in out["p_value"]
        ]
    if np.isinf(out["df"]).any():
        out["df"] = ["inf" if np.isinf(v) else f"{v:.4g}" for v in out["df"]]
    return out
