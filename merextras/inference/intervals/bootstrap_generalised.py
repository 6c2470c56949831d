"""The bootstrap of a generalised model: responses of its family, or whole groups resampled."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from merextras.accessors.parameters import parameters_at_point
from merextras.engine.generalised.criterion.laplace import LaplacePoint
from merextras.exceptions import MerextrasWarning, UnsupportedModelError
from merextras.foundation.aliases import Array
from merextras.inference.intervals.refits import Block, Statistic, one_by_one
from merextras.inference.intervals.replicates import in_blocks
from merextras.model.design.resample_groups import draw_groups, of_groups
from merextras.model.generalised.again import Refits, drawn
from merextras.model.generalised.fitted import FittedGlmm
from merextras.model.generalised.other_rows import refitted_to
from merextras.model.state.fitted import is_singular

# Replicates in a process before it reports, and how many take long.
_FEW, _LONG = 8, 500


class Replicate(Protocol):
    """What makes a replicate."""

    def __call__(self, generator: np.random.Generator, /) -> tuple[Array, bool] | None:
        """Its numbers and whether its fit is singular; None if that did not converge."""


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
        Residuals resampled.
    """
    if kind == "semiparametric":
        raise UnsupportedModelError(
            f"bootstrap: kind={kind!r}: responses of a family are not made of residuals that can "
            "be resampled; kind='parametric' draws responses, kind='cases' whole groups"
        )
    statistic = Statistic.of(func, model)
    kept = frozenset(range(len(model.design.terms))) if use_u else frozenset[int]()
    one: Replicate = _OfGroups(model, statistic)
    if kind == "parametric":
        one = (
            OfResponses(Refits(model), parameters_at_point, kept)
            if func is None
            else _OfModels(Refits(model), statistic, kept)
        )
    return statistic, blocks_of(one, len(statistic.names), generators, n_jobs)


def blocks_of(
    one: Replicate, n_values: int, generators: Sequence[np.random.Generator], n_jobs: int
) -> list[Block]:
    """Replicates of so many numbers, one of each generator."""
    return in_blocks(
        one_by_one, (one, n_values), generators, size=_FEW, n_jobs=n_jobs,
        long=len(generators) > _LONG,
    )  # fmt: skip


@dataclass(frozen=True, eq=False)
class OfResponses:
    """A response of the model, and numbers of the optimum of its criterion.

    Attributes
    ----------
    refits : Refits
    of_point : callable
        From the model and the refit's point to the numbers; picklable.
    kept : frozenset of int
        Terms whose effects stay at their modes.
    """

    refits: Refits
    of_point: Callable[[FittedGlmm, LaplacePoint], Array]
    kept: frozenset[int] = frozenset()

    def __call__(self, generator: np.random.Generator, /) -> tuple[Array, bool] | None:
        """A refit without standard errors."""
        again = self.refits.fit(drawn(self.refits.model, set(self.kept), generator))
        if not again.converged:
            return None
        point = again.point
        theta = point.criterion.split(point.x)[0]
        singular = point.criterion.covariances.is_singular(theta[None])[0]
        return self.of_point(self.refits.model, point), bool(singular)


@dataclass(frozen=True, eq=False)
class _OfModels:
    """A response of the model, and numbers of the whole model that is fitted to it."""

    refits: Refits
    statistic: Statistic
    kept: frozenset[int]

    def __call__(self, generator: np.random.Generator, /) -> tuple[Array, bool] | None:
        y = drawn(self.refits.model, set(self.kept), generator)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", MerextrasWarning)
            model = self.refits.model_of(y)
        return _numbers(model, self.statistic)


@dataclass(frozen=True, eq=False)
class _OfGroups:
    """Groups drawn with replacement, and numbers of the model that is fitted to them."""

    model: FittedGlmm
    statistic: Statistic

    def __call__(self, generator: np.random.Generator, /) -> tuple[Array, bool] | None:
        rows, copy = draw_groups(self.model.design, generator)
        model = refitted_to(self.model, of_groups(self.model.design, rows, copy), rows)
        return _numbers(model, self.statistic)


def _numbers(model: FittedGlmm, statistic: Statistic) -> tuple[Array, bool] | None:
    return (statistic(model), is_singular(model)) if model.optimum.converged else None
