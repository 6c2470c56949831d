"""theta and the relative covariance factors."""

from __future__ import annotations

import free_covariances as covpar
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from properties.compare import close
from properties.designs import factors_of
from tolerances import ORACLE

from merextras.engine.covariance import cholesky
from merextras.engine.covariance.unstructured import Unstructured

lists_of_factors = st.lists(st.integers(1, 4).flatmap(factors_of), min_size=0, max_size=3)


def test_theta_is_lme4s_order_of_the_lower_triangle():
    lam = np.array([[1.0, 0.0, 0.0], [2.0, 4.0, 0.0], [3.0, 5.0, 6.0]])
    np.testing.assert_array_equal(covpar.pack([lam, np.array([[7.0]])]), np.arange(1.0, 8.0))
    np.testing.assert_array_equal(
        covpar.lower_bounds([3, 1]), [0.0, -np.inf, -np.inf, 0.0, -np.inf, 0.0, 0.0]
    )
    np.testing.assert_array_equal(covpar.start([2, 1]), [1.0, 0.0, 1.0, 1.0])


@given(lists_of_factors)
def test_pack_and_unpack(lams):
    ks = [len(lam) for lam in lams]
    theta = covpar.pack(lams)
    assert len(theta) == covpar.n_theta(ks)
    for lam, found in zip(lams, covpar.unpack(theta, ks), strict=True):
        np.testing.assert_array_equal(found, lam)


@given(lists_of_factors)
def test_normalise_keeps_the_covariance(lams):
    ks = [len(lam) for lam in lams]
    found = covpar.unpack(covpar.normalise(covpar.pack(lams), ks), ks)
    for lam, normal in zip(lams, found, strict=True):
        assert np.all(np.diag(normal) >= 0.0)
        close(normal @ normal.T, lam @ lam.T, ORACLE)


@given(st.integers(1, 4).flatmap(factors_of))
def test_factor_of(lam):
    covariance = lam @ lam.T
    low = cholesky.factors_of(covariance[None])[0]
    np.testing.assert_array_equal(low, np.tril(low))
    # A pivot dropped as rounding leaves an error of its square root, 1e-7.
    close(low @ low.T, covariance, 1e-12, scale=1.0)


@pytest.mark.parametrize("unit", [1e-9, 1e-3, 1e3, 1e9])
def test_factor_of_does_not_depend_on_units(unit):
    covariance = np.array([[1.0, 0.3], [0.3, 0.5]])
    units = np.array([1.0, unit])
    found = cholesky.factors_of((covariance * np.outer(units, units))[None])[0]
    close(found / units[:, None], cholesky.factors_of(covariance[None])[0], ORACLE)


def test_the_end_of_a_row_may_be_zero():
    # Three effects with variance in one direction: what is below the second zero must go, too.
    groups = [set(group.tolist()) for group in Unstructured(3).zero_groups()[1]]
    assert groups == [{0}, {3}, {4, 5}, {5}]
