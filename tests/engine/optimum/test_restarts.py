"""The lowest of several minima: known cases, and small unbalanced designs at random."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from fuzz_share import part
from oracle.multistart import DenseCriterion
from small_designs import small_design
from tolerances import OPTIMUM_DEVIANCE, SEVERAL_MINIMA

import merextras as mx
from merextras.engine.optimum.criterion import Criterion
from merextras.engine.optimum.newton import minimise
from merextras.engine.replicates.search import minimise_many
from merextras.exceptions import InvalidArgumentError, MerextrasWarning
from merextras.inference.intervals.replicates import reduced

SHARED = os.environ.get("MEREXTRAS_SHARED", Path(__file__).parents[4] / "shared" / "data")
CASES = Path(SHARED) / "cases"

#: Where a search from moments ends above the optimum; each by a dense search from 30 starts.
KNOWN = [
    (37, 6.420506), (85, 292.173090), (104, 192.621088), (140, 140.349306), (169, 170.259329),
    (222, 129.087721), (401, 104.395869), (427, 252.801259), (491, 35.464605), (508, 92.770716),
]  # fmt: skip


def fitted(formula, data, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MerextrasWarning)
        return mx.lmer(formula, data, **options)


@pytest.mark.parametrize(
    ("name", "formula", "reml", "optimum"),
    [
        ("one_big_group", "y ~ x1 + x3 + f + (0 + f | g)", False, 175.7986),
        ("dominant_group", "y ~ x2 + (x1 | g)", False, 244.1027),
        ("two_optima_a", "y ~ x + (x || g)", True, 155.8829),
        ("two_optima_c", "y ~ x + (x || g)", True, 102.3771),
    ],
)
def test_lowest_of_the_cases(name, formula, reml, optimum):
    path = CASES / f"{name}.csv"
    if not path.exists():
        pytest.skip("the shared data are not there")
    model = fitted(formula, pd.read_csv(path), reml=reml)
    assert model.opt_summary.deviance == pytest.approx(optimum, abs=6e-5)
    assert model.opt_summary.converged
    assert model.opt_summary.n_ends > 1
    assert f"the lowest of {model.opt_summary.n_ends} ends" in model.opt_summary.message


def test_slope_of_two_optima():
    path = CASES / "two_optima_a.csv"
    if not path.exists():
        pytest.skip("the shared data are not there")
    model = fitted("y ~ x + (x || g)", pd.read_csv(path))
    assert np.sqrt(np.diag(model.vcov()))[1] == pytest.approx(0.068, abs=5e-4)


@pytest.mark.parametrize(("seed", "optimum"), KNOWN)
def test_lowest_of_small_designs(seed, optimum):
    formula, frame, reml = small_design(seed)
    model = fitted(formula, frame, reml=reml)
    assert model.opt_summary.converged
    assert model.opt_summary.deviance == pytest.approx(optimum, abs=2e-6)


def test_regular_fits_are_searched_once():
    for name, formula in [
        ("sleepstudy", "Reaction ~ Days + (Days | Subject)"),
        ("dyestuff", "Yield ~ 1 + (1 | Batch)"),
        ("penicillin", "diameter ~ 1 + (1 | plate) + (1 | sample)"),
    ]:
        opt = mx.lmer(formula, mx.load_dataset(name)).opt_summary
        assert opt.regular
        assert (opt.n_ends, opt.unbounded) == (1, False)
        # One evaluation an iteration and the start.
        assert opt.n_evaluations <= opt.n_iterations + 2


def test_replicates_are_not_left_at_the_higher_end():
    formula, frame, reml = small_design(169)
    model = fitted(formula, frame, reml=reml)
    y = np.asarray(model.simulate(24, rng=1))
    many = minimise_many(model.criterion, reduced(model, y), model.theta)
    for r in range(24):
        system = reduced(model, y).system(model.criterion.system, r)
        one = minimise(Criterion(system, reml=reml), model.theta)[1]
        if one.converged and many.converged[r]:
            assert many.deviance[r] <= one.deviance + 10 * OPTIMUM_DEVIANCE


def test_unbounded_likelihood_is_named():
    frame = pd.DataFrame(
        {"g": [0, 0, 0, 1, 1, 2], "h": [0, 1, 2, 0, 1, 2], "x": [0.3, -1.2, 0.8, 2.0, -0.4, 1.1]}
    )
    frame["z"] = [1.0, 0.2, -0.7, 0.5, 1.9, -1.0]
    frame["y"] = [1.2, 0.1, -0.4, 2.2, 1.7, -0.9]
    formula = "y ~ x + z + (1 | g) + (1 | h)"
    with pytest.warns(mx.exceptions.ConvergenceWarning, match="likelihood has no maximum"):
        model = mx.lmer(formula, frame, reml=False, control=mx.LmerControl(check=False))
    assert model.opt_summary.unbounded
    assert not model.opt_summary.converged
    assert not mx.check_convergence(model).converged


def test_unbounded_along_a_ray_is_named():
    """Three variances that can only grow in proportion, not all of them beyond a thousand."""
    formula, frame, reml = small_design(278)
    model = fitted(formula, frame, reml=reml)
    assert model.opt_summary.unbounded
    assert not model.opt_summary.converged


def test_unbounded_along_a_ray_that_no_search_comes_upon():
    """One direction of a covariance of rank one explains the response exactly; see `rays`."""
    formula, frame, reml = small_design(184)
    model = fitted(formula, frame, reml=reml)
    assert model.opt_summary.unbounded
    assert not model.opt_summary.converged
    # By arithmetic of 80 digits it falls by 2 log 10 with each power of ten of such a direction.
    assert model.opt_summary.deviance < 23.0


@pytest.mark.slow
@pytest.mark.parametrize("first", range(0, part(600), 10))
def test_no_small_design_ends_above_its_optimum(first):
    for seed in range(first, first + 10):
        formula, frame, reml = small_design(seed)
        try:
            model = fitted(formula, frame, reml=reml)
        except InvalidArgumentError:
            continue
        if not model.opt_summary.converged:
            continue
        terms = [term.rows for term in model.design.terms]
        dense = DenseCriterion(np.asarray(model.design.x), model.design.y, terms, reml)
        best = dense.lowest(np.random.default_rng(seed), 30)
        ours = model.opt_summary.deviance
        assert ours <= best + SEVERAL_MINIMA * (1.0 + abs(best)), (seed, formula)
