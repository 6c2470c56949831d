"""The models of tests/reference/influence, fitted by `lmer`, and R's numbers of them."""

from __future__ import annotations

import functools
import json
import warnings
from pathlib import Path

from lme4_fits import data_of as lme4_data

from merextras.datasets import load_dataset
from merextras.exceptions import SingularFitWarning
from merextras.mermod import lmer

_FILE = Path(__file__).resolve().parent / "reference" / "influence" / "expected.json"
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


def labels(name, refits):
    """Our labels of R's levels."""
    levels = [refit["level"] for refit in refits]
    if name == "hsb":
        return [int(level) for level in levels]
    if name in {"intercept", "slopes", "uncorrelated", "weights"}:
        return [int(level) for level in levels]
    return levels
