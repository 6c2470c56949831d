"""Standardised inputs of generalised models against arm's."""

from __future__ import annotations

import glmm_models as models
import numpy as np
import pytest
from glmer_pieces import EXPECTED, districts
from tolerances import GLMM_AGAINST_LME4

import merextras as mx
from merextras.exceptions import InvalidArgumentError, UnsupportedModelError


@pytest.mark.parametrize("how", ["center", "full"])
def test_as_in_arm(how):
    m = districts()
    found = mx.standardize(m, binary_inputs=how)
    expected = EXPECTED["standardized"]["districts" if how == "center" else "full"]
    assert isinstance(found, mx.GlmerMod)
    assert list(found.fixef().index) == ["Intercept", *expected["names"][1:]]
    np.testing.assert_allclose(found.fixef(), expected["fixef"], rtol=GLMM_AGAINST_LME4)
    np.testing.assert_allclose(found.theta, expected["theta"], rtol=0, atol=1e-5)
    assert found.log_lik() == pytest.approx(m.log_lik(), abs=1e-8)
    np.testing.assert_allclose(found.fitted(), m.fitted(), rtol=1e-5)


def test_the_response_is_left_alone():
    data = mx.load_dataset("cbpp").assign(x=np.linspace(3.0, 9.0, 56))
    m = mx.glmer("cbind(incidence, size - incidence) ~ x + (1 | herd)", data)
    found = mx.standardize(m)
    assert list(found.fixef().index) == ["Intercept", "z.x"]
    assert found.fixef()["z.x"] == pytest.approx(2.0 * data["x"].std() * m.fixef()["x"], rel=1e-6)
    assert found.log_lik() == pytest.approx(m.log_lik(), abs=1e-8)
    np.testing.assert_array_equal(found.weights(), m.weights())
    # A refit to other successes has a response that is no column any more.
    with pytest.raises(UnsupportedModelError, match="replaced by refit"):
        mx.standardize(m.refit(m.simulate(rng=1)))


@pytest.mark.parametrize("response", ["count", "spread", "size"])
def test_other_families_and_options(response):
    m = models.generated(response, "(1 + x | g)")
    found = mx.standardize(m)
    assert found.log_lik() == pytest.approx(m.log_lik(), abs=1e-6)
    assert found.family() == m.family()
    assert "z.x" in found.ranef()["g"].columns
    same = mx.standardize(m, unchanged="x")
    np.testing.assert_allclose(same.fixef(), m.fixef(), rtol=1e-5)


def test_what_is_refused():
    with pytest.raises(UnsupportedModelError, match="standardize_y"):
        mx.standardize(models.cbpp(), standardize_y=True)
    with pytest.raises(InvalidArgumentError, match="unchanged"):
        mx.standardize(models.cbpp(), unchanged="cow")
