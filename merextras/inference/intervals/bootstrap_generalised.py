"""The parametric bootstrap of a generalised model."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from merextras.accessors.parameters import parameters_at_point
from merextras.exceptions import MerextrasWarning, UnsupportedModelError
from merextras.foundation.aliases import Array
from merextras.inference.intervals.refits import Block, Statistic, one_by_one
from merextras.inference.intervals.replicates import in_blocks
from merextras.model.generalised.again import Refits, drawn
from merextras.model.generalised.fitted import FittedGlmm
from merextras.model.state.fitted import is_singular

# Replicates in a process before it reports, and how many take long.
_FEW, _LONG = 8, 500


def replicates(
    model: FittedGlmm,
    func: Callable[[Any], Any] | None,
    generators: Sequence[np.random.Generator],
    *,
    use_u: bool,
    kind: str,
    n_jobs: int,
) -> tuple[Statistic, list[Block]]:
    """Blocks of replicates for `bootstrap`.

    Raises
    ------
    UnsupportedModelError
        Another kind than the parametric one.
    """
    if kind != "parametric":
        raise UnsupportedModelError(
            f"bootstrap: kind={kind!r}: responses of a family are not made of residuals that can "
            "be resampled, and groups are not resampled yet; kind='parametric' draws responses"
        )
    statistic = Statistic.of(func, model)
    kept = set(range(len(model.design.terms))) if use_u else set()
    found = in_blocks(
        one_by_one,
        (partial(_replicate, Refits(model), statistic, kept), len(statistic.names)),
        generators,
        size=_FEW,
        n_jobs=n_jobs,
        long=len(generators) > _LONG,
    )
    return statistic, found


def _replicate(
    refits: Refits, statistic: Statistic, kept: set[int], generator: np.random.Generator
) -> tuple[Array, bool] | None:
    """The statistic of a refit and whether it is singular; None if it did not converge."""
    y = drawn(refits.model, kept, generator)
    if statistic.func is not None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", MerextrasWarning)
            model = refits.model_of(y)
        return (statistic(model), is_singular(model)) if model.optimum.converged else None
    again = refits.fit(y)
    if not again.converged:
        return None
    point = again.point
    theta = point.criterion.split(point.x)[0]
    singular = point.criterion.covariances.is_singular(theta[None])[0]
    return parameters_at_point(refits.model, point), bool(singular)
