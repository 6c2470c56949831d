"""Likelihood, criteria and counts against lme4's."""

from __future__ import annotations

import numpy as np
import pytest
from properties.compare import close
from tolerances import ADAPTER_CRITERION, LME4_DEFAULT_FIT, LME4_FIXED_THETA

from merextras.exceptions import InvalidArgumentError


def test_criteria(case):
    m, lme4 = case
    close(m.log_lik(), lme4["log_lik"], ADAPTER_CRITERION)
    close(m.deviance(), lme4["criterion"], ADAPTER_CRITERION)
    close(m.reml_crit(), lme4["criterion"], ADAPTER_CRITERION)
    close(m.aic(), lme4["aic"], ADAPTER_CRITERION)
    close(m.bic(), lme4["bic"], ADAPTER_CRITERION)
    assert m.df_residual() == lme4["df_residual"]
    assert m.is_reml() is lme4["REML"]
    assert m.is_singular() is lme4["is_singular"]


def test_as_function(case):
    m, lme4 = case
    criterion = m.as_function()
    for point in lme4["devfun"]:
        close(criterion(point["theta"]), point["value"], LME4_FIXED_THETA)


def test_both_criteria_at_one_theta(accessors):
    m, lme4 = accessors
    close(m.log_lik(reml=True), lme4["log_lik_reml"], ADAPTER_CRITERION)
    close(m.log_lik(reml=False), lme4["log_lik_ml_at_reml"], 1e-9)
    close(m.deviance(reml=False), lme4["deviance_ml_at_reml"], 1e-9)
    close(m.reml_crit(), lme4["REMLcrit"], ADAPTER_CRITERION)
    for point in lme4["devfun"]:
        close(m.refit_ml().as_function()(point["theta"]), point["ml"], LME4_FIXED_THETA)


def test_extract_aic(accessors):
    m, lme4 = accessors
    npar, aic = m.extract_aic()
    assert npar == lme4["extractAIC"][0]
    close(aic, lme4["extractAIC"][1], LME4_DEFAULT_FIT)
    assert m.refit_ml().extract_aic() == (npar, pytest.approx(aic, rel=1e-12))


def test_the_criterion_is_least_at_the_estimate(slopes):
    criterion = slopes.as_function()
    at = criterion(slopes.theta)
    assert at == pytest.approx(slopes.reml_crit(), rel=1e-13)
    for step in np.eye(3) * 1e-2:
        assert criterion(slopes.theta + step) > at
        assert criterion(slopes.theta - step) > at


@pytest.mark.parametrize("theta", [[1.0, 2.0], [1.0, np.nan, 0.0], 1.0])
def test_a_theta_of_another_length(slopes, theta):
    with pytest.raises(InvalidArgumentError, match=r"expected 3 finite number\(s\)"):
        slopes.as_function()(theta)


def test_scalars_are_python_floats(slopes):
    values = (slopes.log_lik(), slopes.deviance(), slopes.aic(), slopes.bic(), slopes.sigma())
    assert {type(value) for value in values} == {float}
