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
    if not criterion.table.p or not _may_separate(criterion.family, model.choice):
        return None

    def doubtful(covariance: Array, share: float) -> bool:
        return any(is_doubtful(x, covariance, share) for x, _ in _families(model))

    # The last step's Hessian tells well enough where there is no doubt; the information, which
    # takes many more gradients, is not made then.
    if not doubtful(model.rough_covariance, 0.5) or not doubtful(model.basis_covariance, 1.0):
        return None
    parts = _parts(model)
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


def _families(model: FittedGlmm) -> Iterator[tuple[Array, Family]]:
    """X in the engine's coordinates and the rows' family: all at once, or part by part."""
    criterion = model.laplace.criterion
    if isinstance(criterion.table, StreamedTable):
        for part in criterion.table.parts():
            yield part.x, part.family
    else:
        yield criterion.table.x, criterion.family


def _parts(model: FittedGlmm) -> Callable[[], Iterator[tuple[Array, IntArray]]]:
    """X and the signs of the rows, likewise."""
    return lambda: ((x, _signs(family)) for x, family in _families(model))


def _may_separate(family: Family, choice: FamilyChoice) -> bool:
    """Whether a row may be best with an infinite predictor."""
    return family.largest is not None or choice.name in {"poisson", "negative_binomial"}


def _signs(family: Family) -> IntArray:
    """Which rows are best with an infinite predictor, and with which sign."""
    y, most = family.y, family.largest
    highest = np.zeros(y.shape, dtype=bool) if most is None else y == most
    return np.asarray(highest.astype(np.intp) - (y == 0.0).astype(np.intp))
