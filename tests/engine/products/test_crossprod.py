"""Cross-products: an additive monoid of tables."""

from __future__ import annotations

from dataclasses import replace
from functools import reduce
from operator import add

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracle.dense import dense_z
from properties.compare import close
from properties.designs import designs
from tolerances import INVARIANCE, ORACLE

from merextras.engine.elimination.plan import make_plan, prepare
from merextras.engine.products.basis import Basis
from merextras.engine.products.crossprod import CrossProducts
from merextras.engine.products.term_rows import TermRows
from merextras.engine.solution.pls import solve


def assert_same(one, other, rtol=INVARIANCE):
    """Equal cross-products, in the basis of the second, pattern included."""
    one = one.in_basis(other.basis)
    assert one.n == other.n
    close(one.sum_log_w, other.sum_log_w, rtol, scale=1.0)
    close(one.xy, other.xy, rtol, scale=1.0)
    for mine, theirs in zip(one.to_xy + one.own, other.to_xy + other.own, strict=True):
        close(mine, theirs, rtol, scale=1.0)
    assert one.cross.keys() == other.cross.keys()
    for key, block in one.cross.items():
        expected = other.cross[key]
        np.testing.assert_array_equal(block.indptr, expected.indptr)
        np.testing.assert_array_equal(block.indices, expected.indices)
        close(block.data, expected.data, rtol, scale=1.0)


def split(data, design, parts):
    """The design's rows in parts, in random order; a part may be empty."""
    label = np.random.default_rng(data.draw(st.integers(0, 999))).integers(0, parts, len(design.y))
    return [design.rows(np.flatnonzero(label == i)) for i in range(parts)]


@given(designs())
def test_blocks_are_those_of_the_dense_matrices(design):
    cp = design.cross_products(Basis.identity(design.x.shape[1]))
    z = [dense_z([term]) for term in design.terms]
    xy, w = np.column_stack([design.x, design.y]), design.w[:, None]
    close(cp.xy, xy.T @ (w * xy), ORACLE)
    close(cp.sum_log_w, np.sum(np.log(design.w)), ORACLE, scale=1.0)
    for t, term in enumerate(design.terms):
        whole = (z[t].T @ (w * z[t])).reshape(term.n_levels, term.k, term.n_levels, term.k)
        levels = np.arange(term.n_levels)
        close(cp.own[t], whole[levels, :, levels], ORACLE)
        close(cp.to_xy[t].reshape(term.q, -1), z[t].T @ (w * xy), ORACLE)
        for s in range(t):
            close(cp.cross[s, t].toarray(), z[s].T @ (w * z[t]), ORACLE)


@given(designs())
def test_term_rows_as_a_sparse_matrix(design):
    for term in design.terms:
        np.testing.assert_array_equal(term.sparse().toarray(), dense_z([term]))


@given(st.data(), designs())
def test_tables_add_up(data, design):
    whole = design.cross_products()
    a, b, c = (part.cross_products(whole.basis) for part in split(data, design, 3))
    assert_same(a + b + c, whole)
    assert_same(a + (b + c), (a + b) + c)
    assert_same(b + a + c, a + c + b)


@given(st.data(), designs())
def test_tables_in_bases_of_their_own_add_up(data, design):
    whole = design.cross_products()
    parts = [part.cross_products() for part in split(data, design, 2)]
    total = parts[0] + parts[1]
    lams = design.lams
    for reml in (False, True):
        one = solve(prepare(total), lams, reml=reml)
        other = solve(prepare(whole), lams, reml=reml)
        close(one.deviance(), other.deviance(), INVARIANCE, scale=1.0)


@pytest.mark.parametrize("degree", [1, 2, 3])
@pytest.mark.parametrize("chunks", [3, 50])
def test_chunks_that_are_unlike_each_other(degree, chunks):
    """A polynomial in time, in order of time: a chunk's own fit is far off everywhere else."""
    n, rng = 5000, np.random.default_rng(9)
    time, codes = np.linspace(0.0, 1.0, n), np.arange(n) % 30
    x = np.vander(time, degree + 1, increasing=True)
    y = 1e3 + time + rng.normal(size=n) + rng.normal(size=30)[codes]

    def table(rows):
        terms = [TermRows(codes[rows], np.ones((len(rows), 1)), 30)]
        return CrossProducts.from_rows(x[rows], y[rows], terms)

    total = reduce(add, [table(rows) for rows in np.array_split(np.arange(n), chunks)])
    one, other = (solve(prepare(cp), [np.eye(1)], reml=True) for cp in (total, table(np.arange(n))))
    close(one.deviance(), other.deviance(), INVARIANCE)
    close(one.beta, other.beta, 1e2 * INVARIANCE)


