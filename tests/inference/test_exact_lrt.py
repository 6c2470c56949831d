"""Exact tests of a variance: against R, closed forms, brute force and their own hypothesis."""

from __future__ import annotations

import functools
import json
import pickle
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.optimize
import scipy.sparse as sp
import scipy.stats
import statsmodels.api as sm
import statsmodels.formula.api as smf
from tolerances import (
    EIGENVALUES,
    EXACT_STATISTIC,
    MONTE_CARLO,
    ORACLE,
    SPECTRAL,
    SUPREMUM,
)

from merextras.datasets import load_dataset
from merextras.engine.crossprod import CrossProducts, TermRows
from merextras.engine.optimize import minimise
from merextras.engine.plan import prepare
from merextras.exceptions import (
    ApproximationWarning,
    ConvergenceWarning,
    InvalidArgumentError,
    UnsupportedModelError,
)
from merextras.inference import null_spectrum, rlrt_null
from merextras.inference.exact_lrt import exact_lrt, exact_rlrt
from merextras.inference.null_spectrum import Spectrum, diagonal_less_gram, spectrum, spectrum_of
from merextras.inference.rlrt_null import lrt_sim, rlrt_sim
from merextras.model.fitted import FittedModel, fit_at, fit_design
from merextras.model.mixedlm import as_fitted

ROOT = Path(__file__).parents[2]
EXPECTED = json.loads((ROOT / "tests/reference/exact_tests/expected.json").read_text())
LMM_DATA = ROOT.parent / "shared" / "data" / "lmm_data.csv"

MODELS = {
    "students": ("extro ~ open + agree + social", "school"),
    "sleepstudy": ("Reaction ~ Days", "Subject"),
    "dyestuff": ("Yield ~ 1", "Batch"),
}
NULLS = {
    ("students", "lrt_q0"): "extro ~ open + agree + social",
    ("students", "lrt_q1"): "extro ~ open + agree",
    ("sleepstudy", "lrt_q0"): "Reaction ~ Days",
    ("sleepstudy", "lrt_q1"): "Reaction ~ 1",
    ("dyestuff", "lrt_q0"): "Yield ~ 1",
}
N_SIMS = 100_000


def quietly(fit, *args, **kwargs):
    """A fit without the warnings, which are tested elsewhere."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return fit(*args, **kwargs)


@functools.cache
def fitted(name, reml=True):
    formula, group = MODELS[name]
    model = smf.mixedlm(formula, data_of(name), groups=group)
    return as_fitted_quietly(quietly(model.fit, reml=reml))


def as_fitted_quietly(fit):
    return quietly(as_fitted, fit)


def data_of(name):
    return pd.read_csv(LMM_DATA) if name == "lmm_data" else load_dataset(name)


def ols(name, key):
    return smf.ols(NULLS[name, key], load_dataset(name)).fit()


def indicators(sizes, slope=None):
    """Z of groups of these sizes: indicators, or a covariate's values."""
    groups = np.repeat(np.arange(len(sizes)), sizes)
    values = np.ones(len(groups)) if slope is None else slope
    shape = (len(groups), len(sizes))
    return sp.csr_array((values, (np.arange(len(groups)), groups)), shape=shape)


def covariates(n, p, seed=0):
    x = np.random.default_rng(seed).normal(size=(n, p))
    x[:, :1] = 1.0
    return x


def assert_same_null(sample, null):
    """Quantiles, mass at zero and mean agree within the Monte Carlo error of both samples."""
    widen = np.sqrt(1.0 + null["n_sims"] / len(sample))
    found = np.quantile(sample, null["probs"])
    errors = (found - null["quantiles"]) / (widen * np.array(null["quantiles_se"]))
    assert np.all(np.abs(errors) < MONTE_CARLO)
    assert abs(np.mean(sample == 0) - null["p_zero"]) <= MONTE_CARLO * widen * null["p_zero_se"]
    assert abs(np.mean(sample) - null["mean"]) < MONTE_CARLO * widen * null["mean_se"]


# --- against R -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", MODELS)
def test_rlrt_as_in_r(name):
    expected = EXPECTED["tests"][name]["rlrt"]
    test = exact_rlrt(fitted(name), n_sims=N_SIMS, rng=1)
    assert test.name == "RLRT"
    assert test.statistic == pytest.approx(expected["statistic"], abs=EXACT_STATISTIC)
    assert_same_null(test.sample, expected["null"])


