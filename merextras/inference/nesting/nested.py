"""Checks that two models are of the same data and one is nested in the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from merextras.engine.covariance.families import contains, has_equal
from merextras.engine.covariance.structure import Structure
from merextras.engine.kernels.dense import orthonormal
from merextras.engine.products.term_rows import TermRows
from merextras.exceptions import InvalidArgumentError, NoRowsError
from merextras.foundation.aliases import Array, IntArray
from merextras.inference.nesting.nested_rowless import (
    check_same_sums,
    fixed_within,
    same_levels,
    term_within,
)
from merextras.model.design.questions import Design
from merextras.model.design.rowless import RowlessDesign
from merextras.model.state.fitted import FittedModel
from merextras.model.statsmodels.ols import read_ols
from merextras.model.structure.structure import RandomTerm

#: A random-effects term in a comparison.
Groups = TermRows | RandomTerm

# How far a column may be from the span of others, or a response from another, relatively.
_SAME = 1e-7


@dataclass(frozen=True)
class Candidate:
    """A model in a comparison.

    Attributes
    ----------
    label : str
    n_parameters : int
    log_lik : float
    n : int
        Observations.
    y : (rows,) array
        The response less the offset.
    weights : (rows,) array
        Of the rows, precision and frequency.
    x : (rows, p) array
    names : tuple of str
    terms : tuple of TermRows
        None for a linear model.
    structures : tuple of Structure
        Of the terms' covariances.
    log_det : float
        log |X'WX|, in which the restricted likelihoods of two codings of one model differ.
    strata : (rows,) integer array or None
        Groups of rows with residual variances of their own.
    """

    label: str
    n_parameters: int
    log_lik: float
    n: int
    y: Array
    weights: Array
    x: Array
    names: tuple[str, ...]
    terms: tuple[TermRows, ...]
    structures: tuple[Structure, ...]
    log_det: float = 0.0
    strata: IntArray | None = None


@dataclass(frozen=True)
class StreamedCandidate:
    """A model without rows in a comparison; attributes as of `Candidate`."""

    label: str
    n_parameters: int
    log_lik: float
    n: int
    names: tuple[str, ...]
    design: RowlessDesign
    log_det: float

    @property
    def terms(self) -> tuple[RandomTerm, ...]:
        """The random-effects terms."""
        return self.design.structure.terms


#: A model in a comparison.
AnyCandidate = Candidate | StreamedCandidate


def mixed_candidate(fit: FittedModel) -> AnyCandidate:
    """A mixed model in a comparison."""
    design, cp = fit.design, fit.solution.factor.system.cp
    gram, strata = cp.xy, fit._fit.strata
    if strata is not None:  # which weights the rows have has nothing to do with their coding
        gram = np.sum(strata.xy, axis=0)
    log_det = float(np.linalg.slogdet(gram[: cp.p, : cp.p])[1]) - 2.0 * cp.basis.log_det()
    if not design.keeps_rows:
        return StreamedCandidate(
            label=_label(design),
            n_parameters=fit.n_parameters,
            log_lik=-0.5 * fit.solution.deviance(),
            n=fit.solution.n,
            names=tuple(design.fixed.names),
            design=design.sums(),
            log_det=log_det,
        )
    weights = np.ones(design.n)
    for extra in (design.weights, design.frequencies):
        weights = weights if extra is None else weights * extra
    return Candidate(
        label=_label(design),
        n_parameters=fit.n_parameters,
        log_lik=-0.5 * fit.solution.deviance(),
        n=fit.solution.n,
        y=design.y if design.offset is None else design.y - design.offset,
        weights=weights,
        x=design.x,
        names=tuple(design.fixed.names),
        terms=tuple(term.rows for term in design.terms),
        log_det=log_det,
        structures=tuple(term.structure for term in design.terms),
        strata=None if design.residual is None else design.residual.codes,
    )


def _label(design: Design) -> str:
    """The formula, and what the residual variance differs by."""
    more = "" if design.residual is None else f", {design.residual.argument}"
    return f"{design.formula}{more}"


def ols_candidate(obj: object, response: str, name: str) -> Candidate:
    """An OLS fit beside mixed models of a response; errors call it `name`."""
    found = read_ols(obj, name)
    names = ["1" if column in {"Intercept", "const"} else column for column in found.names]
    return Candidate(
        label=f"{response} ~ {' + '.join(names)}",
        n_parameters=int(np.linalg.matrix_rank(found.x)) + 1,
        log_lik=found.log_lik,
        n=len(found.y),
        y=found.y,
        weights=np.ones(len(found.y)),
        x=found.x,
        names=found.names,
        terms=(),
        structures=(),
    )


def check_same_data(models: Sequence[AnyCandidate], verb: str = "anova") -> None:
    """All models must be of the same rows, response and weights."""
    first = models[0]
    for other in models[1:]:
        if isinstance(first, StreamedCandidate) or isinstance(other, StreamedCandidate):
            one, two = _without_rows(first, other, verb)
            check_same_sums(one.design, two.design, verb)
            continue
        if (len(other.y), other.n) != (len(first.y), first.n):
            raise InvalidArgumentError(
                f"{verb}: the models are of different data: {first.label!r} was fitted to "
                f"{first.n} observations, {other.label!r} to {other.n}; fit all to the rows that "
                "are complete for the largest"
            )
        if np.max(np.abs(other.y - first.y)) > _SAME * np.std(first.y):
            raise InvalidArgumentError(
                f"{verb}: the models are of different data: the responses of {first.label!r} and "
                f"{other.label!r} differ; fit all to the same data, with the rows in the same order"
            )
        if np.max(np.abs(other.weights - first.weights)) > _SAME * np.max(first.weights):
            raise InvalidArgumentError(
                f"{verb}: the weights of {first.label!r} and {other.label!r} differ"
            )


def _without_rows(
    left: AnyCandidate, right: AnyCandidate, verb: str
) -> tuple[StreamedCandidate, StreamedCandidate]:
    """Both models, if both are without rows."""
    if isinstance(left, StreamedCandidate) and isinstance(right, StreamedCandidate):
        return left, right
    one, other = (left, right) if isinstance(left, StreamedCandidate) else (right, left)
    raise NoRowsError(
        f"{verb}: {one.label!r} was fitted from chunks or cross-products and keeps no rows, "
        f"{other.label!r} has its rows: they can't be compared. Fit both in the same way, by "
        "lmer(formula, source) of the same source"
    )


def same_fixed(left: AnyCandidate, right: AnyCandidate) -> bool:
    """Whether the fixed parts span the same."""
    if isinstance(left, StreamedCandidate) or isinstance(right, StreamedCandidate):
        one, other = (each.design for each in _without_rows(left, right, "comparison"))
        return fixed_within(one, other) is not None and fixed_within(other, one) is not None
    return not _outside(left.x, right.x) and not _outside(right.x, left.x)


def same_criterion(left: AnyCandidate, right: AnyCandidate) -> bool:
    """Whether the restricted likelihoods of two models with the same fixed part are comparable.

    They hold log |X'V^-1 X|, so that X in other units or another coding shifts one of them.
    """
    return abs(left.log_det - right.log_det) <= _SAME * (1.0 + abs(left.log_det))


def same_term(left: Groups, right: Groups) -> bool:
    """Whether two terms are of the same groups, and their effects span the same."""
    if isinstance(left, RandomTerm) or isinstance(right, RandomTerm):
        assert isinstance(left, RandomTerm)
        assert isinstance(right, RandomTerm)
        alike = term_within(left, right) is not None and term_within(right, left) is not None
        return left.shape == right.shape and alike
    return (
        left.k == right.k
        and same_groups(left, right)
        and not _outside(left.values, right.values)
        and not _outside(right.values, left.values)
    )


def same_terms(left: AnyCandidate, right: AnyCandidate) -> bool:
    """Whether two models have the same random effects, whatever the order of their terms."""
    theirs: list[Groups] = list(right.terms)
    for term in left.terms:
        found = next((other for other in theirs if same_term(term, other)), None)
        if found is None:
            return False
        theirs = [other for other in theirs if other is not found]
    return not theirs


def same_groups(left: Groups, right: Groups) -> bool:
    """Whether the levels of two terms are the same sets of rows."""
    if isinstance(left, RandomTerm) or isinstance(right, RandomTerm):
        assert isinstance(left, RandomTerm)
        assert isinstance(right, RandomTerm)
        return same_levels(left, right)
    return _refines(left.codes, right.codes) and _refines(right.codes, left.codes)


def check_nested(small: AnyCandidate, large: AnyCandidate, verb: str = "anova") -> None:
    """The small model must be the large one with some parameters at fixed values.

    Decided by the span of X, and for the random effects term by term: a term is within one on the
    same groups whose effects span its own, or within one on coarser groups that has an effect for
    each of its levels, as ``(1 | g:f)`` is within ``(0 + f | g)``; and its covariances must be
    among those of the other's structure. The response must be shared.
    """
    if isinstance(small, StreamedCandidate) or isinstance(large, StreamedCandidate):
        _check_nested(*_without_rows(small, large, verb), verb)
        return
    if small.strata is not None and not (
        large.strata is not None and _refines(large.strata, small.strata)
    ):
        raise InvalidArgumentError(
            f"{verb}: {small.label!r} is not nested in {large.label!r}: its residual variances "
            "differ by groups that the other's are not within; compare them by aic or bic"
        )
    outside = [small.names[j] for j in _outside(small.x, large.x)]
    if outside:
        raise InvalidArgumentError(
            f"{verb}: {small.label!r} is not nested in {large.label!r}: its fixed effects "
            f"{outside} are not in the span of the other's; compare them by aic or bic"
        )
    others = list(zip(large.terms, large.structures, strict=True))
    for term, own in zip(small.terms, small.structures, strict=True):
        if not any(_within(term, other, own, wide) for other, wide in others):
            raise InvalidArgumentError(
                f"{verb}: {small.label!r} is not nested in {large.label!r}: no random-effects term "
                f"of it contains the one with {term.n_levels} levels and {term.k} effect(s); "
                "compare them by aic or bic"
            )


def _check_nested(small: StreamedCandidate, large: StreamedCandidate, verb: str) -> None:
    """The same from columns that are written alike; more can't be told without rows."""
    start = f"{verb}: {small.label!r} is not nested in {large.label!r}, as far as can be told "
    mine, theirs = small.design.residual, large.design.residual
    if mine is not None and (theirs is None or not set(mine.columns) <= set(theirs.columns)):
        raise InvalidArgumentError(
            f"{start}without rows: its residual variances differ by {mine.name}, the other's do "
            "not; compare them by aic or bic"
        )
    if fixed_within(small.design, large.design) is None:
        raise InvalidArgumentError(
            f"{start}without rows: its fixed effects are not made of the other's; compare them by "
            "aic or bic, or write what they share alike"
        )
    for term in small.terms:
        if all(term_within(term, other) is None for other in large.terms):
            raise InvalidArgumentError(
                f"{start}without rows: its term ({' + '.join(term.names)} | {term.factor}) is in "
                "none of the other's; compare them by aic or bic"
            )


