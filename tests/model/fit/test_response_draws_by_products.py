"""Responses drawn without rows: their exact moments, and bootstraps made of them."""

from __future__ import annotations

import joblib
import numpy as np
import pytest
from chunk_models import table

import merextras as mx
from merextras.exceptions import NoRowsError
from merextras.model.fit import response_draws_by_products
from merextras.model.fit.response_draws_by_products import response_model_of

pytestmark = pytest.mark.filterwarnings("ignore::merextras.exceptions.MerextrasWarning")

N = 3000


@pytest.fixture(scope="module")
def data():
    return table()


def _moments(model):
    """Mean of u'Wu and covariance of (XT)'Wu, from the rows of a model in memory."""
    design, solution = model.design, model.solution
    w = np.ones(design.n)
    for extra in (design.weights, design.frequencies):
        w = w if extra is None else w * extra
    x = (design.x @ solution.factor.system.cp.basis.transform) * w[:, None]
    z = design.z().toarray()
    g = np.zeros((z.shape[1], z.shape[1]))
    at = 0
    for term, lam in zip(design.terms, solution.lams, strict=True):
        q = len(term.levels) * term.k
        g[at : at + q, at : at + q] = np.kron(np.eye(len(term.levels)), lam @ lam.T)
        at += q
    mean = solution.n + np.sum((z @ g) * z * w[:, None])
    covariance = x.T @ (x / np.where(w > 0, w, 1.0)[:, None]) + x.T @ z @ g @ z.T @ x
    return solution.sigma2 * mean, solution.sigma2 * covariance


@pytest.mark.parametrize(
    ("formula", "kwargs"),
    [
        ("y ~ x + c + (1 + I(x - 50) | g)", {"weights": "w"}),
        ("y ~ x + (1 | h/k) + (1 | g)", {"freq_weights": "f"}),
    ],
)
def test_moments_of_the_draws(data, formula, kwargs):
    model = mx.lmer(formula, [data], **kwargs)
    mean, covariance = _moments(mx.lmer(formula, data, **kwargs))
    sums = response_model_of(model).sums(np.random.default_rng(1).spawn(N))
    error = np.std(sums.squares) / np.sqrt(N)
    assert abs(np.mean(sums.squares) - mean) < 4.0 * error
    found = np.cov(sums.x)
    variances = np.diag(covariance)
    spread = np.sqrt((np.outer(variances, variances) + covariance**2) / N)
    assert np.max(np.abs(found - covariance) / spread) < 4.5


def test_the_residual_variance_has_its_chi_square(data):
    """With the effects kept, what [Z X] leaves of a response is sigma**2 chi2(n - rank)."""
    model = mx.lmer("y ~ x + (1 | g) + (1 | h)", [data])
    response_model = response_model_of(model, use_u=True)
    n, sigma2 = model.nobs(), model.sigma() ** 2
    assert response_model.df == n - response_model.factor.rank
    generators = np.random.default_rng(2).spawn(N)
    fits = mx.bootstrap(model, lambda m: m.sigma() ** 2, n_sims=200, use_u=True, rng=3)
    # REML's estimate with 67 effects that are fitted: unbiased up to their shrinkage.
    assert abs(np.mean(fits.estimates) / sigma2 - 1.0) < 0.03
    sums = response_model.sums(generators)
    b = np.concatenate([part.reshape(-1) for part in model.solution.b])
    z = mx.lmer("y ~ x + (1 | g) + (1 | h)", data).design.z()
    expected = n * sigma2 + np.sum((z @ b) ** 2)
    error = np.std(sums.squares) / np.sqrt(N)
    assert abs(np.mean(sums.squares) - expected) < 4.0 * error


def test_bootstraps_agree_with_those_by_row(data):
    formula = "y ~ x + c + (1 + I(x - 50) | g)"
    boots = [mx.bootstrap(mx.lmer(formula, d), n_sims=400, rng=1) for d in (data, [data])]
    means = [np.nanmean(boot.estimates, axis=0) for boot in boots]
    spreads = [np.nanstd(boot.estimates, axis=0) for boot in boots]
    error = np.hypot(*spreads) / np.sqrt(400)
    assert np.max(np.abs(means[0] - means[1]) / error) < 4.0
    np.testing.assert_allclose(spreads[0], spreads[1], rtol=0.25)


def test_one_by_one_and_together(data):
    """With a function each replicate is a model; the numbers are those of all at once."""
    model = mx.lmer("y ~ x + c + (1 | g)", [data])
    together = mx.bootstrap(model, n_sims=5, rng=4).estimates
    names = ["sd_Intercept|g", "sigma"]

    def parameters(m):
        assert m.update(". ~ . - c").nobs() == m.nobs()
        low = m.var_corr().to_frame()["sdcor"].to_numpy()
        return {**dict(zip(names, low, strict=True)), **m.fixef()}

    alone = mx.bootstrap(model, parameters, n_sims=5, rng=4).estimates
    np.testing.assert_allclose(alone, together, rtol=1e-5, atol=1e-7)


def test_a_refit_to_products_is_a_whole_model(data):
    """Its own tests and updates are of the drawn response, not of the first one."""
    model = mx.lmer("y ~ x + c + (1 | g)", [data])

    def criteria(m):
        return {"aic": m.refit_ml().aic(), "f": m.anova(ddf="satterthwaite")["statistic"].iloc[0]}

    boot = mx.bootstrap(model, criteria, n_sims=3, rng=5)
    found = boot.estimates.to_numpy()
    assert len(np.unique(found[:, 0])) == 3
    assert not np.any(np.isclose(found, np.asarray(boot.observed)))


def test_any_number_of_processes(data):
    model = mx.lmer("y ~ x + (1 | g)", [data])
    one = mx.bootstrap(model, n_sims=6, rng=1)
    with joblib.parallel_config(backend="threading"):
        two = mx.bootstrap(model, n_sims=6, rng=1, n_jobs=2)
    np.testing.assert_array_equal(one.estimates, two.estimates)


def test_what_the_bootstrap_of_residuals_and_of_groups_needs(data):
    model = mx.lmer("y ~ x + (1 | g)", [data])
    with pytest.raises(NoRowsError, match="keeps no rows"):
        mx.bootstrap(model, kind="semiparametric", n_sims=2)
    with pytest.raises(NoRowsError, match="kind='cases': X'WX and y'Wy of each group are needed"):
        mx.bootstrap(model, kind="cases", n_sims=2)


def test_crossed_factors_with_too_many_levels(data, monkeypatch):
    monkeypatch.setattr(response_draws_by_products, "_LARGEST_TAIL", 7)
    model = mx.lmer("y ~ x + (1 | g) + (1 | h)", [data])
    with pytest.raises(NoRowsError, match="a dense matrix of the 8 effects of h"):
        mx.bootstrap(model, n_sims=2)
