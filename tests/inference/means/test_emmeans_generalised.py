"""`emmeans` of generalised models against R's emmeans and the model's own predictions."""

from __future__ import annotations

import glmm_models as models
import numpy as np
import pytest
from tolerances import GLMM_AGAINST_LME4

import merextras as mx
from merextras.exceptions import UnsupportedModelError

#: lme4's covariance is of differences of its criterion, with three digits.
_VCOV = 2e-3


def test_probabilities_are_rs():
    found = mx.emmeans(models.cbpp(), "period", type="response").to_frame()
    expected = models.expected()["lme4"]["means"]
    np.testing.assert_allclose(found["estimate"], expected["prob"], rtol=GLMM_AGAINST_LME4)
    for ours, theirs in (("std_error", "se"), ("conf_low", "low"), ("conf_high", "high")):
        np.testing.assert_allclose(found[ours], expected[theirs], rtol=_VCOV)


def test_odds_ratios_are_rs():
    means = mx.emmeans(models.cbpp(), "period", type="response")
    found = means.contrasts("pairwise", adjust="none")
    expected = models.expected()["lme4"]["odds"]
    frame = found.to_frame()
    np.testing.assert_allclose(frame["estimate"], expected["ratio"], rtol=1e-4)
    np.testing.assert_allclose(frame["std_error"], expected["se"], rtol=_VCOV)
    np.testing.assert_allclose(frame["statistic"], expected["z"], rtol=_VCOV)
    assert "odds ratio" in repr(found)
    link = mx.emmeans(models.cbpp(), "period").contrasts(adjust="none").to_frame()
    np.testing.assert_allclose(np.exp(link["conf_low"]), frame["conf_low"])
    np.testing.assert_array_equal(link["p_value"], frame["p_value"])


@pytest.mark.parametrize(
    "family", ["binomial(probit)", "binomial(cloglog)", "binomial"]
)  # fmt: skip
def test_means_are_predictions_at_zero(family):
    m = models.cbpp(family)
    found = mx.emmeans(m, "period", type="response").to_frame()
    rows = found[["period"]].copy()
    exact = m.predict(rows, re_form="NA", se_fit=True)
    for ours, theirs in (
        ("estimate", "fit"), ("std_error", "std_error"), ("conf_low", "lower"),
        ("conf_high", "upper"),
    ):  # fmt: skip
        np.testing.assert_allclose(found[ours], exact[theirs], rtol=1e-10)


def test_what_is_refused_and_said():
    m = models.cbpp("binomial(probit)")
    with pytest.raises(UnsupportedModelError, match="ddf='asymptotic'"):
        mx.emmeans(m, "period", ddf="satterthwaite")
    assert "probit link" in repr(mx.emmeans(m, "period"))
    assert "probit link" in repr(mx.emmeans(m, "period", type="response").contrasts())
