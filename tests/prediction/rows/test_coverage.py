"""Coverage of prediction's intervals over repeated samples of an unbalanced design."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from tolerances import MONTE_CARLO

from merextras import lmer
from merextras.model.state.fitted import FittedModel
from merextras.model.state.fitting import fit_at, fit_design
from merextras.prediction.rows.predict import predict

LEVEL, REPLICATES, GROUPS = 0.9, 300, 10
THETA, BETA = np.array([1.0]), np.array([1.0, 0.5])


def design():
    """Ten groups of 2 to 20 rows."""
    rng = np.random.default_rng(1)
    g = np.repeat(np.arange(GROUPS), [2, 3, 4, 5, 6, 8, 10, 12, 15, 20])
    noise = np.repeat(rng.standard_normal(GROUPS), np.bincount(g)) + rng.standard_normal(len(g))
    data = pd.DataFrame({"g": g, "x": rng.standard_normal(len(g)), "y": noise})
    return lmer("y ~ x + (1 | g)", data).design


def covered(*, theta_known, **ways):
    """Shares of intervals that cover, per replicate: known groups, then new ones; by the ways."""
    own, rng = design(), np.random.default_rng(7)
    x = rng.standard_normal(2 * GROUPS)
    new = pd.DataFrame({"g": np.arange(2 * GROUPS), "x": x})
    out = {way: np.empty((REPLICATES, 2)) for way in ways}
    for i in range(REPLICATES):
        b = THETA * rng.standard_normal(2 * GROUPS)
        mean = own.x @ BETA + b[own.terms[0].rows.codes]
        sample = replace(own, y=mean + rng.standard_normal(own.n))
        fit = fit_at(sample, THETA, reml=True) if theta_known else fit_design(sample, reml=True)
        truth = {"confidence": BETA[0] + BETA[1] * x + b}
        truth["prediction"] = truth["confidence"] + rng.standard_normal(len(x))
        for way, options in ways.items():
            made = predict(FittedModel(fit), new, allow_new_levels="draw", level=LEVEL, **options)
            at = truth[options["interval"]]
            inside = ((made["lower"] <= at) & (at <= made["upper"])).to_numpy()
            out[way][i] = inside[:GROUPS].mean(), inside[GROUPS:].mean()
    return out


def gap(shares):
    """How far coverage is from the nominal level, and its standard error."""
    return shares.mean(axis=0) - LEVEL, shares.std(axis=0) / np.sqrt(REPLICATES)


@pytest.mark.slow
def test_exact_where_theta_is_known():
    """Student's t with n - p degrees of freedom, for known groups and for new ones."""
    mean, observation = {"interval": "confidence"}, {"interval": "prediction"}
    found = covered(theta_known=True, mean=mean, observation=observation)
    for shares in found.values():
        off, error = gap(shares)
        assert np.all(np.abs(off) < MONTE_CARLO * error)
        assert np.all(error < 0.01)


@pytest.mark.slow
def test_estimated_theta_falls_short_and_what_corrects_it():
    """Ten groups: known ones need the adjustment, new ones Satterthwaite's degrees of freedom."""
    better = {"ddf": "satterthwaite", "adjust": True}
    found = covered(
        theta_known=False,
        plain={"interval": "confidence"},
        corrected={"interval": "confidence", **better},
        observation={"interval": "prediction", **better},
    )
    plain, error = gap(found["plain"])
    assert np.all(plain < -2 * error)
    corrected, error = gap(found["corrected"])
    assert np.all(np.abs(corrected) < 0.01 + 3 * error)
    assert np.all(np.abs(corrected) < np.abs(plain))
    observation, error = gap(found["observation"])
    assert np.all(np.abs(observation) < 0.01 + 3 * error)
