"""Families: derivatives against differences, densities against scipy's."""

from __future__ import annotations

import numpy as np
import pytest
from glmm_tables import FAMILIES, RECIPROCAL
from scipy import special, stats
from tolerances import FAMILY_DERIVATIVE, ROUNDING_OF_SUMS

from merextras.engine.generalised.families import binomial, counts, dispersed
from merextras.engine.generalised.families.family import Repeated

N = 60


def _family(name, seed=1):
    rng = np.random.default_rng(seed)
    family = FAMILIES[name](rng, N)
    eta = family.guess() + 0.3 * rng.normal(size=N)
    return family, np.abs(eta) + 0.1 if name in RECIPROCAL else eta


def _slope(function, at, step):
    near = function(at + step) - function(at - step)
    far = function(at + 2.0 * step) - function(at - 2.0 * step)
    return (8.0 * near - far) / (12.0 * step)


def _close(found, expected):
    np.testing.assert_allclose(found, expected, rtol=FAMILY_DERIVATIVE, atol=FAMILY_DERIVATIVE)


@pytest.mark.parametrize("dispersion", [0.3, 6.0])
@pytest.mark.parametrize("name", FAMILIES)
def test_derivatives_in_the_linear_predictor(name, dispersion):
    family, eta = _family(name)
    phi = np.full(family.n_phi, dispersion)
    step = 1e-4 * np.maximum(np.abs(eta), 0.1)
    g, w = family.first(eta, phi)
    scale = np.maximum(np.abs(g).max(), 1.0)
    _close(g / scale, _slope(lambda at: family.log_density(at, phi), eta, step) / scale)
    _close(w / scale, -_slope(lambda at: family.first(at, phi)[0], eta, step) / scale)
    slope = family.weight_slope(eta, phi)
    _close(slope / scale, _slope(lambda at: family.first(at, phi)[1], eta, step) / scale)
    _close(family.mean_slope(eta), _slope(family.mean, eta, step))


@pytest.mark.parametrize("dispersion", [-1.0, 0.3, 3.9, 4.0, 9.0])
@pytest.mark.parametrize("name", [n for n in FAMILIES if _family(n)[0].n_phi])
def test_derivatives_in_the_dispersion(name, dispersion):
    family, eta = _family(name)
    phi = np.array([dispersion])
    by = family.by_dispersion(eta, phi)
    scale = max(1.0, float(np.exp(dispersion)))
    for found, function in (
        (by.log_density, lambda at: family.log_density(eta, at)),
        (by.first, lambda at: family.first(eta, at)[0]),
        (family.first_by_dispersion(eta, phi), lambda at: family.first(eta, at)[0]),
        (by.weight, lambda at: family.first(eta, at)[1]),
    ):
        _close(found / scale, _slope(function, phi, 1e-3) / scale)


@pytest.mark.parametrize("size", [0.05, 3.0, 49.9, 50.1, 1e4, 1e9])
def test_negative_binomial_of_any_size(size):
    y, mu = np.array([0.0, 1.0, 2.0, 17.0, 300.0]), np.array([0.3, 2.0, 1.0, 20.0, 250.0])
    found = counts.NegativeBinomial(y, size).log_density(np.log(mu), np.empty(0))
    if size < 1e6:  # scipy's own loses its digits with a large size
        expected = stats.nbinom.logpmf(y, size, size / (size + mu))
    else:
        expected = stats.poisson.logpmf(y, mu)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_densities_are_scipys():
    rng = np.random.default_rng(2)
    eta, phi, k = np.linspace(-2.0, 2.0, N), np.array([0.7]), np.exp(0.7)
    trials = rng.integers(1, 9, N).astype(float)
    y = np.floor(rng.random(N) * (trials + 1.0))
    count, positive, mu = rng.poisson(3.0, N).astype(float), rng.gamma(2.0, 1.0, N), np.exp(eta)
    pairs = [
        (binomial.Logit(y, trials), stats.binom.logpmf(y, trials, special.expit(eta))),
        (binomial.Probit(y, trials), stats.binom.logpmf(y, trials, stats.norm.cdf(eta))),
        (binomial.Cloglog(y, trials), stats.binom.logpmf(y, trials, -np.expm1(-mu))),
        (counts.Poisson(count), stats.poisson.logpmf(count, mu)),
        (counts.NegativeBinomial(count), stats.nbinom.logpmf(count, k, k / (k + mu))),
        (dispersed.GammaLog(positive), stats.gamma.logpdf(positive, k, scale=mu / k)),
        (dispersed.InverseGaussianLog(positive), stats.invgauss.logpdf(positive, mu / k, scale=k)),
        (dispersed.NormalLog(positive), stats.norm.logpdf(positive, mu, np.exp(-0.35))),
    ]
    for family, expected in pairs:
        found = family.log_density(eta, phi[: family.n_phi])
        np.testing.assert_allclose(found, expected, rtol=ROUNDING_OF_SUMS, atol=ROUNDING_OF_SUMS)


