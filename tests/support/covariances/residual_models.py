"""Models with residual standard deviations by group of tests/reference, and their data."""

from __future__ import annotations

import functools
import json
import warnings
from pathlib import Path

import lme4_fits
import pandas as pd
import pytest

import merextras as mx
from merextras.datasets import load_dataset
from merextras.exceptions import SingularFitWarning

FOLDER = Path(__file__).resolve().parents[2] / "reference"


@functools.cache
def cases():
    """nlme's and glmmTMB's fits, by name."""
    return json.loads((FOLDER / "residual_by" / "expected.json").read_text())["cases"]


@functools.cache
def frame(name):
    """A data set of the reference."""
    if name in {"penicillin", "students"}:
        return load_dataset(name)
    if name == "sleepstudy":
        sleep = load_dataset(name)
        return sleep.assign(late=(sleep["Days"] >= 5).astype(int))
    folder, file = ("residual_by", "mathachieve") if name == "math" else ("structures", name)
    return pd.read_csv(FOLDER / folder / f"{file}.csv")


@functools.cache
def model(key):
    """Our fit of a case."""
    case = cases()[key]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SingularFitWarning)
        return mx.lmer(
            case["formula"], frame(case["data"]), reml=case["reml"], residual_by=case["residual_by"]
        )


@functools.cache
def real_students():
    """The tutorial's own data, which are not bundled."""
    if not lme4_fits.REAL.exists():
        pytest.skip(f"no {lme4_fits.REAL}")
    return pd.read_csv(lme4_fits.REAL)
