"""What `glmer` refuses, and what it says of a fit."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import statsmodels.api as sm
from glmer_trials import CBPP

import merextras as mx
from merextras.exceptions import (
    ConvergenceWarning,
    InvalidArgumentError,
    RankDeficientWarning,
    SingularFitWarning,
    UnsupportedModelError,
)

# --- What is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("formula", "arguments", "message"),
    [
        (CBPP, {"family": "quasibinomial"}, "no likelihood.*negative_binomial"),
        (CBPP, {"family": "binomal"}, "binomal.*binomial"),
        (CBPP, {"family": "binomial(cauchit)"}, "cauchit.*'logit', 'probit', 'cloglog'"),
        (CBPP, {"family": "poisson(sqrt)"}, "sqrt.*'log'"),
        (CBPP, {"family": 3}, "a name such as"),
        (CBPP, {"family": "bino mial("}, "a name such as"),
        (CBPP, {"family": "poisson"}, "successes and failures.*binomial"),
        (CBPP, {"weights": "size"}, "has the trials in it"),
        (CBPP, {"dispersion": 2.0}, "only the size of family='negative_binomial'"),
        (CBPP, {"reml": True}, "no restricted likelihood"),
        (CBPP, {"n_agq": 0}, "no likelihood; n_agq=1"),
        (CBPP + " + (1 | period)", {"n_agq": 7}, "one grouping factor.*herd and period"),
        ("incidence ~ 1 + (size * period | herd)", {"family": "poisson", "n_agq": 3}, "up to 3"),
        (CBPP, {"n_agq": 1.5}, "whole number"),
        (CBPP, {"control": {}}, "expected an LmerControl"),
        ("cbind(incidence, size, herd) ~ 1 + (1 | herd)", {}, "successes and failures"),
        ("cbind(incidence - 5, size) ~ 1 + (1 | herd)", {}, "can't be negative"),
        ("cbind(incidence + 0.5, size) ~ 1 + (1 | herd)", {}, "whole numbers"),
        ("cbind(incidence * 0, size * 0) ~ 1 + (1 | herd)", {}, "no trials"),
        ("cbind(incidence * 0, size) ~ 1 + (1 | herd)", {}, "no successes at all.*infinite"),
        ("cbind(size, incidence * 0) ~ 1 + (1 | herd)", {}, "no failures at all"),
        ("incidence ~ 1 + (1 | herd)", {}, "takes 0 and 1.*weights=.*cbind"),
        ("period ~ 1 + (1 | herd)", {"weights": "size"}, "a proportion, between 0 and 1"),
        ("I(0.123 + 0 * size) ~ 1 + (1 | herd)", {"weights": "size"}, "not a whole number"),
        ("I(0.5 + 0 * size) ~ 1 + (1 | herd)", {"weights": "half"}, "whole numbers"),
        ("I(incidence / size) ~ 1 + (1 | herd)", {"weights": "none"}, "positive"),
        ("three ~ 1 + (1 | herd)", {}, "two levels, got 3"),
        ("three ~ 1 + (1 | herd)", {"family": "poisson"}, "must be numeric"),
        (
            "I(incidence - 1) ~ 1 + (1 | herd)",
            {"family": "poisson"},
            "counts, whole numbers from 0",
        ),
        ("I(incidence / 3) ~ 1 + (1 | herd)", {"family": "poisson"}, "counts, whole numbers"),
        ("I(0 * incidence) ~ 1 + (1 | herd)", {"family": "poisson"}, "all counts are zero"),
        ("incidence ~ 1 + (1 | herd)", {"family": "gamma"}, "positive numbers"),
        ("I(1 + 0 * size) ~ 1 + (1 | herd)", {"family": "gamma"}, "no variation"),
        ("I(-size) ~ 1 + (1 | herd)", {"family": "gaussian(log)"}, "the mean is positive"),
        ("incidence ~ 1 + (1 | herd)", {"family": "poisson", "weights": "size"}, "not defined"),
        ("incidence ~ 1 + (1 | herd)", {"family": "nb", "dispersion": -1.0}, "positive number"),
        ("incidence ~ 1 + (1 | herd)", {"family": "nb", "dispersion": True}, "positive number"),
        ("incidence ~ 1 + (1 | one)", {"family": "poisson"}, "one level"),
        ("incidence ~ 1 + (1 | nowhere)", {"family": "poisson"}, "nowhere"),
        ("incidence ~ 1 + (1 | row)", {"family": "gamma"}, "positive numbers"),
        ("size ~ 1 + (1 | row)", {"family": "gamma"}, r"\(1 \| row\) has an effect for each row"),
        ("incidence ~ 1 + (1 | row)", {"family": "nb"}, "tells the two apart"),
        ("I(exp(0.1 * size)) ~ size + (1 | herd)", {"family": "gamma"}, "explains it exactly"),
        ("I(exp(0.1 * size)) ~ size + (1 | herd)", {"family": "gaussian(log)"}, "explains it exa"),
        ("incidence ~ 1 + (1 | herd)", {"family": "poisson", "n_agq": 301}, "at most 300 nodes"),
        ("I(1 * (incidence > 0)) ~ 1 + (1 | row)", {}, "each row of one trial"),
        ("incidence ~ period", {"family": "poisson"}, "no random-effects term"),
    ],
)
def test_refused(cbpp, formula, arguments, message):
    data = cbpp.assign(
        three=np.resize(["a", "b", "c"], 56), half=0.5, none=0.0, one="a", row=np.arange(56)
    )
    error = (InvalidArgumentError, UnsupportedModelError)
    with pytest.raises(error, match=message):
        mx.glmer(formula, data, **{"family": "binomial", **arguments})


@pytest.mark.parametrize("new", [np.zeros(3), np.full(400, 0.5), np.full(400, 2), np.zeros(400)])
def test_responses_that_do_not_refit(crossed, new):
    with pytest.raises(InvalidArgumentError, match="y"):
        crossed.refit(new)


# --- What is said ---------------------------------------------------------------------------------


def test_separation_is_named(trials):
    data = trials.assign(u=(trials["x"] > 1.0).astype(float))
    data.loc[data["u"] == 1.0, "y"] = 1
    with pytest.warns(ConvergenceWarning, match=r"separated by \['u'\].*no meaning"):
        mx.glmer("y ~ u + (1 | g)", data)


def test_a_cell_of_zero_counts_is_named(trials):
    rng = np.random.default_rng(0)
    data = trials.assign(y=rng.poisson(2.0, 400), k=np.where(trials["h"] == 2, "none", "some"))
    data.loc[data["k"] == "none", "y"] = 0
    with (
        pytest.warns(ConvergenceWarning, match="separated by"),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore", SingularFitWarning)
        mx.glmer("y ~ k + (1 | g)", data, "poisson")


def test_a_size_that_goes_to_infinity_is_poisson(trials):
    rng = np.random.default_rng(1)
    data = trials.assign(y=rng.binomial(10, 0.4, 400))
    with (
        pytest.warns(ConvergenceWarning, match="size .* goes to infinity.*family='poisson'"),
        pytest.warns(SingularFitWarning),
    ):
        m = mx.glmer("y ~ x + (1 | g)", data, "negative_binomial")
    with pytest.warns(SingularFitWarning):
        poisson = mx.glmer("y ~ x + (1 | g)", data, "poisson")
    assert m.dispersion == np.inf
    np.testing.assert_allclose(m.log_lik(), poisson.log_lik(), rtol=1e-6)
    np.testing.assert_allclose(m.vcov(), poisson.vcov(), rtol=1e-5)


def test_a_singular_fit_is_said_and_is_the_glm(trials):
    rng = np.random.default_rng(1)
    data = trials.assign(y=rng.binomial(1, 0.4, 400))
    with pytest.warns(SingularFitWarning, match="singular fit"):
        m = mx.glmer("y ~ x + (1 | g)", data)
    assert m.is_singular()
    assert m.theta[0] == 0.0
    glm = sm.GLM(data["y"], sm.add_constant(data["x"]), sm.families.Binomial()).fit(tol=1e-14)
    np.testing.assert_allclose(m.log_lik(), glm.llf, rtol=1e-12)
    np.testing.assert_allclose(m.fixef(), glm.params, atol=1e-7)
    np.testing.assert_allclose(m.vcov(), glm.cov_params(), rtol=1e-6)


def test_dependent_columns_are_dropped(trials):
    data = trials.assign(x2=2.0 * trials["x"])
    with pytest.warns(RankDeficientWarning, match="x2"):
        m = mx.glmer("y ~ x + x2 + (1 | g)", data)
    assert np.isnan(m.fixef(add_dropped=True)["x2"])
