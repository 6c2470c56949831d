"""Products on a pattern, and with one that has nearly every entry, against dense ones."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from properties.compare import close
from tolerances import ORACLE

from merextras.engine.elimination.tail_dense import DenseTail
from merextras.engine.kernels import sparse


def matrix(share):
    """A pattern of (7, 30) with a share of the entries."""
    rng = np.random.default_rng(3)
    stored = rng.random((7, 30)) < share
    stored[rng.integers(0, 7, 30), np.arange(30)] = True
    found = sp.csc_array(stored.astype(float))
    found.data = rng.normal(size=found.nnz)
    return found


@pytest.mark.parametrize(("share", "full"), [(0.1, False), (0.6, True), (1.0, True)])
def test_products_whatever_the_pattern(share, full):
    given = matrix(share)
    assert sparse.is_full(given) == full
    root = np.random.default_rng(4).normal(size=(7, 9))
    square = root @ root.T
    whole, cols = square @ given.toarray(), sparse.columns_of(given)
    close(sparse.sampled_product(square, given), whole[given.indices, cols], ORACLE)
    tail = DenseTail((1,), ((7, 1),), square)
    entries = tail.start()
    tail.subtract(entries, 1, given)
    close(entries, square - given.toarray() @ given.toarray().T, ORACLE)
    np.testing.assert_array_equal(entries, entries.T)


@pytest.mark.parametrize("share", [0.1, 0.25, 0.6, 1.0])
@pytest.mark.parametrize("width", [1, 3, 7])
def test_products_with_a_symmetric_matrix_that_comes_by_columns(share, width):
    """Of each column what is below its diagonal block may be all that is there."""
    given, root = matrix(share), np.random.default_rng(4).normal(size=(7, 9))
    square, found = root @ root.T, sparse.SampledProduct(given)
    for start in range(0, 7, width):
        found.add(np.ascontiguousarray(square[start:, start : start + width]), start)
    whole, cols = square @ given.toarray(), sparse.columns_of(given)
    close(found.entries, whole[given.indices, cols], ORACLE)


def test_products_of_columns_of_many_lengths():
    """Columns of nearly one length are taken together, up to an eighth longer ones."""
    rng = np.random.default_rng(6)
    lengths = rng.integers(0, 90, 60)
    stored = np.array([rng.permutation(300) < n for n in lengths]).T
    given = sp.csc_array(np.where(stored, rng.normal(size=stored.shape), 0.0))
    root = rng.normal(size=(300, 310))
    square, found = root @ root.T, sparse.SampledProduct(given)
    assert not sparse.is_full(given)
    for start in range(0, 300, 77):
        found.add(np.ascontiguousarray(square[start:, start : start + 77]), start)
    whole, cols = square @ given.toarray(), sparse.columns_of(given)
    close(found.entries, whole[given.indices, cols], ORACLE)


def test_a_pattern_out_of_order_is_refused():
    given = sp.csc_array((np.ones(2), np.array([1, 0]), np.array([0, 2])), shape=(2, 1))
    with pytest.raises(ValueError, match="in order"):
        sparse.SampledProduct(given)
