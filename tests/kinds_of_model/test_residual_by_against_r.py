"""Residual standard deviations by group against nlme's varIdent and glmmTMB's dispformula."""

from __future__ import annotations

import numpy as np
import pytest
import residual_models
from tolerances import PEER_EFFECTS, PEER_LOG_LIK, PEER_SD

import merextras as mx

CASES = sorted(residual_models.cases())


def _best(case):
    return max(case["log_lik"], case["nlme"]["log_lik"] if "nlme" in case else -np.inf)


#: Those of which glmmTMB found the optimum: by ML it stays at lower points of two of them.
EXACT = [
    key
    for key in CASES
    if residual_models.cases()[key]["log_lik"] > _best(residual_models.cases()[key]) - PEER_LOG_LIK
]


def test_the_cases():
    assert len({residual_models.cases()[key]["data"] for key in CASES}) >= 8
    assert set(CASES) - set(EXACT) == {"oats_ML", "machines_ML"}


@pytest.mark.parametrize("key", CASES)
def test_log_likelihood(key):
    ours, case = residual_models.model(key).log_lik(), residual_models.cases()[key]
    theirs = _best(case)
    assert abs(ours - theirs) < PEER_LOG_LIK
    assert ours >= theirs - PEER_LOG_LIK


@pytest.mark.parametrize("key", CASES)
def test_standard_deviations(key):
    ours, case = residual_models.model(key).sigma(), residual_models.cases()[key]
    every = [case["sigma"]] if key in EXACT else []
    every += [case["nlme"]["sigma"]] if "nlme" in case else []
    for theirs in every:
        names = [str(name).replace("*", ":") for name in theirs["names"]]
        assert sorted(map(str, ours.index)) == sorted(names)
        found = ours.set_axis(ours.index.map(str))[names]
        np.testing.assert_allclose(found, theirs["values"], rtol=PEER_SD)


def _as_in_r(name):
    """A fixed effect's name, apart from the order of an interaction's parts."""
    plain = "(Intercept)" if name == "Intercept" else name
    for mark in ("[T.", "]", "C(QB)"):
        plain = plain.replace(mark, "QB" if mark == "C(QB)" else "")
    return ":".join(sorted(plain.split(":")))


@pytest.mark.parametrize("key", EXACT)
def test_fixed_effects_and_modes(key):
    model, theirs = residual_models.model(key), residual_models.cases()[key]
    names = [_as_in_r(name) for name in model.fixef().index]
    order = [names.index(_as_in_r(name)) for name in theirs["names"]]
    se = np.sqrt(np.diag(model.vcov()))[order]
    np.testing.assert_allclose(se, theirs["se"], rtol=PEER_EFFECTS)
    gap = (model.fixef().to_numpy()[order] - theirs["beta"]) / se
    assert np.max(np.abs(gap)) < PEER_EFFECTS
    if theirs["modes"]:
        (factor,) = set(model.design.factors)
        ours = model.ranef()[factor]
        ours = ours.set_axis(ours.index.map(str)).loc[list(map(str, theirs["modes"]["levels"]))]
        expected = np.array(theirs["modes"]["values"], dtype=float)
        # Without variance between the groups the modes are zero but for rounding.
        size = np.maximum(np.std(expected, axis=0), 1e-3 * model.sigma().min())
        gap = (ours.to_numpy() - expected) / size
        assert np.max(np.abs(gap)) < PEER_EFFECTS


@pytest.mark.parametrize("data", ["bundled", "real"])
def test_students_by_school(data):
    """What the tutorial's data give, and so does their twin."""
    frame = residual_models.real_students() if data == "real" else mx.load_dataset("students")
    formula = "extro ~ open + agree + social + (1 | school)"
    m = mx.lmer(formula, frame, residual_by="school")
    assert m.log_lik() >= -2499.248346 - PEER_LOG_LIK
    assert abs(m.log_lik() + 2499.248346) < PEER_LOG_LIK
    assert abs(m.refit_ml().log_lik() + 2488.725015) < PEER_LOG_LIK
    sigma = m.sigma()
    assert sigma["I"] == pytest.approx(4.29290597, rel=PEER_SD)
    ratios = [0.319922, 0.261008, 0.285281, 0.306953, 0.987901]
    np.testing.assert_allclose(sigma.iloc[1:] / sigma["I"], ratios, rtol=PEER_SD)
