"""The parametric bootstrap of a generalised model."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from merextras.accessors.parameters import parameters_at_point
from merextras.exceptions import InvalidArgumentError, MerextrasWarning, UnsupportedModelError
from merextras.inference.intervals.refits import Block, Statistic
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
        _one_by_one,
        (Refits(model), statistic, kept),
        generators,
        size=_FEW,
        n_jobs=n_jobs,
        long=len(generators) > _LONG,
    )
    return statistic, found


def _one_by_one(
    refits: Refits,
    statistic: Statistic,
    kept: set[int],
    generators: Sequence[np.random.Generator],
) -> Block:
    values = np.full((len(generators), len(statistic.names)), np.nan)
    singular = np.zeros(len(generators), dtype=bool)
    failures: Counter[str] = Counter()
    for i, generator in enumerate(generators):
        y = drawn(refits.model, kept, generator)
        try:
            found = _values(refits, statistic, y)
        except InvalidArgumentError as err:
            if str(err).startswith("func:"):
                raise
            failures[f"{type(err).__name__}: {err}"] += 1
            continue
        except Exception as err:  # any error of the caller's function is counted
            failures[f"{type(err).__name__}: {err}"] += 1
            continue
        if found is None:
            failures["not converged"] += 1
        else:
            values[i], singular[i] = found
    return Block(values, singular, failures)


def _values(
    refits: Refits, statistic: Statistic, y: np.ndarray[Any, np.dtype[np.float64]]
) -> tuple[Any, bool] | None:
    """The statistic of the refit to y and whether it is singular; None if it did not converge."""
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
