"""Backward elimination of random and fixed terms."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from merextras.accessors.description import terms
from merextras.exceptions import (
    ApproximationWarning,
    InvalidArgumentError,
    SingularFitWarning,
    UnsupportedModelError,
)
from merextras.foundation.arguments import check_flag, one_of
from merextras.inference.comparison.ranova import ranova
from merextras.inference.comparison.reductions import reductions
from merextras.inference.ddf.method import METHODS, check_method
from merextras.inference.fixed_effects.drop1 import drop1
from merextras.inference.fixed_effects.drop1_generalised import drop1 as drop1_generalised
from merextras.model.fit.refit import update
from merextras.model.generalised.fitted import FittedGlmm
from merextras.model.generalised.refit import update as update_generalised
from merextras.model.state.fitted import FittedModel
from merextras.model.state.penalised import refuse_penalised
from merextras.model.statsmodels.mixedlm import as_fitted
from merextras.results.base import Table
from merextras.results.tests.step import Step

__all__ = ["step"]


def step(
    m: object,
    *,
    ddf: str = "satterthwaite",
    alpha_random: float = 0.1,
    alpha_fixed: float = 0.05,
    reduce_random: bool = True,
    reduce_fixed: bool = True,
    keep: str | Sequence[str] = (),
) -> Step:
    """Take out terms while their tests allow it, lmerTest's ``step``.

    The random term with the largest p-value of `ranova` goes first, as long as that is above
    `alpha_random`; ``(x | g)`` loses x before it goes itself. Then the fixed term with the largest
    p-value of the F tests of `drop1`, of those that no other contains, as long as it is above
    `alpha_fixed`. Each time the model is fitted again.

    Parameters
    ----------
    m : MerMod or fit of a statsmodels MixedLM
    ddf : {"satterthwaite", "kenward-roger", "asymptotic"}
    alpha_random, alpha_fixed : float
        Levels between 0 and 1.
    reduce_random, reduce_fixed : bool
        Whether terms of that kind may go.
    keep : str or sequence of str
        Labels of fixed terms that stay.

    Returns
    -------
    Step
        ``.random`` and ``.fixed`` are the tables of steps, ``.model`` what is left.

    Raises
    ------
    InvalidArgumentError
        A level that is none, an unknown term to keep.
    UnsupportedModelError
        Not a mixed model; one with a `cov_prior`, whose likelihoods are at no maximum;
        Kenward-Roger's degrees of freedom of a generalised one.

    Warns
    -----
    ApproximationWarning
        Something was taken out: tests and intervals of the model that is left take no notice.

    Notes
    -----
    Selection and inference from the same data do not go together: of terms without any effect
    those that look like having one are left, with p-values that say so. Where a model is there to
    be reported, fit the one that the design asks for.

    Of a generalised model (`glmer`) the tests of fixed terms are `drop1`'s by likelihood ratios.

    The last random term stays, as there is no mixed model without it; lmerTest goes on with a
    linear one. The result says so where its test would let it go.

    **R counterpart**: ``lmerTest::step``, whose answers these are.

    Examples
    --------
    >>> import merextras as mx, warnings
    >>> m = mx.lmer("strength ~ 1 + (1 | batch / cask)", mx.load_dataset("pastes"))
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore")
    ...     found = mx.step(m)
    >>> found.formula
    'strength ~ 1 + (1 | cask:batch)'
    >>> found.random[["eliminated", "statistic", "df"]].round(3)
                      eliminated  statistic   df
    <none>                     0        NaN  NaN
    (1 | batch)                1      0.658  1.0
    (1 | cask:batch)           0     62.531  1.0
    """
    model, method = as_fitted(m, generalised=True), check_method(ddf, METHODS)
    rules = _rules(model, method)
    refuse_penalised("step", model)
    alphas = _alpha(alpha_random, "alpha_random"), _alpha(alpha_fixed, "alpha_fixed")
    alphas = (
        alphas[0] if check_flag(reduce_random, "reduce_random") else 1.0,
        alphas[1] if check_flag(reduce_fixed, "reduce_fixed") else 1.0,
    )
    kept = [keep] if isinstance(keep, str) else list(keep)
    labels = terms(model)
    for label in kept:
        if label not in labels:
            raise InvalidArgumentError(f"keep={label!r}: {one_of(label, labels)}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SingularFitWarning)
        left, random, note = _random(model, alphas[0], rules)
        left, fixed = _fixed(left, alphas[1], rules, kept)
    found = Step(random, fixed, left.design.formula, left, rules.ddf, note)
    if found.n_eliminated:
        warnings.warn(
            f"step: {found.n_eliminated} term(s) were taken out by their tests; p-values and "
            "intervals of the model that is left take no notice of that",
            ApproximationWarning,
            stacklevel=2,
        )
    return found


@dataclass(frozen=True)
class _Rules:
    """What the search does with a model.

    Attributes
    ----------
    ddf : str
        Of the tests of fixed terms.
    drop1, update : callables
        Their table, and the model with another formula.
    alone : str
        What a model is called without random effects.
    """

    ddf: str
    drop1: Callable[[Any], pd.DataFrame]
    update: Callable[[Any, str], FittedModel]
    alone: str


def _rules(model: FittedModel, ddf: str) -> _Rules:
    if not isinstance(model, FittedGlmm):
        return _Rules(ddf, lambda m: drop1(m, ddf=ddf), update, "linear (statsmodels' ols)")
    if ddf == "kenward-roger":
        raise UnsupportedModelError(
            f"step: ddf={ddf!r}: degrees of freedom are defined for linear models alone; the fixed "
            "terms of a generalised one are tested by likelihood ratios, ddf='asymptotic'"
        )
    alone = "a generalised linear model (statsmodels' glm)"
    return _Rules("likelihood", _likelihood_ratios, update_generalised, alone)


def _likelihood_ratios(model: FittedGlmm) -> pd.DataFrame:
    """A row for each term, without that of the model itself."""
    return drop1_generalised(model).iloc[1:]


def _alpha(value: object, name: str) -> float:
    is_number = isinstance(value, (int, float, np.number)) and not isinstance(value, bool)
    if not is_number or not 0.0 <= float(value) <= 1.0:  # type: ignore[arg-type]
        raise InvalidArgumentError(f"{name}={value!r}: a level from 0 (take all out) to 1 (none)")
    return float(value)  # type: ignore[arg-type]


def _random(
    model: FittedModel, alpha: float, rules: _Rules
) -> tuple[FittedModel, pd.DataFrame, str]:
    """The model without random terms that don't matter, the table, a word on the last."""
    table = ranova(model)
    rows, note = [table.iloc[:1]], ""
    while True:
        p_values = table["p_value"].iloc[1:]
        at = int(np.argmax(p_values.fillna(-1.0).to_numpy()))
        if not p_values.iloc[at] > alpha:
            break
        label, (_, smaller) = str(table.index[1 + at]), list(reductions(model.design))[at]
        if smaller is None:
            note = (
                f"{label}, the last random term, stays; its p-value is {p_values.iloc[at]:.3g}: "
                f"without it the model is {rules.alone}"
            )
            break
        rows.append(table.iloc[1 + at : 2 + at])
        model = rules.update(model, smaller)
        table = ranova(model)
    return model, _stacked(rows, table.iloc[1:], first=1), note


def _fixed(
    model: FittedModel, alpha: float, rules: _Rules, keep: Sequence[str]
) -> tuple[FittedModel, pd.DataFrame]:
    """The model without fixed terms that don't matter, and the table."""
    table = rules.drop1(model)
    rows: list[pd.DataFrame] = []
    while True:
        p_values = table["p_value"].drop(index=[k for k in keep if k in table.index]).dropna()
        if p_values.empty or not p_values.max() > alpha:
            break
        label = str(p_values.idxmax())
        rows.append(table.loc[[label]])
        model = rules.update(model, f". ~ . - {label}")
        table = rules.drop1(model)
    return model, _stacked(rows, table, first=0)


def _stacked(rows: list[pd.DataFrame], left: pd.DataFrame, *, first: int) -> pd.DataFrame:
    """The steps in their order, and what is left; the first rows are none."""
    out = pd.concat([*rows, left]) if rows else left.copy()
    steps = len(rows) - first
    numbers = [0] * first + list(range(1, steps + 1)) + [0] * len(left)
    out.insert(0, "eliminated", numbers)
    return Table.of(out)
