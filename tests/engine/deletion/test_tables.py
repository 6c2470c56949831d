"""Deletions: down-dated cross-products, and the criteria of what is left by levels."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
from free_covariances import average_information, gradient, pack, point, second_part
from hypothesis import assume, given
from hypothesis import strategies as st
from properties.compare import close
from properties.designs import Design, designs
from tolerances import MANY_KERNEL, SAME_STEP

from merextras.engine.deletion.criteria import DeletionProblem
from merextras.engine.deletion.levels import Levels, pieces
from merextras.engine.deletion.one_by_one import refit_one_by_one, slopes_of
from merextras.engine.deletion.refitter import Refitter
from merextras.engine.deletion.remaining import products_without
from merextras.engine.deletion.tables import Deletions, Rows, Whole
from merextras.engine.derivatives.gradient import deviance_slopes
from merextras.engine.elimination.plan import prepare
from merextras.engine.optimum.newton import Control
from merextras.engine.products.term_rows import TermRows
from merextras.engine.solution.pls import solve

STEPPED = ("theta", "beta", "std_error", "sigma2", "cov_ratio", "cov_trace")
KINDS = st.sampled_from(["factor", "rows", "any"])


def whole_of(design, *, reml):
    """All rows of a design at its theta."""
    rows = Rows(design.x, design.y, design.terms, design.w, np.ones(len(design.y)))
    return Whole(point(design.solution(reml=reml)), rows, design.theta, Control())


def deletions_of(design, kind):
    """By the first factor, by row, or in groups of no factor's."""
    n = len(design.y)
    any_group = np.random.default_rng(n).integers(0, 4, n)
    codes = {"factor": design.terms[0].codes, "rows": np.arange(n), "any": any_group}[kind]
    codes = np.unique(codes, return_inverse=True)[1].reshape(-1)
    return Deletions(codes, np.ones(n), int(codes.max()) + 1)


def left(design, deletions, g):
    """The design of the rows that are left."""
    return design.rows(np.flatnonzero(deletions.codes != g))


@given(designs(), KINDS, st.booleans())
def test_cross_products_of_what_is_left(design, kind, reml):
    whole, deletions = whole_of(design, reml=reml), deletions_of(design, kind)
    for g in range(min(deletions.m, 6)):
        rows, _ = deletions.rows_of(np.array([g]))
        found = products_without(whole, deletions, rows)
        if isinstance(found, str):
            continue
        rest = left(design, deletions, g).solution(reml=reml)
        mine = solve(prepare(found, whole.solution.factor.system.plan), design.lams, reml=reml)
        scale = abs(rest.deviance()) + rest.n
        close(mine.deviance(), rest.deviance(), MANY_KERNEL, scale=scale)
        close(mine.beta, rest.beta, MANY_KERNEL, scale=np.max(np.abs(design.y)))
        for one, other in zip(mine.b, rest.b, strict=True):
            close(one, other, MANY_KERNEL, scale=np.max(np.abs(design.y)))


@given(designs(layouts=("one", "twice")), KINDS, st.booleans())
def test_the_criteria_of_what_is_left_by_levels(design, kind, reml):
    whole, deletions = whole_of(design, reml=reml), deletions_of(design, kind)
    which, shared = np.arange(min(deletions.m, 12)), Levels.of(whole)
    assume(shared is not None)
    found = pieces(whole, shared, deletions, which)
    problem = DeletionProblem(whole.criterion, shared, found)
    point = problem.at(which, np.tile(design.theta, (len(which), 1)))
    slopes, hessians, _ = problem.local_model(which, point)
    for g in which[~found.lost]:
        rest = left(design, deletions, g).solution(reml=reml)
        scale = abs(rest.deviance()) + rest.n
        close(point.deviance[g], rest.deviance(), MANY_KERNEL, scale=scale)
        close(slopes[g], gradient(rest), MANY_KERNEL, scale=scale)
        hessian = average_information(rest) + second_part(deviance_slopes(rest), design.ks)
        close(hessians[g], hessian, MANY_KERNEL, scale=scale)


@given(designs(layouts=("one", "twice")), KINDS, st.booleans())
def test_what_one_step_needs_by_levels(design, kind, reml):
    """The criterion's ingredients, against those of the rows that are left."""
    whole, deletions = whole_of(design, reml=reml), deletions_of(design, kind)
    which = np.arange(min(deletions.m, 8))
    refitter = Refitter(whole, deletions, False)
    assume(refitter.shared is not None)
    found = pieces(whole, refitter.shared, deletions, which)
    # What `Refitter.refit` leaves out before.
    which = which[~found.lost & (found.levels > 1) & (found.n > whole.cp.p)]
    found = pieces(whole, refitter.shared, deletions, which)
    by_levels = refitter._slopes(found)
    for i, g in enumerate(which):
        rows, _ = deletions.rows_of(np.array([g]))
        cp = products_without(whole, deletions, rows)
        if isinstance(cp, str):
            continue
        system = prepare(cp, whole.solution.factor.system.plan)
        alone = slopes_of(point(solve(system, design.lams, reml=reml)), whole.gap)
        for f in fields(alone):
            one, other = getattr(by_levels, f.name)[i], getattr(alone, f.name)[0]
            close(one, other, SAME_STEP, scale=len(design.y))


def test_one_step_by_levels_and_one_by_one():
    """The estimates after the step, where the step is well determined."""
    rng = np.random.default_rng(6)
    codes = np.repeat(np.arange(12), 6)
    z = np.column_stack([np.ones(72), rng.normal(size=72)])
    y = 2.0 + np.einsum("nk,nk->n", z, rng.normal(size=(12, 2))[codes]) + rng.normal(size=72)
    lams = (np.array([[0.9, 0.0], [0.2, 0.8]]),)
    design = Design(z, y, (TermRows(codes, z, 12),), rng.uniform(0.5, 2.0, 72), lams)
    for reml in (True, False):
        whole, deletions = whole_of(design, reml=reml), deletions_of(design, "rows")
        which = np.arange(72)
        by_levels = Refitter(whole, deletions, False).refit(which)
        alone = refit_one_by_one(whole, deletions, which, full=False)
        assert by_levels.reasons == alone.reasons == {}
        for name in STEPPED:
            close(getattr(by_levels, name), getattr(alone, name), SAME_STEP)
        assert np.all(np.isnan(by_levels.displacement))


def test_choosing_other_deletions_at_the_same_theta_forgets_the_last():
    """The search asks for parts of a block at one theta; a cached inverse would be another's."""
    rng = np.random.default_rng(3)
    codes = np.repeat(np.arange(6), 5)
    design = Design(
        np.ones((30, 1)), rng.normal(size=30), (TermRows(codes, np.ones((30, 1)), 6),), None,
        (np.eye(1),),
    )  # fmt: skip
    whole, deletions = whole_of(design, reml=True), deletions_of(design, "factor")
    found = pieces(whole, Levels.of(whole), deletions, np.arange(6))
    problem = DeletionProblem(whole.criterion, Levels.of(whole), found)
    theta = np.tile(pack(design.lams), (2, 1))
    first = problem.at(np.array([0, 1]), theta).deviance
    second = problem.at(np.array([2, 3]), theta).deviance
    assert np.all(first != second)
