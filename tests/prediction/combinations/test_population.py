"""Means over the population against adaptive integration, closed forms and differences."""

from __future__ import annotations

import glmm_models as models
import numpy as np
import pandas as pd
import pytest
from scipy import integrate, stats
from tolerances import DELTA_METHOD, MONTE_CARLO, POPULATION_MEAN

import merextras as mx
from merextras.engine.generalised.criterion.marginal import linked, over_normal
from merextras.exceptions import InvalidArgumentError, UnsupportedModelError

LINKS = ["logit", "probit", "cloglog"]


@pytest.mark.parametrize("link", LINKS)
@pytest.mark.parametrize("s", [0.05, 0.4, 1.0, 3.0, 8.0])
def test_the_sum_is_the_integral(link, s):
    family = models.cbpp(f"binomial({link})").engine_family
    eta = np.array([-3.0, 0.2, 1.4])
    found = over_normal(family, link, eta, np.full(3, s**2))

    def integral(value, at):
        def inside(z):
            return float(value(np.array([at + s * z]), z)) * stats.norm.pdf(z)

        return integrate.quad(inside, -10.0, 10.0, epsabs=1e-13, epsrel=1e-12, limit=400)[0]

    for i, at in enumerate(eta):
        mean = integral(lambda eta, z: family.mean(eta)[0], at)
        slope = integral(lambda eta, z: family.mean_slope(eta)[0], at)
        bend = integral(lambda eta, z: family.mean_slope(eta)[0] * z, at) / (2.0 * s)
        assert found.mean[i] == pytest.approx(mean, abs=POPULATION_MEAN)
        assert found.by_eta[i] == pytest.approx(slope, abs=POPULATION_MEAN)
        assert found.by_variance[i] == pytest.approx(bend, abs=POPULATION_MEAN / s)


@pytest.mark.parametrize("link", LINKS)
def test_without_variance_it_is_the_inverse_link(link):
    family = models.cbpp(f"binomial({link})").engine_family
    eta = np.array([-2.0, 0.0, 1.5])
    found = over_normal(family, link, eta, np.zeros(3))
    np.testing.assert_allclose(found.mean, family.mean(eta), rtol=1e-14)
    np.testing.assert_allclose(linked(link, found.mean), eta, atol=1e-13)


def test_a_log_link_has_a_closed_form():
    m, data = models.generated("count"), models.rows()
    found = m.predict(re_form="population").to_numpy()
    z = np.column_stack([np.ones(len(data)), data["x"]])
    g, h = m.covariances
    s2 = np.einsum("na,ab,nb->n", z, g, z) + h[0, 0]
    median = m.predict(re_form="NA").to_numpy()
    np.testing.assert_allclose(found, median * np.exp(0.5 * s2), rtol=1e-12)


@pytest.mark.parametrize("response", ["yes", "count", "spread", "size", "time", "number"])
def test_standard_errors_are_those_of_differences(response):
    m, new = models.generated(response), models.rows().head(5)
    found = m.predict(new, re_form="population", se_fit=True)
    jacobian = models.differences(m, lambda at: at.predict(new, re_form="population"))
    variance = np.einsum("im,mn,in->i", jacobian, m.optimum.covariance(), jacobian)
    np.testing.assert_allclose(found["std_error"], np.sqrt(variance), rtol=DELTA_METHOD)


def test_it_is_the_mean_of_simulated_responses():
    m = models.generated("yes")
    sims = m.simulate(4000, rng=3).to_numpy()
    found = m.predict(re_form="population").to_numpy()
    error = (sims.mean(axis=1) - found) / np.sqrt(found * (1.0 - found) / 4000)
    assert np.max(np.abs(error)) < MONTE_CARLO
    median = m.predict(re_form="NA").to_numpy()
    assert np.max(np.abs(sims.mean(axis=1) - median) / np.sqrt(0.25 / 4000)) > MONTE_CARLO


def test_rows_need_no_groups_and_may_lack_values():
    m = models.generated("yes")
    new = pd.DataFrame({"x": [0.1, np.nan, 1.0], "c": ["a", "b", "c"]}, index=[5, 6, 7])
    found = m.predict(new, re_form="population", interval="confidence")
    assert list(found.index) == [5, 6, 7]
    assert found.iloc[1].isna().all()
    inside = found.dropna()
    assert (inside["lower"] < inside["fit"]).all()
    assert (inside["fit"] < inside["upper"]).all()
    assert inside["upper"].max() < 1.0


def test_it_has_the_offset():
    data = models.rows().assign(log_t=0.3)
    m = mx.glmer("count ~ x + offset(log_t) + (1 | g)", data, "poisson")
    one = m.predict(data.assign(log_t=0.0), re_form="population")
    two = m.predict(data.assign(log_t=np.log(2.0)), re_form="population")
    np.testing.assert_allclose(two, 2.0 * one, rtol=1e-12)


def test_what_has_no_such_mean():
    m = models.generated("size", "(1 | g)", "gamma(inverse)")
    with pytest.raises(UnsupportedModelError, match="does not exist; re_form='NA'"):
        m.predict(re_form="population")
    with pytest.raises(InvalidArgumentError, match="type='link' with re_form='population'"):
        models.cbpp().predict(type="link", re_form="population")
