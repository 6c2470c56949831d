"""Checks that a design can be fitted and its variances identified, as lme4 makes them."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np

from merextras.engine.kernels import dense
from merextras.exceptions import ApproximationWarning, InvalidArgumentError
from merextras.foundation.aliases import Array, BoolArray
from merextras.model.columns.part import FixedPart
from merextras.model.design.design import INTERCEPT, RowDesign, Term
from merextras.model.design.rank import dependent_columns
from merextras.model.formula.names import effect_key

# Predictors whose standard deviations differ by more than this slow any optimiser's user down.
_SCALES = 1e5
# A share of a column's squares that its variation is told from, to more digits than are told.
_ENOUGH = 1e-8
# Numbers of columns that are looked at together (2 MB).
_AT_ONCE = 1 << 18


def check_design(design: RowDesign, n_observations: int, *, stacklevel: int = 1) -> None:
    """Raise what makes the fit impossible, warn of what makes it doubtful.

    Warnings point `stacklevel` calls above this function, 1 being who called it.

    Raises
    ------
    InvalidArgumentError
        A grouping factor with one level; as many levels, or random effects of a term, as
        observations; no more observations than fixed effects; an effect that varies twice by the
        same factor, or is made of others; a response without variation; a factor of the fixed part
        with one level, of which its coding leaves no column.
    """
    used, known = design.observed, design.options.sigma is not None
    if not known:
        check_response(
            design.y[used] if design.offset is None else (design.y - design.offset)[used]
        )
    for term in design.terms:
        levels = len(term.levels) if isinstance(used, slice) else _n_levels(term, used)
        check_levels(term, levels, n_observations, known=known)
        own = term.rows
        check_effects(term, own.values[used], own.told if isinstance(used, slice) else None)
    check_twice(design.terms)
    check_factors(design.fixed)
    check_size(n_observations, design.x.shape[1])
    check_scales(spreads(design), design.fixed.names, stacklevel + 1)


def spreads(design: RowDesign) -> Array:
    """Standard deviations of the columns of X, (p,).

    Where the first is constant, from what of the others it leaves, if that has enough digits.
    """
    x = design.x
    if isinstance(design.observed, slice) and x.size and (x[:, 0] == x[0, 0]).all():
        low, size = design.told
        left = 1.0 - low[:, 0] ** 2
        left[0] = 0.0
        if (left[1:] > _ENOUGH).all():
            return np.asarray(size * np.sqrt(left / len(x)))
    # A few at a time, as numpy makes a copy of them.
    step = max(1, _AT_ONCE // max(len(x), 1))
    starts = range(0, max(x.shape[1], 1), step)
    return np.concatenate([x[:, i : i + step].std(axis=0) for i in starts])


def check_size(n_observations: int, p: int) -> None:
    """More observations than fixed effects."""
    if n_observations <= p:
        raise InvalidArgumentError(
            f"data: {n_observations} observations are too few for {p} fixed effects"
        )


def check_factors(part: FixedPart) -> None:
    """Refuse a factor of which there is no column: it has one level, that of the intercept."""
    for label, level in part.whole.lone_levels().items():
        raise InvalidArgumentError(
            f"formula: the factor {label!r} has one level ({str(level)!r}) in the rows that are "
            "used; there is nothing to compare it with: leave it out"
        )


def check_response(y: Array) -> None:
    """Refuse a response without variation."""
    if (y == y[0]).all():
        raise InvalidArgumentError(
            f"response: all values are {y[0]:g}; there is no variation to explain"
        )


def check_effects(term: Term, values: Array, told: dense.Told | None = None) -> None:
    """No effect may be made of the others; a glance at their products first, which is cheap.

    The values are those of the rows, or any with the same products, such as a triangular factor.
    `told` is their `scaled_cholesky`, if known.
    """
    if dense.is_clear((dense.scaled_cholesky(values) if told is None else told)[0]):
        return
    gram = values.T @ values
    size = np.sqrt(np.diag(gram))
    if np.all(size > 0) and np.linalg.eigvalsh(gram / np.outer(size, size))[0] > 1e-10:
        return
    dependent = [term.names[i] for i in dependent_columns(values)]
    if dependent:
        raise InvalidArgumentError(
            f"formula: the effect(s) {dependent} of {bar_of(term)} are zero or determined by those "
            "before; their variances can't be told apart"
        )


def bar_of(term: Term) -> str:
    """A term as a formula has it."""
    effects = ["1" if name == INTERCEPT else name for name in term.names]
    return term.tag.term(effects, term.factor)


def check_twice(terms: Sequence[Term]) -> None:
    """Refuse an effect that varies twice by the same factor."""
    seen: set[tuple[frozenset[str], tuple[str, ...]]] = set()
    for term in terms:
        for name in term.names:
            key = frozenset(term.columns), effect_key(name)
            if key in seen:
                raise InvalidArgumentError(
                    f"formula: the effect {name!r} of {term.factor!r} is in two terms, whose "
                    "variances can't be told apart; leave it out of one, as in (0 + x | g)"
                )
            seen.add(key)


def _n_levels(term: Term, used: BoolArray) -> int:
    return int(np.count_nonzero(np.bincount(term.rows.codes[used], minlength=len(term.levels))))


def check_levels(term: Term, levels: int, n: int, *, known: bool = False) -> None:
    """Refuse factors with one level, or as many levels or effects as observations.

    Where the residual variance is `known` there may be a level for each observation.
    """
    bar = bar_of(term)
    if levels < 2:
        raise InvalidArgumentError(
            f"formula: the grouping factor {term.factor!r} of {bar} has one level "
            f"({str(term.levels[0])!r}) in the rows that are used; a variance between levels needs "
            "at least two"
        )
    if known:
        return
    if levels >= n:
        raise InvalidArgumentError(
            f"formula: the grouping factor {term.factor!r} of {bar} has {levels} levels for {n} "
            "observations; its variance can't be told from the residual's, unless that is known "
            "(sigma=1, weights=1/variance)"
        )
    if levels * term.k >= n and term.structure.is_full:
        raise InvalidArgumentError(
            f"formula: {bar} has {levels * term.k} random effects for {n} observations; their "
            f"covariance can't be told from the residual variance. Write (1 | {term.factor}), or "
            f"{bar.replace('|', '||')}"
        )


def check_scales(sd: Array, names: Sequence[str], stacklevel: int) -> None:
    """Warn of predictors whose standard deviations are far apart."""
    varying = np.flatnonzero(sd > 0)
    if len(varying) < 2:
        return
    low, high = varying[np.argmin(sd[varying])], varying[np.argmax(sd[varying])]
    if sd[high] > _SCALES * sd[low]:
        warnings.warn(
            f"predictors on very different scales: {names[high]!r} has standard deviation "
            f"{sd[high]:.3g}, {names[low]!r} {sd[low]:.3g}; the fit copes, but consider rescaling "
            "for readable coefficients",
            ApproximationWarning,
            stacklevel=stacklevel + 1,
        )
