"""Fits whose rows and levels were joined: what every verb says is what it says of the rows."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest

import merextras as mx
from merextras.exceptions import ConvergenceWarning
from merextras.model.generalised import fit as fitting

N, GROUPS = 2400, 400
FORMULAS = {
    "binomial": "y ~ x + (1 | g)",
    "binomial(probit)": "y ~ x * z + (x | g)",
    "poisson": "count ~ x + z + (1 | g)",
    "negative_binomial": "count ~ x + (1 | h) + (1 | k)",
}


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(11)
    g, x, z = rng.integers(0, GROUPS, N), rng.integers(0, 2, N), rng.integers(0, 2, N)
    h, k = rng.integers(0, 12, N), rng.integers(0, 5, N)
    eta = -0.4 + 0.5 * x - 0.3 * z + rng.normal(0.0, 0.8, GROUPS)[g]
    eta += x * rng.normal(0.0, 1.5, GROUPS)[g]
    y = rng.random(N) < 1.0 / (1.0 + np.exp(-eta))
    rate = np.exp(0.2 + 0.3 * x + rng.normal(0.0, 0.4, 12)[h] + rng.normal(0.0, 0.3, 5)[k])
    count = rng.poisson(rng.gamma(2.0, rate / 2.0))
    frame = pd.DataFrame({"y": y.astype(int), "x": x, "z": z, "g": g, "h": h, "k": k})
    return frame.assign(count=count).set_axis(np.arange(N) * 3 + 1, axis=0)


@pytest.fixture(scope="module", params=list(FORMULAS))
def pair(request, table):
    joined = fitting.joined
    m = mx.glmer(FORMULAS[request.param], table, request.param)
    fitting.joined = lambda *args, **kwargs: None
    try:
        by_rows = mx.glmer(FORMULAS[request.param], table, request.param)
    finally:
        fitting.joined = joined
    assert m.laplace.criterion.table.n < 0.7 * N == 0.7 * by_rows.laplace.criterion.table.n
    return m, by_rows


def test_estimates(pair):
    m, by_rows = pair
    np.testing.assert_allclose(m.log_lik(), by_rows.log_lik(), rtol=1e-12)
    se = np.sqrt(np.diag(by_rows.vcov()))
    assert np.max(np.abs(m.fixef() - by_rows.fixef()) / se) < 1e-6
    np.testing.assert_allclose(m.vcov(), by_rows.vcov(), rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(m.theta, by_rows.theta, rtol=1e-6)
    assert m.nobs() == by_rows.nobs() == N
    assert (m.ngrps() == by_rows.ngrps()).all()


def test_rows(pair):
    m, by_rows = pair
    for found, expected in (
        (m.fitted(), by_rows.fitted()),
        (m.weights(), by_rows.weights()),
        (m.predict(type="link"), by_rows.predict(type="link")),
        (m.simulate(2, rng=3), by_rows.simulate(2, rng=3)),
        *((m.residuals(kind, rng=1), by_rows.residuals(kind, rng=1))
          for kind in ("deviance", "pearson", "working", "response", "quantile")),
    ):  # fmt: skip
        assert found.index.equals(expected.index)
        np.testing.assert_allclose(found, expected, atol=2e-6)


def test_levels(pair):
    m, by_rows = pair
    for factor in by_rows.ngrps().index:
        found, expected = m.ranef()[factor], by_rows.ranef()[factor]
        assert found.index.equals(expected.index)
        np.testing.assert_allclose(found, expected, atol=1e-6)
    for t in range(len(m.design.terms)):
        pair_of = (model.working.conditional(t) for model in pair)
        np.testing.assert_allclose(*pair_of, rtol=1e-6, atol=1e-9)


def test_errors_of_predictions(pair, table):
    rows = table.head(50)
    found, expected = (model.predict(rows, se_fit=True) for model in pair)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_fitting_again(pair):
    m, by_rows = pair
    y = by_rows.simulate(1, rng=7).iloc[:, 0]
    np.testing.assert_allclose(m.refit(y).log_lik(), by_rows.refit(y).log_lik(), rtol=1e-10)
    again = pickle.loads(pickle.dumps(m))
    np.testing.assert_array_equal(again.fitted(), m.fitted())


def test_bootstrap(table):
    m = mx.glmer("y ~ x + (1 | g)", table)
    found = mx.bootstrap(m, n_sims=3, rng=5)
    assert len(found.to_frame())
    assert found.n_failed == 0


def test_profile_is_that_of_the_rows(pair):
    columns = ["conf_low", "conf_high"]
    found, expected = (model.confint(parm=["x"], method="profile")[columns] for model in pair)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_separation_is_found_in_cells(table):
    data = table.assign(odd=(table["y"] == 1) & (table["z"] == 1) & (table["x"] == 1))
    data["odd"] = data["odd"].astype(int)
    with pytest.warns(ConvergenceWarning, match="separated by.*odd"):
        mx.glmer("y ~ odd + (1 | h)", data)
