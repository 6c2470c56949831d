"""The triangle and the regression of columns that cross-products tell apart, and of others."""

from __future__ import annotations

import numpy as np
import pytest
from properties.compare import close
from tolerances import ORACLE

from merextras.engine.kernels import dense


def columns(far, p=4, n=60):
    """Columns whose last one is the one before but for one part in `far`."""
    rng = np.random.default_rng(3)
    x = rng.normal(size=(n, p))
    x[:, -1] = x[:, -2] + x[:, -1] / far
    return x, x @ np.arange(1.0, p + 1.0) + rng.normal(size=n)


@pytest.mark.parametrize("far", [1.0, 1e2, 1e4, 1e7])
def test_triangle(far):
    x, _ = columns(far)
    r = dense.triangle(x * [1.0, 1e-150, 1e150, 1.0] / [1.0, 1.0, 1e150, 1.0])
    expected = np.linalg.qr(x * [1.0, 1e-150, 1.0, 1.0], mode="r")
    expected *= np.sign(expected.diagonal())[:, None]
    r = r * np.sign(r.diagonal())[:, None]
    np.testing.assert_allclose(r.diagonal(), expected.diagonal(), rtol=1e-8)
    close(r.T @ r, (x * [1.0, 1e-150, 1.0, 1.0]).T @ (x * [1.0, 1e-150, 1.0, 1.0]), ORACLE)


@pytest.mark.parametrize("unit", [1e-200, 1.0, 1e200])
def test_columns_of_any_size(unit):
    """Whose squares leave the range of floating point."""
    x, _ = columns(1.0)
    r = dense.triangle(x * [1.0, unit, 1.0, 1.0])
    assert np.isfinite(r).all()
    expected = np.linalg.qr(x, mode="r")
    close(np.abs(r.diagonal()) / [1.0, unit, 1.0, 1.0], np.abs(expected.diagonal()), ORACLE)


@pytest.mark.parametrize(("far", "clear"), [(1.0, True), (1e2, True), (1e4, False), (1e5, False)])
def test_cross_products_tell_columns_apart(far, clear):
    x, y = columns(far)
    assert dense.is_clear(dense.scaled_cholesky(x)[0]) == clear
    r, fitted = dense.regression(x, y)
    # What is left is the same in either way, to the last digits, whatever y's mean.
    expected = y - x @ np.linalg.lstsq(x, y, rcond=None)[0]
    close(y - x @ dense.solve_triangle(r, fitted), expected, ORACLE)


def test_the_same_however_it_lies_in_memory():
    x, y = columns(1.0)
    for one, other in zip(
        dense.regression(np.ascontiguousarray(x), y),
        dense.regression(np.asfortranarray(x), y),
        strict=True,
    ):
        np.testing.assert_array_equal(one, other)


def test_more_columns_than_rows():
    x, _ = columns(1.0, p=7, n=5)
    r = dense.triangle(x)
    assert r.shape == (5, 7)
    close(r.T @ r, x.T @ x, ORACLE)


def test_the_inverse_of_a_factor():
    low = np.linalg.cholesky(np.cov(columns(1.0)[0].T))
    close(dense.inverse_lower(low) @ low, np.eye(len(low)), ORACLE)
    assert np.isnan(dense.inverse_lower(np.full((2, 2), np.nan))[1, 1])


def test_a_regression_of_columns_that_are_known():
    x, y = columns(1.0)
    for one, other in zip(
        dense.regression(x, y), dense.regression(x, y, dense.scaled_cholesky(x)), strict=True
    ):
        np.testing.assert_array_equal(one, other)
