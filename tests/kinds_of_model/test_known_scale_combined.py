"""A given sigma beside what else a model can have: priors, covariance structures, strata."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from known_scale_models import bcg, covariance_of, crossed, dense, meta, two_factors
from known_scale_models import given as covariances_at
from oracle.kenward_roger import adjusted_covariance
from scipy import optimize, stats
from structure_models import data
from tolerances import DENSE_OPTIMUM, KNOWN_SCALE, NUMERIC_HESSIAN

import merextras as mx
from merextras.exceptions import ConvergenceWarning, InvalidArgumentError, UnsupportedModelError
from merextras.inference.ddf.satterthwaite import satterthwaite

FORMULA = "y ~ x + (1 + x | g) + (1 | h)"
PRIOR = {"g": mx.Wishart(df=4.5, scale=2.0), "h": mx.InverseWishart(df=3.0, scale=1.5)}
#: An equal correlation, as a structure and by an interaction's variance.
PAIR = (
    "score ~ Machine + cs(0 + Machine | Worker, hom=True)",
    "score ~ Machine + (1 | Worker) + (1 | Worker:Machine)",
)
CURVED = {
    "cs": ("machines", "score ~ Machine + cs(0 + Machine | Worker)", 1.2),
    "ar1": ("sleepstudy", "Reaction ~ Days + ar1(0 + D | Subject)", 20.0),
    "het": ("machines", "score ~ Machine + ar1(0 + Machine | Worker, het=True)", 1.2),
}


def two_sigmas(**given):
    return mx.lmer(FORMULA, two_factors(), weights="w", **given)


def test_one_known_sigma_and_several_estimated_are_refused():
    said = r"sigma=1.3 is the known.*residual_by= estimates one for each.*leave one of the two out"
    table = two_factors()
    with pytest.raises(InvalidArgumentError, match=said):
        two_sigmas(sigma=1.3, residual_by="h")
    with pytest.raises(InvalidArgumentError, match=said):
        crossed().update(residual_by="h")
    products = mx.cross_products(FORMULA, table, weights="w", residual_by="h")
    with pytest.raises(InvalidArgumentError, match=said):
        mx.MerMod.from_cross_products(products, sigma=1.3)
    assert crossed().update(residual_by=[]).sigma() == 1.3
    assert len(mx.MerMod.from_cross_products(products).sigma()) == 6


def test_it_is_refused_before_a_source_is_read():
    def unread():
        raise AssertionError
        yield

    with pytest.raises(InvalidArgumentError, match="leave one of the two out"):
        mx.lmer(FORMULA, unread(), weights="w", sigma=1.3, residual_by="h")
    with pytest.raises(InvalidArgumentError, match="a positive number"):
        mx.lmer(FORMULA, unread(), weights="w", sigma=-1.3)


def prior_of(m, gs):
    """-2 log density of the covariances over sigma**2."""
    g, h = (each / m.sigma() ** 2 for each in gs)
    log_g = stats.wishart.logpdf(g, 4.5, 2.0 * np.eye(2))
    return -2.0 * (log_g + stats.invwishart.logpdf(h, 3.0, 1.5))


def with_prior(reml=True):
    return mx.lmer(FORMULA, two_factors(), weights="w", sigma=1.3, reml=reml, cov_prior=PRIOR)


@pytest.mark.parametrize("reml", [True, False])
def test_prior_of_the_covariances_over_the_known_variance(reml):
    """The criterion is the dense one plus -2 log of the prior's density, and is at its least."""
    m = with_prior(reml)

    def penalised(theta):
        gs = covariances_at(m, theta)
        return dense(m, gs, reml=reml)[0] + prior_of(m, gs)

    for theta in (m.theta, np.array([0.8, 0.3, 0.6, 0.9])):
        point = m.criterion.at(m.criterion.from_user(theta))
        assert point.value() == pytest.approx(penalised(theta), rel=KNOWN_SCALE)
    least = optimize.minimize(
        penalised, m.theta * 1.05, method="Nelder-Mead",
        options={"xatol": 1e-9, "fatol": 1e-11, "maxiter": 8000, "maxfev": 8000},
    )  # fmt: skip
    assert penalised(m.theta) <= least.fun + DENSE_OPTIMUM
    np.testing.assert_allclose(m.theta, least.x, rtol=1e-4)
    assert m.sigma() == 1.3
    assert m.deviance() == pytest.approx(dense(m, m.covariances, reml=reml)[0], rel=KNOWN_SCALE)


