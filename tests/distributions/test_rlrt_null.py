"""The simulated null distributions: R, closed forms, brute force, refits, units."""

from __future__ import annotations

import functools

import numpy as np
import pytest
import scipy.sparse as sp
import scipy.stats
from exact_models import (
    EXPECTED,
    N_SIMS,
    SIZES,
    assert_same_null,
    brute_supremum,
    covariates,
    engine_statistics,
    indicators,
    unbalanced,
    wide_spectrum,
)
from tolerances import MONTE_CARLO, SPECTRAL, SUPREMUM

from merextras.datasets import load_dataset
from merextras.distributions import rlrt_null
from merextras.distributions.null_spectrum import Spectrum, spectrum
from merextras.distributions.rlrt_null import lrt_sim, rlrt_sim
from merextras.exceptions import (
    InvalidArgumentError,
    UnsupportedModelError,
)

# --- R and closed forms --------------------------------------------------------------------------


def test_null_of_a_slope_as_in_r():
    expected = EXPECTED["given"]["slope"]["rlrt"]["null"]
    data = load_dataset("sleepstudy")
    days = data["Days"].to_numpy(dtype=float)
    z = indicators([10] * 18, days)
    sample = rlrt_sim(np.column_stack([np.ones(180), days]), z, n_sims=N_SIMS, rng=3)
    assert_same_null(sample, expected)


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
    # U is independent of the rest: the F test's statistic, n log(1 + q F / (n - p)), is added.
    n, q = 40, 3
    x, z = covariates(n, 5), indicators([8] * 5)
    total = lrt_sim(x, z, q, n_sims=N_SIMS, rng=5)
    alone = lrt_sim(x, z, n_sims=N_SIMS, rng=5)
    law = scipy.stats.f(q, n - 5)
    expected = n * np.mean(np.log1p(q / (n - 5) * law.ppf((np.arange(10_000) + 0.5) / 10_000)))
    error = np.sqrt(np.var(total) + np.var(alone)) / np.sqrt(N_SIMS)
    assert abs(np.mean(total) - np.mean(alone) - expected) < MONTE_CARLO * error


# --- brute force ---------------------------------------------------------------------------------


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
            assert sample[i] == pytest.approx(expected, abs=SUPREMUM)


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
    rows = [engine_statistics(x, y, term, kept=1) for y in rng.normal(size=(250, len(x)))]
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
