"""Blocks of the conditional covariance against the dense inverse."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from properties.compare import close
from properties.designs import designs
from tolerances import ORACLE

from merextras.engine.derivatives.gradient import factor_slopes
from merextras.engine.elimination import tail_pass
from merextras.engine.elimination.conditional_variances import selected_inverse
from merextras.engine.kernels import inverse, sparse


def dense_blocks(design):
    """(J_s, k_s, J_t, k_t) blocks of the covariance of b given beta, over sigma**2."""
    whole = design.oracle(reml=False)["given_beta"]
    starts = np.concatenate([[0], np.cumsum([term.q for term in design.terms])])

    def block(s, t):
        part = whole[starts[s] : starts[s + 1], starts[t] : starts[t + 1]]
        one, other = design.terms[s], design.terms[t]
        return part.reshape(one.n_levels, one.k, other.n_levels, other.k)

    return block


@given(designs())
def test_diagonal_blocks(design):
    selected, block = selected_inverse(design.solution(reml=True).factor), dense_blocks(design)
    for t, term in enumerate(design.terms):
        levels = np.arange(term.n_levels)
        close(selected.own[t], block(t, t)[levels, :, levels], ORACLE, scale=0.1)


@given(designs(layouts=("twice", "chain, each twice", "crossed, one twice")))
def test_blocks_between_terms_of_one_factor(design):
    factor = design.solution(reml=True).factor
    selected, block = selected_inverse(factor), dense_blocks(design)
    for s, one in enumerate(design.terms):
        for t, other in enumerate(design.terms):
            if s != t and np.array_equal(one.codes, other.codes):
                levels = np.arange(one.n_levels)
                expected = block(s, t)[levels, :, levels]
                close(selected.between(factor, s, t), expected, ORACLE, scale=0.1)


@given(designs(layouts=("crossed", "all crossed", "chain and crossed")))
def test_the_whole_block_of_the_tail(design):
    solution = design.solution(reml=True)
    plan, block = solution.factor.system.plan, dense_blocks(design)
    rows = [
        np.concatenate([block(s, t).reshape(design.terms[s].q, -1) for t in plan.tail], axis=1)
        for s in plan.tail
    ]
    if rows:
        found = selected_inverse(solution.factor).tail
        at = np.arange(len(solution.factor.tail))
        close(found.entries(at[:, None], at), np.concatenate(rows), ORACLE, scale=0.1)


@pytest.mark.parametrize("full", [0.0, 2.0])
@given(designs(layouts=("crossed", "all crossed", "chain and crossed", "crossed, one twice")))
def test_a_tail_whose_inverse_is_never_whole(full, design):
    """A few columns at a time; its products with leading terms by entries or by whole columns."""
    block, expected = dense_blocks(design), factor_slopes(design.solution(reml=True))
    solution = design.solution(reml=True)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(inverse, "AT_ONCE", 0)
        patched.setattr(inverse, "_LEAF", 2)
        patched.setattr(tail_pass, "WIDTH", 4)
        patched.setattr(sparse, "_FULL", full)
        selected, factor = solution.selected_at_rows, solution.factor
        slopes = factor_slopes(solution)
    for t, term in enumerate(design.terms):
        levels = np.arange(term.n_levels)
        close(selected.own[t], block(t, t)[levels, :, levels], ORACLE, scale=0.1)
    for (s, t), pattern in factor.system.cp.cross.items():
        entries = pattern.tocoo()
        rows, cols = entries.row.astype(np.intp), entries.col.astype(np.intp)
        k, m = design.terms[s].k, design.terms[t].k
        found = selected.entries(factor, s, t, rows, cols)
        close(found, block(s, t)[rows // k, rows % k, cols // m, cols % m], ORACLE, scale=0.1)
    for mine, theirs in zip(slopes, expected, strict=True):
        close(mine, theirs, ORACLE)
