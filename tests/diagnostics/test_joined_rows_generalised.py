"""Verbs of generalised models whose rows and levels are joined in the fit, and that miss values."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import merextras as mx


@pytest.fixture(scope="module")
def models():
    """A model of joined rows, and the same of rows that a covariate of no effect keeps apart."""
    rng = np.random.default_rng(3)
    g = np.repeat(np.arange(120), 25)
    x = rng.integers(0, 2, len(g))
    eta = -0.5 + 0.8 * x + 0.7 * rng.normal(size=120)[g]
    y = (rng.random(len(g)) < 1.0 / (1.0 + np.exp(-eta))).astype(int)
    data = pd.DataFrame({"g": g, "x": x, "y": y})
    apart = data.assign(o=1e-12 * rng.normal(size=len(g)))
    joined = mx.glmer("y ~ x + (1 | g)", data)
    alone = mx.glmer("y ~ x + offset(o) + (1 | g)", apart)
    assert joined.laplace.criterion.table.cells is not None
    assert alone.laplace.criterion.table.cells is None
    return joined, alone


def test_leverages_and_residuals(models):
    joined, alone = models
    np.testing.assert_allclose(joined.hatvalues(), alone.hatvalues(), rtol=1e-6)
    np.testing.assert_allclose(joined.hatvalues().sum(), joined.hat_trace(), rtol=1e-8)
    np.testing.assert_allclose(joined.rstudent(), alone.rstudent(), rtol=1e-6)
    np.testing.assert_allclose(joined.cooks_distance(), alone.cooks_distance(), rtol=1e-5)
    one, other = (m.residuals("quantile", re_form="population", rng=1) for m in models)
    np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("method", ["full", "one-step"])
def test_influence(models, method):
    labels = np.where(models[0].design.frame["g"] < 3, models[0].design.frame["g"], 99)
    one, other = (m.influence(labels, method=method) for m in models)
    np.testing.assert_allclose(one.betas[:3], other.betas[:3], rtol=1e-5)
    np.testing.assert_allclose(one.std_errors[:3], other.std_errors[:3], rtol=1e-4)
    np.testing.assert_allclose(one.parameter_values[:3], other.parameter_values[:3], rtol=1e-4)


def test_ranks_means_and_checks(models):
    one, other = (mx.expected_rank(m) for m in models)
    np.testing.assert_allclose(one["er"], other["er"], rtol=1e-6)
    one, other = (mx.check_convergence(m) for m in models)
    assert one.converged
    assert other.converged
    one, other = (mx.check_outliers(m).to_frame() for m in models)
    np.testing.assert_allclose(one["p_value"], other["p_value"], rtol=1e-6)
    cases = pd.DataFrame({"x": [0, 1], "g": [3, 4], "o": [0.0, 0.0]})
    one, other = (mx.re_impact(m, cases, breaks=2) for m in models)
    np.testing.assert_allclose(one["std_error"], other["std_error"], rtol=1e-6)


def test_rows_that_miss_values_are_kept_apart():
    data = mx.load_dataset("cbpp")
    data.loc[[3, 10], "period"] = np.nan
    formula = "cbind(incidence, size - incidence) ~ C(period) + (1 | herd)"
    kept, left = (mx.glmer(formula, data, missing=how) for how in ("keep", "drop"))
    found = mx.augment(kept, data)
    assert found.loc[[3, 10], ["fitted", "hat", "resid"]].isna().all(axis=None)
    for ask in (
        lambda m: m.hatvalues(),
        lambda m: m.rstudent(),
        lambda m: m.cooks_distance(),
        lambda m: mx.check_outliers(m).to_frame()["p_value"],
    ):
        by_row = ask(kept)
        assert by_row.index.equals(data.index)
        np.testing.assert_allclose(by_row.dropna(), ask(left), rtol=1e-10)
    table = mx.residual_table(kept, rng=1).to_frame()
    pd.testing.assert_frame_equal(table, mx.residual_table(left, rng=1).to_frame())
