"""Columns of X by cells: the cross-products of the same columns as they are."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from properties.compare import close
from tolerances import INVARIANCE

from merextras.engine.kernels import dense
from merextras.engine.products import cells as module
from merextras.engine.products.basis import Basis
from merextras.engine.products.cells import Cells
from merextras.engine.products.crossprod import CrossProducts
from merextras.engine.products.effects import EffectBasis
from merextras.engine.products.term_rows import TermRows

N = 20_000
TREATMENT = np.column_stack([np.ones(5), np.eye(5)[:, 1:]])
SUM = np.array([[1.0, 1, 0, 0], [1, 0, 1, 0], [1, 0, 0, 1], [1, -1, -1, -1]])


def _rows(table, rest, seed=0, *, occurring=None):
    """X with so many other columns, y, and the cells."""
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, len(table) if occurring is None else occurring, N).astype(np.int8)
    other = rng.normal(size=(N, rest)) + codes[:, None] * 0.3
    x = np.asfortranarray(np.hstack([table[codes], other]))
    return x, x @ rng.normal(size=x.shape[1]) + rng.normal(size=N), Cells(x, codes, table)


def _term(levels, k, seed=1):
    rng = np.random.default_rng(seed)
    values = np.column_stack([np.ones(N), rng.normal(size=(N, k - 1))])
    return TermRows(rng.integers(0, levels, N), values, levels)


def _same(x, y, terms, cells, **given):
    """Cross-products with cells and without, in the basis of each and in one basis."""
    w = given.get("weights")
    plain = Basis.from_rows(x, y, w)
    counted = Basis.from_rows(x, y, w, None, cells)
    close(counted.transform, plain.transform, INVARIANCE)
    close(counted.offset, plain.offset, INVARIANCE)
    own = [EffectBasis.from_rows(term.values, N) for term in terms]
    made = partial(CrossProducts.from_rows, x, y, terms, basis=plain, effects=own, **given)
    one, other = made(cells=cells), made()
    assert one.n == other.n
    close(one.xy, other.xy, INVARIANCE)
    for mine, theirs in zip(one.to_xy + one.own, other.to_xy + other.own, strict=True):
        close(mine, theirs, INVARIANCE)


@pytest.mark.parametrize("table", [TREATMENT, SUM], ids=["treatment", "sum"])
@pytest.mark.parametrize("rest", [0, 1, 6])
@pytest.mark.parametrize("terms", [[(100, 1)], [(80, 2), (7, 1)], []], ids=["one", "two", "none"])
def test_cells_change_no_product(table, rest, terms):
    x, y, cells = _rows(table, rest)
    _same(x, y, [_term(*shape, seed=i) for i, shape in enumerate(terms)], cells)


def test_weights_and_frequencies():
    x, y, cells = _rows(TREATMENT, 2)
    rng = np.random.default_rng(5)
    w = rng.uniform(0.5, 2.0, N) * (rng.random(N) < 0.9)
    counts = rng.integers(1, 4, N).astype(float)
    _same(x, y, [_term(50, 2)], cells, weights=w)
    _same(x, y, [_term(50, 2)], cells, weights=w, frequencies=counts)


def test_the_factor_of_the_cross_products():
    for table, rest in ((TREATMENT, 2), (SUM, 0)):
        x, _, cells = _rows(table, rest)
        for mine, theirs in zip(cells.scaled_cholesky(), dense.scaled_cholesky(x), strict=True):
            close(mine, theirs, INVARIANCE)


def test_a_number_far_from_zero_keeps_its_digits():
    """Beside the intercept it cancels: as exact as without cells."""
    x, y, cells = _rows(TREATMENT, 1)
    x[:, -1] = 1e9 + np.round(x[:, -1] * 16)
    y += 1e8
    _same(x, y, [_term(100, 1)], cells)


def test_a_cell_without_rows():
    x, y, cells = _rows(np.vstack([TREATMENT, TREATMENT[1]]), 1, occurring=5)
    _same(x, y, [_term(100, 1)], cells)


def test_cells_serve_the_columns_that_they_are_of():
    x, _, cells = _rows(TREATMENT, 1)
    assert cells.serve(x)
    assert not cells.serve(x.copy())
    assert cells.serve(x, N // 5)
    assert not cells.serve(x, N // 5 + 1)
    few = Cells(x[:100], cells.codes[:100], cells.table)
    assert not few.serve(few.x)
    assert module._MANY > 100


def test_the_rows_are_counted(monkeypatch):
    """No product with the first columns: the dense way is not taken."""
    x, y, cells = _rows(TREATMENT, 1)
    basis = Basis.from_rows(x, y)
    monkeypatch.setattr(Basis, "apply", None)
    CrossProducts.from_rows(x, y, [_term(100, 1)], basis=basis, cells=cells)
