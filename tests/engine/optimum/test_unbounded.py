"""Likelihoods without a maximum: known as such soon, and no others taken for one."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
import small_models as small
from small_designs import small_design

import merextras as mx
from merextras.engine.optimum.unbounded import (
    FAR,
    FEW_DIGITS,
    LARGE,
    is_bottomless,
    is_unbounded,
    outgrown,
    relative_size,
)
from merextras.exceptions import MerextrasWarning


def fitted(formula, data, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MerextrasWarning)
        return mx.lmer(formula, data, **options)


def at_end(model):
    """(criterion, its values, theta) where a fit ended."""
    criterion = model.criterion
    return criterion, lambda theta: criterion.at(theta).value(), model.point.theta


@pytest.fixture(scope="module")
def falling():
    """Twelve rows, a deviance that falls by 2 log of what three variances grow by."""
    case = small.case_of(286)
    return fitted(case.formula, case.data, **case.kwargs)


def test_it_takes_few_evaluations(falling):
    """Some 7 000 where the search crawls, and looks from other starts for what can't be lower."""
    opt = falling.opt_summary
    assert opt.unbounded
    assert not opt.converged
    assert opt.n_evaluations < 400


def test_of_small_designs_that_have_shown_it():
    # How many of the last depends on rounding: less than 800, and 948, have been seen.
    for seed, most in ((33, 200), (48, 600), (86, 400), (278, 1500)):
        formula, frame, reml = small_design(seed)
        opt = fitted(formula, frame, reml=reml, control=mx.LmerControl(check=False)).opt_summary
        assert opt.unbounded, seed
        assert opt.n_evaluations < most, (seed, opt.n_evaluations)


def test_a_fall_without_end_is_told_from_a_plateau(falling):
    criterion, value, theta = at_end(falling)
    assert relative_size(criterion, theta) > FEW_DIGITS
    deviance = value(theta)
    assert is_unbounded(criterion, value, theta, deviance, 1.0)
    assert is_bottomless(criterion, value, theta, deviance)
    formula, frame, reml = small_design(33)
    model = fitted(formula, frame, reml=reml)
    assert model.opt_summary.unbounded
    criterion, value, theta = at_end(model)
    assert value(theta) == pytest.approx(33.1959, abs=1e-3)
    sizes = criterion.parameters.amounts(theta, criterion.units)
    far = criterion.parameters.enlarged(theta, sizes > LARGE, 2.0 * FEW_DIGITS / sizes.max())
    assert not is_bottomless(criterion, value, far, value(far))
    assert outgrown(criterion, value, theta, value(theta)) is None


def test_it_grows_as_far_as_the_deviance_falls(falling):
    criterion, value, theta = at_end(falling)
    sizes = criterion.parameters.amounts(theta, criterion.units)
    near = criterion.parameters.enlarged(theta, sizes > 1.0, 2.0 * LARGE / sizes.max())
    far = outgrown(criterion, value, near, value(near))
    assert relative_size(criterion, far) > FEW_DIGITS
    # 2 log 10 for each power of ten, where there are digits enough.
    tenfold = criterion.parameters.enlarged(near, sizes > 1.0, 10.0)
    assert value(near) - value(tenfold) == pytest.approx(2.0 * np.log(10.0), abs=0.01)
    assert value(far) < value(tenfold)


@pytest.mark.parametrize("noise", [1e-3, 1e-4, 1e-5])
def test_little_noise_within_groups_is_no_unbounded_likelihood(noise):
    """A minimum where the random effects outweigh the residuals a thousandfold and more."""
    rng = np.random.default_rng(3)
    g, x = np.repeat(np.arange(8), 5), rng.normal(size=40)
    y = rng.normal(size=8)[g] + 0.5 * x + noise * rng.normal(size=40)
    model = fitted("y ~ x + (1 | g)", pd.DataFrame({"g": g, "x": x, "y": y}))
    assert not model.opt_summary.unbounded
    assert model.opt_summary.converged
    assert model.sigma() == pytest.approx(noise, rel=0.4)
    assert LARGE / 10 < relative_size(model.criterion, model.point.theta) < FAR


def test_nothing_outgrows_a_known_scale():
    data = mx.load_dataset("dyestuff")
    model = fitted("Yield ~ 1 + (1 | Batch)", data, sigma=1e-3)
    criterion, value, theta = at_end(model)
    assert criterion.has_minimum
    assert relative_size(criterion, theta) > LARGE
    assert outgrown(criterion, value, theta, value(theta)) is None
    assert not is_unbounded(criterion, value, theta, value(theta), 1.0)
