"""Hypotheses about the terms of the fixed part: types I, II and III, and single deletions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy.linalg as la

from merextras.engine.kernels.dense import orthonormal
from merextras.foundation.aliases import Array, IntArray
from merextras.model.design.design import Design
from merextras.model.design.effects import Effect, Effects
from merextras.model.design.rank import dependent_columns

# A direction of this length is in the span of others.
_IN_SPAN = 1e-7


def by_type(design: Design, kind: int | str) -> dict[str, Array]:
    """Contrasts of each term of the fixed part, label -> (r, p).

    Type I tests each term given those before it, type II given all that do not contain it, both
    orthogonal in the rows of X (Doolittle's rows of X'X, as SAS and lmerTest do; a frequency weight
    is so many rows, precision weights do not enter, and a weight of zero is no row); type III tests
    estimable functions that are orthogonal to those of the terms that contain it, whatever the
    coding of the factors. Only type III needs to know the factors' levels. "marginal" is that a
    term's own coefficients are zero, the intercept's too.
    """
    effects = design.effects()
    if kind == "marginal":
        own = {"Intercept": effects.rest} if len(effects.rest) else {}
        own |= {effect.label: effect.columns for effect in effects.effects}
        unit = np.eye(len(design.fixed.names))
        return {label: unit[list(columns)] for label, columns in own.items() if columns}
    if kind == 3 and len(effects) > 1:
        return _type3(design, effects)
    out = {}
    for i, effect in enumerate(effects.effects):
        others = [e for e in effects.effects if e is not effect]
        above = [e for e in others if effect.contained_in(e)]
        if kind == 2 and not above and others:
            out[effect.label] = np.eye(len(design.fixed.names))[list(effect.columns)]
            continue
        after = effects.effects[i + 1 :] if kind != 2 else above
        before = [e for e in others if e not in after]
        out[effect.label] = _doolittle(design.counted_rows(), effects, before, effect, after)
    return out


def _doolittle(
    x: Array, effects: Effects, before: Sequence[Effect], mine: Effect, after: Sequence[Effect]
) -> Array:
    """The rows of the unit upper triangle of X'X, columns in this order, that are the term's.

    Each is a coefficient and what it stands for of those after it, free of those before it. That
    the term's own later columns are among them does not change the hypothesis; it is the basis
    in which lmerTest pools degrees of freedom.
    """
    first = [*effects.rest, *(j for e in before for j in e.columns)]
    order = [*first, *mine.columns, *(j for e in after for j in e.columns)]
    r = la.qr(x[:, order], mode="r")[0][: x.shape[1]]
    rows = slice(len(first), len(first) + len(mine.columns))
    out = np.zeros((len(mine.columns), x.shape[1]))
    out[:, order] = r[rows] / np.diag(r)[rows, None]
    return out


def _type3(design: Design, effects: Effects) -> dict[str, Array]:
    """Type III in R's treatment coding, brought back to the coding of the fit."""
    contained = {
        e.label: [o for o in effects.effects if e.contained_in(o)] for e in effects.effects
    }
    if not any(contained.values()):
        return {e.label: np.eye(len(design.fixed.names))[list(e.columns)] for e in effects.effects}
    full, owner = _full_columns(effects)
    kept = _independent(full)
    treatment, owner_of = full[:, kept], owner[kept]
    # beta of the treatment coding as functions of the full, redundant coefficients.
    functions = la.lstsq(treatment, full)[0]
    change = la.lstsq(treatment, design.observed_rows())[0]
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


def _full_columns(effects: Effects) -> tuple[Array, IntArray]:
    """All full columns, and the number of the effect that each belongs to, -1 for the intercept."""
    intercept = effects.full([])[effects.observed]
    after = intercept.shape[1]
    parts = [effects.full([e])[effects.observed, after:] for e in effects.effects]
    owner = np.repeat(np.arange(-1, len(parts)), [intercept.shape[1], *(p.shape[1] for p in parts)])
    return np.concatenate([intercept, *parts], axis=1), owner


def _independent(columns: Array) -> list[int]:
    dropped = set(dependent_columns(columns))
    return [j for j in range(columns.shape[1]) if j not in dropped]


def without(design: Design, effects: Effects, effect: Effect) -> Array:
    """Contrasts that are zero if the term is not in the formula, (r, p); none if others replace it.

    The term's own coefficients, unless the formula without the term codes others differently
    (``0 + a + b`` without a), or others have columns that were dropped on its behalf.

    Parameters
    ----------
    effects : Effects
        From ``design.effects(as_written=True)``: all terms of the formula.
    """
    x = design.observed_rows()
    left = [e for e in effects.effects if e is not effect]
    if not left and not design.fixed.dropped:
        return by_type(design, 1)[effect.label]
    names = [effects.part.names[j] for j in effect.columns]
    mine = [j for j, name in enumerate(design.fixed.names) if name in names]
    own = orthonormal(x[:, [j for j in range(x.shape[1]) if j not in mine]])
    spanned = orthonormal(effects.spanned(left)[effects.observed])
    if _same_span(own, spanned):
        return np.eye(x.shape[1])[mine]
    q, r = la.qr(x, mode="economic")
    inside = orthonormal(q.T @ spanned)
    outside = la.null_space(inside.T, rcond=_IN_SPAN)
    return np.asarray(outside.T @ r)


def _same_span(left: Array, right: Array) -> bool:
    if left.shape[1] != right.shape[1]:
        return False
    return bool(np.all(np.linalg.norm(right - left @ (left.T @ right), axis=0) < _IN_SPAN))