@pytest.mark.parametrize(("name", "key"), NULLS)
def test_lrt_as_in_r(name, key):
    expected = EXPECTED["tests"][name][key]
    test = exact_lrt(fitted(name, reml=False), ols(name, key), n_sims=N_SIMS, rng=2)
    assert test.name == "LRT"
    assert test.statistic == pytest.approx(expected["statistic_ml"], abs=EXACT_STATISTIC)
    assert_same_null(test.sample, expected["null"])


@pytest.mark.parametrize(("name", "key"), NULLS)
def test_lrt_at_the_reml_estimates_as_in_r(name, key):
    expected = EXPECTED["tests"][name][key]
    with pytest.warns(ApproximationWarning, match=r"fitted by REML.*refit_ml"):
        test = exact_lrt(fitted(name), ols(name, key), n_sims=10, rng=2)
    assert test.statistic == pytest.approx(expected["statistic_at_reml"], abs=EXACT_STATISTIC)
    assert "REML estimates" in test.note
    assert test.statistic < expected["statistic_ml"]


@pytest.mark.skipif(not LMM_DATA.exists(), reason="the tutorial's own data are not here")
@pytest.mark.parametrize("reml", [True, False])
def test_the_tutorials_own_data(reml):
    expected = EXPECTED["tests"]["students"]
    data = pd.read_csv(LMM_DATA)
    formula, group = MODELS["students"]
    model = as_fitted_quietly(quietly(smf.mixedlm(formula, data, groups=group).fit, reml=reml))
    if reml:
        test, key = exact_rlrt(model, n_sims=10, rng=1), "rlrt"
        statistic = expected[key]["statistic"]
    else:
        test = exact_lrt(model, smf.ols(formula, data).fit(), n_sims=10, rng=1)
        statistic = expected["lrt_q0"]["statistic_ml"]
    assert test.statistic == pytest.approx(statistic, abs=EXACT_STATISTIC)


@pytest.mark.parametrize("name", MODELS)
def test_eigenvalues_as_in_r(name):
    expected = EXPECTED["tests"][name]["design"]
    found = spectrum_of(fitted(name).solution.factor.system.cp)
    mu = np.repeat(found.mu, found.mu_counts)
    np.testing.assert_allclose(mu[::-1], expected["mu"][: len(mu)], rtol=ORACLE)
    np.testing.assert_allclose(np.repeat(found.xi, found.xi_counts), expected["xi"], rtol=ORACLE)
    assert (found.n, found.p) == (expected["n"], expected["p"])


def test_null_of_a_slope_as_in_r():
    expected = EXPECTED["slope_given_intercept"]["rlrt"]["null"]
    data = load_dataset("sleepstudy")
    days = data["Days"].to_numpy(dtype=float)
    z = indicators([10] * 18, days)
    sample = rlrt_sim(np.column_stack([np.ones(180), days]), z, n_sims=N_SIMS, rng=3)
    assert_same_null(sample, expected)


# --- the null distribution: closed forms ---------------------------------------------------------


@pytest.mark.parametrize(("levels", "size"), [(6, 5), (3, 2), (40, 10)])
@pytest.mark.parametrize("reml", [True, False])
def test_balanced_one_way_layout_is_a_function_of_f(levels, size, reml):
    n, r = levels * size, levels - 1
    nu = n - levels
    f0 = 1.0 if reml else levels / r

    def statistic(f):
        # The supremum has a closed form if all eigenvalues are equal: its h is df W / (rest S).
        f = np.maximum(f, f0)
        if reml:
            return (n - 1) * np.log((nu + r * f) / (n - 1)) - r * np.log(f)
        return n * np.log((nu + r * f) / n) - levels * np.log(r * f / levels)

    simulate = rlrt_sim if reml else lrt_sim
    sample = simulate(np.ones((n, 1)), indicators([size] * levels), n_sims=N_SIMS, rng=4)
    law = scipy.stats.f(r, nu)
    p_zero = law.cdf(f0)
    error = np.sqrt(p_zero * (1 - p_zero) / N_SIMS)
    assert abs(np.mean(sample == 0) - p_zero) < MONTE_CARLO * error
    for p in (0.9, 0.95, 0.99, 0.999):
        share = np.mean(sample <= statistic(law.ppf(p)))
        assert abs(share - p) < MONTE_CARLO * np.sqrt(p * (1 - p) / N_SIMS)


