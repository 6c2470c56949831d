"""The average information against V and P written out."""

from __future__ import annotations

from dataclasses import replace

import free_covariances as covpar
import numpy as np
import pytest
from free_covariances import average_information, second_part
from hypothesis import given
from hypothesis import strategies as st
from properties import dense_v
from properties.compare import close
from properties.designs import Design, designs
from tolerances import GRADIENT, ORACLE

from merextras.engine.derivatives.gradient import deviance_slopes
from merextras.engine.elimination.plan import prepare
from merextras.engine.products.crossprod import CrossProducts
from merextras.engine.products.term_rows import TermRows
from merextras.engine.solution.pls import solve


@given(designs(), st.booleans())
def test_average_information(design, reml):
    ours = average_information(design.solution(reml=reml))
    close(ours, dense_v.average_information(design, reml=reml), ORACLE, scale=1.0)
    values = np.linalg.eigvalsh(ours)
    assert values[0] >= -ORACLE * max(values[-1], 1.0)


@given(designs())
def test_second_part_is_what_lambda_adds_to_the_second_derivative(design):
    """tr(D_t G_t) is quadratic in theta: its second differences are exact."""
    slopes = deviance_slopes(design.solution(reml=True))

    def trace(theta):
        lams = covpar.unpack(theta, design.ks)
        return sum(np.sum(d * (lam @ lam.T)) for d, lam in zip(slopes, lams, strict=True))

    units = np.eye(covpar.n_theta(design.ks))
    expected = [[trace(a + b) - trace(a) - trace(b) for b in units] for a in units]
    close(second_part(slopes, design.ks), expected, GRADIENT, scale=1.0)


@pytest.mark.parametrize("k", [4, 14])
@pytest.mark.parametrize("weighted", [False, True])
def test_a_factor_of_many_levels(k, weighted):
    """One covariate for each level of a factor, of which a group does not have all."""
    rng = np.random.default_rng(k)
    n = 240
    x = np.column_stack([np.ones(n), rng.normal(size=n)])
    term = TermRows(rng.integers(0, 9, n), np.eye(k)[rng.integers(0, k, n)], 9)
    lam = np.tril(rng.normal(size=(k, k)) / np.sqrt(k)) + np.eye(k)
    weights = rng.uniform(0.5, 2.0, n) if weighted else None
    design = Design(x, rng.normal(size=n), (term,), weights, (lam,))
    assert not np.any(design.cross_products().own[0] * (1.0 - np.eye(k)))
    for reml in (True, False):
        solution = design.solution(reml=reml)
        expected = design.oracle(reml=reml)
        close(solution.deviance(), expected["deviance"], ORACLE)
        close(solution.beta, expected["beta"], ORACLE)
        close(solution.fixed_covariance(), expected["joint"][-2:, -2:], ORACLE)
        own = dense_v.deviance_slopes(design, reml=reml)
        for ours, theirs in zip(deviance_slopes(solution), own, strict=True):
            close(ours, theirs, ORACLE)
        close(average_information(solution), dense_v.average_information(design, reml=reml), ORACLE)


def test_no_terms():
    system = prepare(CrossProducts.from_rows(np.ones((4, 1)), np.arange(4.0), []))
    assert average_information(solve(system, [], reml=True)).shape == (0, 0)
    assert second_part([], []).shape == (0, 0)


@given(designs(layouts=("one", "crossed"), max_k=2, special_theta=False))
def test_any_size_of_the_response(design):
    """Squares of squares of it would leave the range of floating point."""
    expected = average_information(design.solution(reml=True))
    for size in (1e-100, 1e100):
        scaled = replace(design, y=design.y * size)
        close(average_information(scaled.solution(reml=True)), expected, ORACLE, scale=1.0)
