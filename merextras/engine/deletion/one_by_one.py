"""Fitting a model again without some of its rows, one deletion after the other, for any model."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import scipy.linalg as la

from merextras.engine.deletion.estimates import ARRAYS, Estimates, Refits, displacements, measured
from merextras.engine.deletion.one_step import Slopes, one_step
from merextras.engine.deletion.remaining import products_without
from merextras.engine.deletion.tables import (
    NO_STEP,
    NOT_CONVERGED,
    Deletions,
    Whole,
)
from merextras.engine.elimination.plan import prepare
from merextras.engine.kernels.blocks import Array, IntArray
from merextras.engine.optimum.criterion import Criterion, Point
from merextras.engine.optimum.newton import minimise
from merextras.engine.optimum.summary import OptSummary
from merextras.engine.solution.pls import Solution


def refit_one_by_one(whole: Whole, deletions: Deletions, which: IntArray, *, full: bool) -> Refits:
    """Some deletions, one after the other, for any model.

    Cost of a full refit: that of `minimise` from the full fit's theta, some four iterations; of one
    step: a factorisation, a selected inverse and n_theta columns through the factor.
    """
    # What does not exist is NaN, and has a reason.
    with np.errstate(all="ignore"):
        return Refits.stacked([_one(whole, deletions, int(g), full=full) for g in which])


def _one(whole: Whole, deletions: Deletions, g: int, *, full: bool) -> Refits:
    rows, _ = deletions.rows_of(np.array([g]))
    if len(rows) == 0:
        return Refits.unchanged(whole.solution, whole.theta)
    cp = products_without(whole, deletions, rows, full=full)
    if isinstance(cp, str):
        return Refits.missing(len(whole.theta), whole.cp.p, 1, {0: cp})
    criterion = whole.criterion.on(prepare(cp, whole.solution.factor.system.plan))
    if not full:
        criterion.take_general()
        slopes = slopes_of(criterion.at(whole.theta), whole.gap)
        found = one_step(
            slopes, whole.theta, whole.hessian, criterion.covariances, cp.basis, cp.scale
        )
        return stepped(measured(whole.solution, found, np.full(1, np.nan)))
    optimum = _optimum(whole, criterion)
    if optimum is None:
        return Refits.missing(len(whole.theta), whole.cp.p, 1, {0: NOT_CONVERGED})
    solution, summary = optimum
    theta = whole.criterion.from_user(np.array(summary.theta))
    sigma2 = solution.sigma2
    covariance = sigma2 * solution.fixed_covariance()
    found = Estimates(theta[None], solution.beta[None], np.array([sigma2]), covariance[None])
    return measured(whole.solution, found, displacement_of(whole, found))


def _optimum(whole: Whole, criterion: Criterion) -> tuple[Solution, OptSummary] | None:
    """The optimum of what is left, from the full fit's theta; None if it was not found."""
    try:
        start = criterion.from_user(whole.criterion.to_user(whole.start))
        solution, summary = minimise(criterion, start, control=whole.control)
    except np.linalg.LinAlgError:  # numbers of a size that LAPACK gives up on
        return None
    return (solution, summary) if summary.converged else None


def solution_without(whole: Whole, deletions: Deletions, g: int, *, full: bool) -> Solution | str:
    """The estimates without the rows of one deletion, or why there are none.

    Levels that have no row left stay in the solution, with modes of zero and the variance that
    they have before any data.

    Parameters
    ----------
    full : bool
        At the optimum of what is left, or at the theta of all rows.
    """
    rows, _ = deletions.rows_of(np.array([g]))
    if len(rows) == 0:
        return whole.solution
    with np.errstate(all="ignore"):  # what does not exist has a reason
        cp = products_without(whole, deletions, rows)
        if isinstance(cp, str):
            return cp
        criterion = whole.criterion.on(prepare(cp, whole.solution.factor.system.plan))
        if not full:
            theta = criterion.from_user(whole.criterion.to_user(whole.theta))
            return criterion.at(theta).solution
        optimum = _optimum(whole, criterion)
    return NOT_CONVERGED if optimum is None else optimum[0]


def stepped(found: Refits) -> Refits:
    """The same with a reason for each that has no step."""
    missing = ~(found.sigma2 > 0.0) | np.any(np.isnan(found.theta), axis=1)
    if not np.any(missing):
        return found
    at = np.flatnonzero(missing)
    for name in ARRAYS:
        getattr(found, name)[at] = np.nan
    return replace(found, reasons=found.reasons | dict.fromkeys(at.tolist(), NO_STEP))


def displacement_of(whole: Whole, found: Estimates) -> Array:
    """The displacement of one refit, (1,); a factorisation of all rows."""
    point = whole.criterion.at(found.theta[0])
    there = point.solution
    off = la.solve_triangular(whole.cp.basis.transform, found.beta[0] - there.beta)
    quadratic = np.sum((there.fixed_low.T @ off) ** 2)
    best = np.array([point.value()]), np.array([there.sigma2]), np.array([quadratic])
    return displacements(whole.solution, found, *best, least=whole.point.value())


def slopes_of(point: Point, gap: Array) -> Slopes:
    """The criterion of one refit at the full fit's theta."""
    solution, gram_slopes = point.solution, []
    each = point.criterion.covariances.covariance_slopes(point.theta)
    for h, slopes in zip(solution.projected, each, strict=True):
        gram_slopes += [np.einsum("jac,ab,jbd->cd", h, slope, h, optimize=True) for slope in slopes]
    df = np.array([solution.df], dtype=float)
    hessian = point.hessian() + gap
    return Slopes(
        solution.reduced.gram[None],
        np.array(gram_slopes)[None],
        point.gradient()[None],
        hessian[None],
        df,
    )
