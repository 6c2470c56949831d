"""The criterion with a prior of the covariances: dense, derivatives, boundary, many at once."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from oracle.dense import dense_lambda, dense_pls, dense_z
from properties import dense_v
from properties.compare import close
from scipy import stats
from tolerances import GRADIENT, ORACLE

import merextras as mx
from merextras.engine.optimum.criterion import Criterion
from merextras.engine.replicates.search import minimise_many
from merextras.inference.intervals.replicates import reduced

S = [[2.0, 0.5], [0.5, 1.0]]
SLEEP = "Reaction ~ Days + (Days | Subject)"
MODELS = {
    "slopes, wishart": ("sleepstudy", SLEEP, "wishart"),
    "slopes, proper": ("sleepstudy", SLEEP, mx.Wishart(5.0, S)),
    "slopes, at most linear": ("sleepstudy", SLEEP, mx.Wishart(3.0, S)),
    "slopes, invwishart": ("sleepstudy", SLEEP, mx.InverseWishart(4.0, S)),
    "independent, gamma": ("sleepstudy", "Reaction ~ Days + (Days || Subject)", mx.Gamma(2.0, 0.5)),
    "nested": ("pastes", "strength ~ 1 + (1 | batch/cask)", {"batch": "wishart"}),
    "crossed": ("penicillin", "diameter ~ 1 + (1 | plate) + (1 | sample)", "gamma"),
    "crossed slopes": ("sleepstudy", SLEEP + " + (1 | Days)", mx.Wishart(scale=3.0)),
}


@pytest.fixture(scope="module", params=MODELS)
def model(request):
    data, formula, prior = MODELS[request.param]
    return mx.lmer(formula, mx.load_dataset(data), cov_prior=prior)


def log_density(prior, g):
    """The prior's logarithm at a covariance, by scipy where it is proper."""
    k = len(g)
    if prior is None:
        return 0.0
    if isinstance(prior, mx.Gamma):
        sd = np.sqrt(np.diag(g))
        if prior.rate == 0.0:
            return float(np.sum((prior.shape - 1.0) * np.log(sd)))
        return float(np.sum(stats.gamma(prior.shape, scale=1.0 / prior.rate).logpdf(sd)))
    if isinstance(prior, mx.InverseWishart):
        return float(stats.invwishart(prior.df, np.array(prior.scale)).logpdf(g))
    df = k + 2.5 if prior.df is None else prior.df
    if prior.scale is None:
        return float(0.5 * (df - k - 1.0) * np.linalg.slogdet(g)[1])
    scale = np.array(prior.scale)
    return float(stats.wishart(df, scale if scale.ndim else scale * np.eye(k)).logpdf(g))


def user_thetas(model, m=3, seed=0):
    rng = np.random.default_rng(seed)
    cov = model.design.covariances
    draws = rng.uniform(0.2, 1.1, (m, cov.n))
    return [np.where(cov.at_least_zero, draw, 0.3 * draw) for draw in draws]


@pytest.mark.parametrize("reml", [True, False])
def test_against_a_dense_likelihood_and_density(model, reml):
    design, cov = model.design, model.design.covariances
    rows = [term.rows for term in design.terms]
    if not reml:
        model = model.refit_ml()
    value = model.as_function()
    for theta in user_thetas(model):
        lams = cov.factors(theta)
        found = dense_pls(
            design.x, design.y, dense_z(rows), dense_lambda(rows, lams), np.ones(design.n), reml
        )
        priors = zip(design.cov_priors, lams, strict=True)
        density = sum(log_density(prior, lam @ lam.T) for prior, lam in priors)
        close(value(theta), found["deviance"] - 2.0 * density, ORACLE)


@pytest.mark.parametrize("by_levels", [True, False])
def test_gradient_against_central_differences(model, by_levels):
    criterion = model.criterion
    criterion = Criterion(
        criterion.system, criterion.covariances, reml=True, by_levels=by_levels,
        prior=criterion.prior,
    )  # fmt: skip
    for theta in user_thetas(model):
        own = criterion.from_user(theta)
        expected = dense_v.central_differences(lambda t: criterion.at(t).value(), own)
        close(criterion.at(own).gradient(), expected, GRADIENT, scale=1.0)
        user = criterion.at(own).user_gradient(theta)
        value = model.as_function()
        close(user, dense_v.central_differences(value, theta), GRADIENT, scale=1.0)


def test_the_hessian_has_all_of_the_penaltys(model):
    """What the prior adds to the approximate Hessian is exact."""
    criterion = model.criterion
    plain = Criterion(criterion.system, criterion.covariances, reml=True, by_levels=False)
    for theta in map(criterion.from_user, user_thetas(model)):
        added = criterion.at(theta).hessian() - plain.at(theta).hessian()
        expected = criterion.differenced(theta) - plain.differenced(theta)
        close(added, expected, GRADIENT, scale=1.0)


def test_the_exact_hessian_of_theta_and_sigma(model):
    """Its theta part, with sigma profiled out, is that of differences of the gradient."""
    full = model.information.hessian()
    n = len(model.point.theta)
    profiled = full[:n, :n] - np.outer(full[:n, n], full[n, :n]) / full[n, n]
    close(profiled, model.criterion.differenced(model.point.theta), GRADIENT, scale=1.0)


def test_many_responses_end_where_their_own_fits_do(model):
    rng = np.random.default_rng(5)
    y = model.mu[:, None] + model.sigma() * rng.normal(size=(model.design.n, 4))
    fits = minimise_many(model.criterion, reduced(model, y), model.point.theta)
    assert fits.converged.all()
    for i in range(4):
        one = model.refit(y[:, i])
        close(fits.deviance[i], one.opt_summary.deviance, 1e-9)
        close(fits.theta[i], one.theta, 1e-5, scale=0.1)


def test_a_zero_start_is_left_and_a_linear_prior_allows_one():
    data = mx.load_dataset("dyestuff")
    control = mx.LmerControl(start=[0.0])
    formula = "Yield ~ 1 + (1 | Batch)"
    found = mx.lmer(formula, data, cov_prior="wishart", control=control)
    close(found.theta, mx.lmer(formula, data, cov_prior="wishart").theta, 1e-6)
    flat = pd.DataFrame({"y": np.tile([1.0, 2.0, 3.0, 4.0], 4), "g": np.repeat(list("abcd"), 4)})
    with pytest.warns(mx.exceptions.SingularFitWarning):
        at_zero = mx.lmer("y ~ 1 + (1 | g)", flat, cov_prior=mx.Wishart(2.0, 0.5))
    assert at_zero.theta.tolist() == [0.0]
    assert mx.check_convergence(at_zero).converged


def test_an_improper_prior_and_too_few_levels_have_no_optimum():
    flat = pd.DataFrame({"y": [1.0, 2.0, 2.5, 4.0, 3.0, 5.0], "g": list("aaabbb")})
    with pytest.warns(mx.exceptions.ConvergenceWarning, match="give the prior a scale"):
        mx.lmer("y ~ 1 + (1 | g)", flat, cov_prior="wishart")
    fit = mx.lmer("y ~ 1 + (1 | g)", flat, cov_prior=mx.Wishart(scale=10.0))
    assert fit.opt_summary.converged
