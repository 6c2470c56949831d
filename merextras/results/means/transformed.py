"""Means and contrasts on the scale of a generalised model's response."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
from scipy import stats

from merextras.engine.generalised.criterion.marginal import unlinked
from merextras.results.means.contrasts import Contrasts
from merextras.results.ratios import RATIOS


def with_ends(table: pd.DataFrame, level: float, link: str = "") -> pd.DataFrame:
    """The table with the ends of intervals, ``estimate std_error df conf_low conf_high``.

    With a link estimates and ends are transformed back from it, standard errors by the delta
    method.
    """
    half = stats.t.isf((1.0 - level) / 2.0, table["df"]) * table["std_error"]
    out = table.assign(conf_low=table["estimate"] - half, conf_high=table["estimate"] + half)
    if not link:
        return out
    mean, slope = unlinked(link, out["estimate"].to_numpy())
    ends = [unlinked(link, out[name].to_numpy())[0] for name in ("conf_low", "conf_high")]
    low, high = np.sort(ends, axis=0)
    error = np.abs(slope) * out["std_error"]
    return out.assign(estimate=mean, std_error=error, conf_low=low, conf_high=high)


def as_ratios(contrasts: Contrasts, link: str) -> Contrasts:
    """Exponentials of differences of logarithms; others stay on the scale of the link."""
    if not link:
        return contrasts
    if link not in RATIOS:
        note = f"Contrasts are on the scale of the {link} link."
        return replace(contrasts, notes=(*contrasts.notes, note))
    frame = contrasts.frame.copy()
    for name in ("estimate", "conf_low", "conf_high"):
        frame[name] = np.exp(frame[name])
    frame["std_error"] = frame["std_error"] * frame["estimate"]
    note = f"Estimates are {RATIOS[link]}s, exponentials of the contrasts; tests are of these."
    return replace(contrasts, frame=frame, notes=(*contrasts.notes, note))
