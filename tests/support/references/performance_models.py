"""The models of tests/reference/performance, fitted by `lmer`, and what R says of them."""

from __future__ import annotations

import functools
import json
import warnings
from pathlib import Path

import pandas as pd

from merextras.datasets import load_dataset
from merextras.exceptions import SingularFitWarning
from merextras.fit_lmer import lmer

FOLDER = Path(__file__).resolve().parents[2] / "reference"
REFERENCE = json.loads((FOLDER / "performance" / "expected.json").read_text(encoding="utf-8"))
MODELS = REFERENCE["models"]
CASES = [(name, how) for name in MODELS for how in ("REML", "ML")]
#: The models that R has numbers for, of the `||` model others than ours, and of weights.
PLAIN = [(name, how) for name, how in CASES if name not in {"double_bar", "weights"}]


@functools.cache
def data_of(name):
    """The rows of a data set of the reference; not to be changed."""
    if name == "forms":
        return pd.read_csv(FOLDER / "lmer" / "forms.csv")
    if name == "Dyestuff2":
        data = json.loads((FOLDER / "singular" / "expected.json").read_text(encoding="utf-8"))
        rows = data["models"]["dyestuff2"]["data"]
        return pd.DataFrame({"Yield": rows["y"], "Batch": rows["batch"]})
    return load_dataset(name.lower())


@functools.cache
def model_of(name, how="REML"):
    """The fit by `lmer`."""
    entry = MODELS[name]
    weights = "w" if name == "weights" else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SingularFitWarning)
        return lmer(entry["formula"], data_of(entry["data"]), reml=how == "REML", weights=weights)


def plain(name):
    """R's name of an effect as ours."""
    names = {"(Intercept)": "Intercept", "fb": "f[T.b]", "fc": "f[T.c]"}
    return names.get(name, name)
