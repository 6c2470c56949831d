"""merTools' reference numbers, and the models they are of."""

from __future__ import annotations

import functools
import json
from pathlib import Path

import pandas as pd

from merextras import lmer
from merextras.datasets import load_dataset

EXPECTED = json.loads(
    (Path(__file__).parents[2] / "reference" / "mertools" / "expected.json").read_text(
        encoding="utf-8"
    )
)
MODELS = EXPECTED["models"]
NAMES = tuple(MODELS)


def data_of(name):
    if name == "three":
        sleep = load_dataset("sleepstudy")
        return sleep[sleep["Subject"].isin([308, 309, 310])]
    return load_dataset({"nested": "students", "crossed": "penicillin"}.get(name, name))


@functools.cache
def model(name):
    return lmer(MODELS[name]["formula"], data_of(name))


def plain(name):
    """R's name as ours."""
    return name.replace("(Intercept)", "Intercept")


def table(rows):
    """Records of the reference as a frame."""
    return pd.DataFrame(rows)


def text(values):
    """Labels as R has them."""
    return [str(value) for value in values]
