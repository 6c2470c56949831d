"""The models of tests/reference/ddf, fitted, and lmerTest's and pbkrtest's numbers."""

from __future__ import annotations

import functools
import json
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from tolerances import DDF, P_VALUE, TEST_STATISTIC

import merextras as mx
from merextras.datasets import load_dataset
from merextras.exceptions import RankDeficientWarning, SingularFitWarning

REFERENCE = Path(__file__).resolve().parents[2] / "reference" / "ddf" / "expected.json"
EXPECTED = json.loads(REFERENCE.read_text())

FORMULAS = {
    "balanced_slopes": ("sleep", "Reaction ~ Days + (Days | Subject)"),
    "unbalanced_slopes": ("thinned", "Reaction ~ Days + (Days | Subject)"),
    "uncorrelated": ("thinned", "Reaction ~ Days * grp + (Days || Subject)"),
    "two_factors": ("thinned", "Reaction ~ phase * grp + (1 | Subject)"),
    "missing_cell": ("holed", "Reaction ~ phase * grp + (1 | Subject)"),
    "covariate_by_factor": ("students", "extro ~ agree + open * class + (1 | school)"),
    "nested": ("pastes", "strength ~ cask + (1 | batch / cask)"),
    "crossed": ("penicillin", "diameter ~ half + (1 | plate) + (1 | sample)"),
    "singular": ("dyestuff2", "Yield ~ x + (1 | Batch)"),
}
#: lmerTest's names of a table of F tests, and the tolerances.
F_COLUMNS = {
    "sum_sq": ("Sum Sq", TEST_STATISTIC),
    "mean_sq": ("Mean Sq", TEST_STATISTIC),
    "num_df": ("NumDF", TEST_STATISTIC),
    "den_df": ("DenDF", DDF),
    "statistic": ("F value", TEST_STATISTIC),
    "p_value": ("Pr(>F)", P_VALUE),
}

CASES = [(name, reml) for name in FORMULAS for reml in (True, False)]
IDS = [f"{name}-{'REML' if reml else 'ML'}" for name, reml in CASES]


def thin(data):
    """Without the rows that make.R leaves out."""
    at = np.arange(1, len(data) + 1)
    return data[~((at % 7 == 3) | (at % 11 == 5))]


@functools.cache
def data_of(name):
    if name == "dyestuff2":
        return pd.DataFrame(EXPECTED["dyestuff2"])
    if name == "students":
        return thin(thin(load_dataset("students")))
    if name == "pastes":
        return thin(load_dataset("pastes"))
    if name == "penicillin":
        frame = thin(load_dataset("penicillin"))
        return frame.assign(half=np.where(frame["plate"].astype(str) < "m", "early", "late"))
    sleep = load_dataset("sleepstudy")
    days, subject = sleep["Days"], pd.factorize(sleep["Subject"], sort=True)[0] + 1
    sleep = sleep.assign(
        phase=np.array(["a", "b", "c"])[(days > 2).astype(int) + (days > 6)],
        grp=np.array(["x", "y", "z"])[subject % 3],
    )
    if name == "sleep":
        return sleep
    frame = thin(sleep)
    return frame if name == "thinned" else frame[(frame["phase"] != "c") | (frame["grp"] != "z")]


@functools.cache
def fit(name, reml=True, **contrasts):
    data, formula = FORMULAS[name]
    return quietly(formula, data, reml, contrasts=contrasts)


def quietly(formula, data, reml, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", (SingularFitWarning, RankDeficientWarning))
        return mx.lmer(formula, data_of(data), reml=reml, **options)


def expected(name, reml):
    return EXPECTED["models"][name]["REML" if reml else "ML"]


def frame_of(table):
    """A table of R as a frame."""
    values = [[np.nan if v is None else v for v in row] for row in table["values"]]
    return pd.DataFrame(values, index=table["rows"], columns=table["columns"], dtype=float)


def as_r(name):
    """R's name of one of our coefficients."""
    return name.replace("Intercept", "(Intercept)").replace("[T.", "").replace("]", "")


def gap(found, wanted):
    """The largest difference, relative to what is expected; of zeros, absolute."""
    found, wanted = np.asarray(found, dtype=float), np.asarray(wanted, dtype=float)
    assert found.shape == wanted.shape
    assert np.array_equal(np.isnan(found), np.isnan(wanted))
    size = np.where(np.abs(wanted) > 0.0, np.abs(wanted), 1.0)
    return float(np.nanmax(np.abs(found - wanted) / size, initial=0.0))