def test_a_common_basis_is_kept():
    rng = np.random.default_rng(2)
    x, y, terms = rng.normal(size=(9, 2)), rng.normal(size=9), []
    basis = Basis.from_rows(x, y)
    parts = [CrossProducts.from_rows(x[i], y[i], terms, None, basis) for i in ([0, 1], [2, 3])]
    assert (parts[0] + parts[1]).basis is basis


@given(designs())
def test_basis_round_trip(design):
    cp = design.cross_products()
    other = design.rows(np.arange(12)).cross_products().basis
    skew = np.linalg.cond(cp.basis.change_to(other))
    assert_same(cp.in_basis(other).in_basis(cp.basis), cp, rtol=INVARIANCE * max(1.0, skew))


@pytest.mark.parametrize("weighted", [False, True])
def test_frequencies_stand_for_repeated_rows(weighted):
    rng = np.random.default_rng(6)
    x, y, codes = rng.normal(size=(20, 2)), rng.normal(size=20), rng.integers(0, 4, 20)
    w, count = rng.uniform(0.5, 2.0, 20) if weighted else None, rng.integers(1, 4, 20)

    def table(rows, frequencies=None):
        terms = [TermRows(codes[rows], x[rows], 4)]
        weights = None if w is None else w[rows]
        return CrossProducts.from_rows(
            x[rows], y[rows], terms, weights, Basis.identity(2), frequencies=frequencies
        )

    assert_same(table(np.arange(20), count * 1.0), table(np.repeat(np.arange(20), count)))


@given(designs())
def test_an_empty_table_is_the_neutral_element(design):
    cp, nothing = design.cross_products(), design.rows(np.arange(0)).cross_products()
    assert_same(cp + nothing, cp)
    assert_same(nothing + cp, cp, rtol=1e3 * INVARIANCE)


def test_a_category_met_only_in_a_later_chunk():
    rng = np.random.default_rng(5)
    n = 200
    late = np.repeat([0.0, 1.0], n // 2)
    x = np.column_stack([np.ones(n), late, rng.normal(size=n)])
    codes = rng.integers(0, 8, n)
    y = 1e6 + late + rng.normal(size=8)[codes] + rng.normal(size=n)

    def table(rows):
        return CrossProducts.from_rows(
            x[rows], y[rows], [TermRows(codes[rows], np.ones((len(rows), 1)), 8)]
        )

    total = table(np.arange(n // 2)) + table(np.arange(n // 2, n))
    lams = [np.array([[0.8]])]
    one = solve(prepare(total), lams, reml=True)
    other = solve(prepare(table(np.arange(n))), lams, reml=True)
    close(one.deviance(), other.deviance(), INVARIANCE)
    close(one.beta, other.beta, INVARIANCE)


def test_zeros_stay_in_the_pattern():
    codes, other = np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1])
    sign = np.array([[0.0], [1.0], [0.0], [-1.0]])
    terms = [TermRows(codes, np.ones((4, 1)), 2), TermRows(other, sign, 2)]
    cp = CrossProducts.from_rows(np.ones((4, 1)), np.arange(4.0), terms)
    assert cp.cross[0, 1].nnz == 4
    assert (cp + cp).cross[0, 1].nnz == 4
    assert make_plan(cp).parents == {}


@pytest.mark.parametrize("field", ["terms", "x"])
def test_sums_of_different_models_are_refused(field):
    term = TermRows(np.array([0, 1, 1]), np.ones((3, 1)), 2)
    x, y = np.ones((3, 1)), np.arange(3.0)
    one = CrossProducts.from_rows(x, y, [term])
    if field == "terms":
        other = CrossProducts.from_rows(x, y, [replace(term, n_levels=3)])
    else:
        other = CrossProducts.from_rows(np.ones((3, 0)), y, [term])
    with pytest.raises(ValueError, match="different models cannot be added"):
        one + other
