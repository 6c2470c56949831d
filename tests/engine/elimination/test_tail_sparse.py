"""The sparse tail: against dense matrices, and against the dense tail."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import scipy.sparse as sp
from free_covariances import average_information, information
from fuzz_share import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle.dense import dense_lambda, dense_z
from properties import dense_v
from properties.compare import close
from properties.designs import Design, designs
from properties.local import in_pieces, local_designs
from tolerances import ORACLE

from merextras.engine.derivatives.gradient import deviance_slopes, factor_slopes
from merextras.engine.posterior import joint, leverage
from merextras.engine.products.term_rows import TermRows
from merextras.engine.solution.lme4_factor import random_factor, random_fixed_factor

CROSSED = (
    "crossed", "crossed, one twice", "all crossed", "chain and crossed", "long chain and crossed",
    "two chains", "two parents",
)  # fmt: skip
any_design = st.one_of(local_designs(), designs(layouts=CROSSED))


def joined(parts):
    return np.concatenate([part.ravel() for part in parts])


def solutions(design, *, reml, pieces):
    """The same model with a dense tail and a sparse one."""
    with in_pieces(pieces):
        sparse = design.solution(reml=reml, tail="sparse")
        sparse.selected  # noqa: B018
    return design.solution(reml=reml, tail="dense"), sparse


@given(any_design, st.booleans(), st.booleans())
def test_estimates_against_the_oracle(design, reml, pieces):
    ours, expected = solutions(design, reml=reml, pieces=pieces)[1], design.oracle(reml=reml)
    close(ours.deviance(), expected["deviance"], ORACLE, scale=1.0)
    close(ours.factor.log_det, expected["log_det"], ORACLE, scale=1.0)
    close(ours.pwrss, expected["pwrss"], ORACLE)
    close(ours.beta, expected["beta"], ORACLE, scale=1.0)
    close(joined(ours.u), expected["u"], ORACLE, scale=1.0)
    close(joined(ours.b), expected["b"], ORACLE, scale=1.0)


@settings(max_examples=examples(25))
@given(any_design, st.booleans())
def test_the_conditional_covariance_against_the_oracle(design, pieces):
    ours, whole = solutions(design, reml=False, pieces=pieces)[1], design.oracle(reml=False)
    factor, covariance = ours.factor, whole["given_beta"]
    starts = np.cumsum([0, *(term.q for term in design.terms)])
    for t, term in enumerate(design.terms):
        at = starts[t] + np.arange(term.q).reshape(-1, term.k)
        expected = covariance[at[:, :, None], at[:, None, :]]
        close(ours.selected.own[t], expected, ORACLE, scale=0.1)
        for s, other in enumerate(design.terms):
            if s != t and np.array_equal(term.codes, other.codes):
                to = starts[s] + np.arange(other.q).reshape(-1, other.k)
                expected = covariance[to[:, :, None], at[:, None, :]]
                close(ours.selected.between(factor, s, t), expected, ORACLE, scale=0.1)


@given(any_design, st.booleans(), st.booleans())
def test_derivatives_against_dense_matrices(design, reml, pieces):
    ours, expected = (
        solutions(design, reml=reml, pieces=pieces)[1],
        dense_v.deviance_slopes(design, reml=reml),
    )
    for found, d in zip(deviance_slopes(ours), expected, strict=True):
        close(found, d, ORACLE, scale=1.0)
    for found, d, lam in zip(factor_slopes(ours), expected, design.lams, strict=True):
        close(found, 2.0 * d @ lam, ORACLE, scale=1.0)
    expected = dense_v.average_information(design, reml=reml)
    close(average_information(ours), expected, ORACLE, scale=1.0)


@settings(max_examples=examples(25))
@given(any_design, st.booleans())
def test_the_cholesky_factor(design, pieces):
    ours = solutions(design, reml=True, pieces=pieces)[1]
    low, order = random_factor(ours.factor)
    assert sorted(order) == list(range(sum(term.q for term in design.terms)))
    assert not np.any(np.triu(low.toarray(), 1))
    scaled = dense_z(design.terms) @ dense_lambda(design.terms, design.lams)
    weighted = scaled.T * design.w
    inner = weighted @ scaled + np.eye(len(order))
    close((low @ low.T).toarray(), inner[order][:, order], ORACLE)
    close(low @ random_fixed_factor(ours), (weighted @ design.x)[order], ORACLE, scale=1.0)


@settings(max_examples=examples(25))
@given(local_designs(), st.booleans())
def test_the_joint_distribution_is_that_of_the_dense_tail(design, pieces):
    dense, sparse = solutions(design, reml=True, pieces=pieces)
    rng = np.random.default_rng(0)
    z = [sp.csr_array(rng.normal(size=(7, term.q))) for term in design.terms]
    x = rng.normal(size=(7, 2))
    close(joint.variances(sparse, z, x), joint.variances(dense, z, x), ORACLE)
    close(joint.covariance(sparse, z, x), joint.covariance(dense, z, x), ORACLE)
    ours, theirs = (leverage.hat_values(s, design.x, design.terms) for s in (sparse, dense))
    close(ours, theirs, ORACLE)
    q = len(sparse.factor.tail)
    spread = sparse.factor.tail.colour(np.eye(q))
    at = np.arange(q)
    if dense.factor.system.plan.tail == sparse.factor.system.plan.tail:
        whole = dense.selected.tail.entries(at[:, None], at)
        close(spread @ spread.T, whole, ORACLE, scale=0.1)


@settings(max_examples=examples(10))
@given(local_designs(max_k=1, special_theta=False))
def test_information_is_that_of_the_dense_tail(design):
    dense, sparse = (information(s) for s in solutions(design, reml=True, pieces=False))
    close(sparse.trace_products, dense.trace_products, ORACLE, scale=1.0)
    close(sparse.hessian(), dense.hessian(), ORACLE, scale=1.0)


def test_draws_have_the_joint_covariance():
    """The noise enters linearly: draws from unit vectors add up to the covariance."""
    rng = np.random.default_rng(4)
    codes = [rng.integers(0, 30, 80), rng.integers(0, 9, 80)]
    terms = tuple(TermRows(c, np.ones((80, 1)), n) for c, n in zip(codes, (30, 9), strict=True))
    lams = (np.eye(1), 0.5 * np.eye(1))
    design = Design(np.ones((80, 1)), rng.normal(size=80), terms, None, lams)
    with in_pieces(pieces=True):
        solution = design.solution(reml=True, tail="sparse")

    class Units:
        """Stands for a generator: a different unit normal in each draw."""

        def __init__(self):
            self.used = 0

        def standard_normal(self, shape):
            size = int(np.prod(shape[:-1]))
            out = np.zeros((size, shape[-1]))
            out[np.arange(size), self.used + np.arange(size)] = 1.0
            self.used += size
            return out.reshape(shape)

    beta, b = joint.draw(solution, 40, Units())
    both = np.hstack([*(part.reshape(40, -1) for part in b), beta])
    close(both.T @ both, design.oracle(reml=True)["joint"], ORACLE)


def test_what_is_not_positive_definite_has_no_deviance():
    rng = np.random.default_rng(4)
    terms = tuple(TermRows(rng.integers(0, n, 60), np.ones((60, 1)), n) for n in (20, 6))
    lams = (np.eye(1), np.full((1, 1), np.nan))
    design = Design(np.ones((60, 1)), rng.normal(size=60), terms, None, lams)
    assert np.isnan(design.solution(reml=True, tail="sparse").deviance())


@pytest.mark.parametrize("size", [10.0, 100.0])
def test_slopes_with_large_variances(size):
    """The slope falls with the square of the size, and so do its digits, not with the fourth."""
    rng = np.random.default_rng(8)
    school = np.repeat(np.arange(6), 20)
    codes = [school * 8 + rng.integers(0, 8, 120), school * 2 + rng.integers(0, 3, 120)]
    terms = [TermRows(c, np.ones((120, 1)), int(c.max()) + 1) for c in codes]
    y = rng.normal(size=120) + sum(size * rng.normal(size=t.n_levels)[t.codes] for t in terms)
    design = Design(np.ones((120, 1)), y, tuple(terms), None, (size * np.eye(1),) * 2)
    expected = dense_v.deviance_slopes(design, reml=True)
    ours = solutions(design, reml=True, pieces=True)[1]
    for found, d in zip(deviance_slopes(ours), expected, strict=True):
        close(found, d, 1e-14 * size**2 * 120)
    for found, d in zip(factor_slopes(ours), expected, strict=True):
        close(found, 2.0 * size * d, 1e-14 * size**2 * 120)


@settings(max_examples=examples(10))
@given(local_designs())
def test_pickles(design):
    solution = design.solution(reml=True, tail="sparse")
    again = pickle.loads(pickle.dumps(solution))
    assert again.deviance() == solution.deviance()
