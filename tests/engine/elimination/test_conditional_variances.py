"""Blocks of the conditional covariance against the dense inverse."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from properties.compare import close
from properties.designs import designs
from tolerances import ORACLE

from merextras.engine.elimination.conditional_variances import selected_inverse


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
