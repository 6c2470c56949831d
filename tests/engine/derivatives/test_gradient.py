"""The analytic gradient, also where variances are exactly zero."""

from __future__ import annotations

import free_covariances as covpar
import numpy as np
import pytest
from free_covariances import gradient
from fuzz_share import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from properties import dense_v
from properties.compare import close
from properties.designs import Design, designs
from tolerances import GRADIENT, ORACLE

from merextras.engine.derivatives.gradient import deviance_slopes, factor_slopes
from merextras.engine.products.term_rows import TermRows
from merextras.engine.solution.pls import solve


@given(designs(), st.booleans())
def test_against_central_differences(design, reml):
    system = design.system()

    def deviance(theta):
        return solve(system, covpar.unpack(theta, design.ks), reml=reml).deviance()

    ours = gradient(solve(system, design.lams, reml=reml))
    close(ours, dense_v.central_differences(deviance, design.theta), GRADIENT, scale=1.0)


@settings(max_examples=examples(100))
@given(designs(), st.booleans())
def test_against_dense_matrices(design, reml):
    solution, expected = design.solution(reml=reml), dense_v.deviance_slopes(design, reml=reml)
    slopes = deviance_slopes(solution)
    for ours, theirs in zip(slopes, expected, strict=True):
        close(ours, theirs, ORACLE, scale=1.0)
        np.testing.assert_array_equal(ours, ours.T)
    for ours, d, lam in zip(factor_slopes(solution), expected, design.lams, strict=True):
        close(ours, 2.0 * d @ lam, ORACLE, scale=1.0)


@pytest.mark.parametrize("size", [10.0, 100.0])
def test_slopes_of_crossed_terms_with_large_variances(size):
    """The slope falls with the square of the size, and so do its digits, not with the fourth."""
    rng = np.random.default_rng(8)
    terms = [TermRows(rng.integers(0, j, 90), np.ones((90, 1)), j) for j in (12, 6)]
    y = rng.normal(size=90) + sum(size * rng.normal(size=t.n_levels)[t.codes] for t in terms)
    design = Design(np.ones((90, 1)), y, tuple(terms), None, (size * np.eye(1),) * 2)
    for reml in (False, True):
        expected = dense_v.deviance_slopes(design, reml=reml)
        for ours, theirs in zip(deviance_slopes(design.solution(reml=reml)), expected, strict=True):
            close(ours, theirs, 1e-14 * size**2 * 90)
