"""arm's deviance information criterion."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.formula.api as smf
from arm_models import CASES, MODELS, data_of, model, raw_fit
from tolerances import ARM_DEVIANCE

from merextras import MerMod
from merextras.exceptions import UnsupportedModelError
from merextras.inference.arm.dic import deviance_and_dic, extract_dic


@pytest.mark.parametrize(("name", "how"), CASES)
def test_as_arm(name, how):
    want = MODELS[name][how]
    have = extract_dic(model(name, how))
    assert isinstance(have, float)
    np.testing.assert_allclose(have, want["dic"], rtol=ARM_DEVIANCE)
    deviance, dic = deviance_and_dic(model(name, how))
    assert dic == have
    np.testing.assert_allclose(deviance, want["deviance_ml"], rtol=ARM_DEVIANCE)
    np.testing.assert_allclose(dic - deviance, want["p_d"], atol=ARM_DEVIANCE * deviance, rtol=0)


@pytest.mark.parametrize("name", list(MODELS))
def test_raw_fit(name):
    np.testing.assert_allclose(
        extract_dic(raw_fit(name)), MODELS[name]["REML"]["dic"], rtol=ARM_DEVIANCE
    )


def test_is_the_deviance_of_an_ml_fit():
    m = model("sleepstudy", "ML")
    np.testing.assert_allclose(extract_dic(m), m.deviance(), rtol=1e-15)


def test_does_not_change_the_model():
    m = model("students")
    before = m.log_lik()
    extract_dic(m)
    assert m.is_reml()
    assert m.log_lik() == before


def test_own_estimate_is_kept():
    """Dhat is of the fit as it is, statsmodels' own estimate included."""
    m = MerMod(raw_fit("students"), polish=False)
    deviance, dic = deviance_and_dic(m)
    np.testing.assert_allclose(dic, 2 * deviance + 2 * m.log_lik(), rtol=1e-15)
    np.testing.assert_allclose(deviance, MODELS["students"]["REML"]["deviance_ml"], rtol=1e-10)


def test_other_fits_are_refused():
    with pytest.raises(UnsupportedModelError, match="OLS"):
        extract_dic(smf.ols("extro ~ open", data_of("students")).fit())
