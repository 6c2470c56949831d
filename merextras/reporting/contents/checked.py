"""The checks of a model, with verdicts and what to do."""

from __future__ import annotations

from typing import Any

from merextras.reporting.script import Named, Script
from merextras.reporting.view import MX, View

VERDICTS, FIGURE, OUTLIERS = "Verdicts", "What to look at", "Observations to look at"
MARKS = {True: "ok", False: "not ok", None: "undecided"}


def checked(m: Any, *, n_sims: int = 50, seed: int = 1) -> View:
    """All checks at once: `model_checks`, and their panel.

    Parameters
    ----------
    m : MerMod
    n_sims : int
        Simulated responses of the predictive check.
    seed : int
    """
    script, model = Script(), Named("m", m)
    found = script.call("checks", MX.of("model_checks"), model, n_sims=n_sims, rng=seed)
    script.call("verdicts", found.of("to_frame"))
    check = found.value
    frame = check.to_frame()
    advice = [check.checks.get(name, check.convergence).advice for name in frame["check"]]
    marks = [MARKS[ok] for ok in frame["ok"].tolist()]
    lines = [
        "; ".join(one) if ok is not True else ""
        for one, ok in zip(advice, frame["ok"].tolist(), strict=True)
    ]
    tables = {VERDICTS: frame.assign(ok=marks, advice=lines)}
    outliers = check.checks.get("outliers")
    if outliers is not None:
        rows = outliers.to_frame()
        rows = rows[rows["outlier"] | rows["influential"]]
        tables[OUTLIERS] = rows.rename_axis("row").reset_index()
    figure = script.figure(MX.of("plot_model_check"), found, columns=2)
    bad = [
        name
        for name, ok in zip(frame["check"], frame["ok"].tolist(), strict=True)
        if ok is not True
    ]
    note = "All checks are passed." if not bad else f"To be looked at: {', '.join(bad)}."
    return View(script, tables, {FIGURE: figure}, (note,))
