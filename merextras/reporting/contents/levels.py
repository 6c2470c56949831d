"""The levels of a grouping factor: their effects, ranks, and a search among them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from merextras.reporting.script import Named, Script, literal
from merextras.reporting.view import MX, View

TABLE, ALL, FOUND = "Levels", "All levels", "The levels found"
#: Ranks are of all pairs of levels; beyond this many they take more than a second or two.
RANKED = 6000


def levels(
    m: Any,
    *,
    group: str | None = None,
    search: str = "",
    chosen: Sequence[Any] = (),
    ranks: bool = True,
    level: float = 0.95,
) -> View:
    """The conditional modes with intervals, of all levels and of those found.

    Parameters
    ----------
    m : MerMod
    group : str, optional
        The model's first factor by default.
    search : str
        A part of a level's name, in upper or lower case; nothing special is meant by any sign.
    chosen : sequence
        Levels by themselves.
    ranks : bool
        Whether the table has expected ranks.
    level : float
        Of the intervals.
    """
    script, model = Script(), Named("m", m)
    group = group or m.design.factors[0]
    effects = script.call("ranef", model.of("ranef"), groups=group)
    frame = script.call("effects", effects.of("to_frame"))
    asked = bool(search.strip()) or len(chosen) > 0
    found = _found(script, frame, search.strip(), chosen) if asked else frame
    figures = {ALL: script.figure(MX.of("plot_ranef"), frame, level=level)}
    notes = []
    if asked and len(found.value):
        figures[FOUND] = script.figure(MX.of("plot_ranef"), found, level=level)
    if asked:
        count = found.value["level"].nunique()
        notes.append(f"{count} of {frame.value['level'].nunique()} levels of {group} are found.")
    table = script.call(
        "table", found.of("sort_values"), ["term", "estimate"], ascending=[True, False]
    )
    shown = _ranked(script, model, group, table) if ranks else table.value
    return View(script, {TABLE: shown}, figures, tuple(notes))


def _found(script: Script, frame: Named, search: str, chosen: Sequence[Any]) -> Named:
    """The rows of the levels that a search finds, and of the chosen ones."""
    level = frame.value["level"]
    texts, keep = [], pd.Series(False, index=frame.value.index)
    if search:
        texts.append(
            f"effects.level.astype(str).str.contains({literal(search)}, case=False, regex=False)"
        )
        keep |= level.astype(str).str.contains(search, case=False, regex=False)
    if len(chosen):
        texts.append(f"effects.level.astype(object).isin({literal(list(chosen))})")
        keep |= level.astype(object).isin(list(chosen))
    joined = texts[0] if len(texts) == 1 else f"({texts[0]})\n    | ({texts[1]})\n"
    return script.let("found", f"effects[{joined}]", frame.value[keep])


def _ranked(script: Script, model: Named, group: str, table: Named) -> pd.DataFrame:
    ranks = script.call("ranks", MX.of("expected_rank"), model, group)
    keys = ["group", "level", "term"]
    ranked = [*keys, "er", "pct_er"]
    wanted = script.let("ranks", f"ranks[{literal(ranked)}]", ranks.value[ranked])
    joined = script.call("table", table.of("merge"), wanted, on=keys, how="left")
    return pd.DataFrame(joined.value)
