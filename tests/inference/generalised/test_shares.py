"""R squared, ICC and median odds ratios of generalised models."""

from __future__ import annotations

import glmm_models as models
import numpy as np
import pytest
from scipy import special
from tolerances import GLMM_AGAINST_LME4, MONTE_CARLO

import merextras as mx
from merextras.exceptions import InvalidArgumentError, UnsupportedModelError


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
    m = models.cbpp()
    for verb in (mx.r2, mx.icc):
        with pytest.raises(UnsupportedModelError, match="bootstrap"):
            verb(m, ci="bootstrap", n_sims=2)
    with pytest.raises(UnsupportedModelError, match="inverse"):
        mx.r2(models.generated("size", "(1 | g)", "gamma(inverse)"))


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