def test_what_follows_from_the_penalised_criterion():
    m = with_prior()
    at, steps = m.point.theta, 1e-5 * np.eye(4)
    expected = [
        (m.criterion.at(at + s).gradient() - m.criterion.at(at - s).gradient()) / 2e-5
        for s in steps
    ]
    found = m.information.hessian()
    np.testing.assert_allclose(found, expected, rtol=NUMERIC_HESSIAN, atol=1e-3)
    influence = m.influence("g")
    table = two_factors()
    without = m.update(data=table[table["g"] != 4])
    np.testing.assert_allclose(influence.betas[4], without.fixef(), rtol=1e-5)
    np.testing.assert_allclose(influence.thetas[4], without.theta, rtol=1e-3)
    y = m.simulate(3, rng=1)
    boot = mx.bootstrap(m, n_sims=3, rng=1)
    assert "sigma" not in boot.names
    for i in range(3):
        again = m.refit(y.iloc[:, i])
        np.testing.assert_allclose(boot.replicates[i][-2:], again.fixef(), rtol=1e-4)
        assert again.sigma() == 1.3


def test_a_prior_that_outweighs_the_data_has_no_maximum():
    """Of two studies: the prior grows with the variance faster than they speak against it."""
    two = bcg().iloc[:2]
    formula = "y ~ 0 + (1 | study)"
    with pytest.warns(ConvergenceWarning, match="no maximum.*give the prior a scale"):
        mx.lmer(formula, two, weights="w", sigma=1, cov_prior=mx.Wishart(df=8))
    m = mx.lmer(formula, two, weights="w", sigma=1, cov_prior=mx.Wishart(df=8, scale=1.0))
    assert m.opt_summary.converged


def test_a_large_variance_has_a_minimum():
    """Between studies a thousand times what is within: no sign of a likelihood without one."""
    table = bcg().assign(y=lambda d: 1e4 * (d["y"] - d["y"].mean()))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        m = mx.lmer("y ~ 1 + (1 | study)", table, weights="w", sigma=1)
        found = m.influence("study")
        boot = mx.bootstrap(m, n_sims=20, rng=1)
    assert m.theta[0] > 1e3
    assert np.isfinite(found.betas).all()
    assert np.isfinite(boot.replicates).all()


@pytest.fixture(scope="module", params=[True, False], ids=["REML", "ML"])
def pair(request):
    return [mx.lmer(f, data("machines"), sigma=1.1, reml=request.param) for f in PAIR]


def test_structures_that_two_formulas_write(pair):
    one, other = pair
    assert one.n_parameters == other.n_parameters == 5
    assert one.deviance() == pytest.approx(other.deviance(), rel=1e-12)
    np.testing.assert_allclose(one.vcov(), other.vcov(), rtol=1e-6, atol=1e-9)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mx.exceptions.RefitWarning)
        for ddf in ("satterthwaite", "kenward-roger"):
            found = [m.anova(ddf=ddf)[["den_df", "statistic"]].to_numpy() for m in pair]
            np.testing.assert_allclose(found[0], found[1], rtol=1e-6)
    found = [m.influence("Worker").cooks_distance().to_numpy() for m in pair]
    np.testing.assert_allclose(found[0], found[1], rtol=1e-5)
    found = [m.profile(["Intercept"]).confint().to_numpy() for m in pair]
    np.testing.assert_allclose(found[0], found[1], rtol=1e-4)


@pytest.fixture(scope="module", params=CURVED.values(), ids=list(CURVED))
def curved(request):
    name, formula, sigma = request.param
    return mx.lmer(formula, data(name), sigma=sigma)


def covariance_at(m, told):
    """V at the standard deviations over sigma and the correlation of its one term."""
    structure = m.design.terms[0].structure
    lam = structure.factor(structure.from_natural(np.array(told)[None]))[0]
    return covariance_of(m, [m.sigma() ** 2 * lam @ lam.T])


def criterion_at(m, told):
    x, y = m.design.x, m.design.y
    v = covariance_at(m, told)
    inverse = np.linalg.inv(v)
    inner = x.T @ inverse @ x
    rest = y - x @ np.linalg.solve(inner, x.T @ inverse @ y)
    out = np.linalg.slogdet(v)[1] + rest @ inverse @ rest
    df = len(y) - (x.shape[1] if m.is_reml() else 0)
    out += df * np.log(2.0 * np.pi)
    return out + (np.linalg.slogdet(inner)[1] if m.is_reml() else 0.0)


def differences(function, at, h=1e-4):
    """First and second derivatives of an array-valued function."""
    e = h * np.diag(np.maximum(np.abs(at), 0.1))
    size = e.diagonal()
    first = np.array([(function(at + a) - function(at - a)) / (2 * s)
                      for a, s in zip(e, size, strict=True)])  # fmt: skip
    second = np.array([
        [
            (function(at + a + b) - function(at + a - b) - function(at - a + b)
             + function(at - a - b)) / (4 * s * t)
            for b, t in zip(e, size, strict=True)
        ]
        for a, s in zip(e, size, strict=True)
    ])  # fmt: skip
    return first, second


