"""The verbs on models with structured covariances.

Models that two formulas write (equal correlations and an interaction's variance, independent
effects in one term or in several) must agree in everything; what no other formula writes is held to
dense matrices and to minimisation by hand.
"""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest
from oracle.kenward_roger import adjusted_covariance
from scipy import optimize, stats
from structure_models import data

import merextras as mx
from merextras.exceptions import InvalidArgumentError, UnsupportedModelError
from merextras.inference.ddf.kenward_roger import kenward_roger
from merextras.inference.ddf.satterthwaite import satterthwaite

PAIRS = {
    "one correlation": (
        "score ~ Machine + cs(0 + Machine | Worker, hom=True)",
        "score ~ Machine + (1 | Worker) + (1 | Worker:Machine)",
    ),
    "one variance": (
        "score ~ Machine + diag(0 + Machine | Worker, hom=True)",
        "score ~ Machine + (1 | Worker:Machine)",
    ),
    "independent": (
        "score ~ Machine + diag(Machine | Worker)",
        "score ~ Machine + (Machine || Worker)",
    ),
}
CURVED = {
    "cs": ("machines", "score ~ Machine + cs(0 + Machine | Worker)"),
    "ar1": ("sleepstudy", "Reaction ~ Days + ar1(0 + D | Subject)"),
    "het": ("machines", "score ~ Machine + ar1(0 + Machine | Worker, het=True)"),
}


@pytest.fixture(scope="module", params=PAIRS.values(), ids=list(PAIRS))
def pair(request):
    table = data("machines")
    return tuple(mx.lmer(formula, table) for formula in request.param)


@pytest.fixture(scope="module", params=CURVED.values(), ids=list(CURVED))
def curved(request):
    name, formula = request.param
    return mx.lmer(formula, data(name))


