"""The inverse of a symmetric matrix, whole and by columns, from its factor."""

from __future__ import annotations

import numpy as np
import pytest
from properties.compare import close
from tolerances import ORACLE

from merextras.engine.kernels import inverse


def factor(size, noise=None):
    """A matrix, and L' on the diagonal and above with numbers below that stand for nothing."""
    rng = np.random.default_rng(5)
    root = rng.normal(size=(size, size + 3))
    given = root @ root.T + np.eye(size)
    upper = np.linalg.cholesky(given).T
    return given, upper + np.tril(rng.normal(size=(size, size)) if noise is None else noise, -1)


@pytest.mark.parametrize("size", [0, 1, 7, 600])
def test_the_whole_inverse(size):
    given, upper = factor(size)
    close(inverse.inverse(upper), np.linalg.inv(given), ORACLE)


def test_of_what_is_not_positive_definite_there_is_none():
    assert np.isnan(inverse.inverse(np.full((3, 3), np.nan))).all()


@pytest.mark.parametrize(("size", "width", "leaf"), [(7, 3, 1), (50, 16, 4), (211, 64, 96)])
def test_columns_of_a_large_inverse(monkeypatch, size, width, leaf):
    """Each from its diagonal block on, and the factor is as it was."""
    monkeypatch.setattr(inverse, "AT_ONCE", 0)
    monkeypatch.setattr(inverse, "_LEAF", leaf)
    given, upper = factor(size)
    before, expected = upper.copy(), np.linalg.inv(given)
    parts = [slice(at, min(at + width, size)) for at in range(0, size, width)]
    found = list(inverse.inverse_columns(upper, parts))
    assert [part for part, _ in found] == parts
    for part, columns in found:
        close(columns, expected[part.start :, part], ORACLE)
    np.testing.assert_array_equal(upper, before)


def test_a_small_inverse_comes_at_once():
    given, upper = factor(9)
    ((part, columns),) = inverse.inverse_columns(upper, [slice(0, 4), slice(4, 9)])
    assert part == slice(0, 9)
    close(columns, np.linalg.inv(given), ORACLE)