def _outside(columns: Array, of: Array) -> list[int]:
    """Columns that are not in the span of others."""
    size = np.linalg.norm(columns, axis=0)
    basis = orthonormal(of)
    rest = np.linalg.norm(columns - basis @ (basis.T @ columns), axis=0)
    return [int(j) for j in np.flatnonzero(rest > _SAME * size)]


def _within(small: TermRows, large: TermRows, own: Structure, wide: Structure) -> bool:
    """Whether a term's covariances, of its structure, are among those of another's."""
    constant = small.k == 1 and bool(np.all(small.values == small.values[0]))
    if same_groups(small, large):
        if (
            constant
            and has_equal(wide)
            and np.array_equal(large.values.sum(axis=1), small.values[:, 0])
        ):
            return True
        at = _places(small.values, large.values)
        return contains(wide, own, at) and not _outside(small.values, large.values)
    cells = constant and _refines(small.codes, large.codes) and _by_cell(small, large)
    return cells and (wide.is_full or _are_indicators(large.values))


def _are_indicators(values: Array) -> bool:
    return bool(np.all((values == 0.0) | (values == 1.0)) and np.all(values.sum(axis=1) == 1.0))


def _places(columns: Array, of: Array) -> list[int] | None:
    """Which columns these are of others; None if they are not among them."""
    found = [np.flatnonzero(np.all(of == column[:, None], axis=0)) for column in columns.T]
    return [int(at[0]) for at in found] if all(len(at) for at in found) else None


def _refines(fine: IntArray, coarse: IntArray) -> bool:
    """Whether every level of `fine` is in one level of `coarse`."""
    pairs = np.unique(np.column_stack([fine, coarse]), axis=0)
    return len(pairs) == len(np.unique(pairs[:, 0]))


def _by_cell(small: TermRows, large: TermRows) -> bool:
    """Whether the levels of `small` are those of `large` by a partition of its effects' cells."""
    cells, at = np.unique(large.values, axis=0, return_inverse=True)
    if len(cells) > large.k or np.linalg.matrix_rank(cells) < len(cells):
        return False
    table = np.full((large.n_levels, len(cells)), -1, dtype=np.intp)
    table[large.codes, at.reshape(-1)] = small.codes
    if np.any(table[large.codes, at.reshape(-1)] != small.codes):
        return False
    for a in range(len(cells)):
        for b in range(a):
            both = (table[:, a] >= 0) & (table[:, b] >= 0)
            same = table[both, a] == table[both, b]
            if np.any(same) and not np.all(same):
                return False
    return True