def test_restricted_fixed_effects_only_add_a_beta_ratio():
    # Far from any variance the supremum is at zero, and what is left is the F test's statistic.
    n, q = 40, 3
    x, z = covariates(n, 5), indicators([8] * 5)
    total = lrt_sim(x, z, q, n_sims=N_SIMS, rng=5)
    alone = lrt_sim(x, z, n_sims=N_SIMS, rng=5)
    law = scipy.stats.f(q, n - 5)
    expected = n * np.mean(np.log1p(q / (n - 5) * law.ppf((np.arange(10_000) + 0.5) / 10_000)))
    error = np.sqrt(np.var(total) + np.var(alone)) / np.sqrt(N_SIMS)
    assert abs(np.mean(total) - np.mean(alone) - expected) < MONTE_CARLO * error


# --- the null distribution: brute force ----------------------------------------------------------


def brute_supremum(found, reml, lambda0, w, rest):
    """max over lambda by a fine grid and scipy, for one draw; ratios straight from the paper."""
    mu = np.repeat(found.mu, found.mu_counts)
    xi = mu if reml else np.repeat(found.xi, found.xi_counts)
    df = found.n - found.p if reml else found.n

    def ratio(lam):
        numerator = np.sum((lam - lambda0) * mu / (1 + lam * mu) * w)
        denominator = np.sum((1 + lambda0 * mu) / (1 + lam * mu) * w) + rest
        log_det = np.sum(np.log1p(lam * xi)) - np.sum(np.log1p(lambda0 * xi))
        return df * np.log1p(numerator / denominator) - log_det

    logs = np.linspace(-12, 30, 1500) - np.log(mu.max())
    values = np.array([ratio(np.exp(t)) for t in logs])
    # The end of the grid stands for infinity, where the maximum is if there is no residual left.
    best = max(0.0, ratio(0.0), values[-1])
    for i in np.flatnonzero((values[1:-1] >= values[:-2]) & (values[1:-1] >= values[2:])) + 1:
        found_max = scipy.optimize.minimize_scalar(
            lambda t: -ratio(np.exp(t)),
            bounds=(logs[i - 1], logs[i + 1]),
            method="bounded",
            options={"xatol": 1e-9},
        )
        best = max(best, -found_max.fun)
    return best


def wide_spectrum(seed, rest):
    """Eigenvalues over many orders of magnitude, as splines have: several local maxima occur."""
    rng = np.random.default_rng(seed)
    mu = np.sort(10.0 ** rng.uniform(-7, 3, 12))
    xi = np.sort(np.append(mu * rng.uniform(1, 3, 12), 10.0 ** rng.uniform(-2, 3, 2)))
    counts = rng.integers(1, 4, 12)
    n = int(counts.sum()) + 2 + rest
    return Spectrum(n, 2, mu, counts, xi, np.append(counts, [1, 1]))


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("lambda0", [0.0, 0.3])
@pytest.mark.parametrize("rest", [1, 50])
def test_the_supremum_is_the_maximum(reml, lambda0, rest):
    for seed in range(4):
        found = wide_spectrum(seed, rest)
        rng = np.random.default_rng(seed)
        # One draw each, taken apart by the generator's own order.
        sample = rlrt_null.simulate_null(
            found, reml=reml, q=0, lambda0=lambda0, n_sims=12, rng=np.random.default_rng(seed)
        )
        w = rlrt_null._chi_squares(rng, found.mu_counts, 12)
        left = rng.chisquare(found.rest, 12)
        for i in range(12):
            # A group's chi-square is given to its first member: the others' terms vanish.
            spread = np.zeros(int(found.mu_counts.sum()))
            spread[np.cumsum(found.mu_counts) - found.mu_counts] = w[i]
            expected = brute_supremum(found, reml, lambda0, spread, left[i])
            assert sample[i] == pytest.approx(expected, abs=SUPREMUM * found.n)


def engine_statistics(x, y, term, kept):
    """RLRT and LRT of a response by refits, the latter also of the fixed effects not kept."""
    products = CrossProducts.from_rows(x, y, [term])
    system = prepare(products)
    out = []
    for reml in (True, False):
        solution, _ = minimise(system, np.ones(1), reml=reml)
        x0 = x if reml else x[:, :kept]
        q, r = np.linalg.qr(x0)
        df = len(y) - x0.shape[1] if reml else len(y)
        rss = np.sum((y - q @ (q.T @ y)) ** 2)
        null = df * (1 + np.log(2 * np.pi * rss / df))
        if reml:
            null += 2 * np.sum(np.log(np.abs(np.diag(r))))
        out.append(max(0.0, null - solution.deviance()))
    return out


SIZES = [1, 1, 2, 3, 5, 8, 4]


@functools.cache
def unbalanced():
    """Unbalanced groups, two of them single rows, and a covariate."""
    groups = np.repeat(np.arange(len(SIZES)), SIZES)
    x = covariates(len(groups), 2, seed=3)
    return x, TermRows(groups, np.ones((len(groups), 1)), len(SIZES)), indicators(SIZES)


