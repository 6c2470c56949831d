"""Quantile residuals, overdispersion and zero inflation of generalised models."""

from __future__ import annotations

from dataclasses import replace

import glmm_models as models
import numpy as np
import pytest
from scipy import stats

import merextras as mx
from merextras.exceptions import InvalidArgumentError
from merextras.model.generalised.responses.probabilities import distribution, places_given


@pytest.mark.parametrize("response", ["yes", "count", "spread", "size", "time", "number"])
def test_the_distributions_are_the_families(response):
    m = models.generated(response)
    law = distribution(m, m.eta)
    y = m.response.y
    log = law.logpdf(y) if response in {"size", "time", "number"} else law.logpmf(y)
    np.testing.assert_allclose(log, m.engine_family.log_density(m.eta, m.phi), rtol=1e-8, atol=1e-9)


@pytest.mark.filterwarnings("ignore::merextras.exceptions.SingularFitWarning")
@pytest.mark.parametrize("response", ["count", "spread", "size", "time", "number"])
def test_quantile_residuals_of_the_truth_are_normal(response):
    m = models.generated(response)
    y = m.simulate(1, use_u=True, rng=4)["sim_1"].to_numpy()
    again = m.refit(y)
    # At the linear predictors that the response was drawn from, with the dispersion it had.
    values = []
    for seed in range(20):
        generator = np.random.default_rng(seed)
        drawn = m.simulate(1, use_u=True, rng=seed)["sim_1"].to_numpy(dtype=float)
        response = m.response.again(drawn, m.design.index, m.choice)
        moved = m._like(replace(m._fit, response=response))
        values.append(places_given(moved, m.eta).residuals(generator))
    assert stats.kstest(np.concatenate(values), "norm").pvalue > 1e-3
    found = again.residuals("quantile", rng=1)
    assert np.isfinite(found).all()
    np.testing.assert_array_equal(found, again.residuals("quantile", rng=1))


def test_tails_have_their_digits():
    m = models.generated("size", "(1 | g)")
    eta = m.eta.copy()
    eta[0] -= 12.0
    found = places_given(m, eta).residuals(np.random.default_rng(1))
    assert found[0] > 9.0


def test_overdispersion_is_found_where_it_is():
    data = models.rows()
    poisson = mx.glmer("spread ~ x + c + (1 | g)", data, "poisson")
    found = mx.check_overdispersion(poisson, n_sims=60, rng=1)
    assert found.ratio > 1.3
    assert found.p_value == pytest.approx(1.0 / 61.0)
    assert "negative_binomial" in repr(found)
    right = mx.check_overdispersion(models.generated("count"), n_sims=60, rng=1)
    assert right.p_value > 0.02
    pearson = (poisson.residuals("pearson") ** 2).sum()
    assert found.observed == pytest.approx(pearson)
    assert found.to_frame().shape == (1, 7)


def test_zero_inflation_is_found_where_it_is():
    data, rng = models.rows(), np.random.default_rng(2)
    some = data["count"] * (rng.random(len(data)) > 0.3)
    m = mx.glmer("some ~ x + c + (1 | g)", data.assign(some=some), "poisson")
    found = mx.check_zero_inflation(m, n_sims=200, rng=1)
    assert found.observed == np.sum(some == 0)
    assert found.p_value < 0.05
    right = mx.check_zero_inflation(models.generated("count"), n_sims=200, rng=1)
    assert right.p_value > 0.05


def test_what_is_refused():
    with pytest.raises(InvalidArgumentError, match="single trials"):
        mx.check_overdispersion(models.generated("yes"))
    with pytest.raises(InvalidArgumentError, match="counts and proportions"):
        mx.check_zero_inflation(models.generated("size"))
    with pytest.raises(InvalidArgumentError, match="expected a model of glmer"):
        mx.check_overdispersion(mx.lmer("number ~ x + (1 | g)", models.rows()))
