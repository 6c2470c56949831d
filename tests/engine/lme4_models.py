"""The models of tests/reference as the engine's arrays, with lme4's numbers."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

from merextras.datasets import load_dataset
from merextras.engine.elimination.plan import prepare
from merextras.engine.products.crossprod import CrossProducts
from merextras.engine.products.term_rows import TermRows

REFERENCE = Path(__file__).resolve().parents[1] / "reference"

# topic, model: data set, response, fixed effects, terms in lme4's order of theta.
MODELS = {
    ("intercept", "students"): (
        "students", "extro", ["1", "open", "agree", "social"], [("school", ["1"])]
    ),
    ("intercept", "sleepstudy"): ("sleepstudy", "Reaction", ["1", "Days"], [("Subject", ["1"])]),
    ("intercept", "dyestuff"): ("dyestuff", "Yield", ["1"], [("Batch", ["1"])]),
    ("slopes", "correlated"): (
        "sleepstudy", "Reaction", ["1", "Days"], [("Subject", ["1", "Days"])]
    ),
    ("slopes", "uncorrelated"): (
        "sleepstudy", "Reaction", ["1", "Days"], [("Subject", ["1"]), ("Subject", ["Days"])]
    ),
    ("slopes", "thinned_correlated"): (
        "sleepstudy", "Reaction", ["1", "Days"], [("Subject", ["1", "Days"])]
    ),
    ("slopes", "thinned_uncorrelated"): (
        "sleepstudy", "Reaction", ["1", "Days"], [("Subject", ["1"]), ("Subject", ["Days"])]
    ),
    ("slopes", "scaled"): (
        "sleepstudy", "Reaction", ["1", "DaysK"], [("Subject", ["1", "DaysK"])]
    ),
    ("nested", "students"): (
        "students", "extro", ["1", "open", "agree", "social"],
        [("class:school", ["1"]), ("school", ["1"])],
    ),
    ("nested", "pastes"): (
        "pastes", "strength", ["1"], [("cask:batch", ["1"]), ("batch", ["1"])]
    ),
    ("crossed", "penicillin"): (
        "penicillin", "diameter", ["1"], [("plate", ["1"]), ("sample", ["1"])]
    ),
    ("crossed", "penicillin_thinned"): (
        "penicillin", "diameter", ["1"], [("plate", ["1"]), ("sample", ["1"])]
    ),
    ("singular", "dyestuff2"): ("dyestuff2", "y", ["1"], [("Batch", ["1"])]),
    ("singular", "perfect_correlation"): (
        "sleepstudy", "y", ["1", "Days"], [("Subject", ["1", "Days"])]
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Lme4Model:
    """Data and lme4's numbers, those of one criterion being ``expected["REML"]`` or ``["ML"]``."""

    x: np.ndarray
    y: np.ndarray
    terms: tuple[TermRows, ...]
    expected: dict

    @property
    def ks(self):
        return [term.k for term in self.terms]

    def system(self):
        return prepare(CrossProducts.from_rows(self.x, self.y, self.terms))


@cache
def _expected(topic):
    return json.loads((REFERENCE / topic / "expected.json").read_text())["models"]


def lme4_model(topic, name):
    expected = _expected(topic)[name]
    data, response, fixed, random = MODELS[topic, name]
    frame = _frame(data, expected["data"])
    terms = tuple(_term(frame, factor, columns) for factor, columns in random)
    y = frame[response].to_numpy(dtype=float)
    return Lme4Model(_columns(frame, fixed), y, terms, expected)


def _frame(name, data):
    if name == "dyestuff2":
        return pd.DataFrame({"y": data["y"], "Batch": data["batch"]})
    frame = load_dataset(name).drop(index=np.array(data["dropped_rows_1based"], dtype=int) - 1)
    if "Days" in frame:
        frame["DaysK"] = frame["Days"] * 1000
    return frame.assign(y=data["y"]) if "y" in data else frame


def _columns(frame, names):
    columns = [np.ones(len(frame)) if name == "1" else frame[name] for name in names]
    return np.column_stack(columns).astype(float)


def _term(frame, factor, columns):
    label = frame[factor.split(":")[0]].astype(str)
    for name in factor.split(":")[1:]:
        label = label + ":" + frame[name].astype(str)
    codes, levels = pd.factorize(label, sort=True)
    return TermRows(codes, _columns(frame, columns), len(levels))
