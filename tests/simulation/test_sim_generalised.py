"""Draws of generalised models' parameters against their exact moments."""

from __future__ import annotations

import glmm_models as models
import numpy as np
import pytest
from tolerances import MONTE_CARLO

import merextras as mx
from merextras.exceptions import InvalidArgumentError

N = 4000


def _dense(m):
    """Covariance of (beta, b) by dense matrices: b given beta at the mode, beta from vcov."""
    design = m.design
    z, g = [], []
    for term, cov in zip(design.terms, m.covariances, strict=True):
        block = np.zeros((design.n, len(term.levels), term.k))
        block[np.arange(design.n), term.rows.codes] = term.rows.values
        z.append(block.reshape(design.n, -1))
        g.append(np.kron(np.eye(len(term.levels)), cov))
    z = np.hstack(z)
    whole = np.zeros((z.shape[1], z.shape[1]))
    at = 0
    for part in g:
        whole[at : at + len(part), at : at + len(part)] = part
        at += len(part)
    w = m.laplace.modes.w
    values, vectors = np.linalg.eigh(whole)
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    inner = root.T @ z.T @ (w[:, None] * z) @ root + np.eye(len(root))
    given = root @ np.linalg.inv(inner) @ root.T
    slope = -given @ z.T @ (w[:, None] * design.x)
    return given + slope @ m.vcov().to_numpy() @ slope.T, slope


@pytest.mark.parametrize("response", ["yes", "spread", "size"])
def test_moments_of_the_draws(response):
    m = models.generated(response)
    sims = mx.sim(m, N, rng=1)
    beta = sims.fixef
    vcov = m.vcov().to_numpy()
    se = np.sqrt(np.diag(vcov))
    assert np.max(np.abs(beta.mean(axis=0) - m.fixef()) / se) < MONTE_CARLO / np.sqrt(N)
    found = np.cov(beta.T) / np.outer(se, se)
    assert np.max(np.abs(found - vcov / np.outer(se, se))) < MONTE_CARLO * np.sqrt(2.0 / N)
    exact, slope = _dense(m)
    b = np.hstack([sims.ranef[f].reshape(N, -1) for f in ("g", "h")])
    sd = np.sqrt(np.diag(exact))
    assert np.max(np.abs(b.std(axis=0) / sd - 1.0)) < MONTE_CARLO / np.sqrt(2.0 * N)
    modes = np.concatenate([part.reshape(-1) for part in m.modes])
    assert np.max(np.abs(b.mean(axis=0) - modes) / sd) < MONTE_CARLO / np.sqrt(N)
    joint = slope @ vcov
    cross = (b - b.mean(axis=0)).T @ (beta - beta.mean(axis=0)) / N
    assert np.max(np.abs(cross - joint) / np.outer(sd, se)) < MONTE_CARLO / np.sqrt(N)
    assert np.isnan(sims.sigma).all()


@pytest.mark.parametrize("response", ["yes", "spread", "linear"])
def test_variances_of_modes_with_the_part_from_the_fixed_effects(response):
    if response == "linear":
        m = mx.lmer("number ~ x + c + (1 | g) + (1 | h)", models.rows())
        found = m.ranef(fixed_uncertainty=True).post_var["h"][:, 0, 0]
        given = m.ranef().post_var["h"][:, 0, 0]
        draws = mx.sim(m, N, rng=1).ranef["h"][:, :, 0]
        # The draws have n - p - 2 for n - p in their variance.
        df = len(models.rows()) - 4.0
        sd = draws.std(axis=0) / np.sqrt(df / (df - 2.0))
        assert np.max(np.abs(sd / np.sqrt(found) - 1.0)) < MONTE_CARLO / np.sqrt(2.0 * N)
        assert (found > given).all()
        return
    m = models.generated(response)
    exact, _ = _dense(m)
    found = m.ranef(fixed_uncertainty=True).post_var
    n = found["g"].shape[0]
    for j in range(n):
        own = slice(2 * j, 2 * j + 2)
        np.testing.assert_allclose(found["g"][j], exact[own, own], rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(found["h"][:, 0, 0], np.diag(exact)[2 * n :], rtol=1e-6)


def test_re_sim_and_fe_sim_are_summaries():
    m = models.cbpp()
    draws = mx.sim(m, 500, rng=3)
    found = mx.re_sim(m, n_sims=500, rng=3)
    np.testing.assert_allclose(found["sd"], draws.ranef["herd"][:, :, 0].std(axis=0, ddof=1))
    ratios = mx.re_sim(m, n_sims=500, odds_ratio=True, rng=3)
    np.testing.assert_allclose(ratios["mean"], np.exp(draws.ranef["herd"][:, :, 0]).mean(axis=0))
    np.testing.assert_allclose(ratios["median"], np.exp(found["median"]), rtol=2e-3)
    fixed = mx.fe_sim(m, n_sims=500, rng=3)
    np.testing.assert_allclose(fixed["mean"], draws.fixef.mean(axis=0))


def test_fitted_values_are_on_the_scale_of_the_response():
    m = models.cbpp()
    found = mx.sim_fitted(m, mx.sim(m, 2000, rng=1))
    assert ((found > 0.0) & (found < 1.0)).all()
    error = m.predict(se_fit=True)
    logit = np.log(found / (1.0 - found))
    link = m.predict(type="link", se_fit=True)["std_error"]
    np.testing.assert_allclose(logit.std(axis=1), link, rtol=MONTE_CARLO / np.sqrt(4000))
    assert np.max(np.abs(np.median(found, axis=1) - error["fit"])) < 0.02


def test_what_is_no_ratio():
    with pytest.raises(InvalidArgumentError, match="odds_ratio=True: with link 'probit'"):
        mx.re_sim(models.cbpp("binomial(probit)"), odds_ratio=True)
    linear = mx.lmer("number ~ x + (1 | g)", models.rows())
    with pytest.raises(InvalidArgumentError, match="odds_ratio=True"):
        mx.re_sim(linear, odds_ratio=True)
