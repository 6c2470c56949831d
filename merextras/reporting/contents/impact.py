"""The view of low, middle and high levels of a grouping factor."""

from __future__ import annotations

from typing import Any

from merextras.reporting.cases import Cases, take
from merextras.reporting.script import Named, Script
from merextras.reporting.view import MX, View

TABLE, FIGURE = "Impact", "Mean prediction by rank of the level"
WEIGHTS = {
    "precision": "by precision",
    "equal": "equally",
    "interval": "by merTools' intervals",
}


def impact(
    m: Any,
    data: Any = None,
    *,
    cases: Cases | None = None,
    group: str | None = None,
    term: str | None = None,
    breaks: int = 3,
    weights: str = "precision",
    level: float = 0.95,
) -> View:
    """Predictions averaged over the levels of low, middle and high expected rank: `re_impact`.

    Parameters
    ----------
    m : MerMod
    data : DataFrame, optional
        What cases are taken from; by default the model's rows.
    cases : Cases, optional
    group, term : str, optional
        The grouping factor, and the effect that levels are ranked by; the first by default.
    breaks : int
        Bins of the ranks.
    weights : {"precision", "equal", "interval"}
        How levels count.
    level : float
    """
    script, model = Script(), Named("m", m)
    rows = take(script, model, data, cases or Cases())
    found = script.call(
        "impact", MX.of("re_impact"), model, rows, group or m.design.factors[0],
        term=term, breaks=breaks, weights=weights, level=level,
    )  # fmt: skip
    figure = script.figure(MX.of("plot_re_impact"), found)
    return View(script, {TABLE: found.value}, {FIGURE: figure})
