"""The models of tests/reference/bootstrap, and R's numbers."""

from __future__ import annotations

import functools
import json
from pathlib import Path

import merextras as mx

REFERENCE = Path(__file__).resolve().parents[2] / "reference" / "bootstrap" / "expected.json"
DATA = {"students": "students", "sleepstudy": "sleepstudy", "Pastes": "pastes"}


@functools.cache
def expected():
    return json.loads(REFERENCE.read_text())


def few():
    """The first four days of the first six subjects."""
    data = mx.load_dataset("sleepstudy")
    subjects = sorted(data["Subject"].unique())[:6]
    return data[data["Subject"].isin(subjects) & (data["Days"] < 4)]


@functools.cache
def model_of(name):
    reference = expected()["models"][name]
    return mx.lmer(reference["formula"], mx.load_dataset(DATA[reference["data"]]))