def test_spectral_form_is_the_statistic_of_a_refit():
    """The same response through the engine's fits and through the eigenvectors."""
    x, term, z = unbalanced()
    n = len(x)
    basis = np.linalg.qr(x)[0]
    projected = z.toarray() - basis @ (basis.T @ z.toarray())
    values, vectors = np.linalg.eigh(projected @ projected.T)
    keep = values > 1e-10
    found = spectrum(x, z)
    assert int(found.mu_counts.sum()) == keep.sum()
    rng = np.random.default_rng(11)
    for variance in (0.0, 0.5, 3.0):
        b = rng.normal(size=(8, len(SIZES))) * np.sqrt(variance)
        for y in rng.normal(size=(8, n)) + b @ z.T.toarray():
            residual = y - basis @ (basis.T @ y)
            w = (vectors[:, keep].T @ y) ** 2
            rest = residual @ residual - w.sum()
            y0 = y - y.mean()
            dropped = n * np.log((y0 @ y0) / (residual @ residual))
            wide = Spectrum(n, 2, values[keep], np.ones(keep.sum(), int), found.xi, found.xi_counts)
            rlrt, lrt = engine_statistics(x, y, term, kept=1)
            assert rlrt == pytest.approx(brute_supremum(wide, True, 0.0, w, rest), abs=SPECTRAL)
            brute = dropped + brute_supremum(wide, False, 0.0, w, rest)
            assert lrt == pytest.approx(brute, abs=SPECTRAL)


@functools.cache
def refits_under_the_null():
    x, term, _ = unbalanced()
    rng = np.random.default_rng(12)
    rows = [engine_statistics(x, y, term, kept=1) for y in rng.normal(size=(400, len(x)))]
    return np.array(rows).T


@pytest.mark.parametrize("which", ["rlrt", "lrt"])
def test_simulated_null_is_that_of_refits(which):
    x, _, z = unbalanced()
    if which == "rlrt":
        refits, sample = refits_under_the_null()[0], rlrt_sim(x, z, n_sims=N_SIMS, rng=6)
    else:
        refits, sample = refits_under_the_null()[1], lrt_sim(x, z, 1, n_sims=N_SIMS, rng=6)
    for p in (0.6, 0.75, 0.9, 0.95):
        share = np.mean(refits <= np.quantile(sample, p))
        assert abs(share - p) < MONTE_CARLO * np.sqrt(p * (1 - p) / len(refits))
    p_zero = np.mean(sample == 0)
    error = np.sqrt(p_zero * (1 - p_zero) / len(refits))
    assert abs(np.mean(refits < SPECTRAL) - p_zero) <= MONTE_CARLO * error


@pytest.mark.parametrize("which", ["rlrt", "lrt"])
def test_p_values_are_uniform_under_the_null(which):
    """Up to the probability of a positive statistic; the others have p = 1."""
    x, _, z = unbalanced()
    simulate = rlrt_sim if which == "rlrt" else functools.partial(lrt_sim, q=1)
    sample = np.sort(simulate(x, z, n_sims=N_SIMS, rng=7))
    refits = refits_under_the_null()[0 if which == "rlrt" else 1]
    p_values = 1.0 - np.searchsorted(sample, refits) / len(sample)
    inside = p_values[refits > SPECTRAL]
    top = np.mean(sample > 0)
    assert scipy.stats.kstest(inside / top, "uniform").pvalue > 1e-3


# --- designs -------------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", [0.01, 100.0, 1e-6])
@pytest.mark.parametrize("simulate", [rlrt_sim, lrt_sim])
def test_units_of_z_do_not_matter(scale, simulate):
    x, z = covariates(24, 2), indicators(SIZES)
    one = simulate(x, z, n_sims=5000, rng=8)
    np.testing.assert_allclose(simulate(x, scale * z, n_sims=5000, rng=8), one, atol=SUPREMUM)
    # RLRsim's LRTSim: P(LRT = 0) = 0.0002 where it is 0.69.
    shifted = simulate(x, scale * z, lambda0=0.5 / scale**2, n_sims=5000, rng=8)
    np.testing.assert_allclose(
        shifted, simulate(x, z, lambda0=0.5, n_sims=5000, rng=8), atol=SUPREMUM
    )