@pytest.mark.parametrize("name", FAMILIES)
def test_expectations_of_the_derivatives(name):
    # E g = 0 and Var g = E w at the truth, over responses drawn from scipy's distributions.
    family, eta = _family(name, seed=4)
    phi, rng = np.full(family.n_phi, 1.0), np.random.default_rng(5)
    mu, draws = family.mean(eta), 20_000
    variance = family.variance(eta, phi)
    if name in {"logit", "probit", "cloglog"}:
        y = rng.binomial(family.trials.astype(int), mu, (draws, N)).astype(float)
        made = type(family)(y, family.trials)
    elif name.startswith("negative"):
        size = family.size(phi)
        y = rng.negative_binomial(size, size / (size + mu), (draws, N)).astype(float)
        made = counts.NegativeBinomial(y, size)
    elif name == "poisson":
        y = rng.poisson(mu, (draws, N)).astype(float)
        made = counts.Poisson(y)
    else:
        k = np.exp(1.0)
        if name.startswith("gamma"):
            y = rng.gamma(k, mu / k, (draws, N))
        elif name.startswith("inverse"):
            y = rng.wald(mu, k, (draws, N))
        else:
            y = rng.normal(mu, np.exp(-0.5), (draws, N))
        made = type(family)(y)
    g, w = made.first(eta, phi[: made.n_phi])
    error = np.sqrt(np.var(g, axis=0) / draws)
    assert np.all(np.abs(np.mean(g, axis=0)) < 5.0 * error + 1e-12)
    information = np.broadcast_to(w, g.shape).mean(axis=0)
    np.testing.assert_allclose(np.var(g, axis=0), information, rtol=0.15)
    share = 1.0 if name not in {"logit", "probit", "cloglog"} else family.trials
    np.testing.assert_allclose(np.var(y, axis=0), variance, rtol=0.15)
    np.testing.assert_allclose(np.mean(y, axis=0), share * mu, rtol=0.1)
    np.testing.assert_allclose(family.expected(eta, phi), information, rtol=0.1)


@pytest.mark.parametrize("name", FAMILIES)
def test_expected_weights_are_squared_slopes_over_variances(name):
    family, eta = _family(name, seed=7)
    phi = np.full(family.n_phi, 0.7)
    trials = 1.0 if family.largest is None else family.largest
    right = (trials * family.mean_slope(eta)) ** 2 / family.variance(eta, phi)
    np.testing.assert_allclose(family.expected(eta, phi), right, rtol=1e-12)
    same = np.array_equal(family.expected(eta, phi), family.first(eta, phi)[1])
    assert same == family.canonical
    times = np.arange(1.0, 1.0 + len(eta))
    repeated = Repeated(family, times)
    np.testing.assert_array_equal(repeated.expected(eta, phi), times * family.expected(eta, phi))
    assert repeated.canonical == family.canonical


@pytest.mark.parametrize("eta", [-800.0, -40.0, 40.0, 800.0])
@pytest.mark.parametrize("link", [binomial.Logit, binomial.Probit, binomial.Cloglog])
def test_expected_weights_far_out_are_finite(link, eta):
    family = link(np.array([1.0, 0.0, 2.0]), np.array([1.0, 1.0, 3.0]))
    with np.errstate(over="ignore", under="ignore"):
        w = family.expected(np.full(3, eta), np.empty(0))
    assert np.all(w >= 0.0)
    assert np.all(np.isfinite(w))


@pytest.mark.parametrize("eta", [-800.0, -40.0, -3.92, -3.91, 5.0, 6.6, 6.7, 40.0, 800.0])
@pytest.mark.parametrize("link", [binomial.Logit, binomial.Probit, binomial.Cloglog])
def test_links_far_out_are_finite_or_rejected(link, eta):
    family = link(np.array([1.0, 0.0, 2.0]), np.array([1.0, 1.0, 3.0]))
    at, none = np.full(3, eta), np.empty(0)
    with np.errstate(over="ignore", under="ignore"):
        density = family.log_density(at, none)
        g, w = family.first(at, none)
    assert not np.isnan(density).any()
    assert np.all(density <= 1e-12)
    assert not np.isnan(g).any()
    assert np.all(w >= 0.0)
    assert g[0] >= 0.0
    assert g[1] <= 0.0


@pytest.mark.parametrize("name", FAMILIES)
def test_saturated_is_the_highest(name):
    family, eta = _family(name)
    phi = np.full(family.n_phi, 0.5)
    assert np.all(family.saturated(phi) >= family.log_density(eta, phi) - 1e-9)


@pytest.mark.parametrize("eta", [-11.0, -7.0, -4.5, -4.0, -3.8, -2.0, 1.0, 3.0])
def test_a_rare_success_of_cloglog_keeps_its_digits(eta):
    """Against the same formulas in extended precision, where ``E + a - 1`` cancels."""
    family = binomial.Cloglog(np.ones(1), np.ones(1))
    e = np.exp(np.longdouble(eta))
    a = e / np.expm1(e)
    t = e + a - 1.0
    (g,), (w,) = family.first(np.array([eta]), np.empty(0))
    (slope,) = family.weight_slope(np.array([eta]), np.empty(0))
    expected = np.array([a, a * t, a * (e - a * t - t * t)], dtype=float)
    np.testing.assert_allclose([g, w, slope], expected, rtol=1e-9)
