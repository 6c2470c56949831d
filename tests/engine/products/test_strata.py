"""Cross-products by residual strata: their weighted sum, gradient and average information."""

from __future__ import annotations

import numpy as np
from fuzz_share import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle.dense import dense_lambda, dense_pls, dense_z
from properties import dense_v
from properties.compare import close
from properties.designs import designs
from tolerances import CHUNKS_DEVIANCE, GRADIENT, INVARIANCE, ORACLE

from merextras.engine.covariance.covariances import Covariances
from merextras.engine.derivatives.strata import strata_gradient
from merextras.engine.elimination.plan import make_plan, prepare
from merextras.engine.optimum.criterion import Criterion
from merextras.engine.optimum.newton import minimise
from merextras.engine.optimum.start import moments, residual_start
from merextras.engine.posterior.leverage import hat_values
from merextras.engine.products.accumulate import Part
from merextras.engine.products.strata import Strata
from merextras.engine.products.term_rows import TermRows

SEEDS = st.integers(0, 2**32 - 1)


def strata_of(design, seed, n_strata=3):
    """Random strata of a design's rows, each with some, and random log omega."""
    rng = np.random.default_rng(seed)
    codes = rng.permutation(np.arange(len(design.y)) % n_strata)
    made = Strata.from_rows(design.x, design.y, design.terms, codes, n_strata, design.weights)
    return made, codes, np.append(0.0, rng.normal(size=n_strata - 1))


def criterion_of(design, strata, *, reml, tail="auto"):
    cp = strata.at(np.zeros(len(strata)))
    covariances = Covariances.unstructured(design.ks)
    return Criterion(prepare(cp, make_plan(cp, tail)), covariances, reml=reml, strata=strata)


def in_coordinates(criterion, design, log_omega):
    return criterion.from_user(np.append(design.theta, log_omega[1:]))


@settings(max_examples=examples(60))
@given(designs(), SEEDS, st.booleans())
def test_against_the_dense_oracle(design, seed, reml):
    strata, codes, log_omega = strata_of(design, seed)
    criterion = criterion_of(design, strata, reml=reml)
    solution = criterion.at(in_coordinates(criterion, design, log_omega)).solution
    z, lam = dense_z(design.terms), dense_lambda(design.terms, design.lams)
    w = design.w * np.exp(log_omega)[codes]
    expected = dense_pls(design.x, design.y, z, lam, w, reml)
    close(solution.deviance(), expected["deviance"], ORACLE, scale=1.0)
    close(solution.beta, expected["beta"], ORACLE, scale=1.0)
    close(solution.sigma2, expected["sigma2"], ORACLE)
    close(np.concatenate([b.ravel() for b in solution.b]), expected["b"], ORACLE, scale=1.0)


@settings(max_examples=examples(60))
@given(designs(), SEEDS, st.booleans(), st.sampled_from(["auto", "sparse", "dense"]))
def test_gradient_against_differences(design, seed, reml, tail):
    strata, _, log_omega = strata_of(design, seed)
    criterion = criterion_of(design, strata, reml=reml, tail=tail)
    v = in_coordinates(criterion, design, log_omega)
    ours = criterion.at(v).gradient()
    differences = dense_v.central_differences(lambda u: criterion.at(u).value(), v)
    close(ours, differences, GRADIENT, scale=1.0)


@settings(max_examples=examples(30))
@given(designs(), SEEDS, st.booleans())
def test_gradient_is_that_of_leverages(design, seed, reml):
    """Leverages of the stratum, its share of the residual sum of squares, less its rows."""
    strata, codes, log_omega = strata_of(design, seed)
    criterion = criterion_of(design, strata, reml=True)
    solution = criterion.at(in_coordinates(criterion, design, log_omega)).solution
    omega = np.exp(log_omega)
    w = design.w * omega[codes]
    hat = hat_values(solution, design.x, design.terms, w)
    z = dense_z(design.terms)
    e = design.y - design.x @ solution.beta - z @ np.concatenate([b.ravel() for b in solution.b])
    each = hat + solution.df * w * e**2 / solution.pwrss - 1.0
    expected = [each[codes == h].sum() for h in range(3)]
    close(strata_gradient(solution, strata, omega), expected, ORACLE, scale=len(codes))


