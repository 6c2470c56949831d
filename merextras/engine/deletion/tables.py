"""Fitting a model again without some of its rows, from down-dated cross-products.

Cross-products are sums over rows, so that those of what is left are theirs less those of what is
taken out. Where that would cancel the digits (what is taken out is nearly all there was of a
column or a level) they are made again from the rows that are left.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import scipy.linalg as la
import scipy.sparse as sp
from numpy.typing import NDArray

from merextras.engine.deletion.estimates import ARRAYS, Estimates, Refits, displacements, measured
from merextras.engine.deletion.one_step import Slopes, one_step
from merextras.engine.elimination.plan import prepare
from merextras.engine.kernels import sparse
from merextras.engine.kernels.blocks import Array, IntArray
from merextras.engine.optimum.criterion import Criterion, Point
from merextras.engine.optimum.newton import minimise
from merextras.engine.optimum.summary import Control, OptSummary
from merextras.engine.products.basis import Basis
from merextras.engine.products.crossprod import CrossProducts, effects_of
from merextras.engine.products.term_rows import TermRows
from merextras.engine.solution.pls import Solution

BoolArray = NDArray[np.bool_]

# What must be left of a sum of squares after a subtraction, as a share: ten digits are then good.
CANCELLED = 1e-6
# lme4's tolerance: a column is dependent if less than this share of it is new.
_DEPENDENT = 1e-7

NO_RANK = "the fixed effects cannot all be estimated from the remaining rows"
NO_ROWS = "there are no more rows left than fixed effects"
NO_LEVELS = "a grouping factor has fewer than two levels left"
NO_STEP = "the criterion of the remaining rows has no slope at the estimate of all rows"
NOT_CONVERGED = "the fit to the remaining rows did not converge"


@dataclass(frozen=True)
class Rows:
    """The table behind a solution's cross-products.

    Attributes
    ----------
    x, y : (n, p) and (n,) arrays
        The response without its offset.
    terms : tuple of TermRows
    precision : (n,) array
        Precision weights; a row of weight zero is not an observation.
    frequencies : (n,) array
        How many observations each row stands for.
    """

    x: Array
    y: Array
    terms: tuple[TermRows, ...]
    precision: Array
    frequencies: Array

    @cached_property
    def observations(self) -> Array:
        """How many observations a row is, (n,): none of weight zero."""
        return np.where(self.precision > 0.0, self.frequencies, 0.0)

    def products(
        self, rows: IntArray, frequencies: Array, basis: Basis | None = None
    ) -> CrossProducts:
        """Cross-products of some rows, with as many observations each as `frequencies` says."""
        terms = [replace(t, codes=t.codes[rows], values=t.values[rows]) for t in self.terms]
        x, y, w = self.x[rows], self.y[rows], self.precision[rows]
        effects = effects_of(terms, w, frequencies) if basis is None else None
        return CrossProducts.from_rows(
            x, y, terms, w, basis, frequencies=frequencies, effects=effects
        )


@dataclass(frozen=True)
class Deletions:
    """Which observations are taken out together, m times.

    Attributes
    ----------
    codes : (n,) integer array
        The deletion that takes a row out.
    taken : (n,) array
        How many of the row's observations it takes.
    m : int
    """

    codes: IntArray
    taken: Array
    m: int

    @cached_property
    def _order(self) -> tuple[IntArray, IntArray]:
        order = np.argsort(self.codes, kind="stable")
        return order, np.searchsorted(self.codes[order], np.arange(self.m + 1))

    def rows_of(self, which: IntArray) -> tuple[IntArray, IntArray]:
        """Rows that some deletions take observations out of, and the place of each's deletion."""
        order, starts = self._order
        parts = [order[starts[g] : starts[g + 1]] for g in which]
        rows = np.concatenate(parts) if parts else np.empty(0, dtype=np.intp)
        place = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
        used = self.taken[rows] > 0.0
        return rows[used], place[used]


@dataclass(frozen=True)
class Whole:
    """The fit to all rows, which refits start from.

    Attributes
    ----------
    point : Point
        The criterion at the estimate.
    rows : Rows
    start : (n_theta,) array
        Where full refits start: the estimate, moved inside where it is at zero; in the coordinates
        of the cross-products.
    control : Control
    """

    point: Point
    rows: Rows
    start: Array
    control: Control

    @property
    def solution(self) -> Solution:
        """The estimates."""
        return self.point.solution

    @property
    def criterion(self) -> Criterion:
        """That of all rows."""
        return self.point.criterion

    @property
    def cp(self) -> CrossProducts:
        """Cross-products of all rows."""
        return self.solution.factor.system.cp

    @property
    def theta(self) -> Array:
        """The estimate, in the coordinates of the cross-products."""
        return self.point.theta

    @cached_property
    def covariance(self) -> Array:
        """Covariance of the fixed effects, (p, p)."""
        return self.solution.sigma2 * self.solution.fixed_covariance()

    @cached_property
    def hessian(self) -> Array:
        """Hessian of the criterion at the estimate, by central differences of the gradient."""
        return self.criterion.differenced(self.theta)

    @cached_property
    def gap(self) -> Array:
        """What the approximate Hessian of a point misses of `hessian`.

        With it one step is off by what is of second order in what a deletion changes; without, by
        as much as the average information is.
        """
        return self.hessian - self.point.hessian()

    @cached_property
    def level_counts(self) -> list[Array]:
        """Observations of each level, by terms."""
        counts = self.rows.observations
        return [counted(t.codes, counts, t.n_levels) for t in self.rows.terms]


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
    cp = _products(whole, deletions, rows, full=full)
    if isinstance(cp, str):
        return Refits.missing(len(whole.theta), whole.cp.p, 1, {0: cp})
    criterion = whole.criterion.on(prepare(cp, whole.solution.factor.system.plan))
    if not full:
        criterion.take_general()
        slopes = _slopes(criterion.at(whole.theta), whole.gap)
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
        cp = _products(whole, deletions, rows)
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


