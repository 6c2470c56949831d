"""The inputs of case deletion: a model's rows, the sets to delete, and the fit to all rows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from merextras.engine.kernels.blocks import Array, IntArray
from merextras.engine.optimum.criterion import Criterion, Point
from merextras.engine.optimum.summary import Control
from merextras.engine.products.basis import Basis
from merextras.engine.products.crossprod import CrossProducts, effects_of
from merextras.engine.products.term_rows import TermRows
from merextras.engine.solution.pls import Solution

BoolArray = NDArray[np.bool_]

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


def counted(codes: IntArray, values: Array | BoolArray, n: int) -> Array:
    """Sums of values by code, (n,)."""
    return np.asarray(np.bincount(codes, values, minlength=n), dtype=float)