@pytest.mark.parametrize("simulate", [rlrt_sim, lrt_sim])
def test_units_and_coding_of_x_do_not_matter(simulate):
    x, z = covariates(24, 3), indicators(SIZES)
    one = simulate(x, z, n_sims=2000, rng=8)
    wide = np.column_stack([x @ np.diag([1.0, 1e6, 1e-6]), x.sum(axis=1)])
    np.testing.assert_allclose(simulate(wide, z, n_sims=2000, rng=8), one, atol=SUPREMUM)


@pytest.mark.parametrize("simulate", [rlrt_sim, lrt_sim])
def test_dense_and_sparse_z_and_a_factor_of_sigma_agree(simulate):
    x, z = covariates(24, 2), indicators(SIZES)
    root = np.tril(np.random.default_rng(1).normal(size=(7, 7)))
    dense = z.toarray()
    draws = functools.partial(simulate, n_sims=2000, rng=9)
    np.testing.assert_allclose(draws(x, dense), draws(x, z), atol=SUPREMUM)
    folded = draws(x, dense @ root)
    np.testing.assert_allclose(draws(x, dense, sqrt_sigma=root), folded, atol=SUPREMUM)
    np.testing.assert_allclose(draws(x, z, sqrt_sigma=root), folded, atol=SUPREMUM)


def test_no_fixed_effects():
    sample = rlrt_sim(np.empty((30, 0)), indicators([5] * 6), n_sims=N_SIMS, rng=1)
    p_zero = scipy.stats.f(6, 24).cdf(1.0)
    error = np.sqrt(p_zero * (1 - p_zero) / N_SIMS)
    assert abs(np.mean(sample == 0) - p_zero) < MONTE_CARLO * error


def test_no_residual_degrees_of_freedom_left():
    # Every level one row, but of different scale: the ratio is identified by the variances alone.
    n = 12
    x, z = np.ones((n, 1)), np.diag(np.arange(1.0, n + 1))
    found = spectrum(x, z)
    assert found.rest == 0
    sample = rlrt_sim(x, z, n_sims=200, rng=1)
    w = rlrt_null._chi_squares(np.random.default_rng(1), found.mu_counts, 200)
    for i in range(20):
        expected = brute_supremum(found, True, 0.0, w[i], 0.0)
        assert sample[i] == pytest.approx(expected, abs=1e-6)
    assert np.all(np.isfinite(lrt_sim(x, z, n_sims=200, rng=1)))


@pytest.mark.parametrize("p", [1, 3, 5])
@pytest.mark.parametrize("kind", ["integers", "distinct"])
def test_eigenvalues_by_counting(monkeypatch, p, kind):
    rng = np.random.default_rng(p)
    sizes = rng.integers(1, 9, 150)
    slope = None if kind == "integers" else rng.normal(size=sizes.sum())
    x, z = covariates(sizes.sum(), p), indicators(sizes, slope)
    d, u = (z.T @ z).diagonal(), z.T @ np.linalg.qr(x)[0]
    expected = np.linalg.eigvalsh(np.diag(d) - u @ u.T)
    monkeypatch.setattr(null_spectrum, "_DENSE", 0)
    monkeypatch.setattr(null_spectrum, "_CHUNK", 1000)
    found = diagonal_less_gram(d, u)
    np.testing.assert_allclose(found, expected, atol=EIGENVALUES * d.max())


def test_eigenvalues_where_a_bracket_is_centred_on_another(monkeypatch):
    # Sizes 4, 5, 6 once each: halving would divide by zero at 5.
    x, z = covariates(15, 2), indicators([4, 5, 6])
    d, u = (z.T @ z).diagonal(), z.T @ np.linalg.qr(x)[0]
    expected = np.linalg.eigvalsh(np.diag(d) - u @ u.T)
    monkeypatch.setattr(null_spectrum, "_DENSE", 0)
    np.testing.assert_allclose(diagonal_less_gram(d, u), expected, atol=EIGENVALUES * 6)
    at = np.array([4.0, 5.0, 6.0])
    products = u[:, :, None] * u[:, None, :]
    counted = null_spectrum._n_below(at, d, np.ones(3, int), products)
    np.testing.assert_array_equal(counted, [np.sum(expected < x) for x in at])


def test_many_levels():
    sizes = np.random.default_rng(1).integers(1, 20, 20_000)
    x, z = covariates(sizes.sum(), 3), indicators(sizes)
    found = spectrum(x, z)
    assert found.mu_counts.sum() == 19_999
    assert len(found.mu) < 20 * 4
    sample = rlrt_sim(x, z, n_sims=2000, rng=1)
    # With so many levels the null is the half-and-half mixture.
    assert abs(np.mean(sample == 0) - 0.5) < MONTE_CARLO * 0.5 / np.sqrt(2000)


