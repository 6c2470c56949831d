"""The data and formulas of tests/reference/formula, with R's numbers."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd

from merextras import LmerControl, lmer
from merextras.datasets import load_dataset

REFERENCE = Path(__file__).resolve().parents[2] / "reference" / "formula" / "expected.json"
EXPECTED = json.loads(REFERENCE.read_text())
NEW = pd.DataFrame(EXPECTED["new"])
CAKE = pd.DataFrame(EXPECTED["cake"])

#: The ways in: each engine, and in chunks.
WAYS = ("patsy", "formulaic", "chunks")

#: Names that formulas use where `fit` is called.
LIMIT = 4.0


def z_score(values):
    """A user's own, which looks at all rows."""
    return (values - values.mean()) / values.std()


def half(values):
    """A user's own, which looks at one row at a time."""
    return values.to_numpy() / 2.0


def sleep_data():
    """sleepstudy with the further columns of make.R."""
    sleep = load_dataset("sleepstudy")
    return sleep.assign(z=EXPECTED["sleep_z"], hours=24 * sleep["Days"])


def fit(way, formula, data, **options):
    """Fit by one of the ways in; chunks are small ones."""
    if way == "chunks":
        return lmer(formula, data, chunk_size=37, **options)
    return lmer(formula, data, control=LmerControl(formula_engine=way), **options)


def numbers(table):
    """Rows of a table that R wrote, NaN for NA."""
    values = [[np.nan if v is None else v for v in row] for row in table["values"]]
    return pd.DataFrame(values, index=table["rows"], columns=table["columns"], dtype=float)
