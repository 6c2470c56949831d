"""The view of cases in other levels of a grouping factor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from merextras.exceptions import MerextrasError
from merextras.foundation.arguments import check_choice
from merextras.model.columns.levels import labels_of
from merextras.reporting.cases import Cases, take
from merextras.reporting.script import Named, Script
from merextras.reporting.tables import probability
from merextras.reporting.view import MX, View

CASES, MEANS = "Case by case", "Mean of the cases in each level"
SPREAD = "What the level amounts to"
FIGURE = "Each case in each level"
PANELS = {"case": "case", "level": "level"}
BETTER = {"higher": "higher is better", "lower": "lower is better"}
#: Levels that are shown where there are too many for all.
SPANNING = 9
_SHOWN = (
    "case", "own_level", "level", "fit", "lower", "upper", "shift", "shift_std_error",
    "shift_lower", "shift_upper", "p_better",
)  # fmt: skip


def swap(
    m: Any,
    data: Any = None,
    *,
    cases: Cases | None = None,
    group: str | None = None,
    levels: Sequence[Any] | int | None = None,
    better: str = "higher",
    panels: str = "case",
    level: float = 0.95,
) -> View:
    """Each case in each level, with interval and the probability that the move helps: `what_if`.

    Parameters
    ----------
    m : MerMod
    data : DataFrame, optional
        What cases are taken from; by default the model's rows.
    cases : Cases, optional
    group : str, optional
        What cases move between; the model's first factor by default.
    levels : sequence, int or None
        Where to; all by default. A number: so many at even steps from the lowest effect to the
        highest, and the cases' own.
    better : {"higher", "lower"}
    panels : {"case", "level"}
        What the panels of the figure are.
    level : float
        Of the intervals.
    """
    check_choice(better, list(BETTER), "better")
    group = group or m.design.factors[0]
    script, model = Script(), Named("m", m)
    rows = take(script, model, data, cases or Cases())
    if isinstance(levels, int):
        levels = _and_own(m, group, spanning(m, group, levels), rows.value)
    there: list[Any] = [] if levels is None else [list(levels)]
    moved = script.call(
        "moved", MX.of("what_if"), model, rows, group, *there,
        better=better, n_sims=None, level=level,
    )  # fmt: skip
    means = script.call(
        "means", MX.of("what_if_average"), model, rows, group, *there, better=better, level=level
    )
    tables = {CASES: moved.value[list(_SHOWN)], MEANS: means.value}
    notes = [*_best(moved.value, better)]
    try:
        spread = script.call(
            "spread", MX.of("what_if_spread"), model, rows, group, *there, n_sims=None
        )
        tables[SPREAD] = spread.value.dropna(axis=1, how="all")
    except MerextrasError as err:
        notes.append(f"{SPREAD}: {err}")
    figure = script.figure(MX.of("plot_what_if"), moved, by=panels)
    return View(script, tables, {FIGURE: figure}, tuple(notes))


def spanning(m: Any, group: str, count: int = SPANNING) -> list[Any]:
    """Levels at even steps from the lowest effect to the highest, both included.

    Parameters
    ----------
    m : MerMod
    group : str
        A grouping factor, or a column that one is made of, whose values are taken in order.
    count : int

    Returns
    -------
    list
        Lowest first.
    """
    known = _ascending(m, group)
    if len(known) <= count:
        return known
    at = np.unique(np.linspace(0, len(known) - 1, count).round().astype(int))
    return [known[place] for place in at]


def _ascending(m: Any, group: str) -> list[Any]:
    """The levels of a factor by their first effect; the values of a column as they are."""
    known = levels_of(m, group)
    if group not in m.design.factors:
        return known
    effects = m.ranef(cond_var=False, groups=group)[group].iloc[:, 0].to_numpy()
    return [known[place] for place in np.argsort(effects, kind="stable")]


def _and_own(m: Any, group: str, spanned: list[Any], rows: pd.DataFrame) -> list[Any]:
    """Levels that span the factor and those of the cases, if these are few, lowest first."""
    columns = _columns(m, group)
    own = set(labels_of(rows, columns)) if set(columns) <= set(rows) else set()
    wanted = own.union(spanned) if len(own) <= SPANNING else set(spanned)
    return [level for level in _ascending(m, group) if level in wanted]


def _columns(m: Any, group: str) -> list[str]:
    """The columns that a level is made of."""
    if group not in m.design.factors:
        return [group]
    return list(m.design.terms[m.design.terms_of(group)[0]].columns)


def movable(m: Any) -> list[str]:
    """What cases can be moved between: the grouping factors, then columns that one is made of."""
    columns = [column for term in m.design.terms for column in term.columns]
    return list(dict.fromkeys([*m.design.factors, *columns]))


def levels_of(m: Any, group: str) -> list[Any]:
    """The levels of a grouping factor, or the values of a column that one is made of."""
    if group in m.design.factors:
        return list(m.design.terms[m.design.terms_of(group)[0]].levels)
    return list(m.model_frame()[group].dropna().unique())


def _elsewhere(count: int) -> str:
    return "the one that is elsewhere" if count == 1 else f"each of the {count} that are elsewhere"


def _range(p: pd.Series) -> str:
    low, high = probability(float(p.min())), probability(float(p.max()))
    return low if low == high else f"{low} to {high}"


def _best(moved: pd.DataFrame, better: str) -> list[str]:
    """Where the cases would do best, in a sentence."""
    means = moved.groupby("level", sort=False, observed=True)["fit"].mean()
    best = means.idxmax() if better == "higher" else means.idxmin()
    there = moved[(moved["level"] == best) & (moved["own_level"] != best)]
    known = there["p_better"].dropna()
    if known.empty:
        return []
    word = "highest" if better == "higher" else "lowest"
    return [
        f"Of the levels shown these cases would be {word} on average in {best}: a move there helps "
        f"with a probability of {_range(known)} for {_elsewhere(len(known))}."
    ]