def test_weights_and_frequencies_are_in_the_design():
    design = fitted("dyestuff").design
    rng = np.random.default_rng(5)
    weights = rng.uniform(0.5, 2.0, design.n)
    heavy = FittedModel(fit_design(replace(design, weights=weights), reml=True))
    root = np.sqrt(weights)[:, None]
    expected = spectrum(root * design.x, root * design.z().toarray())
    found = spectrum_of(heavy.solution.factor.system.cp)
    np.testing.assert_allclose(found.mu, expected.mu, rtol=ORACLE)
    np.testing.assert_allclose(found.xi, expected.xi, rtol=ORACLE)
    assert exact_rlrt(heavy, n_sims=100, rng=1).statistic > 0

    counts = rng.integers(1, 4, design.n)
    times = replace(design, frequencies=counts.astype(float))
    at = np.repeat(np.arange(design.n), counts)
    term = design.terms[0]
    rows = TermRows(term.rows.codes[at], term.rows.values[at], term.rows.n_levels)
    longer = replace(design, x=design.x[at], y=design.y[at], terms=(replace(term, rows=rows),))
    short, long = (FittedModel(fit_design(d, reml=True)) for d in (times, longer))
    a, b = exact_rlrt(short, n_sims=500, rng=1), exact_rlrt(long, n_sims=500, rng=1)
    assert a.statistic == pytest.approx(b.statistic, abs=SPECTRAL)
    np.testing.assert_allclose(a.sample, b.sample, atol=SUPREMUM)
    with pytest.raises(InvalidArgumentError, match="weights or an offset"):
        exact_lrt(heavy, smf.ols("Yield ~ 1", load_dataset("dyestuff")).fit())


# --- the verbs -----------------------------------------------------------------------------------


def test_the_tutorials_test():
    model, null = fitted("students", reml=False), ols("students", "lrt_q1")
    test = exact_lrt(model, null, rng=1)
    assert test.n_sims == 10_000
    assert (test.p_value, test.p_text) == (0.0, "< 1e-04")
    assert test.null_hypothesis == "Var(Intercept | school) = 0, social = 0"
    assert repr(test).endswith("LRT = 2957.9, p-value < 1e-04")
    again = pickle.loads(pickle.dumps(test))
    np.testing.assert_array_equal(again.sample, test.sample)


def test_no_null_model_is_the_same_fixed_part():
    model = fitted("sleepstudy", reml=False)
    given = exact_lrt(model, ols("sleepstudy", "lrt_q0"), n_sims=100, rng=1)
    derived = exact_lrt(model, n_sims=100, rng=1)
    assert derived.statistic == pytest.approx(given.statistic, abs=SPECTRAL)
    np.testing.assert_array_equal(given.sample, derived.sample)
    assert derived.null_hypothesis == given.null_hypothesis == "Var(Intercept | Subject) = 0"


def test_a_null_that_combines_columns_is_nested():
    data = load_dataset("students")
    null = smf.ols("extro ~ I(open + agree) + social", data).fit()
    test = exact_lrt(fitted("students", reml=False), null, n_sims=100, rng=1)
    assert test.null_hypothesis.endswith("and 1 linear restriction(s) on the fixed effects")


def test_raw_fits_of_statsmodels():
    formula, group = MODELS["sleepstudy"]
    data = load_dataset("sleepstudy")
    raw = quietly(smf.mixedlm(formula, data, groups=group).fit)
    test = quietly(exact_rlrt, raw, n_sims=10, rng=1)
    expected = EXPECTED["tests"]["sleepstudy"]["rlrt"]["statistic"]
    assert test.statistic == pytest.approx(expected, abs=EXACT_STATISTIC)


def test_rlrt_of_an_ml_fit_is_that_of_its_refit():
    of_ml = exact_rlrt(fitted("sleepstudy", reml=False), n_sims=10, rng=1)
    of_reml = exact_rlrt(fitted("sleepstudy"), n_sims=10, rng=1)
    assert of_ml.statistic == pytest.approx(of_reml.statistic, abs=SPECTRAL)
    assert "refit by REML" in of_ml.note
    assert of_reml.note == ""


def test_an_unconverged_refit_warns(monkeypatch):
    model = fitted("dyestuff", reml=False)
    refit = fitted("dyestuff")
    summary = replace(refit._fit.opt, converged=False, message="not converged: too far")
    stuck = FittedModel(replace(refit._fit, opt=summary))
    monkeypatch.setitem(exact_rlrt.__globals__, "refitted", lambda *_, **__: stuck)
    with pytest.warns(ConvergenceWarning, match="refit by REML: not converged: too far"):
        exact_rlrt(model, n_sims=10, rng=1)


