"""Models with priors of their covariances, and blme's numbers."""

from __future__ import annotations

import functools
import json
from pathlib import Path

import pandas as pd

import merextras as mx

REFERENCE = json.loads(
    (Path(__file__).parents[2] / "reference" / "cov_prior" / "expected.json").read_text()
)
NAMES = {
    "Wishart": mx.Wishart,
    "InverseWishart": mx.InverseWishart,
    "Gamma": mx.Gamma,
}
CASES = {
    ", ".join(
        [c["data"], c["formula"].split("~")[1].strip(), c["prior"], "REML" if c["reml"] else "ML"]
    ): c
    for c in REFERENCE["cases"]
}


@functools.cache
def data_of(name):
    """The data of a reference model."""
    if name in REFERENCE["data"]:
        return pd.DataFrame(REFERENCE["data"][name])
    return mx.load_dataset(name)


def prior_of(text):
    """The prior as a user gives it: a name, or code."""
    return text if text.isalpha() else eval(text, dict(NAMES))


def model_of(case):
    """Our fit of a case."""
    prior = prior_of(case["prior"])
    return mx.lmer(case["formula"], data_of(case["data"]), reml=case["reml"], cov_prior=prior)
