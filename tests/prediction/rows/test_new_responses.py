"""Distributions of new responses of generalised models, and prediction intervals."""

from __future__ import annotations

import glmm_models as models
import numpy as np
import pytest
from scipy import stats
from tolerances import NEW_RESPONSES, POPULATION_MEAN

import merextras as mx
from merextras.exceptions import InvalidArgumentError
from merextras.model.generalised.responses.new_responses import NewResponses

WHOLE = {"yes", "count", "spread"}
RESPONSES = ["yes", "count", "spread", "size", "time", "number"]


def law_of(model, mu, trials=1.0):
    """Scipy's, written out again."""
    phi = model.dispersion
    return {
        "binomial": lambda: stats.binom(trials, mu),
        "poisson": lambda: stats.poisson(mu),
        "negative_binomial": lambda: stats.nbinom(phi, phi / (phi + mu)),
        "gamma": lambda: stats.gamma(1.0 / phi, scale=phi * mu),
        "inverse_gaussian": lambda: stats.invgauss(mu * phi, scale=1.0 / phi),
        "gaussian": lambda: stats.norm(mu, np.sqrt(phi)),
    }[model.choice.name]()


def _mass(law, y):
    return law.pmf(y)


def _density(law, y):
    return law.pdf(y)


def _below(law, y):
    return law.cdf(y)


def integrated(f, eta, s):
    """The mean of f over a normal predictor; of a power of its exponential most is far above."""
    low, high = eta - 9.0 * s, eta + (9.0 + 3.0 * s) * s
    # Twenty nodes in each of sixty panels.
    nodes, weights = np.polynomial.legendre.leggauss(20)
    edges = np.linspace(low, high, 61)
    half = 0.5 * (edges[1] - edges[0])
    e = (edges[:-1, None] + half * (nodes + 1.0)).reshape(-1)
    return np.tile(half * weights, 60) @ (f(e) * stats.norm(eta, s).pdf(e))


@pytest.mark.parametrize("response", RESPONSES)
@pytest.mark.parametrize("s", [0.05, 0.6, 2.0])
def test_against_integration(response, s):
    m = models.generated(response, "(1 | g)")
    eta = np.array([-0.5, 0.4, 1.2])
    trials = np.array([1.0, 6.0, 30.0]) if response == "yes" else None
    found = NewResponses(m, eta, np.full(3, s**2), trials)
    y = np.array([1.0, 2.0, 3.0]) if response in WHOLE else eta + 1.0
    logs, below = found.log_density(y), found.below(y)
    for i in range(3):
        own = 1.0 if trials is None else trials[i]

        def at(e, own=own):
            return law_of(m, m.engine_family.mean(e), own)

        value = y[i]
        density, cdf = (
            integrated(lambda e, f=f, at=at, y=value: f(at(e), y), eta[i], s)
            for f in (_mass if response in WHOLE else _density, _below)
        )
        assert np.exp(logs[i]) == pytest.approx(density, rel=NEW_RESPONSES, abs=1e-12)
        assert below[i] == pytest.approx(cdf, rel=NEW_RESPONSES)
        mean = integrated(lambda e: at(e).mean(), eta[i], s)
        assert found.mean[i] == pytest.approx(mean, rel=1e3 * POPULATION_MEAN)
        second = integrated(lambda e: at(e).var() + at(e).mean() ** 2, eta[i], s)
        assert found.variances[i] == pytest.approx(second - mean**2, rel=1e-6)


@pytest.mark.parametrize("response", RESPONSES)
def test_quantiles_are_the_least_with_the_probability(response):
    m = models.generated(response, "(1 | g)")
    eta = np.linspace(-2.0, 3.0, 9)
    trials = np.arange(1.0, 10.0) if response == "yes" else None
    law = NewResponses(m, eta, np.full(9, 0.5), trials)
    for p in (0.001, 0.05, 0.5, 0.9, 0.999):
        at = law.quantiles(p)
        if response in WHOLE:
            assert np.all(law.below(at) >= p)
            assert np.all(law.below(at - 1.0) < p)
            assert np.all(at == np.round(at))
        else:
            np.testing.assert_allclose(law.below(at), p, rtol=1e-9)


