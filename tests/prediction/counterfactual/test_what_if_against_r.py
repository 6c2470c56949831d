"""`what_if` and its companions against R at lme4's own theta: closed forms on both sides."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from properties.compare import close
from tolerances import LME4_JOINT

from merextras import lmer
from merextras.datasets import load_dataset
from merextras.model.state.fitted import FittedModel
from merextras.model.state.fitting import fit_at
from merextras.prediction.counterfactual.what_if import what_if
from merextras.prediction.counterfactual.what_if_average import what_if_average
from merextras.prediction.counterfactual.what_if_spread import what_if_spread

FOLDER = Path(__file__).parents[2] / "reference" / "what_if"
MODELS = json.loads((FOLDER / "expected.json").read_text())["models"]


def moved(name):
    """R's model at its theta, the cases, and what they are moved to."""
    entry = MODELS[name]
    data = load_dataset(entry["data"].lower())
    design = lmer(entry["formula"], data).design
    model = FittedModel(fit_at(design, np.array(entry["theta"]), reml=True))
    cases = data.iloc[[i - 1 for i in entry["rows_1based"]]]
    targets = {key: list(dict.fromkeys(values)) for key, values in entry["targets"].items()}
    # R's grid has its first column changing fastest.
    targets = dict(reversed(targets.items()))
    if name == "sleepstudy":
        days = {"Days": [float(day) for day in targets.pop("Days")]}
        return model, cases, {"Subject": [int(s) for s in targets["Subject"]]}, days
    return model, cases, targets, None


@pytest.mark.parametrize("name", MODELS)
def test_shifts(name):
    model, cases, group, changes = moved(name)
    table = what_if(model, cases, group, changes=changes, n_sims=None)
    for column in ("fit", "lower", "upper", "shift", "shift_std_error"):
        close(table[column], MODELS[name][column], LME4_JOINT)
    np.testing.assert_allclose(table["p_better"], MODELS[name]["p_better"], rtol=1e-5)


@pytest.mark.parametrize("name", MODELS)
def test_averages(name):
    model, cases, group, changes = moved(name)
    table = what_if_average(model, cases, group, changes=changes)
    for column, expected in MODELS[name]["average"].items():
        close(table[column], expected, LME4_JOINT)


@pytest.mark.parametrize("name", ["pastes", "penicillin"])
def test_variances(name):
    model, cases, group, _ = moved(name)
    table = what_if_spread(model, cases, group, weights="equal", n_sims=None)
    found = table.set_index("source")["variance"]
    for source, expected in MODELS[name]["spread"].items():
        close(found[source], expected, LME4_JOINT)