def test_estimates_of_a_pair(pair):
    one, other = pair
    assert one.log_lik() == pytest.approx(other.log_lik(), abs=1e-10)
    np.testing.assert_allclose(one.fixef(), other.fixef(), rtol=1e-9)
    np.testing.assert_allclose(one.vcov(), other.vcov(), rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(one.fitted(), other.fitted(), rtol=1e-7)


@pytest.mark.parametrize("ddf", ["satterthwaite", "kenward-roger"])
def test_degrees_of_freedom_of_a_pair(pair, ddf):
    found = [m.anova(ddf=ddf)[["den_df", "statistic"]].to_numpy() for m in pair]
    np.testing.assert_allclose(found[0], found[1], rtol=1e-6)


def test_influence_and_bootstrap_of_a_pair(pair):
    one, other = pair
    found = [m.influence("Worker").cooks_distance().to_numpy() for m in pair]
    np.testing.assert_allclose(found[0], found[1], rtol=1e-5)
    y = one.simulate(1, rng=3).iloc[:, 0]
    np.testing.assert_allclose(one.refit(y).log_lik(), other.refit(y).log_lik(), atol=1e-9)


def test_profiles_of_independent_effects():
    """The charts of a diagonal covariance against those of the terms on their own."""
    sleep = mx.load_dataset("sleepstudy")
    for scale in ("sdcor", "varcov"):
        found = [
            mx.lmer(f"Reaction ~ Days + {term}", sleep).profile(scale=scale).confint()
            for term in ("diag(Days | Subject)", "(Days || Subject)")
        ]
        assert list(found[0].index) == list(found[1].index)
        np.testing.assert_allclose(found[0], found[1], rtol=1e-5)


def least(m, place, value):
    """The ML deviance with one parameter of theta held, by another optimiser."""
    devfun = m.as_function()
    free = [i for i in range(len(m.theta)) if i != place]

    def at(part):
        theta = m.theta.copy()
        theta[place], theta[free] = value, np.abs(part)
        return devfun(theta)

    start = m.theta[free]
    options = {"xatol": 1e-9, "fatol": 1e-10, "maxiter": 4000, "maxfev": 4000}
    return optimize.minimize(at, start, method="Nelder-Mead", options=options).fun


def test_profile_of_a_correlation(curved):
    m = curved.refit_ml()
    low, high = m.profile("cor_rho|" + m.design.factors[0]).confint().iloc[0]
    wanted = stats.chi2.isf(0.05, 1)
    for end in (low, high):
        if abs(end) < 1.0 - 1e-9:
            rise = least(m, len(m.theta) - 1, end) - m.solution.deviance()
            assert rise == pytest.approx(wanted, abs=1e-3)


def test_profile_is_on_either_scale(curved):
    m = curved.refit_ml()
    sds = [name for name in m.profile().curves if name.startswith("sd_")]
    one = m.profile(sds).confint().to_numpy()
    names = [name.replace("sd_", "var_") for name in sds]
    np.testing.assert_allclose(m.profile(names, scale="varcov").confint(), one**2, rtol=1e-4)


def dense(m):
    """V as a function of the variances, Fisher's z of rho and log sigma**2, and the design."""
    (term,) = m.design.terms
    z = m.design.z().toarray()
    k, levels = term.k, len(term.levels)
    structure = term.structure

    def covariance(phi):
        told = np.append(np.exp(0.5 * phi[: structure.n - 1]), np.tanh(phi[structure.n - 1]))
        lam = structure.factor(structure.from_natural(told[None]))[0]
        g = np.kron(np.eye(levels), lam @ lam.T)
        return np.exp(phi[-1]) * np.eye(len(z)) + z @ g @ z.T

    sds, rho = m.theta[:-1] * m.sigma(), m.theta[-1]
    phi = np.concatenate([2.0 * np.log(sds), [np.arctanh(rho)], [2.0 * np.log(m.sigma())]])
    assert k * levels == z.shape[1]
    return covariance, phi, m.design.x, m.design.y


def first_and_second(function, at, step=1e-3):
    """Derivatives by central differences of the fourth and second order."""
    n = len(at)
    e = step * np.eye(n)
    first = [
        (8 * (function(at + a) - function(at - a)) - function(at + 2 * a) + function(at - 2 * a))
        / (12 * step)
        for a in e
    ]
    second = [
        [
            (
                function(at + a + b)
                - function(at + a - b)
                - function(at - a + b)
                + function(at - a - b)
            )
            / (4 * step**2)
            for b in e
        ]
        for a in e
    ]
    return np.array(first), np.array(second)


def test_kenward_roger_against_dense_matrices(curved):
    """In other parameters, logarithms and Fisher's z: the result does not depend on them."""
    covariance, phi, x, _ = dense(curved)
    v = covariance(phi)
    first, second = first_and_second(covariance, phi)
    expected = adjusted_covariance(v, first, second, x)
    found = mx.vcov_adj(curved).to_numpy()
    np.testing.assert_allclose(found, expected, rtol=0.0, atol=2e-5 * np.max(np.abs(expected)))
    assert not np.allclose(found, curved.vcov(), rtol=1e-3)


def test_satterthwaite_against_dense_matrices(curved):
    covariance, phi, x, y = dense(curved)

    def criterion(at):
        inverse = np.linalg.inv(covariance(at))
        inner = x.T @ inverse @ x
        rest = y - x @ np.linalg.solve(inner, x.T @ inverse @ y)
        log_det = np.linalg.slogdet(covariance(at))[1] + np.linalg.slogdet(inner)[1]
        return log_det + rest @ inverse @ rest

    contrast = np.eye(x.shape[1])[1]

    def variance(at):
        return contrast @ np.linalg.inv(x.T @ np.linalg.solve(covariance(at), x)) @ contrast

    _, hessian = first_and_second(criterion, phi, 1e-3)
    slope, _ = first_and_second(variance, phi, 1e-3)
    expected = 2.0 * variance(phi) ** 2 / (slope @ (2.0 * np.linalg.inv(hessian)) @ slope)
    assert satterthwaite(curved).df(contrast) == pytest.approx(expected, rel=1e-4)


def test_kenward_roger_where_a_variance_of_several_is_zero():
    m = mx.lmer("score ~ Machine + cs(0 + Machine | Worker)", data("machines"))
    gone = mx.make_model(
        m,
        var_corr={
            "cs(0 + Machine[A] + Machine[B] + Machine[C] | Worker)": np.diag([0.0, 4.0, 9.0])
        },
    )
    with pytest.raises(UnsupportedModelError, match="Kenward-Roger's method.*is estimated as zero"):
        kenward_roger(gone)


def test_deleted_group(curved):
    """Influence's fits against fits of the data without the group."""
    factor = curved.design.factors[0]
    level = curved.design.terms[0].levels[1]
    frame = curved.model_frame()
    without = mx.lmer(curved.formula(), frame[frame[factor] != level])
    found = curved.influence(factor)
    np.testing.assert_allclose(found.betas[1], without.fixef(), rtol=1e-5)
    np.testing.assert_allclose(found.thetas[1], without.theta, rtol=1e-3)


def test_replicates_are_fits_of_their_own(curved):
    """The bootstrap's search over many responses against a search each."""
    y = curved.simulate(4, rng=2)
    boot = mx.bootstrap(curved, n_sims=4, rng=2)
    names = [name for name in boot.names if name.startswith(("sd_", "cor_"))]
    assert names == list(boot.names)[: len(names)]
    for i in range(4):
        one = curved.refit(y.iloc[:, i])
        own = one.var_corr().components[0].lines
        expected = [line.std_dev for line in own] + [own[0].correlations[0]]
        np.testing.assert_allclose(boot.replicates[i][: len(names)], expected, rtol=1e-4, atol=1e-5)


def test_chunks_sites_and_files(curved, tmp_path):
    frame, formula = curved.model_frame(), curved.formula()
    parts = [frame.iloc[::3], frame.iloc[np.arange(len(frame)) % 3 > 0]]
    chunked = mx.lmer(formula, parts)
    levels = {c: list(frame[c].cat.categories) for c in ("D",) if c in frame}
    sites = [mx.cross_products(formula, part, levels=levels) for part in parts]
    sites[0].save(tmp_path / "one.npz")
    pooled = mx.MerMod.from_cross_products(mx.load_cross_products(tmp_path / "one.npz") + sites[1])
    for other in (chunked, pooled, pickle.loads(pickle.dumps(curved))):
        assert other.log_lik() == pytest.approx(curved.log_lik(), rel=1e-9)
        np.testing.assert_allclose(other.theta, curved.theta, rtol=1e-6)
        np.testing.assert_allclose(other.fixef(), curved.fixef(), rtol=1e-8)
        assert other.formula() == formula
        assert str(other.var_corr()) == str(curved.var_corr())
    other = mx.cross_products(
        formula.replace("cs(", "diag(").replace("ar1(", "diag(").replace("het", "hom"), parts[0]
    )
    with pytest.raises(InvalidArgumentError, match="can't be added: the formulas are"):
        other + sites[1]


def test_what_is_shown_and_given(curved):
    (component,) = curved.var_corr().components
    assert f"({component.structure})" in str(curved.var_corr())
    assert f"({component.structure})" in str(curved.summary())
    par, lower = curved.get_me("par"), curved.get_me("lower")
    np.testing.assert_array_equal(par, curved.get_me("theta"))
    assert len(par) == len(lower) == curved.get_me("m")
    assert lower[-1] >= -1.0
    (low,) = curved.get_me("Tlist")
    np.testing.assert_allclose(low @ low.T * curved.sigma() ** 2, component.covariance, rtol=1e-12)
    np.testing.assert_allclose(
        curved.get_me("Lambda") @ curved.get_me("u"), curved.get_me("b"), atol=1e-9
    )
    with pytest.raises(UnsupportedModelError, match="Lind"):
        curved.get_me("Lind")
    with pytest.raises(UnsupportedModelError, match="share a standard deviation or a correlation"):
        curved.to_statsmodels()
    tidy = mx.tidy(curved, effects="ran_pars")
    assert tidy["term"].tolist()[-2:] == ["cor__rho", "sd__Observation"]
    assert not curved.is_singular()
    assert mx.check_convergence(curved).converged


@pytest.mark.parametrize("rho", [1.0, "least"])
def test_at_the_end_of_a_correlation(rho):
    """One that the data push there: singular, and a minimum all the same."""
    table = data("machines")
    m = mx.lmer("score ~ Machine + cs(0 + Machine | Worker, hom=True)", table)
    effects = np.random.default_rng(4).normal(size=6)
    worker, machine = table["Worker"].to_numpy() - 1, table["Machine"].map({"A": 0, "B": 1, "C": 2})
    away = np.array([[1.0, -1.0, 0.0], [0.0, 1.0, -1.0]])[worker % 2] * effects[worker][:, None]
    own = effects[worker] if rho == 1.0 else away[np.arange(len(table)), machine]
    y = 10.0 * own + np.random.default_rng(5).normal(size=len(table))
    if rho != 1.0:
        y -= pd.Series(y).groupby(worker).transform("mean").to_numpy()
    with pytest.warns(mx.exceptions.SingularFitWarning):
        found = m.refit(y)
    assert found.theta[-1] == pytest.approx(1.0 if rho == 1.0 else -0.5, abs=1e-6)
    assert found.is_singular()
    assert found.opt_summary.converged
    best = min(
        optimize.minimize_scalar(
            lambda size, at=at: found.as_function()([size, at]),
            bounds=(0.0, 50.0),
            method="bounded",
        ).fun
        for at in np.linspace(-0.5, 1.0, 31)
    )
    assert found.solution.deviance() <= best + 1e-6


def test_tests_between_structures():
    rows = data("machines")
    texts = {
        "us": "(0 + Machine | Worker)",
        "cs": "cs(0 + Machine | Worker)",
        "ar1": "ar1(0 + Machine | Worker, het=True)",
        "homcs": "cs(0 + Machine | Worker, hom=True)",
        "diag": "diag(0 + Machine | Worker)",
        "homdiag": "diag(0 + Machine | Worker, hom=True)",
        "one": "(1 | Worker)",
        "cells": "(1 | Worker:Machine)",
    }
    fits = {k: mx.lmer(f"score ~ Machine + {v}", rows, reml=False) for k, v in texts.items()}
    table = fits["us"].anova(fits["cs"], fits["homcs"], fits["homdiag"])
    assert table["npar"].tolist() == [5, 6, 8, 10]
    assert table["df"].tolist()[1:] == [1.0, 2.0, 2.0]
    assert np.all(table["statistic"].to_numpy()[1:] > 0.0)
    assert len(table.attrs["notes"]) == 3
    assert "a correlation at its end" in table.attrs["notes"][0]
    fixed = mx.lmer("score ~ 1 + (1 | Worker)", rows, reml=False)
    assert fixed.anova(fits["one"]).attrs["notes"] == ()
    within = [("one", "homcs"), ("one", "ar1"), ("cells", "homdiag"), ("cells", "homcs")]
    within += [("diag", "cs"), ("diag", "ar1"), ("homdiag", "diag"), ("homcs", "cs")]
    for small, large in within:
        fits[small].anova(fits[large])
    for small, large in [("cs", "ar1"), ("diag", "homcs"), ("one", "diag")]:
        with pytest.raises(InvalidArgumentError, match="is not nested in"):
            fits[small].anova(fits[large])
    table = mx.ranova(fits["cs"])
    assert table["npar"].tolist() == [8, 4]


def test_statsmodels_gets_independent_effects_and_gives_them():
    sleep = mx.load_dataset("sleepstudy")
    m = mx.lmer("Reaction ~ Days + diag(Days | Subject)", sleep)
    fit = m.to_statsmodels()
    assert fit.llf == pytest.approx(m.log_lik(), abs=1e-6)
    assert mx.MerMod(fit).formula() == "Reaction ~ 1 + Days + diag(1 + Days | Subject)"


def test_with_residual_variances_by_group():
    one, other = (
        mx.lmer(formula, data("machines"), residual_by="Machine")
        for formula in PAIRS["one correlation"]
    )
    assert one.log_lik() == pytest.approx(other.log_lik(), abs=1e-10)
    np.testing.assert_allclose(one.sigma(), other.sigma(), rtol=1e-6)
    assert one.var_corr().components[0].lines[0].correlations[0] == pytest.approx(
        one.theta[-1], abs=1e-12
    )


def test_with_a_prior():
    """Of a diagonal covariance, as of its terms on their own."""
    sleep = mx.load_dataset("sleepstudy")
    one, other = (
        mx.lmer(f"Reaction ~ Days + {term}", sleep, cov_prior="gamma")
        for term in ("diag(Days | Subject)", "(Days || Subject)")
    )
    np.testing.assert_allclose(one.theta, other.theta, rtol=1e-6)
    np.testing.assert_allclose(one.fixef(), other.fixef(), rtol=1e-8)