@settings(max_examples=examples(20))
@given(designs(), SEEDS)
def test_sums_of_parts(design, seed):
    """Strata of two halves of a table, each in a basis of its own, add up to those of all rows."""
    strata, codes, log_omega = strata_of(design, seed)
    half = np.arange(len(codes)) % 2 == 0
    sizes, made = [t.n_levels for t in design.terms], []
    basis = strata.pairs.basis
    for rows in (half, ~half):
        parts, there = [], []
        for h in range(len(strata)):
            at = np.flatnonzero(rows & (codes == h))
            if len(at) == 0:
                continue
            terms = [TermRows(t.codes[at], t.values[at], t.n_levels) for t in design.terms]
            w = None if design.weights is None else design.weights[at]
            parts.append(Part.from_rows(design.x[at], design.y[at], terms, w))
            there.append(h)
        own = Strata.of_parts(parts, sizes).in_basis(basis)
        same = [np.arange(size) for size in sizes]
        made.append(own.reindexed(same, sizes, np.array(there), len(strata)))
    whole, total = strata.at(log_omega), (made[0] + made[1]).at(log_omega)
    for left, right in zip(
        (*whole.own, *whole.to_xy, whole.xy), (*total.own, *total.to_xy, total.xy), strict=True
    ):
        close(right, left, 100 * INVARIANCE, scale=1.0)
    for key, block in whole.cross.items():
        close(total.cross[key].toarray(), block.toarray(), 100 * INVARIANCE, scale=1.0)


def test_search_and_information():
    """The optimum is stationary, and the average information near the Hessian there."""
    rng = np.random.default_rng(1)
    n, levels, n_strata = 900, 25, 4
    codes, h = rng.integers(0, levels, n), rng.integers(0, n_strata, n)
    x = np.column_stack([np.ones(n), rng.normal(size=n)])
    term = TermRows(codes, x.copy(), levels)
    sd = np.array([1.0, 3.0, 0.5, 2.0])
    y = x @ [1.0, 2.0] + np.sum(rng.normal(size=(levels, 2))[codes] * x, axis=1)
    y += rng.normal(size=n) * sd[h]
    strata = Strata.from_rows(x, y, [term], h, n_strata)
    cp = strata.at(np.zeros(n_strata))
    criterion = Criterion(prepare(cp), reml=True, strata=strata)
    theta = moments(cp)
    solution, opt = minimise(criterion, np.append(theta, residual_start(criterion, theta)))
    assert opt.converged
    assert opt.n_iterations < 12
    found = np.exp(-0.5 * criterion.parameters.log_omega(np.array(opt.theta)))
    sigma = np.sqrt(solution.sigma2)
    np.testing.assert_allclose(sigma * found, sd, rtol=0.12)  # three standard errors
    end = criterion.from_user(np.array(opt.theta))
    close(criterion.at(end).gradient(), np.zeros(len(end)), 1e-4, scale=1.0)
    ratio = np.linalg.eigvals(
        np.linalg.solve(criterion.differenced(end), criterion.at(end).hessian())
    )
    assert np.all(np.abs(ratio.real - 1.0) < 0.2)
    # The order of the strata, of which the first is the reference, changes nothing.
    other = Strata.from_rows(x, y, [term], n_strata - 1 - h, n_strata)
    again = Criterion(prepare(other.at(np.zeros(n_strata))), reml=True, strata=other)
    _, second = minimise(again, np.append(theta, residual_start(again, theta)))
    close(second.deviance, opt.deviance, CHUNKS_DEVIANCE)
