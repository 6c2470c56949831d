"""Models with covariance structures that glmmTMB and nlme have fitted, too."""

from __future__ import annotations

import json
import warnings
from functools import cache
from pathlib import Path

import pandas as pd

import merextras as mx
from merextras.exceptions import ConvergenceWarning, DataWarning, SingularFitWarning

_HERE = Path(__file__).parents[2] / "reference"
#: Columns that are factors whatever their labels look like.
_FACTORS = ("T", "D", "I", "A", "Diet", "Occasion", "Subject", "Chick", "Dog")


@cache
def _references() -> dict[str, tuple[str, dict]]:
    found = {}
    for folder in ("structures", "covariance_structures"):
        cases = json.loads((_HERE / folder / "expected.json").read_text())["cases"]
        found |= {f"{folder}:{k}": (folder, c) for k, c in cases.items() if "residual_by" not in c}
    return found


#: Cases whose likelihood rises as the residual variance goes to zero: nothing but the
#: autoregression is needed.
UNBOUNDED = [
    f"covariance_structures:ar1_{data}_{by}"
    for data in ("dialyzer", "oxboys")
    for by in ("REML", "ML")
]

#: The names of the others.
CASES = sorted(set(_references()) - set(UNBOUNDED))


def expected(name):
    """What the other package has."""
    return _references()[name][1]


@cache
def _table(folder, name):
    own = _HERE / folder / f"{name}.csv"
    return pd.read_csv(own if own.exists() else _HERE / "structures" / own.name)


def data(name, folder="structures"):
    """A data set with its factors; what several topics have in common is in `structures`."""
    table = _table(folder, name).copy()
    for column in _FACTORS:
        if column in table and table[column].nunique() < 100:
            table[column] = table[column].astype("category")
    return table


@cache
def model_of(name):
    """Ours; what it says of singular fits and unequal steps is tested elsewhere."""
    folder, case = _references()[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SingularFitWarning)
        warnings.simplefilter("ignore", DataWarning)
        warnings.simplefilter("ignore", ConvergenceWarning)
        return mx.lmer(case["formula"], data(case["data"], folder), reml=case["reml"])
