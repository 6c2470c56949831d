"""The bootstrap in the balanced one-way layout, where its distribution has a closed form.

With `a` groups of `m` rows the REML estimates are functions of two independent chi-square
variables, the sums of squares between and within groups, and of the overall mean.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from tolerances import MONTE_CARLO

import merextras as mx

A, M = 6, 5
FORMULA = "y ~ 1 + (1 | g)"
TYPES = ("percentile", "basic", "normal")


def estimates(rng, sd, sigma, mean, shape):
    """Draw (SD of the groups, sigma, mean) as REML estimates them from data of such values."""
    between = (sigma**2 + M * sd**2) * rng.chisquare(A - 1, shape)
    within = sigma**2 * rng.chisquare(A * (M - 1), shape)
    variance = (between / (A - 1) - within / (A * (M - 1))) / M
    zero = variance <= 0.0
    residual = np.where(zero, (between + within) / (A * M - 1), within / (A * (M - 1)))
    centre = mean + np.sqrt((sigma**2 + M * sd**2) / (A * M)) * rng.standard_normal(shape)
    return np.stack([np.sqrt(np.maximum(variance, 0.0)), np.sqrt(residual), centre])


def data_of(rng, sd, sigma, mean):
    groups = np.repeat(np.arange(A), M)
    y = mean + sd * rng.standard_normal(A)[groups] + sigma * rng.standard_normal(A * M)
    return pd.DataFrame({"g": groups, "y": y})


def test_replicates_have_the_exact_distribution():
    m = mx.lmer(FORMULA, mx.load_dataset("dyestuff").rename(columns={"Yield": "y", "Batch": "g"}))
    sd, sigma = float(m.theta[0]) * m.sigma(), m.sigma()
    n = 20_000
    boot = mx.bootstrap(m, n_sims=n, rng=11)
    exact = estimates(np.random.default_rng(12), sd, sigma, m.fixef().iloc[0], 400_000)
    for drawn, wanted in zip(boot.estimates.to_numpy().T, exact, strict=True):
        assert stats.ks_2samp(drawn, wanted).pvalue > 1e-4
    shift = exact.mean(axis=1) - boot.observed
    error = exact.std(axis=1) * np.sqrt(1.0 / n + 1.0 / 400_000)
    assert np.all(np.abs(boot.bias - shift) < MONTE_CARLO * error)
    # The estimate is zero where the F statistic is below one.
    p = stats.f(A - 1, A * (M - 1)).cdf(sigma**2 / (sigma**2 + M * sd**2))
    assert abs(boot.singular_share - p) < MONTE_CARLO * np.sqrt(p * (1.0 - p) / n)


def closed_form_coverage(truth, level, n_sims, n):
    """How often intervals from bootstrap replicates in closed form hold the truth."""
    rng = np.random.default_rng(21)
    observed = estimates(rng, *truth, n)
    replicates = estimates(rng, *observed[:, :, None], (n, n_sims))
    tails = [(1.0 - level) / 2.0, (1.0 + level) / 2.0]
    low, high = np.quantile(replicates, tails, axis=2)
    bias, z = replicates.mean(axis=2) - observed, stats.norm.isf(tails[0])
    sd = replicates.std(axis=2, ddof=1)
    limits = {
        "percentile": (low, high),
        "basic": (2.0 * observed - high, 2.0 * observed - low),
        "normal": (observed - bias - z * sd, observed - bias + z * sd),
    }
    at = np.array(truth)[:, None]
    return {kind: np.mean((a <= at) & (at <= b), axis=1) for kind, (a, b) in limits.items()}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::merextras.exceptions.SingularFitWarning")
def test_intervals_cover_as_often_as_in_closed_form():
    """Which is not the nominal 95 %: six groups say little about how much groups vary."""
    truth, n, n_sims = (1.0, 1.0, 2.0), 250, 300
    expected = closed_form_coverage(truth, 0.95, n_sims, 6_000)
    hits = {kind: np.zeros(3) for kind in TYPES}
    for child in np.random.default_rng(22).spawn(n):
        m = mx.lmer(FORMULA, data_of(child, *truth))
        boot = mx.bootstrap(m, n_sims=n_sims, rng=child)
        for kind in TYPES:
            low, high = boot.confint(0.95, kind).to_numpy().T
            hits[kind] += (low <= truth) & (truth <= high)
    for kind in TYPES:
        p = expected[kind]
        error = np.sqrt(p * (1.0 - p) * (1.0 / n + 1.0 / 6_000))
        assert np.all(np.abs(hits[kind] / n - p) < 4.0 * error), kind
    assert np.all(expected["percentile"] < 0.94)