def test_structure_at_its_optimum(curved):
    m = curved
    assert m.deviance() == pytest.approx(criterion_at(m, m.theta), rel=KNOWN_SCALE)
    least = optimize.minimize(
        lambda t: criterion_at(m, np.append(np.abs(t[:-1]), np.tanh(t[-1]))),
        np.append(m.theta[:-1] * 1.05, np.arctanh(m.theta[-1]) + 0.05), method="Nelder-Mead",
        options={"xatol": 1e-8, "fatol": 1e-10, "maxiter": 8000, "maxfev": 8000},
    )  # fmt: skip
    assert m.deviance() <= least.fun + DENSE_OPTIMUM
    names = mx.tidy(m, effects="ran_pars")["term"].tolist()
    assert len(names) == len(m.theta)
    assert "sd__Observation" not in names


def test_degrees_of_freedom_of_a_structure(curved):
    m = curved
    x = m.design.x
    at, contrast = m.theta, np.eye(x.shape[1])[1]

    def vcov(told):
        return np.linalg.inv(x.T @ np.linalg.solve(covariance_at(m, told), x))

    slope, _ = differences(lambda t: contrast @ vcov(t) @ contrast, at)
    _, hessian = differences(lambda t: criterion_at(m, t), at, 3e-3)
    expected = 2.0 * (contrast @ vcov(at) @ contrast) ** 2
    expected /= slope @ (2.0 * np.linalg.inv(hessian)) @ slope
    assert satterthwaite(m).df(contrast) == pytest.approx(expected, rel=3e-4)


def test_kenward_roger_of_a_structure(curved):
    """Of the variances and the correlation alone, by dense matrices."""
    m = curved
    x = m.design.x
    first, second = differences(lambda t: covariance_at(m, t), m.theta, 1e-3)
    expected = adjusted_covariance(covariance_at(m, m.theta), first, second, x)
    found = mx.vcov_adj(m).to_numpy()
    np.testing.assert_allclose(found, expected, rtol=0.0, atol=2e-5 * np.max(np.abs(expected)))
    assert not np.allclose(found, m.vcov(), rtol=1e-4)


def test_profile_of_a_structure(curved):
    m = curved.refit_ml()
    limit = m.deviance() + stats.chi2.isf(0.05, 1)
    names = [n for n in m.profile().curves if n.startswith(("sd_", "cor_"))]
    assert len(names) == len(m.theta)
    for name, end in ((names[0], 1), (names[-1], 0)):
        place = names.index(name)
        value = m.profile([name]).confint().iloc[0, end]
        held = value if name.startswith("cor_") else value / m.sigma()
        if name.startswith("cor_") and abs(held) >= 1.0 - 1e-9:
            continue  # the end of its space
        free = [i for i in range(len(m.theta)) if i != place]

        def best(part, place=place, held=held, free=free):
            told = m.theta.copy()
            told[place], told[free] = held, part
            sds, rho = np.abs(told[:-1]), np.clip(told[-1], -0.999, 0.999)
            return criterion_at(m, np.append(sds, rho))

        options = {"xatol": 1e-9, "fatol": 1e-10, "maxiter": 4000, "maxfev": 4000}
        found = optimize.minimize(best, m.theta[free], method="Nelder-Mead", options=options)
        assert found.fun == pytest.approx(limit, abs=1e-3)


def test_deleted_groups_and_replicates_of_a_structure(curved):
    m = curved
    factor, level = m.design.factors[0], m.design.terms[0].levels[1]
    frame = m.model_frame()
    without = mx.lmer(m.formula(), frame[frame[factor] != level], sigma=m.sigma())
    found = m.influence(factor)
    np.testing.assert_allclose(found.betas[1], without.fixef(), rtol=1e-5)
    assert "sigma" not in found.parameter_names
    y, boot = m.simulate(3, rng=2), mx.bootstrap(m, n_sims=3, rng=2)
    for i in range(3):
        again = m.refit(y.iloc[:, i])
        np.testing.assert_allclose(boot.replicates[i][-m.solution.p :], again.fixef(), rtol=1e-4)


def test_robust_covariance_does_not_ask_how_sigma_is_known():
    free = mx.lmer("Reaction ~ Days + (Days | Subject)", mx.load_dataset("sleepstudy"))
    known = mx.lmer(free.formula(), mx.load_dataset("sleepstudy"), sigma=free.sigma())
    for kind in ("CR0", "CR1", "CR2"):
        np.testing.assert_allclose(known.vcov(kind=kind), free.vcov(kind=kind), rtol=1e-4)
    found = [mx.contest(m, "Days = 0", ddf="CR2") for m in (known, free)]
    np.testing.assert_allclose(found[0], found[1], rtol=1e-4)


def test_what_an_interval_of_sigma_is_needed_for():
    with pytest.raises(UnsupportedModelError, match=r"rmse\(ci=\).*known one"):
        mx.rmse(meta(), ci=0.9)
    dyestuff = mx.load_dataset("dyestuff")
    prior = mx.lmer("Yield ~ 1 + (1 | Batch)", dyestuff, cov_prior=mx.Wishart(df=3.5))
    with pytest.raises(UnsupportedModelError, match=r"ci='exact'.*cov_prior"):
        mx.icc(prior, ci="exact")
