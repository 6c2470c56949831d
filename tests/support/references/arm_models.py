"""arm's reference numbers, and the models they are of."""

from __future__ import annotations

import functools
import json
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import statsmodels.formula.api as smf
from statsmodels.tools import sm_exceptions

from merextras import lmer
from merextras.datasets import load_dataset

MODELS = json.loads(
    (Path(__file__).parents[2] / "reference" / "arm" / "expected.json").read_text(encoding="utf-8")
)["models"]
NAMES = tuple(MODELS)
CASES = tuple((name, how) for name in NAMES for how in ("REML", "ML"))
#: arm's standardize() stops on a model without predictors.
WITH_PREDICTORS = tuple((name, how) for name, how in CASES if name != "pastes")


def data_of(name):
    if name != "students_binary":
        return load_dataset(name)
    return load_dataset("students").assign(isa=lambda d: (d["class"] == "a").astype(int))


@functools.cache
def model(name, how="REML"):
    return lmer(MODELS[name]["formula"], data_of(name), reml=how == "REML")


@functools.cache
def raw_fit(name, how="REML"):
    """By statsmodels."""
    fixed, _, _ = MODELS[name]["formula"].partition(" + (")
    groups = {"students": "school", "students_binary": "school", "sleepstudy": "Subject"}
    options = {"groups": groups.get(name, "batch")}
    if name == "sleepstudy":
        options["re_formula"] = "~Days"
    if name == "pastes":
        options |= {"re_formula": "1", "vc_formula": {"cask": "0 + C(cask)"}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", sm_exceptions.ConvergenceWarning)
        return smf.mixedlm(fixed, data_of(name), **options).fit(reml=how == "REML")


def plain(names):
    """R's names as ours."""
    return ["Intercept" if name == "(Intercept)" else name for name in names]


def frame(table):
    """A table of the reference as a frame."""
    values = np.array(table["values"], dtype=float).reshape(len(table["rows"]), -1)
    return pd.DataFrame(values, index=table["rows"], columns=plain(table["columns"]))


def as_ours(rows):
    """Labels of levels as text, as R has them."""
    return [str(row) for row in rows]
