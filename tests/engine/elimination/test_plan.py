"""Which terms are eliminated by levels, and which form the dense tail."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from oracle.dense import dense_z
from properties.compare import close
from properties.designs import designs
from tolerances import ORACLE

from merextras.engine.elimination.blocks_of_plan import describe, tail_cost
from merextras.engine.elimination.plan import make_plan, prepare
from merextras.engine.elimination.tail_dense import DenseTail
from merextras.engine.products.crossprod import CrossProducts
from merextras.engine.products.term_rows import TermRows
from merextras.engine.solution.pls import solve


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
        close(system.tail.whole().toarray(), tail.T @ (w * tail), ORACLE)
        for t, block in system.to_tail.items():
            close(block.toarray(), tail.T @ (w * z[t]), ORACLE)
            assert block.has_sorted_indices


def school_rows(n_schools, movers=0, each=40):
    """Pupils, their teachers and schools: 40 teachers a school, of whom a pupil has three."""
    rng = np.random.default_rng(1)
    pupil = np.repeat(np.arange(n_schools * each), 3)
    school = pupil // each
    met = np.where(rng.permutation(len(pupil)) < movers, rng.integers(0, n_schools), school)
    return pupil, met * 40 + rng.integers(0, 40, len(pupil)), school


def test_a_large_tail_that_crosses_locally_is_sparse():
    pupil, teacher, _ = school_rows(25, movers=30, each=60)
    cp = cross_products(pupil, teacher)
    plan = make_plan(cp)
    assert plan.sparse is not None
    assert (plan.leading, plan.tail) == ((0,), (1,))
    assert prepare(cp, plan).tail.kind == "sparse"
    assert make_plan(cp, "dense").sparse is None
    assert tail_cost(cp, plan).gigabytes < 0.2 * tail_cost(cp, make_plan(cp, "dense")).gigabytes


def test_a_tail_that_crosses_everywhere_is_dense():
    rng = np.random.default_rng(1)
    cp = cross_products(rng.integers(0, 1500, 30_000), rng.integers(0, 700, 30_000))
    assert make_plan(cp).sparse is None
    # Also where a third factor is coarse, and all share rows with each of its levels.
    pupil, teacher, _ = school_rows(25, each=60)
    year = rng.integers(0, 4, len(pupil))
    assert make_plan(cross_products(pupil, teacher, year)).sparse is not None


def test_a_small_tail_is_dense():
    pupil, teacher, _ = school_rows(5)
    assert make_plan(cross_products(pupil, teacher)).sparse is None


def test_a_coarse_factor_of_the_chain_is_eliminated_last():
    """Half of all teachers would meet in each half of the country."""
    pupil, teacher, school = school_rows(40)
    half = school % 2
    plan = make_plan(cross_products(pupil, teacher, half))
    assert plan.sparse is not None
    assert (plan.leading, plan.tail) == ((0,), (1, 2))
    assert make_plan(cross_products(pupil, teacher, half), "dense").leading == (0, 2)


def test_terms_on_one_factor_stay_together():
    """Their levels are eliminated by the same kernels, or in the same fronts."""
    pupil, teacher, school = school_rows(8)
    for factors in ((pupil, pupil, teacher), (pupil, teacher, school % 2, school % 2)):
        plan = make_plan(cross_products(*factors), "sparse")
        for s, t in ((0, 1), (2, 3)):
            if t < len(factors) and np.array_equal(factors[s], factors[t]):
                assert (s in plan.leading) == (t in plan.leading)


def test_what_a_sparse_tail_stores():
    pupil, teacher, _ = school_rows(8, movers=10)
    cp = cross_products(pupil, teacher)
    system = prepare(cp, make_plan(cp, "sparse"))
    low, _ = solve(system, [np.eye(1), np.eye(1)], reml=True).factor.tail.cholesky()
    (block,) = [b for b in describe(system) if b.row == b.column == (1,)]
    assert (block.kind, block.shape) == ("sparse", (320, 320))
    # Some zeros are stored, so that the fronts are fewer.
    assert low.nnz <= block.numbers < 2 * low.nnz < 0.1 * 320**2


def test_a_sparse_plan_is_for_the_same_data_or_a_part_of_them():
    pupil, teacher, _ = school_rows(8, movers=10)
    plan = make_plan(cross_products(pupil, teacher), "sparse")
    kept = np.concatenate([np.arange(0, len(pupil), 2), [np.argmax(pupil), np.argmax(teacher)]])
    cp = cross_products(pupil[kept], teacher[kept])
    lams = [np.eye(1), np.eye(1)]
    ours, theirs = (solve(prepare(cp, p), lams, reml=True) for p in (plan, make_plan(cp)))
    assert (ours.factor.system.tail.kind, theirs.factor.system.tail.kind) == ("sparse", "dense")
    close(ours.deviance(), theirs.deviance(), ORACLE)
    other = cross_products(pupil, np.random.default_rng(3).permutation(teacher))
    with pytest.raises(ValueError, match="levels share a row that do not in the data"):
        prepare(other, plan)


@pytest.mark.parametrize("share", [0.05, 0.3, 0.5, 1.0])
def test_a_dense_tail_less_what_meets_it(share):
    """A full block as a dense matrix, one with few entries as a sparse one."""
    rng = np.random.default_rng(2)
    half = np.where(rng.random((9, 40)) < share, rng.standard_normal((9, 40)), 0.0)
    tail = DenseTail((1,), ((9, 1),), np.eye(9))
    entries = tail.start()
    tail.subtract(entries, 0, sp.csc_array(half))
    close(entries, np.eye(9) - half @ half.T, ORACLE)
