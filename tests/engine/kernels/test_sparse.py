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
