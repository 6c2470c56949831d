"""Fits of statsmodels with slopes on large numbers, where statsmodels itself runs away."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from properties.compare import close
from tolerances import SHIFTED_CRITERION, SHIFTED_ESTIMATES

import merextras as mx
from merextras.exceptions import ApproximationWarning, ConvergenceWarning, UnsupportedModelError


def incomes(seed, mean, sd):
    """A slope on numbers of this size; z is the same covariate around zero."""
    rng = np.random.default_rng(seed)
    g, z = np.repeat(np.arange(30), 12), rng.normal(size=360)
    y = 1.0 + 0.5 * z + rng.normal(size=30)[g] + 0.6 * rng.normal(size=30)[g] * z
    y += rng.normal(size=360)
    return pd.DataFrame({"y": y, "x": mean + sd * z, "z": z, "g": g})


def statsmodels_fit(data):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return smf.mixedlm("y ~ x", data, groups="g", re_formula="~x").fit()


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("mean", "sd"), [(2e6, 5e5), (2e6, 1e6), (3e5, 1e5), (2e6, 100.0)])
def test_the_optimum_is_found(seed, mean, sd):
    data = incomes(seed, mean, sd)
    fit = statsmodels_fit(data)
    with pytest.warns(ConvergenceWarning, match="statsmodels stopped short of the optimum"):
        m = mx.MerMod(fit)
    best = mx.lmer("y ~ z + (z | g)", data)
    # |X'X| has the unit of x.
    close(m.reml_crit(), best.reml_crit() + 2.0 * np.log(sd), SHIFTED_CRITERION)
    close(m.fixef()["x"] * sd, best.fixef()["z"], SHIFTED_ESTIMATES)
    close(m.sigma(), best.sigma(), SHIFTED_ESTIMATES)
    close(m.fitted().to_numpy(), best.fitted().to_numpy(), SHIFTED_ESTIMATES)


def test_statsmodels_own_estimate_is_kept_with_a_word():
    fit = statsmodels_fit(incomes(1, 2e6, 5e5))
    with pytest.warns(ApproximationWarning, match=r"random effects 1\..e\+06 times .* about 0\.2"):
        m = mx.MerMod(fit, polish=False)
    # By exact rational arithmetic at statsmodels' estimate.
    assert abs(-0.5 * m.reml_crit() - -992.2057612274522) < 0.2


def test_an_estimate_without_a_likelihood():
    fit = statsmodels_fit(incomes(1, 2e6, 5e5))
    results = fit._results
    results.cov_re = results.cov_re * 1e12
    with pytest.raises(UnsupportedModelError, match="polish=False: .* leave out polish=False"):
        mx.MerMod(fit, polish=False)
