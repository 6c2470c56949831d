"""Replicates one after the other: refit the model and apply a function to it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import pandas as pd

from merextras.accessors.parameters import parameter_names, parameters_of
from merextras.engine.replicates.fits import ManyFits
from merextras.exceptions import InvalidArgumentError, MerextrasError
from merextras.foundation.aliases import Array, BoolArray
from merextras.model.design.resample_groups import resampled
from merextras.model.fit.response_draws import ResponseModel
from merextras.model.fit.response_draws_by_products import (
    ResponseModelByProducts,
    refitted_products,
)
from merextras.model.state.fitted import FittedModel, is_singular
from merextras.model.state.fitting import fit_like, refitted, start_for_user
from merextras.results.replicates.bootstrap import Bootstrap

T = TypeVar("T")

#: Why a replicate without an optimum failed.
NOT_CONVERGED = "not converged"


@dataclass(frozen=True)
class Block:
    """Some replicates: (m, k) values with NaN rows where a fit failed, and why it did."""

    values: Array
    singular: BoolArray
    failures: Counter[str]

    @classmethod
    def of(cls, fits: ManyFits, values: Array) -> Block:
        """Of refits that were made together, with the numbers (m, k) that they give."""
        failed = ~fits.converged
        values[failed] = np.nan
        failures = Counter([NOT_CONVERGED] * int(np.sum(failed)))
        return cls(values, fits.singular & ~failed, failures)


def bootstrap_of(
    blocks: Sequence[Block],
    names: Sequence[str],
    observed: Array,
    *,
    verb: str = "bootstrap",
    kind: str = "parametric",
    use_u: bool = False,
) -> Bootstrap:
    """All replicates as a result.

    Raises
    ------
    MerextrasError
        All failed.
    """
    values = np.concatenate([block.values for block in blocks])
    failures: Counter[str] = sum((block.failures for block in blocks), Counter())
    used = len(values) - failures.total()
    if used == 0:
        first = next(iter(failures))
        raise MerextrasError(f"{verb}: all {len(values)} replicates failed; the first: {first}")
    singular = sum(int(np.sum(block.singular)) for block in blocks) / used
    return Bootstrap(tuple(names), observed, values, singular, kind, use_u, dict(failures))


@dataclass(frozen=True)
class Statistic:
    """What is taken from every refitted model: `func`, or all parameters.

    Attributes
    ----------
    func : callable or None
    names : tuple of str
        Of the numbers it returned for the fit itself.
    observed : (k,) array
        These numbers.
    """

    func: Callable[[Any], Any] | None
    names: tuple[str, ...]
    observed: Array

    @classmethod
    def of(cls, func: Callable[[Any], Any] | None, model: FittedModel) -> Statistic:
        """Apply it to the fit itself; an error of `func` here is the caller's to see."""
        if func is None:
            return cls(None, parameter_names(model), parameters_of(model))
        names, values = _numbers(func(model))
        return cls(func, names, values)

    def __call__(self, model: FittedModel) -> Array:
        """The numbers of a refitted model, an error if they are others than the fit's own."""
        if self.func is None:
            return parameters_of(model)
        result = self.func(model)
        names, values = _numbers(result)
        if names != self.names:
            raise InvalidArgumentError(
                f"func: returned {list(names)} for a replicate where it returned "
                f"{list(self.names)} for the fit itself; it must return the same numbers each time"
            )
        return values


def _numbers(result: Any) -> tuple[tuple[str, ...], Array]:
    """Names and values of what a function returned."""
    if isinstance(result, Mapping):
        result = pd.Series(dict(result))
    try:
        values = np.asarray("" if result is None else result, dtype=float)
    except (TypeError, ValueError):
        raise InvalidArgumentError(
            f"func: must return a number, an array, a dict or a Series of numbers, got "
            f"{type(result).__name__}"
        ) from None
    if values.ndim > 1 or values.size == 0:
        raise InvalidArgumentError(
            f"func: must return a number or a one-dimensional array with values, got shape "
            f"{values.shape}"
        )
    values = np.atleast_1d(values)
    if isinstance(result, pd.Series):
        return tuple(map(str, result.index)), values
    return tuple(f"t{i + 1}" for i in range(len(values))), values


def one_by_one(
    replicate: Callable[[T], tuple[Array, bool] | None],
    size: int,
    generators: Sequence[T],
) -> Block:
    """Some replicates: of each `size` numbers and whether it is singular; None did not converge."""
    values, singular = np.full((len(generators), size), np.nan), np.zeros(len(generators), bool)
    failures: Counter[str] = Counter()
    for i, generator in enumerate(generators):
        try:
            found = replicate(generator)
        except InvalidArgumentError as err:
            if str(err).startswith("func:"):
                raise
            failures[f"{type(err).__name__}: {err}"] += 1
            continue
        except Exception as err:  # any error of the caller's function is counted
            failures[f"{type(err).__name__}: {err}"] += 1
            continue
        if found is None:
            failures[NOT_CONVERGED] += 1
        else:
            values[i], singular[i] = found
    return Block(values, singular, failures)


def replicate(
    model: FittedModel,
    response_model: ResponseModel | ResponseModelByProducts | None,
    statistic: Statistic,
    generator: np.random.Generator,
) -> tuple[Array, bool] | None:
    """One of a linear model; without a `response_model` groups are resampled."""
    refit = _refit(model, response_model, generator)
    if refit.opt_summary is not None and not refit.opt_summary.converged:
        return None
    return statistic(refit), is_singular(refit)


def _refit(
    model: FittedModel,
    response_model: ResponseModel | ResponseModelByProducts | None,
    generator: np.random.Generator,
) -> FittedModel:
    if isinstance(response_model, ResponseModelByProducts):
        system = model.solution.factor.system
        return refitted_products(model, response_model.responses([generator]).system(system, 0).cp)
    if response_model is not None:
        return refitted(model, y=response_model.draw([generator])[:, 0])
    design = resampled(model.design, generator)
    fit = fit_like(model, design, theta=start_for_user(model))
    return model._like(fit)