def test_a_normal_response_is_the_linear_models():
    data = models.rows()
    m = mx.glmer("number ~ x + c + (1 | g)", data, "gaussian")
    linear = mx.lmer("number ~ x + c + (1 | g)", data, reml=False)
    new = data.head(7)
    for options in ({}, {"re_form": "NA"}):
        found = m.predict(new, interval="prediction", **options)
        exact = linear.predict(new, interval="prediction", ddf="asymptotic", **options)
        np.testing.assert_allclose(found["fit"], exact["fit"], rtol=1e-6)
        # That of the fixed effects is from the information of all, there as if theta were known.
        np.testing.assert_allclose(found["lower"], exact["lower"], rtol=2e-3, atol=1e-3)
        np.testing.assert_allclose(found["upper"], exact["upper"], rtol=2e-3, atol=1e-3)


@pytest.mark.parametrize("response", ["count", "spread", "size"])
def test_prediction_intervals_are_what_simulation_finds(response):
    m = models.generated(response, "(1 + x | g)")
    new = models.rows().head(5)
    found = m.predict(new, interval="prediction", level=0.8)
    drawn = mx.predict_interval(m, new, level=0.8, n_sims=40_000, rng=1)
    spread = np.maximum(found["upper"] - found["lower"], 1.0)
    for end in ("lower", "upper"):
        assert np.all(np.abs(found[end] - drawn[end]) <= np.maximum(1.0, 0.05 * spread))
    confidence = m.predict(new, se_fit=True, level=0.8)
    np.testing.assert_array_equal(found[["fit", "std_error"]], confidence[["fit", "std_error"]])


def test_of_new_levels_and_of_the_population():
    m = models.generated("count", "(1 | g)")
    new = models.rows().head(4)
    left_out = m.predict(new, re_form="NA", interval="prediction")
    drawn = m.predict(new.assign(g=99), allow_new_levels="draw", interval="prediction")
    np.testing.assert_allclose(left_out[["lower", "upper"]], drawn[["lower", "upper"]])
    population = m.predict(new.drop(columns="g"), re_form="population", interval="prediction")
    np.testing.assert_allclose(left_out[["lower", "upper"]], population[["lower", "upper"]])
    means = m.predict(new, re_form="population", se_fit=True)
    np.testing.assert_array_equal(population[["fit", "std_error"]], means[["fit", "std_error"]])
    known = m.predict(new.assign(g=99), allow_new_levels=True, interval="prediction")
    assert ((known["upper"] - known["lower"]) < (drawn["upper"] - drawn["lower"])).all()


def test_proportions_of_the_rows_trials():
    m = models.cbpp()
    data = mx.load_dataset("cbpp")
    found = m.predict(data, interval="prediction")
    assert np.allclose(found["upper"] * data["size"], np.round(found["upper"] * data["size"]))
    own = m.predict(interval="prediction")
    np.testing.assert_array_equal(found, own)
    many = m.predict(data, interval="prediction", weights=1000)
    mean = m.predict(data, se_fit=True)
    # Of very many trials a proportion is its probability.
    np.testing.assert_allclose(many["lower"], mean["lower"], atol=0.03)
    observed = data["incidence"] / data["size"]
    inside = (found["lower"] <= observed) & (observed <= found["upper"])
    assert inside.mean() >= 0.95


def test_missing_values_stay_missing():
    m = models.generated("count", "(1 | g)")
    new = models.rows().head(3).assign(x=[0.1, np.nan, 0.2])
    found = m.predict(new, interval="prediction")
    assert found["lower"].isna().tolist() == [False, True, False]


def test_what_is_refused():
    m, new = models.cbpp(), mx.load_dataset("cbpp").head(2)
    with pytest.raises(InvalidArgumentError, match="type='response'"):
        m.predict(new, type="link", interval="prediction")
    with pytest.raises(InvalidArgumentError, match="interval='prediction'"):
        m.predict(new, weights=3)
    with pytest.raises(InvalidArgumentError, match="numbers of trials"):
        m.predict(new[["period", "herd"]], interval="prediction")
    with pytest.raises(InvalidArgumentError, match="interval"):
        m.predict(new, interval="other")
    with pytest.raises(InvalidArgumentError, match="type='link'"):
        m.predict(new, random_only=True)
    with pytest.raises(InvalidArgumentError, match="leave nothing"):
        m.predict(new, type="link", random_only=True, re_form="NA")


def test_the_random_part_alone():
    m = models.generated("count")
    new = models.rows().head(6)
    part = m.predict(new, type="link", random_only=True, se_fit=True)
    whole = m.predict(new, type="link")
    fixed = m.predict(new, type="link", re_form="NA")
    np.testing.assert_allclose(part["fit"], whole - fixed, atol=1e-12)
    one = m.predict(new, type="link", random_only=True, re_form="~ (1 | h)")
    modes = m.ranef()["h"]["Intercept"]
    np.testing.assert_allclose(one, modes.loc[new["h"]])
