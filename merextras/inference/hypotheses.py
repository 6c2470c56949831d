"""Hypotheses about the terms of the fixed part: types I, II and III, and single deletions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy.linalg as la

from merextras._typing import Array
from merextras.inference.null_spectrum import orthonormal
from merextras.model.design import Design
from merextras.model.effects import Effect, Effects, effects_of
from merextras.model.rank import KeptColumns

# A direction of this length is in the span of others.
_IN_SPAN = 1e-7


def effects_of_design(design: Design) -> Effects:
    """The effects of a design's fixed part on its own rows."""
    return effects_of(design.fixed, design.frame)


def by_type(design: Design, type: int) -> dict[str, Array]:
    """Contrasts of each term of the fixed part, label -> (r, p).

    Type I tests each term given those before it, type II given all that do not contain it, both
    orthogonal in the rows of X (Doolittle's rows of X'X, as SAS and lmerTest do); type III tests
    estimable functions that are orthogonal to those of the terms that contain it, whatever the
    coding of the factors. Only type III needs to know the factors' levels.
    """
    effects = effects_of_design(design)
    if type == 3:
        return _type3(design, effects)
    out = {}
    for i, effect in enumerate(effects.effects):
        others = [e for e in effects.effects if e is not effect]
        before = effects.effects[:i] if type == 1 else _not_containing(effect, others)
        first = [*effects.rest, *(j for e in before for j in e.columns)]
        after = [j for e in others if e not in before for j in e.columns]
        out[effect.label] = _given(design.x, first, list(effect.columns), after)
    return out


def _not_containing(effect: Effect, others: Sequence[Effect]) -> list[Effect]:
    return [e for e in others if not effect.contained_in(e)]


def _given(x: Array, first: list[int], mine: list[int], after: list[int]) -> Array:
    """``beta_mine`` plus what it stands for of the later columns, both free of the first."""
    out = np.zeros((len(mine), x.shape[1]))
    out[:, mine] = np.eye(len(mine))
    if after:
        basis = orthonormal(x[:, first])
        rest = x - basis @ (basis.T @ x)
        out[:, after] = la.lstsq(rest[:, mine], rest[:, after])[0]
    return out


def _type3(design: Design, effects: Effects) -> dict[str, Array]:
    """Type III in R's treatment coding, brought back to the coding of the fit."""
    contained = {
        e.label: [o for o in effects.effects if e.contained_in(o)] for e in effects.effects
    }
    if not any(contained.values()):
        return {e.label: np.eye(design.x.shape[1])[list(e.columns)] for e in effects.effects}
    full, owner = _full_columns(effects)
    kept = [int(j) for j in _independent(full)]
    treatment, owner_of = full[:, kept], owner[kept]
    # beta of the treatment coding as functions of the full, redundant coefficients.
    functions = la.lstsq(treatment, full)[0]
    change = la.lstsq(treatment, design.x)[0]
    number = {e.label: i for i, e in enumerate(effects.effects)}
    out = {}
    for effect in effects.effects:
        mine = np.flatnonzero(owner_of == number[effect.label])
        above = np.isin(owner_of, [number[o.label] for o in contained[effect.label]])
        theirs = np.flatnonzero(above)
        rows = np.zeros((len(mine), len(kept)))
        rows[:, mine] = np.eye(len(mine))
        if len(theirs):
            rows[:, theirs] = -la.lstsq(functions[theirs].T, functions[mine].T)[0].T
        if len(mine):
            out[effect.label] = rows @ change
    return out


def _full_columns(effects: Effects) -> tuple[Array, Array]:
    """All full columns, and the number of the effect that each belongs to, -1 for the intercept."""
    intercept = effects.full([])
    parts = [effects.full([e])[:, intercept.shape[1] :] for e in effects.effects]
    owner = np.repeat(np.arange(-1, len(parts)), [intercept.shape[1], *(p.shape[1] for p in parts)])
    return np.concatenate([intercept, *parts], axis=1), owner


def _independent(columns: Array) -> Array:
    from merextras.model.rank import dependent_columns

    dropped = set(dependent_columns(columns))
    return np.array([j for j in range(columns.shape[1]) if j not in dropped], dtype=int)


def without(design: Design, effects: Effects, effect: Effect) -> Array:
    """Contrasts that are zero if the term is not in the formula, (r, p).

    The term's own coefficients, unless the formula without the term codes others differently
    (``0 + a + b`` without a).
    """
    left = [e for e in effects.effects if e is not effect]
    kept = [j for j in range(design.x.shape[1]) if j not in effect.columns]
    own, spanned = orthonormal(design.x[:, kept]), orthonormal(effects.spanned(left))
    if isinstance(design.fixed, KeptColumns) or _same_span(own, spanned):
        return np.eye(design.x.shape[1])[list(effect.columns)]
    q, r = la.qr(design.x, mode="economic")
    inside = orthonormal(q.T @ spanned)
    outside = la.null_space(inside.T, rcond=_IN_SPAN)
    return np.asarray(outside.T @ r)


def _same_span(left: Array, right: Array) -> bool:
    if left.shape[1] != right.shape[1]:
        return False
    return bool(np.all(np.linalg.norm(right - left @ (left.T @ right), axis=0) < _IN_SPAN))
