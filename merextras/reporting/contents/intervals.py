"""Prediction intervals of cases."""

from __future__ import annotations

from typing import Any

import pandas as pd

from merextras._checks import check_choice
from merextras.reporting.cases import Cases, take
from merextras.reporting.script import Named, Script
from merextras.reporting.view import MX, View

TABLE, FIGURE = "Predictions", "Predictions with their intervals"
METHODS = {"simulated": "simulated (merTools)", "exact": "exact (predict)"}
PARTS = {
    "full": "all of it",
    "fixed": "fixed effects only",
    "random": "random effects only",
    "all": "all, and part by part",
}


def intervals(
    m: Any,
    data: Any = None,
    *,
    cases: Cases | None = None,
    method: str = "simulated",
    which: str = "full",
    level: float = 0.95,
    residual: bool = True,
    n_sims: int = 1000,
    seed: int = 1,
) -> View:
    """Predictions of cases with intervals.

    Parameters
    ----------
    m : MerMod
    data : DataFrame, optional
        What cases are taken from; by default the model's rows.
    cases : Cases, optional
    method : {"simulated", "exact"}
        `predict_interval`, or `MerMod.predict`.
    which : {"full", "fixed", "random", "all"}
        What is predicted, of the simulated.
    level : float
    residual : bool
        Whether the intervals are for a new observation, not for its mean.
    n_sims, seed : int
        Of the simulated.
    """
    check_choice(method, list(METHODS), "method")
    script, model, given = Script(), Named("m", m), cases or Cases()
    rows = take(script, model, data, given)
    if method == "exact":
        interval = "prediction" if residual else "confidence"
        found = script.call("predicted", model.of("predict"), rows, interval=interval, level=level)
    else:
        options: dict[str, Any] = {"which": which, "level": level, "n_sims": n_sims}
        found = script.call(
            "predicted", MX.of("predict_interval"), model, rows,
            **options, include_resid_var=residual, rng=seed,
        )  # fmt: skip
    shown = _by_case(script, found, rows, m.design.response if given.kind != "average" else None)
    whole = method == "exact" or which != "all"
    size = {"height": 3.2, "aspect": 1.9} if whole else {}
    figure = script.figure(MX.of("plot_what_if"), shown, by="level", **size)
    return View(script, {TABLE: _beside(shown.value, rows.value, m)}, {FIGURE: figure})


def _by_case(script: Script, found: Named, rows: Named, response: str | None) -> Named:
    """The predictions as the figure has them: ``case level fit lower upper observed``."""
    frame = found.value
    if "effect" in frame:
        text = f'{found.text}.rename(columns={{"effect": "level"}})'
        return script.let("shown", text, frame.rename(columns={"effect": "level"}))
    text = f'{found.text}.rename_axis("case").reset_index().assign(level="prediction")'
    value = frame.rename_axis("case").reset_index().assign(level="prediction")
    shown = script.let("shown", text, value)
    if response is None or response not in rows.value:
        return shown
    text = f'shown.assign(observed=cases["{response}"].to_numpy(), own_level="prediction")'
    observed = rows.value[response].to_numpy()
    return script.let("shown", text, value.assign(observed=observed, own_level="prediction"))


def _beside(shown: pd.DataFrame, rows: pd.DataFrame, m: Any) -> pd.DataFrame:
    """The predictions beside the values that they are for."""
    drop = [name for name in ("own_level", "observed") if name in shown]
    if shown["level"].eq("prediction").all():
        drop.append("level")
    columns = [name for name in m.design.columns if name in rows]
    taken = {name: f"{name} of the case" for name in columns if name in shown}
    values = rows[columns].rename(columns=taken)
    beside = shown.drop(columns=drop).join(values, on="case")
    return beside.rename(columns={"level": "part"})
