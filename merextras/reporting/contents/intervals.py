"""Prediction intervals of cases."""

from __future__ import annotations

from typing import Any

import pandas as pd

from merextras.foundation.arguments import check_choice
from merextras.reporting.cases import Cases, take
from merextras.reporting.script import Named, Script, literal
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
    labels: dict[str, Any] = {}
    if method == "exact" or which in ("full", "fixed"):
        labels["y_label"] = str(m.design.response)
    whole = method == "exact" or which in ("full", "all")
    seen = _observed(rows, m.design.response) if whole and given.kind != "average" else None
    if seen is not None:
        labels["observed"] = seen
    figure = script.figure(MX.of("plot_predictions"), found, **labels)
    return View(script, {TABLE: _beside(found.value, rows.value, m)}, {FIGURE: figure})


def _observed(cases: Named, response: str) -> Named | None:
    """The outcome of the cases, where it is one of their columns."""
    if response not in cases.value:
        return None
    return Named(f"{cases.text}[{literal(response)}]", cases.value[response])


def _beside(found: pd.DataFrame, rows: pd.DataFrame, m: Any) -> pd.DataFrame:
    """The predictions beside the values that they are for."""
    if "effect" in found:
        shown = found.rename(columns={"effect": "part"})
    else:
        shown = found.rename_axis("case").reset_index()
    columns = [name for name in m.design.columns if name in rows]
    taken = {name: f"{name} of the case" for name in columns if name in shown}
    return shown.join(rows[columns].rename(columns=taken), on="case")
