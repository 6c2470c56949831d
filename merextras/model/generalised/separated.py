"""Sentences on responses with which a likelihood has no maximum: separated, or alike in levels."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from functools import partial
from itertools import combinations

import numpy as np

from merextras.engine.generalised.families.family import Family
from merextras.engine.generalised.rows.passes import StreamedTable
from merextras.engine.generalised.rows.table import Table
from merextras.engine.generalised.searches.separation import (
    is_doubtful,
    separating,
    separating_parts,
)
from merextras.exceptions import ConvergenceWarning
from merextras.foundation.aliases import Array, IntArray
from merextras.model.design.sanity import bar_of
from merextras.model.formula.names import INTERCEPT
from merextras.model.formula.parse import parse
from merextras.model.generalised.families import FamilyChoice
from merextras.model.generalised.fitted import FittedGlmm

# A share of a linear predictor along the direction that is rounding, and levels that are named.
_MOVED, _FEW_LEVELS = 1e-6, 3
# A standard deviation on the scale of the link that may be on its way to infinity.
_LARGE = 3.0


def without_maximum(model: FittedGlmm) -> str | None:
    """A sentence on why the likelihood has no maximum, if it has none."""
    return separation_of(model) or unbounded_of(model)


def warn_without_maximum(model: FittedGlmm, verb: str, *, stacklevel: int) -> None:
    """Warn that what a verb finds has no meaning; `stacklevel` calls above this, 1 the caller."""
    if endless := without_maximum(model):
        warnings.warn(f"{verb}: {endless}", ConvergenceWarning, stacklevel=stacklevel + 1)


def separation_of(model: FittedGlmm) -> str | None:
    """A sentence on the columns that separate the response, if some do."""
    criterion = model.laplace.criterion
    if not criterion.table.p or signs_of(criterion.family, model.choice) is None:
        return None
    parts = partial(_parts, model)

    def doubtful(covariance: Array, share: float) -> bool:
        return any(is_doubtful(x, covariance, share) for x, _ in parts())

    # The last step's Hessian tells well enough where there is no doubt; the information, which
    # takes many more gradients, is not made then.
    if not doubtful(model.rough_covariance, 0.5) or not doubtful(model.basis_covariance, 1.0):
        return None
    if isinstance(criterion.table, StreamedTable):
        direction = separating_parts(parts)
    else:
        direction = separating(*next(parts()))
    if direction is None:
        return None
    beta = np.abs(criterion.beta_of(direction))
    weight = beta * model.design.root_mean_squares()
    names = [
        name
        for name, size in zip(model.design.fixed.names, weight, strict=True)
        if size > 1e-4 * np.max(weight)
    ]
    where = "" if isinstance(criterion.table, StreamedTable) else _where(model, direction)
    return (
        f"the response is separated by {names}{where}: along them the likelihood rises without "
        "end, the estimates and their standard errors have no meaning. Look at the response by "
        "these columns; join levels that have one outcome only, or leave the column out"
    )


def _where(model: FittedGlmm, direction: Array) -> str:
    """The levels of which all rows have an infinite predictor, if a few are just these rows."""
    table, frame = model.laplace.criterion.table, model.design.frame
    along = np.abs(table.by_row(table.x @ direction))
    moved = along > _MOVED * np.max(along)
    words = set(re.findall(r"[^\W\d][\w.]*", parse(model.design.formula).fixed))
    columns = [c for c in frame.columns if str(c) in words]
    for some in [*combinations(columns, 1), *combinations(columns, 2)]:
        groups = frame.groupby(list(some), observed=True).ngroup().to_numpy()
        share = np.bincount(groups, moved) / np.bincount(groups)
        whole = np.flatnonzero(share == 1.0)
        if ((share == 0.0) | (share == 1.0)).all() and 0 < len(whole) <= _FEW_LEVELS:
            first = frame.iloc[[int(np.argmax(groups == i)) for i in whole]]
            each = [
                " and ".join(f"{c} = {value!s}" for c, value in zip(some, row, strict=True))
                for row in first[list(some)].itertuples(index=False)
            ]
            return f" (the rows of {', '.join(each)})"
    return ""


def unbounded_of(model: FittedGlmm) -> str | None:
    """A sentence on a factor of which every level has one outcome only, if there is one.

    The larger its variance, the higher the likelihood (not always by Laplace's approximation).
    """
    table, modes = model.laplace.criterion.table, model.laplace.modes
    if not model.choice.has_trials:
        return None
    for t, term in enumerate(model.design.terms):
        if INTERCEPT not in term.names:
            continue
        lam = table.effects[t].to_user(modes.lams[t])[term.names.index(INTERCEPT)]
        if np.linalg.norm(lam) > _LARGE and _have_one_outcome(model, t):
            return (
                f"every level of {term.factor!r} has one outcome only: the likelihood rises "
                f"without end with the variance of {bar_of(term)}, the estimates and their "
                "standard errors have no meaning. The rows of a level tell no more than one of "
                "them does; model the levels, or a response that varies within them"
            )
    return None


def _have_one_outcome(model: FittedGlmm, t: int) -> bool:
    """Whether each level of a term has successes alone, or failures alone."""
    failed = succeeded = np.zeros(1)
    for table, family in _pieces(model):
        term, signs = table.terms[t], signs_of(family, model.choice)
        failed = failed + np.bincount(term.codes, signs != 1, term.n_levels)
        succeeded = succeeded + np.bincount(term.codes, signs != -1, term.n_levels)
    return not np.any((failed > 0.0) & (succeeded > 0.0))


def _pieces(model: FittedGlmm) -> Iterator[tuple[Table, Family]]:
    """The rows and their responses: all at once, or part by part."""
    criterion = model.laplace.criterion
    if isinstance(criterion.table, StreamedTable):
        yield from ((part, part.family) for part in criterion.table.parts())
    else:
        yield criterion.table, criterion.family


def _parts(model: FittedGlmm) -> Iterator[tuple[Array, IntArray]]:
    """X in the engine's coordinates and the signs of the rows."""
    for table, family in _pieces(model):
        signs = signs_of(family, model.choice)
        assert signs is not None
        yield table.x, signs


def signs_of(family: Family, choice: FamilyChoice) -> IntArray | None:
    """Which rows are best with an infinite predictor; None for families that have no such rows."""
    y, trials = family.y, family.largest
    if trials is not None:
        signs = (y == trials).astype(int) - (y == 0.0).astype(int)
    elif choice.name in {"poisson", "negative_binomial"}:
        signs = -(y == 0.0).astype(int)
    else:
        return None
    return np.asarray(signs, dtype=np.intp)