@pytest.mark.parametrize("reml", [True, False])
def test_a_variance_of_zero_has_p_one_and_a_sample(reml):
    data = load_dataset("dyestuff")
    means = data.groupby("Batch")["Yield"].transform("mean")
    data["Yield"] += 1500.0 - means
    model = quietly(smf.mixedlm("Yield ~ 1", data, groups="Batch").fit, reml=reml)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", ApproximationWarning)
        test = (exact_rlrt if reml else exact_lrt)(model, n_sims=500, rng=1)
    assert (test.statistic, test.p_value, test.n_exceeding) == (0.0, 1.0, 500)
    assert len(test.sample) == 500
    assert test.p_zero < 1.0


def test_one_row_in_some_levels():
    rng = np.random.default_rng(2)
    groups = np.repeat(np.arange(len(SIZES)), SIZES)
    data = pd.DataFrame({"y": rng.normal(size=24) + 2 * rng.normal(size=7)[groups], "g": groups})
    model = quietly(smf.mixedlm("y ~ 1", data, groups="g").fit)
    x, term, _ = unbalanced()
    expected = engine_statistics(np.ones((24, 1)), data["y"].to_numpy(), term, kept=1)[0]
    test = quietly(exact_rlrt, model, n_sims=500, rng=1)
    assert test.statistic == pytest.approx(expected, abs=SPECTRAL)
    del x


def test_rng_is_an_int_or_a_generator_and_the_global_state_is_left_alone():
    model = fitted("dyestuff")
    state = np.random.get_state()[1].copy()  # noqa: NPY002 (what must not be used)
    one = exact_rlrt(model, n_sims=50, rng=3).sample
    np.testing.assert_array_equal(exact_rlrt(model, n_sims=50, rng=3).sample, one)
    generator = np.random.default_rng(3)
    np.testing.assert_array_equal(exact_rlrt(model, n_sims=50, rng=generator).sample, one)
    assert not np.array_equal(exact_rlrt(model, n_sims=50, rng=generator).sample, one)
    np.testing.assert_array_equal(np.random.get_state()[1], state)  # noqa: NPY002


def test_blocks_cover_every_draw(monkeypatch, capsys):
    x, z = covariates(24, 2), indicators(SIZES)
    monkeypatch.setattr(rlrt_null, "_BLOCK", 5000)
    monkeypatch.setattr(rlrt_null, "_LONG", 0.0)
    sample = rlrt_sim(x, z, n_sims=1003, rng=1)
    assert np.all(np.isfinite(sample))
    assert np.all(sample >= 0)
    # No bar where no one watches.
    assert capsys.readouterr().err == ""


# --- errors --------------------------------------------------------------------------------------


def sleep(formula="Reaction ~ Days", **kwargs):
    model = smf.mixedlm(formula, load_dataset("sleepstudy"), groups="Subject", **kwargs)
    return as_fitted_quietly(quietly(model.fit))


@pytest.mark.parametrize("test", [exact_lrt, exact_rlrt])
def test_correlated_effects_are_not_one_variance(test):
    with pytest.raises(UnsupportedModelError, match=r"2 effects per level.*bootstrap"):
        test(sleep(re_formula="~Days"))


@pytest.mark.parametrize("test", [exact_lrt, exact_rlrt])
def test_several_components_are_not_one_variance(test):
    model = sleep(vc_formula={"days": "0 + Days"}, re_formula="1")
    with pytest.raises(
        UnsupportedModelError, match=r"one variance component; this one has 2 terms"
    ):
        test(model)


@pytest.mark.parametrize("test", [exact_lrt, exact_rlrt])
def test_not_a_mixed_model(test):
    with pytest.raises(UnsupportedModelError, match="expected the fit of a statsmodels MixedLM"):
        test(ols("dyestuff", "lrt_q0"))


@pytest.mark.parametrize(("n_sims", "rng"), [(0, 1), (1.5, 1), (True, 1), (10, -1), (10, "a")])
def test_arguments_of_the_simulation(n_sims, rng):
    with pytest.raises(InvalidArgumentError, match=r"(n_sims|rng)="):
        exact_rlrt(fitted("dyestuff"), n_sims=n_sims, rng=rng)
    with pytest.raises(InvalidArgumentError, match=r"(n_sims|rng)="):
        exact_lrt(fitted("dyestuff", reml=False), n_sims=n_sims, rng=rng)


def wls():
    data = load_dataset("dyestuff")
    return smf.wls("Yield ~ 1", data, weights=np.ones(30)).fit()


