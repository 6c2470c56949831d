"""The models of tests/reference, fitted by statsmodels and read by the adapter."""

from __future__ import annotations

import functools
import json
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import statsmodels.formula.api as smf
from properties.compare import close
from statsmodels.regression.mixed_linear_model import MixedLM, MixedLMParams
from tolerances import ADAPTER_CRITERION, ADAPTER_ESTIMATE

from merextras.datasets import load_dataset
from merextras.exceptions import ConvergenceWarning, SingularFitWarning
from merextras.mermod import MerMod

REFERENCE = Path(__file__).resolve().parents[2] / "reference"
#: The tutorial's own data, which is not bundled; its twin is.
REAL = Path(__file__).resolve().parents[4] / "shared" / "data" / "lmm_data.csv"

STUDENTS = "extro ~ open + agree + social"
PLATES = {"plate": "0 + C(plate)", "sample": "0 + C(sample)"}


@functools.cache
def expected(topic):
    """The R session's numbers of a topic, by model."""
    return json.loads((REFERENCE / topic / "expected.json").read_text())["models"]


def statsmodels_fit(*args, fit=None, **kwargs):
    """statsmodels' fit of a formula, its own warnings left to it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return smf.mixedlm(*args, **kwargs).fit(**(fit or {}))


def adapted(results, **kwargs):
    """The adapter of a fit, where what it warns of is not what is tested."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", (ConvergenceWarning, SingularFitWarning))
        return MerMod(results, **kwargs)


def fitted(*args, keep=None, **kwargs):
    """The adapter of statsmodels' fit of a formula; `keep` has the adapter's own arguments."""
    return adapted(statsmodels_fit(*args, **kwargs), **(keep or {}))


def array_fit(*args, fit=None, **kwargs):
    """The adapter of a model made from arrays."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return adapted(MixedLM(*args, **kwargs).fit(**(fit or {})))


def same_fit(a, b):
    """Hold two models to be the same up to names, each factor's effects in the same order."""
    close(a.theta, b.theta, ADAPTER_ESTIMATE)
    close(a.fixef(), b.fixef(), ADAPTER_ESTIMATE)
    for mine, theirs in zip(a.ranef().values(), b.ranef().values(), strict=True):
        close(mine, theirs, ADAPTER_ESTIMATE)
    close(a.reml_crit(), b.reml_crit(), ADAPTER_CRITERION)


def diagonal(k):
    """statsmodels' pattern for k uncorrelated effects of k fixed ones."""
    return MixedLMParams.from_components(fe_params=np.ones(k), cov_re=np.eye(k))


def data_of(topic, name, *, real=False):
    """The rows of a reference model."""
    data = expected(topic)[name]["data"]
    if name == "dyestuff2":
        return pd.DataFrame({"Yield": data["y"], "Batch": data["batch"]})
    if name == "students":
        return pd.read_csv(REAL) if real else load_dataset("students")
    sources = {"penicillin_thinned": "penicillin"}
    known = name in {"dyestuff", "pastes", "penicillin"}
    frame = load_dataset(name if known else sources.get(name, "sleepstudy"))
    frame = frame.drop(index=np.array(data.get("dropped_rows_1based", []), dtype=int) - 1)
    if name == "scaled":
        frame = frame.assign(DaysK=frame["Days"] * 1000)
    return frame.assign(y=data["y"]) if name == "perfect_correlation" else frame


def _arguments(topic, name):
    """Formula and keywords of statsmodels' model."""
    if name == "students":
        return STUDENTS, {"groups": "school"} | (
            {"re_formula": "1", "vc_formula": {"c": "0 + C(Q('class'))"}}
            if topic == "nested"
            else {}
        )
    batches = {"groups": "batch", "re_formula": "1", "vc_formula": {"cask": "0 + C(cask)"}}
    days = {"groups": "Subject", "re_formula": "~Days"}
    return {
        "dyestuff": ("Yield ~ 1", {"groups": "Batch"}),
        "dyestuff2": ("Yield ~ 1", {"groups": "Batch"}),
        "pastes": ("strength ~ 1", batches),
        "penicillin": ("diameter ~ 1", {"groups": "one", "vc_formula": PLATES}),
        "penicillin_thinned": ("diameter ~ 1", {"groups": "one", "vc_formula": PLATES}),
        "scaled": ("Reaction ~ DaysK", {"groups": "Subject", "re_formula": "~DaysK"}),
        "perfect_correlation": ("y ~ Days", days),
        "sleepstudy": ("Reaction ~ Days", days if topic == "accessors" else {"groups": "Subject"}),
    }.get(name, ("Reaction ~ Days", days))


@functools.cache
def results_of(topic, name, *, reml=True, real=False):
    """statsmodels' fit of a reference model; each is fitted once in a test run."""
    formula, keywords = _arguments(topic, name)
    fit = {"reml": reml}
    if "uncorrelated" in name:
        fit["free"] = diagonal(2)
    frame = data_of(topic, name, real=real)
    if keywords["groups"] == "one":
        frame = frame.assign(one=1)
    return statsmodels_fit(formula, frame, fit=fit, **keywords)


@functools.cache
def model_of(topic, name, *, reml=True, real=False):
    """The adapter of a reference model."""
    return adapted(results_of(topic, name, reml=reml, real=real))


#: Every reference model that is given for both criteria.
BOTH = [
    (topic, name)
    for topic in ("intercept", "slopes", "nested", "crossed", "singular")
    for name in expected(topic)
]
CASES = [(topic, name, criterion) for topic, name in BOTH for criterion in ("REML", "ML")]


def ours(names):
    """lme4's names as ours."""
    return [name.replace("(Intercept)", "Intercept") for name in names]
