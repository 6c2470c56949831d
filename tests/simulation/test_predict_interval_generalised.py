"""Simulated intervals of generalised models: of means in closed form, of responses by moments."""

from __future__ import annotations

import glmm_models as models
import numpy as np
import pytest
from scipy import special, stats
from tolerances import MONTE_CARLO

import merextras as mx
from merextras.exceptions import InvalidArgumentError, UnsupportedModelError


def test_intervals_of_the_mean_are_those_of_predict():
    m, n = models.cbpp(), 6000
    found = mx.predict_interval(m, include_resid_var=False, level=0.9, n_sims=n, rng=1)
    exact = m.predict(type="link", interval="confidence", level=0.9)
    density = stats.norm.pdf(stats.norm.ppf(0.95))
    error = exact["std_error"] * np.sqrt(0.05 * 0.95 / n) / density
    for column in ("lower", "upper"):
        miss = special.logit(found[column]) - exact[column]
        assert np.max(np.abs(miss) / error) < MONTE_CARLO
    fixed = mx.predict_interval(m, which="fixed", n_sims=n, rng=1)
    assert np.max(np.abs(fixed["fit"] - m.predict(re_form="NA"))) < 0.01


@pytest.mark.parametrize("response", ["yes", "count", "spread", "size", "time", "number"])
def test_new_responses_have_their_variance(response):
    m, n = models.generated(response), 4000
    rows = models.rows().head(4)
    draws = {"n_sims": n, "return_sims": True, "rng": 1}
    new = mx.predict_interval(m, rows, **draws).sims["full"]
    mean = mx.predict_interval(m, rows, include_resid_var=False, **draws).sims["full"]
    within = {
        "yes": lambda mu: mu * (1.0 - mu),
        "count": lambda mu: mu,
        "spread": lambda mu: mu + mu**2 / m.dispersion,
        "size": lambda mu: m.dispersion * mu**2,
        "time": lambda mu: m.dispersion * mu**3,
        "number": lambda mu: np.full(mu.shape, m.dispersion),
    }[response](mean)
    expected = within.mean(axis=1) + mean.var(axis=1)
    kurtosis = stats.kurtosis(new, axis=1) + 3.0
    error = np.sqrt(np.maximum(kurtosis - 1.0, 0.5) / n)
    assert np.max(np.abs(new.var(axis=1) / expected - 1.0) / error) < MONTE_CARLO
    error = np.sqrt(expected / n)
    assert np.max(np.abs(new.mean(axis=1) - mean.mean(axis=1)) / error) < MONTE_CARLO


def test_a_level_that_is_new_is_drawn():
    m = models.generated("count")
    rows = models.rows().head(1).assign(g=99, h=99)
    drawn = mx.predict_interval(
        m, rows, which="random", new_levels="draw", n_sims=4000, return_sims=True, rng=1
    ).sims["random"]
    z = np.array([1.0, rows["x"].iloc[0]])
    g, h = m.covariances
    assert drawn.std() == pytest.approx(np.sqrt(z @ g @ z + h[0, 0]), rel=MONTE_CARLO / 89.0)


def test_trials_of_new_rows_are_read_from_their_columns():
    m, data = models.cbpp(), mx.load_dataset("cbpp")
    whole = mx.predict_interval(m, n_sims=200, rng=1)
    again = mx.predict_interval(m, data, n_sims=200, rng=1)
    np.testing.assert_array_equal(again, whole)
    rows = data.head(2)[["period", "herd"]]
    given = mx.predict_interval(m, rows, weights=data["size"].head(2), n_sims=200, rng=1)
    # Medians and quantiles of proportions of so many trials, and between two of them.
    counts = given["fit"] * data["size"].head(2)
    np.testing.assert_allclose(2.0 * counts, np.round(2.0 * counts), atol=1e-9)


def test_what_is_refused():
    m = models.cbpp()
    with pytest.raises(InvalidArgumentError, match="numbers of trials"):
        mx.predict_interval(m, mx.load_dataset("cbpp").head(2)[["period", "herd"]])
    with pytest.raises(UnsupportedModelError, match="which='all'"):
        mx.predict_interval(m, which="all")
    with pytest.raises(UnsupportedModelError, match="joint=True is right"):
        mx.predict_interval(m, joint=False)
    with pytest.raises(InvalidArgumentError, match="weights"):
        mx.predict_interval(m, weights=2.5)