def glm():
    return smf.glm("Yield ~ 1", load_dataset("dyestuff")).fit()


def unfitted():
    return smf.ols("Yield ~ 1", load_dataset("dyestuff"))


def regularised():
    return unfitted().fit_regularized(alpha=0.1)


def without_data():
    fit = sm.OLS(np.arange(30.0), np.ones(30)).fit()
    fit.remove_data()
    return fit


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (wls, r"got RegressionResultsWrapper \(of WLS\)"),
        (glm, r"got GLMResultsWrapper \(of GLM\)"),
        (unfitted, "has not been fitted"),
        (regularised, "got RegularizedResultsWrapper"),
        (without_data, "data of this OLS fit were removed"),
        (lambda: fitted("dyestuff"), "got MerMod"),
        (lambda: 3.0, "got float; fit it with"),
    ],
)
def test_null_models_that_are_not_ols(make, message):
    with pytest.raises(InvalidArgumentError, match=message):
        exact_lrt(fitted("dyestuff", reml=False), make())


def test_null_of_other_rows():
    null = smf.ols("Yield ~ 1", load_dataset("dyestuff").iloc[1:]).fit()
    with pytest.raises(InvalidArgumentError, match="fitted to 29 rows, the model to 30"):
        exact_lrt(fitted("dyestuff", reml=False), null)


def test_null_of_another_response():
    null = smf.ols("Yield ~ 1", load_dataset("dyestuff").iloc[::-1]).fit()
    with pytest.raises(InvalidArgumentError, match=r"response differs.*same order"):
        exact_lrt(fitted("dyestuff", reml=False), null)


@pytest.mark.parametrize("formula", ["extro ~ open + id", "extro ~ open + agree + social + id"])
def test_null_that_is_not_nested(formula):
    null = smf.ols(formula, load_dataset("students")).fit()
    with pytest.raises(InvalidArgumentError, match=r"not nested.*'id'.*in the span"):
        exact_lrt(fitted("students", reml=False), null)


def test_one_row_in_every_level():
    design = fitted("dyestuff").design
    rows = TermRows(np.arange(30), np.ones((30, 1)), 30)
    design = replace(design, terms=(replace(design.terms[0], rows=rows),))
    for test, reml in ((exact_lrt, False), (exact_rlrt, True)):
        with pytest.raises(UnsupportedModelError, match="as many levels as rows"):
            test(FittedModel(fit_at(design, np.ones(1), reml=reml)))


def test_random_effect_in_the_span_of_the_fixed_ones():
    x = indicators([5] * 6).toarray()
    for z in (indicators([5] * 6), x):
        with pytest.raises(UnsupportedModelError, match="in the span of the fixed effects"):
            rlrt_sim(x, z)


def test_likelihood_without_a_maximum():
    # Two rows a level and their differences fixed: nothing is left for the residual.
    z = indicators([2] * 4)
    slope = sp.csr_array(np.diag([1.0, -1.0] * 4) @ z)
    x = slope.toarray()
    with pytest.raises(UnsupportedModelError, match=r"no maximum.*exact_rlrt"):
        lrt_sim(x, indicators([2] * 4, np.array([1, 1, 2, 2, 3, 3, 4, 4.0])))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": np.ones(24)}, "x: needs two dimensions"),
        ({"z": np.ones(24)}, "z: needs two dimensions"),
        ({"x": np.ones((23, 1))}, "both need the same rows"),
        ({"z": np.ones((24, 0))}, "and z a column"),
        ({"x": np.full((24, 1), np.nan)}, "x: has values that are not finite"),
        ({"z": np.full((24, 1), np.inf)}, "z: has values that are not finite"),
        ({"sqrt_sigma": np.eye(3)}, "z has 7 columns"),
        ({"lambda0": -1.0}, "lambda0=-1.0: must be"),
        ({"lambda0": np.inf}, "lambda0=inf: must be"),
        ({"lambda0": "a"}, "lambda0='a': must be"),
        ({"n_sims": 0}, "n_sims=0"),
        ({"q": -1}, "q=-1: must be"),
        ({"q": True}, "q=True: must be"),
        ({"q": 3}, "only 2 fixed effects"),
    ],
)
def test_arguments_of_the_simulators(change, message):
    given = {"x": covariates(24, 2), "z": indicators(SIZES), "n_sims": 10, **change}
    with pytest.raises(InvalidArgumentError, match=message):
        lrt_sim(**given)
    if "q" not in change:
        with pytest.raises(InvalidArgumentError, match=message):
            rlrt_sim(**given)