def _products(
    whole: Whole, deletions: Deletions, rows: IntArray, *, full: bool = True
) -> CrossProducts | str:
    """Cross-products of what is left, or why there is no fit to it.

    One step is taken in the coordinates of all rows' effects.
    """
    taken = np.where(whole.rows.precision[rows] > 0.0, deletions.taken[rows], 0.0)
    left = [
        counts - counted(t.codes[rows], taken, t.n_levels)
        for counts, t in zip(whole.level_counts, whole.rows.terms, strict=True)
    ]
    if whole.cp.n - round(float(np.sum(taken))) <= whole.cp.p:
        return NO_ROWS
    if any(np.sum(counts > 0.5) < 2 for counts in left):
        return NO_LEVELS
    found = _without(whole, deletions, rows, left) or _made_again(whole, deletions, rows)
    if isinstance(found, str):
        return found
    found = found.at_sigma2(whole.cp.scale.given)
    if full:
        return found
    return found.in_basis(found.basis.with_effects(whole.cp.basis.effects))


def _without(
    whole: Whole, deletions: Deletions, rows: IntArray, left: list[Array]
) -> CrossProducts | None:
    """Cross-products less those of some rows; None where a difference would have no digits."""
    cp = whole.cp
    part = whole.rows.products(rows, deletions.taken[rows], cp.basis)
    kept = [counts > 0.5 for counts in left]
    own, to_xy = [], []
    for t, keep in enumerate(kept):
        own.append((cp.own[t] - part.own[t]) * keep[:, None, None])
        to_xy.append((cp.to_xy[t] - part.to_xy[t]) * keep[:, None, None])
        if np.any(shortened(cp.own[t], own[t])):
            return None
    xy = cp.xy - part.xy
    if cancelled(cp.xy, xy[None])[0]:
        return None
    cross = {
        (s, t): _less(block, part.cross[s, t], kept[s], kept[t])
        for (s, t), block in cp.cross.items()
    }
    log_w = cp.sum_log_w - part.sum_log_w
    return CrossProducts(tuple(own), cross, tuple(to_xy), xy, cp.n - part.n, log_w, cp.basis)


def counted(codes: IntArray, values: Array | BoolArray, n: int) -> Array:
    """Sums of values by code, (n,)."""
    return np.asarray(np.bincount(codes, values, minlength=n), dtype=float)


def shortened(before: Array, after: Array) -> BoolArray:
    """Where what is left of a level's block is too little for a difference, (J,)."""
    one, other = np.einsum("jkk->jk", before), np.einsum("jkk->jk", after)
    # An exact zero is one: nothing was rounded.
    return np.asarray(np.any((other < CANCELLED * one) & (other != 0.0), axis=1))


def cancelled(before: Array, after: Array) -> BoolArray:
    """Where what is left of [X y]'W[X y] is too little for a difference, (m,)."""
    p = len(before) - 1
    size = np.sqrt(np.maximum(np.diag(before)[:p], np.finfo(float).tiny))
    lowest = np.ones(len(after))
    if p:
        lowest = np.linalg.eigvalsh(after[:, :p, :p] / np.outer(size, size))[:, 0]
    return np.asarray((lowest < CANCELLED) | (after[:, p, p] < CANCELLED * before[p, p]))


def _less(
    block: sp.csc_array, part: sp.csc_array, rows: BoolArray, cols: BoolArray
) -> sp.csc_array:
    """The difference on the pattern of `block`, without the levels that are no longer there."""
    found = sparse.subtract_on_pattern(block, part)
    k_s, k_t = block.shape[0] // len(rows), block.shape[1] // len(cols)
    kept = rows[found.indices // k_s] & cols[sparse.columns_of(found) // k_t]
    return sparse.with_data(found, found.data * kept)


def _made_again(whole: Whole, deletions: Deletions, rows: IntArray) -> CrossProducts | str:
    """Cross-products of what is left, from the rows; X must have full rank there."""
    frequencies = whole.rows.frequencies.copy()
    frequencies[rows] -= deletions.taken[rows]
    kept = np.flatnonzero((frequencies > 0.5) & (whole.rows.precision > 0.0))
    root = np.sqrt(whole.rows.precision[kept] * frequencies[kept])
    x = whole.rows.x[kept] * root[:, None]
    if x.shape[1]:
        size = np.linalg.norm(x, axis=0)
        if not np.all(size > 0.0):
            return NO_RANK
        new = np.abs(np.diag(la.qr(x / size, mode="r", check_finite=False)[0]))
        if np.min(new) <= _DEPENDENT:
            return NO_RANK
    return whole.rows.products(kept, frequencies[kept])


def _slopes(point: Point, gap: Array) -> Slopes:
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
