"""Batched kernels against numpy's, a level at a time."""

from __future__ import annotations

import numpy as np
import pytest
from properties.compare import close
from tolerances import ORACLE

from merextras.engine.kernels import blocks, leading

SIZES = [1, 2, 3, 5, 13, 30]


def positive_definite(rng, levels, k):
    root = rng.normal(size=(levels, k, k + 2))
    return root @ np.swapaxes(root, 1, 2)


@pytest.fixture
def rng():
    return np.random.default_rng(7)


@pytest.mark.parametrize("k", SIZES)
def test_cholesky_and_solves(rng, k):
    given = positive_definite(rng, 6, k)
    low = blocks.cholesky(given)
    close(low, np.linalg.cholesky(given), ORACLE)
    rhs = rng.normal(size=(6, k, 3))
    close(low @ blocks.solve_lower(low, rhs), rhs, ORACLE)
    close(np.swapaxes(low, 1, 2) @ blocks.solve_upper(low, rhs), rhs, ORACLE)


def test_solves_broadcast_one_right_hand_side(rng):
    low = blocks.cholesky(positive_definite(rng, 4, 3))
    rhs = rng.normal(size=(1, 3, 2))
    for solve in (blocks.solve_lower, blocks.solve_upper):
        close(solve(low, rhs), solve(low, np.repeat(rhs, 4, axis=0)), ORACLE)


@pytest.mark.parametrize("k", SIZES)
@pytest.mark.parametrize("levels", [1, 5])
def test_cholesky_of_an_indefinite_block_is_nan_and_spares_the_others(rng, k, levels):
    given = positive_definite(rng, levels, k)
    expected = blocks.cholesky(given)
    given[levels // 2, -1, -1] = -1.0
    low = blocks.cholesky(given)
    good = np.arange(levels) != levels // 2
    assert np.isnan(low[~good]).any()
    close(low[good], expected[good], ORACLE)


@pytest.mark.parametrize("k", [1, 2, 3, 5])
def test_inverse(rng, k):
    given = rng.normal(size=(6, k, k)) + 2.0 * np.eye(k)
    close(blocks.inverse(given), np.linalg.inv(given), ORACLE)


@pytest.mark.parametrize("k", [1, 2, 3, 5])
def test_divided(rng, k):
    given, rhs = rng.normal(size=(6, k, k)) + 2.0 * np.eye(k), rng.normal(size=(6, k, 4))
    close(blocks.divided(given, rhs), np.linalg.solve(given, rhs), ORACLE)


@pytest.mark.parametrize("k", [1, 2, 3, 5])
def test_a_singular_block_has_no_inverse_and_spares_the_others(rng, k):
    given = rng.normal(size=(4, k, k)) + 4.0 * np.eye(k)
    given[1] = 0.0
    given[2, -1] = given[2, 0] = 0.0
    rhs, good = rng.normal(size=(4, k, 2)), [0, 3]
    found, solved = blocks.inverse(given), blocks.divided(given, rhs)
    assert np.isnan(found[1:3]).all()
    assert np.isnan(solved[1:3]).all()
    close(found[good], np.linalg.inv(given[good]), ORACLE)
    close(solved[good], np.linalg.solve(given[good], rhs[good]), ORACLE)
    leads = leading.inverse(np.moveaxis(given[:, :, :, None], 0, -1)) if k > 2 else None
    if leads is not None:
        close(leads[:, :, 0, 3], np.linalg.inv(given[3]), ORACLE)
        assert np.isnan(leads[:, :, 0, 1]).all()


def test_outer_sum(rng):
    left, right = rng.normal(size=(5, 2, 3)), rng.normal(size=(5, 2, 4))
    close(blocks.outer_sum(left, right), np.einsum("jkm,jkr->mr", left, right), ORACLE)


@pytest.mark.parametrize("shape", [(0, 2, 3), (5, 2, 0), (5, 0, 3), (5, 2, 3)])
def test_empty_dimensions(rng, shape):
    values = rng.normal(size=shape)
    codes = rng.integers(0, 4, shape[0])
    assert blocks.outer_sum(values, values).shape == (shape[2], shape[2])
    assert blocks.sum_by(values, codes, 4).shape == (4, *shape[1:])


def test_sum_by_leaves_levels_without_rows_at_zero(rng):
    values, codes = rng.normal(size=(7, 2, 3)), np.array([0, 0, 3, 1, 3, 3, 0])
    expected = np.zeros((5, 2, 3))
    np.add.at(expected, codes, values)
    close(blocks.sum_by(values, codes, 5), expected, ORACLE)


def test_sparse_blocks(rng):
    given, columns = rng.normal(size=(4, 2, 3)), np.array([2, 0, 2, 1])
    expected = np.zeros((4, 2, 5, 3))
    expected[np.arange(4), :, columns] = given
    found = blocks.block_columns(given, columns, 5)
    np.testing.assert_array_equal(found.toarray(), expected.reshape(8, 15))
    diagonal = blocks.block_diagonal(given).toarray().reshape(4, 2, 4, 3)
    np.testing.assert_array_equal(diagonal[np.arange(4), :, np.arange(4)], given)
    assert np.count_nonzero(diagonal) == given.size


@pytest.mark.parametrize("k", [1, 2, 3, 12, 13])
@pytest.mark.parametrize("m", [0, 1, 4])
def test_eigenvalues_of_one_matrix_and_of_many(rng, k, m):
    matrices = positive_definite(rng, m, k)
    values, vectors = blocks.eigh(matrices)
    assert values.shape == (m, k)
    assert (np.diff(values, axis=1) >= 0.0).all()
    close(vectors * values[:, None] @ np.swapaxes(vectors, 1, 2), matrices, ORACLE)


@pytest.mark.parametrize("inner", [1, 2, 3])
@pytest.mark.parametrize("columns", [1, 4])
@pytest.mark.parametrize("levels", [1, 6])
def test_products_by_level(rng, inner, columns, levels):
    left, right = rng.normal(size=(levels, 3, inner)), rng.normal(size=(6, inner, columns))
    close(blocks.times(left, right), left @ right, ORACLE)


@pytest.mark.parametrize("m", [0, 2])
def test_blocks_without_rows(m):
    none, rhs = np.empty((3, 0, 0)), np.empty((3, 0, m))
    assert blocks.cholesky(none).shape == blocks.inverse(none).shape == (3, 0, 0)
    assert blocks.solve_lower(none, rhs).shape == blocks.solve_upper(none, rhs).shape == (3, 0, m)
