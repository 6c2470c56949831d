"""A generalised linear model of each group, all of them at once; groups that are separated."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.linalg as la

from merextras.engine.generalised.families.family import Family
from merextras.engine.generalised.searches.separation import separating
from merextras.engine.kernels import blocks
from merextras.engine.kernels.by_level import inverse, orthonormal
from merextras.exceptions import InvalidArgumentError
from merextras.foundation.aliases import Array, BoolArray, IntArray
from merextras.model.design.design import RowDesign
from merextras.model.generalised.families import FamilyChoice
from merextras.model.generalised.levels_alone import levels_alone
from merextras.model.generalised.responses.response import Response
from merextras.model.generalised.separated import signs_of
from merextras.results.estimates.glm_list import GlmList

#: What is zero of a column of an orthonormal basis.
_ROUNDING = 1e-7


@dataclass(frozen=True, eq=False)
class _Rows:
    """Rows of some groups, and linear predictors from which their search begins."""

    family: Family
    x: Array
    offset: Array
    eta: Array
    codes: IntArray

    def take(self, at: IntArray) -> _Rows:
        """Some of the rows, as those of one group."""
        one = np.zeros(len(at), dtype=np.intp)
        return _Rows(self.family.taken(at), self.x[at], self.offset[at], self.eta[at], one)


@dataclass(frozen=True, eq=False)
class _Fits:
    """The coefficients of each group, (J, p), and what belongs to them."""

    estimates: Array
    unscaled: Array
    known: BoolArray
    found: BoolArray
    pearson: Array
    deviance: Array


def by_groups(design: RowDesign, response: Response, choice: FamilyChoice, formula: str) -> GlmList:
    """The maximum of the likelihood in each level of the design's one term.

    Raises
    ------
    InvalidArgumentError
        No linear predictor of these columns is allowed with the link.
    """
    (term,) = design.terms
    codes, levels = term.rows.codes, term.rows.n_levels
    family = choice.of(response.y, response.trials)
    complete = _complete(design, family)
    offset = np.zeros(design.n) if design.offset is None else design.offset
    rows = _Rows(family, design.x, offset, offset + design.x @ complete, codes)
    fits = _fit(rows, levels)
    separated = _with_limits(rows, fits, choice)
    return GlmList(
        formula=formula,
        group=term.factor,
        levels=term.levels,
        names=tuple(design.fixed.names),
        estimates=np.where(fits.known, fits.estimates, np.nan),
        unscaled=np.where(fits.known, fits.unscaled, np.nan),
        rss=fits.pearson,
        n=np.bincount(codes, minlength=levels).astype(float),
        rank=fits.known.sum(axis=1).astype(float),
        complete=complete,
        family=choice.text,
        dispersed=choice.name in {"gamma", "inverse_gaussian", "gaussian"},
        deviance=fits.deviance,
        separated=separated,
        found=fits.found | separated,
    )


def _with_limits(rows: _Rows, fits: _Fits, choice: FamilyChoice) -> BoolArray:
    """Which groups are separated, (J,); in place, what their other rows determine, else NaN."""
    separated = np.zeros(len(fits.found), dtype=bool)
    for level in np.flatnonzero(~fits.found):
        at = np.flatnonzero(rows.codes == level)
        fits.estimates[level], fits.unscaled[level] = np.nan, np.nan
        inside = _inside(rows.x[at], signs_of(rows.family.taken(at), choice), fits.known[level])
        separated[level] = inside is not None
        if inside is None or not len(inside):
            continue
        left = at[inside]
        own, finite = _fit(rows.take(left), 1), _determined(rows.x[left], fits.known[level])
        if own.found[0]:
            fits.estimates[level, finite] = own.estimates[0, finite]
            fits.unscaled[level, finite] = own.unscaled[0, finite]
            fits.pearson[level], fits.deviance[level] = own.pearson[0], own.deviance[0]
    return separated


def _complete(design: RowDesign, family: Family) -> Array:
    """The coefficients of all rows as one group, (p,).

    Those of columns that depend on others are zero.
    """
    x, none = design.x, np.zeros(design.n, dtype=np.intp)
    offset = np.zeros(design.n) if design.offset is None else design.offset
    phi = np.zeros(family.n_phi)
    guess = family.guess() - offset
    for target in (guess, np.full(design.n, np.mean(guess))):
        beta = np.asarray(np.linalg.lstsq(x, target, rcond=None)[0], dtype=float)
        eta = offset + x @ beta
        with np.errstate(all="ignore"):
            allowed = bool(np.isfinite(family.log_density(eta, phi)).all())
        if allowed:
            found = levels_alone(family, phi, eta, x, none, 1)
            return np.asarray(beta + found.moved[0])
    raise InvalidArgumentError(
        "formula: no linear predictor of these columns was found that the link allows for all "
        "rows; take a log link, or columns with an intercept"
    )


def _fit(rows: _Rows, levels: int) -> _Fits:
    """Fit each level, with standard errors by the expected information at a dispersion of one."""
    family, phi, codes = rows.family, np.zeros(rows.family.n_phi), rows.codes
    own = levels_alone(family, phi, rows.eta, rows.x, codes, levels)
    with np.errstate(all="ignore"):
        eta = rows.eta + np.einsum("np,np->n", rows.x, own.moved[codes])
        trials = 1.0 if family.largest is None else family.largest
        variance = family.variance(eta, phi)
        w = (trials * family.mean_slope(eta)) ** 2 / variance
        # A probability that is one to all digits has no variance, and no information.
        w = np.where(own.found[codes], np.where(variance > 0.0, w, 0.0), 1.0)
        gap = (family.y - trials * family.mean(eta)) ** 2 / variance
        deviance = 2.0 * (family.saturated(phi) - family.log_density(eta, phi))
        weight = np.sqrt(w)
        upper, _, q = orthonormal(weight[:, None] * rows.x, codes, levels, own.known)
        root = inverse(upper, own.known)
        part = weight * (eta - rows.offset)
        inner = np.column_stack([blocks.sum_by(column * part, codes, levels) for column in q])
        estimates = np.einsum("jab,jb->ja", root, inner)
        unscaled = np.sqrt(np.einsum("jab,jab->ja", root, root))
    sums = [blocks.sum_by(np.where(np.isfinite(v), v, 0.0), codes, levels) for v in (gap, deviance)]
    return _Fits(estimates, unscaled, own.known, own.found, sums[0], sums[1])


def _inside(x: Array, signs: IntArray | None, known: BoolArray) -> IntArray | None:
    """The rows whose linear predictors stay finite as the likelihood rises; None if all do."""
    if signs is None:
        return None
    scale = np.sqrt(np.mean(x * x, axis=0))
    x = (x / np.where(scale > 0.0, scale, 1.0))[:, known]
    left = np.arange(len(x))
    while len(left):
        direction = separating(x[left], signs[left])
        if direction is None:
            break
        left = left[np.abs(x[left] @ direction) <= _ROUNDING * np.max(np.abs(direction))]
    return None if len(left) == len(x) else left


def _determined(x: Array, known: BoolArray) -> BoolArray:
    """Which coefficients the rows determine, (p,), of those that are known at all."""
    out = np.zeros(len(known), dtype=bool)
    scale = np.sqrt(np.mean(x * x, axis=0))
    own = (x / np.where(scale > 0.0, scale, 1.0))[:, known]
    null = la.null_space(own, rcond=_ROUNDING)
    out[known] = (np.abs(null) <= _ROUNDING).all(axis=1)
    return out
