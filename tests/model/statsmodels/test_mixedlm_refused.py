"""What is not a fit that can be read, and what the message says."""

from __future__ import annotations

import copy
import warnings

import numpy as np
import pytest
import statsmodels.formula.api as smf
from lme4_fits import (
    array_fit,
    same_fit,
    statsmodels_fit,
)
from statsmodels.regression.mixed_linear_model import MixedLM

from merextras.exceptions import (
    UnsupportedModelError,
)
from merextras.mermod import MerMod
from merextras.model.statsmodels.mixedlm import as_fitted

DAYS = {"groups": "Subject", "re_formula": "~Days"}


# --- What is refused -----------------------------------------------------------------------------


def _penalised(sleep):
    x = np.column_stack([np.ones(180), sleep["Days"]])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = MixedLM(sleep["Reaction"].to_numpy(), x, sleep["Subject"].to_numpy())
        return model.fit_regularized(method="l1", alpha=1.0)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda d: smf.ols("Reaction ~ Days", d).fit(), r"got RegressionResultsWrapper \(of OLS\)"),
        (lambda d: smf.glm("Reaction ~ Days", d).fit(), r"got GLMResultsWrapper \(of GLM\)"),
        (lambda d: smf.mixedlm("Reaction ~ Days", d, groups="Subject"), "has not been fitted"),
        (lambda _: "Reaction ~ Days", "expected the fit of a statsmodels MixedLM, got str;"),
        (lambda _: None, "got NoneType;"),
        (lambda _: MixedLM, "got type;"),
        (lambda d: d, "got DataFrame;"),
        (_penalised, r"a penalised fit \(fit_regularized\)"),
    ],
)
def test_what_is_not_a_fit(sleep, make, message):
    with pytest.raises(UnsupportedModelError, match=message):
        MerMod(make(sleep))
    with pytest.raises(UnsupportedModelError, match=message):
        as_fitted(make(sleep))


def test_a_penalty_on_the_covariance(sleep):
    results = copy.copy(statsmodels_fit("Reaction ~ Days", sleep, **DAYS)._results)
    results.cov_pen = object()
    with pytest.raises(UnsupportedModelError, match="fe_pen or cov_pen"):
        MerMod(results)


def test_an_estimate_that_is_no_covariance(sleep):
    """use_sqrt=False searches without bounds, and stops at negative variances."""
    x = np.column_stack([np.ones(180), sleep["Days"]])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = MixedLM(
            sleep["Reaction"].to_numpy(), x, sleep["Subject"].to_numpy(), x, use_sqrt=False
        )
        results = copy.copy(model.fit(method="lbfgs")._results)
    # Whether it does here depends on the last digits of the machine's arithmetic.
    results.cov_re = np.diag([4.0, -1.0])
    with pytest.raises(UnsupportedModelError, match=r"a variance is negative.*use_sqrt=True"):
        MerMod(results)


def test_use_sqrt_false_at_a_good_estimate(sleep, intercepts):
    x = np.column_stack([np.ones(180), sleep["Days"]])
    m = array_fit(sleep["Reaction"].to_numpy(), x, sleep["Subject"].to_numpy(), use_sqrt=False)
    same_fit(m, intercepts)


def test_a_fit_that_failed(sleep):
    results = copy.copy(statsmodels_fit("Reaction ~ Days", sleep, **DAYS)._results)
    results.cov_re = results.cov_re * np.nan
    with pytest.raises(UnsupportedModelError, match="its covariance estimates are not finite"):
        MerMod(results)


def test_a_likelihood_that_is_not_statsmodels(sleep):
    results = copy.copy(statsmodels_fit("Reaction ~ Days", sleep, **DAYS)._results)
    results._cache = {}
    results.cov_re = results.cov_re * 2
    with pytest.raises(UnsupportedModelError, match="the model was not understood: log-likelihoo"):
        MerMod(results)
