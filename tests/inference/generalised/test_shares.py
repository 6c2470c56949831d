"""R squared, ICC and median odds ratios of generalised models."""

from __future__ import annotations

import warnings

import glmm_models as models
import numpy as np
import pytest
from glmer_pieces import EXPECTED, districts
from scipy import special
from tolerances import GLMM_AGAINST_LME4, MONTE_CARLO

import merextras as mx
from merextras.exceptions import InvalidArgumentError, MerextrasWarning, UnsupportedModelError


def test_a_binomial_models_are_those_of_performance():
    m, expected = models.cbpp(), models.expected()["lme4"]["cbpp"]
    r2, icc = mx.r2(m), mx.icc(m)
    found = [r2.marginal, r2.conditional, icc.adjusted, icc.unadjusted]
    names = ("marginal", "conditional", "icc", "icc_unadjusted")
    np.testing.assert_allclose(found, [expected[n] for n in names], rtol=GLMM_AGAINST_LME4)
    assert "latent variable of a logit link" in repr(r2)


@pytest.mark.parametrize("response", ["count", "spread", "size", "time", "number"])
def test_others_by_the_formula(response):
    m, data = models.generated(response), models.rows()
    eta = m.predict(re_form="NA", type="link")
    z = np.column_stack([np.ones(len(data)), data["x"]])
    g, h = m.covariances
    own = np.einsum("na,ab,nb->n", z, g, z)
    mean = m.predict(re_form="population").mean()
    phi = m.dispersion
    distribution = {
        "count": lambda: np.log1p(1.0 / mean),
        "spread": lambda: np.log1p(1.0 / mean + 1.0 / phi),
        "size": lambda: special.polygamma(1, 1.0 / phi),
        "time": lambda: np.log1p(phi * mean),
        "number": lambda: phi,
    }[response]()
    fixed, random = np.var(eta, ddof=1), np.mean(own) + h[0, 0]
    total = fixed + random + distribution
    assert mx.r2(m).marginal == pytest.approx(fixed / total, rel=1e-9)
    assert mx.r2(m).conditional == pytest.approx((fixed + random) / total, rel=1e-9)
    icc = mx.icc(m)
    assert icc.adjusted == pytest.approx(random / (random + distribution), rel=1e-9)
    assert icc.by_factor["unadjusted"].sum() == pytest.approx(icc.unadjusted, rel=1e-9)
    assert mx.r2(m).distribution


def test_what_is_refused():
    with pytest.raises(UnsupportedModelError, match="ci='bootstrap'"):
        mx.icc(models.cbpp(), ci="exact")
    with pytest.raises(InvalidArgumentError, match="ci="):
        mx.r2(models.cbpp(), ci="exact")
    with pytest.raises(UnsupportedModelError, match="inverse"):
        mx.r2(models.generated("size", "(1 | g)", "gamma(inverse)"))


@pytest.mark.filterwarnings("ignore::merextras.exceptions.MerextrasWarning")
@pytest.mark.parametrize("response", ["yes", "count", "spread", "size", "number"])
def test_intervals_are_of_refits_to_simulated_responses(response):
    m = models.generated(response, "(1 + x | g)")
    r2, icc = (verb(m, ci="bootstrap", n_sims=4, rng=2) for verb in (mx.r2, mx.icc))
    shares = mx.variance_decomposition(m, ci="bootstrap", n_sims=4, rng=2)
    sims = m.simulate(4, rng=2)
    wholes = [m.refit(sims[f"sim_{i + 1}"]) for i in range(4)]
    for i, whole in enumerate(wholes):
        exact = mx.r2(whole)
        np.testing.assert_allclose(
            r2.bootstrap.replicates[i], [exact.marginal, exact.conditional], atol=1e-5
        )
        np.testing.assert_allclose(
            icc.bootstrap.replicates[i, 0], mx.icc(whole).adjusted, atol=1e-5
        )
    own = np.array([mx.variance_decomposition(whole)["share"] for whole in wholes])
    np.testing.assert_allclose(shares["conf_low"], np.quantile(own, 0.025, axis=0), atol=1e-3)
    assert "4 replicates" in repr(r2)
    assert "distribution variance" in repr(icc)
    frame = mx.icc(m, ci=0.8, n_sims=4, rng=2, by_group=True)
    assert (frame["conf_low"] <= frame["conf_high"]).all()


def test_a_size_that_goes_to_infinity_in_a_refit():
    rng = np.random.default_rng(6)
    data = models.rows().assign(
        count=rng.poisson(np.exp(0.4 + 0.3 * rng.normal(size=16)[models.rows()["g"]]))
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MerextrasWarning)
        m = mx.glmer("count ~ x + (1 | g)", data, "negative_binomial")
        found = mx.r2(m, ci="bootstrap", n_sims=6, rng=1)
        poisson = mx.glmer("count ~ x + (1 | g)", data, "poisson")
    assert np.isfinite(found.bootstrap.replicates).all()
    if m.is_poisson:
        assert mx.r2(m).conditional == pytest.approx(mx.r2(poisson).conditional, rel=1e-6)


@pytest.mark.parametrize("name", ["herds", "districts"])
def test_the_variances_are_insights(name):
    m = models.cbpp() if name == "herds" else districts()
    found = mx.variance_decomposition(m)
    expected = EXPECTED["variances"][name]
    assert list(found["component"]) == ["fixed", "random", "distribution"]
    np.testing.assert_allclose(
        found["variance"], [expected[k] for k in ("fixed", "random", "distribution")], rtol=5e-5
    )
    assert found["share"].sum() == pytest.approx(1.0)
    r2 = mx.r2(m)
    assert found["share"].iloc[0] == pytest.approx(r2.marginal)
    assert mx.r.get_variance(m).equals(found)


def test_median_odds_ratio():
    m = models.cbpp()
    sd = np.sqrt(m.covariances[0][0, 0])
    rng = np.random.default_rng(1)
    n = 200_000
    ratio = np.exp(np.abs(sd * (rng.standard_normal(n) - rng.standard_normal(n))))
    found = mx.median_odds_ratio(m)["herd"]
    share = np.mean(ratio < found)
    assert abs(share - 0.5) < MONTE_CARLO * 0.5 / np.sqrt(n)
    assert list(mx.median_odds_ratio(models.generated("count")).index) == ["g", "h"]
    with pytest.raises(InvalidArgumentError, match="expected a model of glmer"):
        mx.median_odds_ratio(mx.lmer("number ~ x + (1 | g)", models.rows()))
    with pytest.raises(InvalidArgumentError, match="probit"):
        mx.median_odds_ratio(models.cbpp("binomial(probit)"))
