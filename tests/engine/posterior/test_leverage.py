"""Leverages against the dense hat matrix, and their trace without rows."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from oracle.dense import dense_lambda, dense_z
from properties.compare import close
from properties.designs import designs
from tolerances import INVARIANCE, ORACLE

from merextras.engine.posterior import joint, leverage


def dense_hat(design):
    """Diagonal of ``A T (T'A'WA T + diag(0, I))^-1 T'A'W`` with T = diag(I, Lambda)."""
    root = np.sqrt(design.w)[:, None]
    zl = root * (dense_z(design.terms) @ dense_lambda(design.terms, design.lams))
    a = np.hstack([root * design.x, zl])
    p = design.x.shape[1]
    penalty = np.hstack([np.zeros((zl.shape[1], p)), np.eye(zl.shape[1])])
    # The rows of an orthonormal basis of A T with its penalty: no inverse is needed.
    q = np.linalg.qr(np.vstack([a, penalty]))[0][: len(a)]
    return np.einsum("nk,nk->n", q, q)


@given(designs())
def test_hat_values(design):
    solution = design.solution(reml=True)
    found = leverage.hat_values(solution, design.x, design.terms, design.weights)
    close(found, dense_hat(design), ORACLE, scale=1.0)
    close(leverage.hat_trace(solution), np.sum(found), ORACLE)


@given(designs(), st.integers(1, 200))
def test_blocks_of_rows_change_nothing(design, size):
    solution = design.solution(reml=False)
    whole = leverage.hat_values(solution, design.x, design.terms)
    before, leverage._BLOCK = leverage._BLOCK, size
    try:
        close(leverage.hat_values(solution, design.x, design.terms), whole, INVARIANCE, scale=1.0)
    finally:
        leverage._BLOCK = before


@given(designs(layouts=("crossed", "all crossed", "crossed, one twice")))
def test_the_way_through_the_inverse_is_the_way_through_rows(design):
    solution = design.solution(reml=True)
    found = leverage.hat_values(solution, design.x, design.terms)
    z = [term.sparse() for term in design.terms]
    close(found, joint.variances(solution, z, design.x), ORACLE, scale=1.0)
