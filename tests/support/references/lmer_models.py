"""The models of tests/reference/lmer, fitted by `lmer`, and lme4's numbers of them."""

from __future__ import annotations

import functools
import json
import re
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from properties.compare import close
from tolerances import LMER_CRITERION, SAME_ROWS

from merextras.datasets import load_dataset
from merextras.exceptions import RankDeficientWarning, SingularFitWarning
from merextras.fit_lmer import lmer
from merextras.model.state.control import LmerControl

FORMULAIC = LmerControl(formula_engine="formulaic")
SLOPES = "Reaction ~ Days + (Days | Subject)"
FOLDER = Path(__file__).resolve().parents[2] / "reference" / "lmer"
NAMES = tuple(json.loads((FOLDER / "expected.json").read_text())["models"])
#: Keywords of the models that need some.
KEYWORDS = {
    "weights": {"weights": "w"},
    "frequencies": {"freq_weights": "k"},
    "sums": {"contrasts": {"f": "Sum", "e": "Sum"}},
    "sums_slope": {"contrasts": {"f": "Sum"}},
}


@functools.cache
def expected(name):
    """What R found, by criterion, beside the formula."""
    return json.loads((FOLDER / "expected.json").read_text())["models"][name]


@functools.cache
def csv(name):
    """A simulated table of the reference; not to be changed."""
    return pd.read_csv(FOLDER / f"{name}.csv")


def data_of(name):
    """The rows of a reference model. Frequencies stand for the repeated rows."""
    source = expected(name)["data"]
    if source in {"Dyestuff", "Pastes", "Penicillin", "sleepstudy"}:
        return load_dataset(source.lower())
    frame = csv("trials" if source == "trials" else "forms")
    return frame.assign(x2=2 * frame["x"] - 1, same=frame["z"]) if source == "deficient" else frame


def formula_of(name):
    """What `lmer` gets: R's formula where it is the same."""
    return expected(name)["formula"] or expected(name)["r_formula"]


def quiet(*args, **kwargs):
    """`lmer` where singular fits and dropped columns are not what is tested."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", (RankDeficientWarning, SingularFitWarning))
        return lmer(*args, **kwargs)


@functools.cache
def model_of(name, *, reml=True):
    """The fit by `lmer`."""
    return quiet(formula_of(name), data_of(name), reml=reml, **KEYWORDS.get(name, {}))


def in_r(name):
    """A coefficient's name as R has it: ``f[T.b]`` is fb, ``f[S.a]`` is f1."""
    name = name.replace("np.", "").replace(" ** ", "^")
    name = re.sub(r"\[S\.(\w)\]", lambda m: str(1 + "abuv".index(m[1]) % 2), name)
    name = re.sub(r"\[(T\.)?(\w)\]", r"\2", name)
    return "(Intercept)" if name == "Intercept" else name


def in_lme4s_order(model, entry):
    """For each of lme4's terms, the number of ours; its effects are in the same order."""
    ours = [(t.factor, [in_r(name) for name in t.names]) for t in model.design.terms]
    return [ours.index((theirs["factor"], theirs["columns"])) for theirs in entry["terms"]]


def packed(model, order):
    """theta with the terms in another order."""
    parts = [model.solution.lams[t] for t in order]
    return np.concatenate([lam.T[np.triu_indices(len(lam))] for lam in parts])


def same(a, b, tolerance=SAME_ROWS):
    """The same estimates, whatever the rows are called."""
    close(a.reml_crit(), b.reml_crit(), LMER_CRITERION)
    close(a.theta, b.theta, tolerance)
    close(a.fixef(), b.fixef(), tolerance)
    close(a.vcov(), b.vcov(), tolerance)
    close(a.sigma(), b.sigma(), tolerance)
    assert a.nobs() == b.nobs()


class Table:
    """A table of another library."""

    def __init__(self, frame):
        self._frame = frame

    def to_pandas(self):
        return self._frame
