"""A sentence that names the fixed effects' columns that separate a response."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from merextras.engine.generalised.families.family import Family
from merextras.engine.generalised.rows.passes import StreamedTable
from merextras.engine.generalised.searches.separation import (
    is_doubtful,
    separating,
    separating_parts,
)
from merextras.foundation.aliases import Array, IntArray
from merextras.model.generalised.families import FamilyChoice
from merextras.model.generalised.fitted import FittedGlmm


def separation_of(model: FittedGlmm) -> str | None:
    """A sentence on the columns that separate the response, if some do."""
    criterion = model.laplace.criterion
    if not criterion.table.p or signs_of(criterion.family, model.choice) is None:
        return None
    parts = _parts(model)

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
    return (
        f"the response is separated by {names}: along them the likelihood rises without end, the "
        "estimates and their standard errors have no meaning. Look at the response by these "
        "columns; join levels that have one outcome only, or leave the column out"
    )


def _parts(model: FittedGlmm) -> Callable[[], Iterator[tuple[Array, IntArray]]]:
    """X in the engine's coordinates and the signs of the rows: all at once, or part by part."""
    criterion, choice = model.laplace.criterion, model.choice
    table = criterion.table

    def parts() -> Iterator[tuple[Array, IntArray]]:
        each = (
            [(table.x, criterion.family)]
            if not isinstance(table, StreamedTable)
            else ((part.x, part.family) for part in table.parts())
        )
        for x, family in each:
            signs = signs_of(family, choice)
            assert signs is not None
            yield x, signs

    return parts


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
