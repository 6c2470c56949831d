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
    (Path(__file__).resolve().parents[1] / "reference" / "emmeans" / "expected.json").read_text()
)

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
    return frame


@functools.cache
def fit(name, reml=True, **control):
    data, formula = FORMULAS[name]
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
    found = EXPECTED["models"][name]
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
