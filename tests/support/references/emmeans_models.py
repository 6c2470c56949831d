"""The models of tests/reference/emmeans, fitted, and emmeans' numbers as frames."""

from __future__ import annotations

import functools
import json
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from ddf_models import data_of as ddf_data

import merextras as mx
from merextras.exceptions import RankDeficientWarning, SingularFitWarning

EXPECTED = json.loads(
    (Path(__file__).resolve().parents[2] / "reference" / "emmeans" / "expected.json").read_text()
)

#: Of each subject, which level it has of a factor nested in `grp`.
_WITHIN = (1, 2, 1, 1, 2, 2, 1, 3, 1, 2, 1, 2, 2, 3, 1, 1, 1, 2)

#: Models with nested factors.
NESTED = {
    "by_data": "Reaction ~ phase * grp + sub + (1 | Subject)",
    "interacting": "Reaction ~ phase * (grp / sub) + (1 | Subject)",
    "by_formula": "Reaction ~ grp / phase + (1 | Subject)",
}

FORMULAS = {
    "intercept": ("thinned", "Reaction ~ phase * grp + (1 | Subject)"),
    "slopes": ("thinned", "Reaction ~ Days * grp + (Days || Subject)"),
    "curved": ("thinned", "Reaction ~ (Days + I(Days**2)) * grp + two + (1 | Subject)"),
    "offset": ("thinned", "Reaction ~ np.log(Days + 1) + grp + offset(off) + (1 | Subject)"),
    "logged": ("thinned", "Reaction ~ np.log(Days + 1) * grp + (1 | Subject)"),
    "nested": ("pastes", "strength ~ cask + (1 | batch / cask)"),
    "crossed": ("penicillin", "diameter ~ half + (1 | plate) + (1 | sample)"),
    "singular": ("dyestuff2", "Yield ~ kind + (1 | Batch)"),
    "covariates": ("students", "extro ~ agree + open * Q('class') + (1 | school)"),
    "missing_cell": ("holed", "Reaction ~ phase * grp + (1 | Subject)"),
}


@functools.cache
def data_of(name):
    if name == "dyestuff2":
        return pd.DataFrame(EXPECTED["dyestuff2"])
    frame = ddf_data(name)
    if name == "thinned":
        at = np.arange(1, len(frame) + 1)
        frame = frame.assign(two=(at % 5 == 0).astype(float), off=at / 10)
        place = pd.Categorical(frame["Subject"].astype(str)).codes
        frame["sub"] = frame["grp"].astype(str) + pd.Series(_WITHIN, dtype=str)[place].to_numpy()
    return frame


@functools.cache
def fit(name, reml=True, **control):
    data, formula = ("thinned", NESTED[name]) if name in NESTED else FORMULAS[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", (SingularFitWarning, RankDeficientWarning))
        return mx.lmer(
            formula,
            data_of(data),
            reml=reml,
            control=mx.LmerControl(**control) if control else None,
        )


def expected(name, *keys):
    """A table of emmeans as a frame, its names as ours."""
    return frame_of(EXPECTED["models"][name], *keys)


def frame_of(found, *keys):
    """A table inside of a mapping, its names as ours."""
    for key in keys:
        found = found[key]
    names = {"SE": "std_error", "low": "conf_low", "high": "conf_high", "t.ratio": "statistic"}
    names |= {"z.ratio": "statistic", "p.value": "p_value", "emmean": "estimate"}
    frame = pd.DataFrame(found).rename(columns=names)
    frame = frame.rename(columns={c: "estimate" for c in frame if c.endswith(".trend")})
    numbers = ["estimate", "std_error", "df", "conf_low", "conf_high", "statistic", "p_value"]
    for column in frame.columns.intersection(numbers):
        frame[column] = frame[column].astype(float)
    return frame
