"""The bootstrap of a generalised model: responses of its family, or whole groups resampled."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from merextras.accessors.parameters import parameters_of_many
from merextras.exceptions import MerextrasWarning, UnsupportedModelError
from merextras.foundation.aliases import Array, IntArray
from merextras.inference.intervals.refits import NOT_CONVERGED, Block, Statistic, one_by_one
from merextras.inference.intervals.replicates import in_blocks
from merextras.model.design.resample_groups import draw_groups, of_groups
from merextras.model.generalised.again import ManyEstimates, Refits, drawn
from merextras.model.generalised.fitted import FittedGlmm
from merextras.model.generalised.other_rows import refitted_to
from merextras.model.state.fitted import is_singular

# Replicates in a process before it reports, of whole models and one by one, and how many take long.
_SOME, _FEW, _LONG = 64, 8, 500


class Replicates(Protocol):
    """What makes some replicates."""

    def __call__(self, generators: Sequence[np.random.Generator], /) -> Block:
        """One of each generator."""


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
    NoRowsError
        The model keeps no rows.
    UnsupportedModelError
        Residuals resampled.
    """
    if kind == "semiparametric":
        raise UnsupportedModelError(
            f"bootstrap: kind={kind!r}: responses of a family are not made of residuals that can "
            "be resampled; kind='parametric' draws responses, kind='cases' whole groups"
        )
    model.design.require_rows("bootstrap", "each replicate has a response by row")
    statistic = Statistic.of(func, model)
    kept = frozenset(range(len(model.design.terms))) if use_u else frozenset[int]()
    if kind == "cases":
        return statistic, blocks_of(_OfGroups(model, statistic), generators, _FEW, n_jobs)
    refits = Refits(model)
    many: Replicates = _OfModels(refits, statistic, kept)
    if func is None:
        many = OfResponses(refits, parameters_of_many, len(statistic.names), kept)
    size = refits.block if func is None else min(refits.block, _SOME)
    return statistic, blocks_of(many, generators, size, n_jobs)


def blocks_of(
    many: Replicates, generators: Sequence[np.random.Generator], size: int, n_jobs: int
) -> list[Block]:
    """Replicates, one of each generator, so many at a time."""
    long = len(generators) > _LONG
    return in_blocks(many, (), generators, size=size, n_jobs=n_jobs, long=long)


@dataclass(frozen=True, eq=False)
class OfResponses:
    """Responses of the model, and numbers of the optima of its criterion.

    Attributes
    ----------
    refits : Refits
    of_estimates : callable
        From the model and the refits' estimates to the numbers, (R, n_values); picklable.
    n_values : int
    kept : frozenset of int
        Terms whose effects stay at their modes.
    """

    refits: Refits
    of_estimates: Callable[[FittedGlmm, ManyEstimates], Array]
    n_values: int
    kept: frozenset[int] = frozenset()

    def __call__(self, generators: Sequence[np.random.Generator], /) -> Block:
        """Refits without standard errors."""
        out, y, there = _responses(self.refits.model, self.kept, generators, self.n_values)
        again = self.refits.fit(y)
        found = np.flatnonzero(again.converged)
        estimates = self.refits.estimates(again.x[found])
        out.values[there[found]] = self.of_estimates(self.refits.model, estimates)
        out.singular[there[found]] = again.singular[found]
        if len(found) < len(there):
            out.failures[NOT_CONVERGED] += len(there) - len(found)
        return out


@dataclass(frozen=True, eq=False)
class _OfModels:
    """Responses of the model, and numbers of the whole models that are fitted to them."""

    refits: Refits
    statistic: Statistic
    kept: frozenset[int]

    def __call__(self, generators: Sequence[np.random.Generator], /) -> Block:
        """The optima are found together, each whole fit starts from its own."""
        size = len(self.statistic.names)
        out, y, there = _responses(self.refits.model, self.kept, generators, size)
        again = self.refits.fit(y)

        def one(i: int) -> tuple[Array, bool] | None:
            x = again.x[i] if again.converged[i] else None
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", MerextrasWarning)
                model = self.refits.model_of(y[:, i], x)
            return _numbers(model, self.statistic)

        found = one_by_one(one, size, range(len(there)))
        out.values[there], out.singular[there] = found.values, found.singular
        out.failures.update(found.failures)
        return out


@dataclass(frozen=True, eq=False)
class _OfGroups:
    """Groups drawn with replacement, and numbers of the models that are fitted to them."""

    model: FittedGlmm
    statistic: Statistic

    def __call__(self, generators: Sequence[np.random.Generator], /) -> Block:
        """One after the other: each has rows of its own."""
        return one_by_one(self._one, len(self.statistic.names), generators)

    def _one(self, generator: np.random.Generator) -> tuple[Array, bool] | None:
        rows, copy = draw_groups(self.model.design, generator)
        model = refitted_to(self.model, of_groups(self.model.design, rows, copy), rows)
        return _numbers(model, self.statistic)


def _responses(
    model: FittedGlmm,
    kept: frozenset[int],
    generators: Sequence[np.random.Generator],
    n_values: int,
) -> tuple[Block, Array, IntArray]:
    """An empty block, the responses that could be drawn, (n, m), and whose they are, (m,)."""
    out = Block(
        np.full((len(generators), n_values), np.nan), np.zeros(len(generators), bool), Counter()
    )
    y, there = [], []
    for i, generator in enumerate(generators):
        try:
            y.append(drawn(model, set(kept), generator))
        except Exception as err:  # a mean that is no number, or too large for a count
            out.failures[f"{type(err).__name__}: {err}"] += 1
        else:
            there.append(i)
    columns = np.array(y).T if y else np.empty((model.design.n, 0))
    return out, columns, np.array(there, dtype=np.intp)


def _numbers(model: FittedGlmm, statistic: Statistic) -> tuple[Array, bool] | None:
    return (statistic(model), is_singular(model)) if model.optimum.converged else None
