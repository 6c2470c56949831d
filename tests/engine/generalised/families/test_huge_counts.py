"""Counts and trials so many that the whole has no digits left for a step."""

from __future__ import annotations

import numpy as np
import pytest

from merextras.engine.generalised.criterion.laplace import Laplace
from merextras.engine.generalised.families.binomial import Logit
from merextras.engine.generalised.families.counts import NegativeBinomial, Poisson
from merextras.engine.generalised.rows.table import Table
from merextras.engine.generalised.searches.search import optimise
from merextras.engine.products.term_rows import TermRows

N, LEVELS = 600, 6


def _criterion(kind):
    rng = np.random.default_rng(45)
    g, z = rng.integers(0, LEVELS, N), rng.integers(0, 2, N)
    eta = 0.5 * z + rng.normal(0.0, 2.0, LEVELS)[g]
    if kind == "binomial":
        trials = rng.integers(1, 100_000, N).astype(float)
        family = Logit(rng.binomial(trials.astype(int), 1 / (1 + np.exp(6 - eta))) * 1.0, trials)
    elif kind == "poisson":
        family = Poisson(rng.poisson(1e5 * np.exp(eta)).astype(float))
    else:
        rate = rng.gamma(1.5, 1e5 * np.exp(eta) / 1.5)
        family = NegativeBinomial(rng.poisson(rate).astype(float))
    one = np.ones((N, 1))
    terms = [TermRows(g, one, LEVELS), TermRows(g, z[:, None] * 1.0, LEVELS)]
    return Laplace(Table(np.column_stack([one, z]), terms), family)


@pytest.mark.parametrize("kind", ["binomial", "poisson", "negative binomial"])
def test_the_search_ends_at_an_optimum(kind):
    criterion = _criterion(kind)
    found = optimise(criterion)
    assert found.converged
    assert found.positive
    # The score at the modes is that of their prior to the digits that sums of such numbers have.
    point = found.point
    for part, v in zip(criterion.table.to_terms(point.modes.g), point.modes.v, strict=True):
        size = np.sum(point.modes.w) * 1e-14
        np.testing.assert_allclose(part[:, :, 0], v, atol=max(1e-6, size))


@pytest.mark.parametrize("kind", ["binomial", "poisson"])
def test_the_gradient_does_not_depend_on_where_the_modes_began(kind):
    criterion = _criterion(kind)
    x = optimise(criterion).point.x * 1.001
    near = criterion.at(x * 1.0001)
    warm, cold = criterion.at(x, near).gradient(), criterion.at(x).gradient()
    np.testing.assert_allclose(warm, cold, rtol=1e-6, atol=1e-5 * np.abs(cold).max())
