"""Exponentials of effects, where these are ratios: of odds, rates or hazards."""

from __future__ import annotations

import numpy as np
import pandas as pd

#: By link: what the exponential of an effect is.
RATIOS = {"logit": "odds ratio", "log": "ratio", "cloglog": "hazard ratio"}
_MADE = "odds_ratio"


def as_ratios(frame: pd.DataFrame) -> pd.DataFrame:
    """A table of effects as ratios, with the ends of intervals and standard errors by delta.

    Statistics and p-values stay those of the effects. What draws the table sees that it is of
    ratios, by `are_ratios`.
    """
    out = frame.copy()
    for name in ("estimate", "conf_low", "conf_high"):
        if name in out:
            out[name] = np.exp(out[name])
    out["std_error"] = out["std_error"] * out["estimate"]
    return marked(out)


def marked(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame itself, as one of ratios."""
    frame.attrs[_MADE] = True
    return frame


def are_ratios(frame: object) -> bool:
    """Whether a frame is one of ratios."""
    return bool(getattr(frame, "attrs", {}).get(_MADE, False))
