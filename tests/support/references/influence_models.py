"""The models of tests/reference/influence, fitted by `lmer`, and R's numbers of them."""

from __future__ import annotations

import functools
import json
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from lme4_fits import data_of as lme4_data
from properties.compare import close
from tolerances import SAME_DELETION

from merextras.datasets import load_dataset
from merextras.exceptions import SingularFitWarning
from merextras.fit_lmer import lmer

_FILE = Path(__file__).resolve().parents[2] / "reference" / "influence" / "expected.json"
REFERENCE = json.loads(_FILE.read_text())
MODELS = REFERENCE["models"]
HAT = [name for name, model in MODELS.items() if "hatvalues" in model["REML"]]


def data_of(name):
    """The rows of a reference model, with those of weight zero."""
    source = MODELS[name]["data"]
    if source == "Singular":
        return lme4_data("singular", "dyestuff2")
    frame = load_dataset({"seen": "sleepstudy"}.get(source, source.lower()))
    return frame.assign(w=MODELS[name]["w"]) if source == "seen" else frame


@functools.cache
def model_of(name, *, reml=True):
    """The fit by `lmer`."""
    frame = data_of(name)
    weights = "w" if "w" in MODELS[name] else None
    return quiet(MODELS[name]["formula"], frame, reml=reml, weights=weights)


def quiet(formula, frame, **keywords):
    """`lmer` where singular fits are not what is tested."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SingularFitWarning)
        return lmer(formula, frame, **keywords)


def observed(name, values):
    """Values by row without those of the rows of weight zero, which R was not given."""
    frame = data_of(name)
    return values[frame["w"] > 0] if "w" in MODELS[name] else values


def deletions():
    """(model, deletion's number) of all deletions that R refitted."""
    return [(name, i) for name, model in MODELS.items() for i in range(len(model["deletions"]))]


def brute(formula, frame, keep, **keywords):
    """The fit to some rows."""
    return quiet(formula, frame[keep].reset_index(drop=True), **keywords)


def same_as_a_fit(found, i, m, tolerance=SAME_DELETION):
    """Hold a deletion to be a fit of its own."""
    close(found.thetas[i], m.theta, tolerance)
    close(found.betas[i], m.fixef(), tolerance)
    close(found.std_errors[i], np.sqrt(np.diag(m.vcov())), tolerance)
    close(found.var_corr["sigma"].iloc[i], m.sigma(), tolerance)


def ten_groups():
    """Eighty rows in ten groups, two columns and a rare category."""
    rng = np.random.default_rng(11)
    frame = pd.DataFrame({"g": np.repeat(np.arange(10), 8), "x": rng.normal(size=80)})
    frame["rare"] = np.where(frame["g"] == 4, "b", "a")
    frame["y"] = 3.0 + rng.normal(0, 1.0, 10)[frame["g"]] + frame["x"] + rng.normal(size=80)
    frame["y"] += rng.normal(0, 0.7, 10)[frame["g"]] * frame["x"]
    return frame
