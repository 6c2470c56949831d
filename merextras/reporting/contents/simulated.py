"""Simulated fixed and random effects."""

from __future__ import annotations

from typing import Any

from merextras.reporting.script import Named, Script
from merextras.reporting.view import MX, View

RANDOM, FIXED = "Random effects", "Fixed effects"


def simulated(
    m: Any,
    *,
    group: str | None = None,
    n_sims: int = 500,
    level: float = 0.95,
    labels: bool = False,
    seed: int = 1,
) -> View:
    """Draws of the effects, summarised: `re_sim` and `fe_sim`.

    Parameters
    ----------
    m : MerMod
    group : str, optional
        One grouping factor; all by default.
    n_sims : int
    level : float
        Coverage of the ranges drawn.
    labels : bool
        Whether the figure names levels.
    seed : int
    """
    script, model = Script(), Named("m", m)
    random = script.call("random", MX.of("re_sim"), model, group, n_sims=n_sims, rng=seed)
    fixed = script.call("fixed", MX.of("fe_sim"), model, n_sims=n_sims, rng=seed)
    figures = {
        RANDOM: script.figure(MX.of("plot_re_sim"), random, level=level, labels=labels, title=None)
    }
    if any(term != "Intercept" for term in fixed.value["term"]):
        figures[FIXED] = script.figure(MX.of("plot_fe_sim"), fixed, level=level)
    excludes = _away_from_zero(random.value, level)
    note = (
        f"{excludes} of {len(random.value)} random effects have a {100 * level:g}% range that "
        f"does not contain zero, in {n_sims} joint draws of all effects."
    )
    return View(script, {RANDOM: random.value, FIXED: fixed.value}, figures, (note,))


def _away_from_zero(frame: Any, level: float) -> int:
    from scipy import stats  # noqa: PLC0415

    half = stats.norm.isf((1.0 - level) / 2.0) * frame["sd"]
    return int(((frame["median"] - half > 0) | (frame["median"] + half < 0)).sum())
