"""Which terms are eliminated by levels, and which form the dense tail."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from oracle.dense import dense_z
from properties.compare import close
from properties.designs import designs
from tolerances import ORACLE

from merextras.engine.crossprod import CrossProducts, TermRows
from merextras.engine.plan import make_plan


def cross_products(*factors, ks=None):
    """Of factors given by their codes; covariates are ones, or k random columns."""
    rng = np.random.default_rng(3)
    n = len(factors[0])
    terms = [
        TermRows(np.asarray(codes), rng.normal(size=(n, k)), int(np.max(codes)) + 1)
        for codes, k in zip(factors, ks or [1] * len(factors), strict=True)
    ]
    return CrossProducts.from_rows(np.ones((n, 1)), rng.normal(size=n), terms)


ROWS = np.arange(48)
PUPIL, CLASS, SCHOOL = ROWS // 2, ROWS // 4, ROWS // 12
SUBJECT, ITEM = ROWS % 12, ROWS % 5


@pytest.mark.parametrize(
    ("factors", "leading", "tail"),
    [
        ((), (), ()),
        ((CLASS,), (0,), ()),
        ((PUPIL, CLASS, SCHOOL), (0, 1, 2), ()),
        ((SCHOOL, PUPIL, CLASS), (1, 2, 0), ()),
        ((CLASS, CLASS), (0, 1), ()),
        ((SUBJECT, ITEM), (0,), (1,)),
        ((ITEM, SUBJECT), (1,), (0,)),
        ((PUPIL, SUBJECT, ITEM), (0,), (1, 2)),
        ((PUPIL, CLASS, SUBJECT, SCHOOL), (0, 1, 3), (2,)),
        ((SUBJECT, np.zeros(48, dtype=int)), (0, 1), ()),
    ],
)
def test_plan(factors, leading, tail):
    if not factors:
        cp = CrossProducts.from_rows(np.ones((5, 1)), np.arange(5.0), [])
    else:
        cp = cross_products(*factors)
    plan = make_plan(cp)
    assert (plan.leading, plan.tail) == (leading, tail)
    expected = {(t, s) for i, t in enumerate(leading) for s in leading[i + 1 :]}
    assert set(plan.parents) == expected


@pytest.mark.parametrize(
    ("factors", "ks", "leading", "tail"),
    [
        ((PUPIL, CLASS), [1, 3], (0, 1), ()),
        ((SCHOOL, CLASS), [4, 1], (1, 0), ()),
        ((PUPIL, CLASS, PUPIL), [3, 3, 1], (0, 2, 1), ()),
        ((PUPIL, SCHOOL, CLASS), [1, 9, 1], (0, 2, 1), ()),
        ((ITEM, SUBJECT, ITEM), [3, 1, 1], (0, 2), (1,)),
        ((SUBJECT, ITEM, ITEM), [1, 2, 1], (0,), (1, 2)),
    ],
)
def test_the_size_of_a_term_does_not_break_a_chain(factors, ks, leading, tail):
    plan = make_plan(cross_products(*factors, ks=ks))
    assert (plan.leading, plan.tail) == (leading, tail)


def test_parents():
    plan = make_plan(cross_products(PUPIL, CLASS, SCHOOL, ks=[1, 2, 3]))
    assert plan.tail == ()
    np.testing.assert_array_equal(plan.parents[0, 1], np.arange(24) // 2)
    np.testing.assert_array_equal(plan.parents[0, 2], np.arange(24) // 6)
    np.testing.assert_array_equal(plan.parents[1, 2], np.arange(12) // 3)


def test_levels_without_rows_have_some_parent():
    kept = ROWS[(PUPIL != 5) & (CLASS != 7)]
    plan = make_plan(cross_products(PUPIL[kept], CLASS[kept], SCHOOL[kept]))
    assert plan.leading == (0, 1, 2)
    present = np.setdiff1d(np.arange(24), [5, 14, 15])
    np.testing.assert_array_equal(plan.parents[0, 1][present], present // 2)
    assert plan.parents[0, 1].shape == (24,)


def test_one_stray_row_makes_factors_crossed():
    stray = SCHOOL.copy()
    stray[0] = 3
    assert make_plan(cross_products(CLASS, SCHOOL)).tail == ()
    assert make_plan(cross_products(CLASS, stray)).tail == (1,)


def test_a_covariate_that_is_zero_does_not_hide_a_crossing():
    stray = SCHOOL.copy()
    stray[0] = 3
    values = np.ones((48, 1))
    values[0] = 0.0
    terms = [TermRows(CLASS, np.ones((48, 1)), 12), TermRows(stray, values, 4)]
    assert make_plan(CrossProducts.from_rows(np.ones((48, 0)), np.ones(48), terms)).tail == (1,)


@given(designs())
def test_prepared_blocks_are_those_of_the_dense_matrices(design):
    system = design.system()
    w, plan = design.w[:, None], system.plan
    z = [dense_z([term]) for term in design.terms]
    for (t, s), block in system.nested.items():
        levels, parents = np.arange(design.terms[t].n_levels), plan.parents[t, s]
        k_s, k_t = design.terms[s].k, design.terms[t].k
        whole = (z[s].T @ (w * z[t])).reshape(-1, k_s, len(levels), k_t)
        close(block, whole[parents, :, levels], ORACLE)
        assert np.count_nonzero(whole) == np.count_nonzero(block)
    if plan.tail:
        tail = np.concatenate([z[t] for t in plan.tail], axis=1)
        close(system.tail, tail.T @ (w * tail), ORACLE)
        for t, block in system.to_tail.items():
            close(block.toarray(), tail.T @ (w * z[t]), ORACLE)
            assert block.has_sorted_indices
