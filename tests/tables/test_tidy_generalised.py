"""`tidy` of generalised models against broom.mixed, and with each kind of interval."""

from __future__ import annotations

import glmm_models as models
import numpy as np
import pytest
from tolerances import GLMM_AGAINST_LME4

import merextras as mx
from merextras.exceptions import InvalidArgumentError, UnsupportedModelError


def test_ratios_are_broom_mixeds():
    found = mx.tidy(models.cbpp(), "fixed", ci="wald", exponentiate=True)
    expected = models.expected()["lme4"]["tidy"]
    for ours, theirs in (
        ("estimate", "estimate"), ("std_error", "se"), ("conf_low", "low"), ("conf_high", "high")
    ):  # fmt: skip
        # lme4's Hessian is of differences of its criterion, with three digits.
        rtol = GLMM_AGAINST_LME4 if ours == "estimate" else 2e-3
        np.testing.assert_allclose(found[ours], expected[theirs], rtol=rtol)
    plain = mx.tidy(models.cbpp(), "fixed", ci="wald")
    np.testing.assert_allclose(found["conf_high"], np.exp(plain["conf_high"]))
    np.testing.assert_array_equal(found["p_value"], plain["p_value"])


@pytest.mark.parametrize("scales", ["sdcor", "vcov"])
def test_profile_intervals_are_confints(scales):
    m = models.generated("spread", "(1 + x | g)")
    found = mx.tidy(m, ci="profile", scales=scales)
    expected = m.profile(scale="sdcor" if scales == "sdcor" else "varcov").confint()
    order = [*expected.index[-4:], *expected.index[:-4]]
    np.testing.assert_allclose(found["conf_low"], expected.loc[order, "conf_low"], rtol=1e-5)
    assert found["term"].iloc[-1] == "dispersion"
    assert found["estimate"].iloc[-1] == pytest.approx(m.dispersion)


def test_bootstrap_intervals_and_modes():
    m = models.cbpp()
    found = mx.tidy(m, ci="bootstrap", n_sims=30, rng=1)
    assert found["conf_low"].notna().all()
    modes = mx.tidy(m, "ran_vals")
    np.testing.assert_allclose(modes["estimate"], m.ranef()["herd"].iloc[:, 0])


def test_what_is_refused():
    with pytest.raises(UnsupportedModelError, match="ddf='asymptotic'"):
        mx.tidy(models.cbpp(), ddf="satterthwaite")
    with pytest.raises(InvalidArgumentError, match="exponentiate=True"):
        mx.tidy(models.cbpp("binomial(probit)"), exponentiate=True)
    with pytest.raises(InvalidArgumentError, match="exponentiate=True"):
        mx.tidy(mx.lmer("number ~ x + (1 | g)", models.rows()), exponentiate=True)
