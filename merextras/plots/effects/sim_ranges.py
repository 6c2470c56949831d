"""Points and ranges of simulated effects, and the values these exclude, for the plots."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from merextras.exceptions import InvalidArgumentError
from merextras.foundation.arguments import check_choice, check_flag, check_level
from merextras.plots.drawing import arguments
from merextras.results.ratios import are_ratios

_STATS = ("mean", "median")


def half_width_of(level: float, scale: float | None) -> float:
    """Check both and return the factor of the standard deviation."""
    check_level(level)
    if scale is None:
        return float(stats.norm.isf((1 - level) / 2))
    arguments.require_positive(scale, "scale")
    return float(scale)


def value_label(
    stat: str, half_width: float, sigma_scale: float | None, *, sd: bool, ratio: bool
) -> str:
    """Say what the points and ranges are."""
    text = f"{stat} ± {half_width:.3g} sd" if sd else stat
    if ratio:
        return f"ratio, exp({text})"
    return text if sigma_scale is None else f"({text}) / {sigma_scale:.3g}"


def ranges(
    data: Any,
    keys: list[str],
    stat: str,
    half_width: float,
    sigma_scale: float | None,
    odds_ratio: bool,
) -> tuple[pd.DataFrame, bool]:
    """Check the input and return its keys with at, low, high, apart, and whether those are ratios.

    `apart` is whether the range excludes zero, that of ratios one.
    """
    check_choice(stat, _STATS, "stat")
    if sigma_scale is not None:
        arguments.require_positive(sigma_scale, "sigma_scale")
    frame = arguments.as_frame(data, "data", needs=keys, numeric=[stat, "sd"])
    arguments.require_keys(frame, "data", keys)
    made = are_ratios(data)
    ratio = check_flag(odds_ratio, "odds_ratio") or made
    if ratio and sigma_scale is not None:
        raise InvalidArgumentError(
            f"sigma_scale={sigma_scale!r}: ratios have no unit to be divided by; leave it out"
        )
    unit = 1.0 if sigma_scale is None else float(sigma_scale)
    at = frame[stat].astype(float).to_numpy() / unit
    sd = frame["sd"].astype(float).to_numpy() / unit
    if made:  # ratios, whose logarithms are what is normal
        sd = np.sqrt(np.log1p((sd / frame["mean"].astype(float).to_numpy()) ** 2))
        at = np.log(at)
    low, high = at - half_width * sd, at + half_width * sd
    apart = (low > 0) | (high < 0)
    if ratio:
        at, low, high = np.exp(at), np.exp(low), np.exp(high)
    out = frame[keys].reset_index(drop=True)
    return out.assign(at=at, low=low, high=high, apart=apart), ratio
