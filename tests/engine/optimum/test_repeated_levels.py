"""The quick evaluation for one term against the general elimination."""

from __future__ import annotations

import free_covariances as covpar
import numpy as np
import pytest
from engine.lme4_models import lme4_model
from free_covariances import average_information
from hypothesis import given
from properties.compare import close
from properties.designs import designs
from tolerances import ORACLE

from merextras.engine.covariance.cholesky import lower_indices
from merextras.engine.derivatives.gradient import deviance_slopes, factor_slopes
from merextras.engine.elimination.plan import prepare
from merextras.engine.optimum.repeated_levels import Exchangeable
from merextras.engine.products.crossprod import CrossProducts
from merextras.engine.products.term_rows import TermRows
from merextras.engine.solution.pls import solve

METHODS = [True, False]


def check(cp, theta, *, reml):
    """Compare everything that the optimiser asks for; return the levels."""
    levels = Exchangeable.of(cp)
    lams = covpar.unpack(theta, [cp.shapes[0][1]])
    have, want = levels.at(lams, reml=reml), solve(prepare(cp), lams, reml=reml)
    close(have.deviance(), want.deviance(), ORACLE)
    close(have.gram, want.gram, ORACLE)
    # A slope is a difference of what may cancel: relative to its parts.
    part = np.sqrt(cp.own[0].sum(axis=0).diagonal())
    parts = np.outer(part, part)
    near(have.deviance_slopes()[0] / parts, deviance_slopes(want)[0] / parts)
    lam = np.abs(lams[0]) * part[:, None]
    slopes, expected = have.factor_slopes()[0], factor_slopes(want)[0]
    near(slopes / part[:, None], expected / part[:, None], 1.0 + np.max(lam))
    rows, _ = lower_indices(len(part))
    scale = np.outer(part[rows], part[rows])
    covariance_slopes = covpar.of(want).covariance_slopes(theta)
    information, expected = have.average_information(covariance_slopes), average_information(want)
    near(information / scale, expected / scale, 1.0 + np.max(lam) ** 2)
    return levels


def near(have, want, scale=1.0):
    np.testing.assert_allclose(have, want, rtol=ORACLE, atol=ORACLE * scale)


@given(designs(layouts=("one",)))
@pytest.mark.parametrize("reml", METHODS)
def test_any_design(reml, design):
    check(design.system().cp, design.theta, reml=reml)


@pytest.mark.parametrize("reml", METHODS)
@pytest.mark.parametrize("unit", [1.0, 1e6, 1e-5])
def test_balanced_levels_are_one_block(unit, reml):
    model = lme4_model("slopes", "correlated")
    x = model.x * [1.0, unit]
    cp = CrossProducts.from_rows(
        x, model.y, [TermRows(model.terms[0].codes, x, model.terms[0].n_levels)]
    )
    levels = check(cp, np.array([0.9, 0.02, 0.2]) / [1.0, unit, unit], reml=reml)
    assert levels.counts.tolist() == [18.0]


@pytest.mark.parametrize("k", [1, 2])
def test_equal_levels_in_any_order(k):
    rng = np.random.default_rng(3)
    sizes = rng.permutation(np.repeat([0, 1, 2, 5], 30))
    codes = np.repeat(np.arange(len(sizes)), sizes)
    place = np.concatenate([np.arange(size) for size in sizes]).astype(float)
    values = np.column_stack([np.ones(len(codes)), place])[:, :k]
    x = np.column_stack([np.ones(len(codes)), rng.normal(size=len(codes))])
    cp = CrossProducts.from_rows(
        x, rng.normal(size=len(codes)), [TermRows(codes, values, len(sizes))]
    )
    levels = check(cp, np.array([0.7, 0.1, 0.4])[: k * (k + 1) // 2], reml=True)
    assert levels.counts.tolist() == [30.0] * 4


def test_levels_that_all_differ():
    rng = np.random.default_rng(4)
    codes = rng.integers(0, 40, 300)
    x = np.column_stack([np.ones(300), rng.normal(size=300)])
    levels = check(
        CrossProducts.from_rows(x, rng.normal(size=300), [TermRows(codes, x, 40)]),
        np.array([0.7, 0.1, 0.4]),
        reml=True,
    )
    assert len(levels.counts) == 40


def test_no_fixed_effects():
    rng = np.random.default_rng(5)
    terms = [TermRows(np.arange(60) % 7, np.ones((60, 1)), 7)]
    cp = CrossProducts.from_rows(np.empty((60, 0)), rng.normal(size=60), terms)
    check(cp, np.array([0.6]), reml=False)


def test_where_it_does_not_pay():
    rng = np.random.default_rng(6)
    codes = rng.integers(0, 40_000, 100_000)
    x = np.column_stack([np.ones(100_000), rng.normal(size=100_000)])
    y = rng.normal(size=100_000)
    slopes, intercepts = TermRows(codes, x, 40_000), TermRows(codes, x[:, :1], 40_000)
    assert Exchangeable.of(CrossProducts.from_rows(x, y, [slopes])) is None
    assert len(Exchangeable.of(CrossProducts.from_rows(x, y, [intercepts])).counts) < 20
    assert Exchangeable.of(CrossProducts.from_rows(x, y, [slopes, intercepts])) is None
