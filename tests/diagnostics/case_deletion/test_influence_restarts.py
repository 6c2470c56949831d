"""Deletions whose criterion has several minima: the lowest is found, as by a fit of its own."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from small_designs import small_design
from tolerances import OPTIMUM_DEVIANCE

import merextras as mx
from merextras.engine.deletion import refitter
from merextras.exceptions import MerextrasWarning

CONTROL = mx.LmerControl(check=False)
#: Design, what is deleted, and the deletion: a first search ends at a variance of zero, by these
#: much above the lowest end.
ABOVE = [(0, "g", 0, 0.106), (0, None, 0, 0.056), (7, None, 4, 0.186), (7, None, 8, 0.139),
         (21, None, 1, 1.473), (21, None, 4, 0.021)]  # fmt: skip


def fitted(seed):
    formula, data, reml = small_design(seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MerextrasWarning)
        return mx.lmer(formula, data, reml=reml, control=CONTROL), data


def fitted_without(seed, groups, level):
    formula, data, reml = small_design(seed)
    left = data.drop(index=level) if groups is None else data[data[groups] != level]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MerextrasWarning)
        return mx.lmer(formula, left, reml=reml, control=CONTROL)


@pytest.mark.parametrize(("seed", "groups", "i", "above"), ABOVE)
def test_the_lowest_end(monkeypatch, seed, groups, i, above):
    m, _ = fitted(seed)
    found = m.influence(groups)
    own = fitted_without(seed, groups, found.levels[i])
    value = own.as_function()
    assert abs(value(found.thetas[i]) - own.opt_summary.deviance) < OPTIMUM_DEVIANCE
    np.testing.assert_allclose(found.betas[i], own.fixef(), rtol=1e-5, atol=1e-6)
    monkeypatch.setattr(refitter.elsewhere, "keep_lower", lambda *_: None)
    first = m.influence(groups).thetas[i]
    assert value(first) - own.opt_summary.deviance == pytest.approx(above, abs=1e-3)


def test_a_deletion_that_leaves_no_minimum_says_so():
    """From another start the random effects explain the five rows that are left."""
    m, _ = fitted(5)
    found = m.influence()
    assert "did not converge" in found.reasons[4]
    assert np.isnan(found.thetas[4]).all()
    assert fitted_without(5, None, found.levels[4]).opt_summary.unbounded
