"""Cases in every combination that they are moved to, beside what they are."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from merextras.exceptions import InvalidArgumentError
from merextras.foundation.aliases import Array, BoolArray, IntArray
from merextras.model.columns.levels import labels_of
from merextras.model.design.design import Design
from merextras.model.design.offset import offset_of
from merextras.model.frame.kinds import responses
from merextras.model.generalised.fitted import FittedGlmm
from merextras.model.newdata.rows import NewRows, new_rows, read_new
from merextras.model.state.fitted import FittedModel
from merextras.prediction.cases.reassign import check_others
from merextras.prediction.combinations.combination import Combination
from merextras.prediction.counterfactual.counterfactuals import (
    Changes,
    Counterfactuals,
    Group,
    counterfactuals_of,
)


@dataclass(frozen=True, eq=False)
class CounterfactualCases:
    """m cases in L targets each: rows of the model, cases outermost.

    Attributes
    ----------
    model : FittedModel
    index : Index
        Names of the cases.
    targets : Counterfactuals
    rows : NewRows
    combined : Combination
        The predictions, m L rows.
    own_labels : Index
    is_known : (m,) array
        Whether there is a prediction for the case as it is.
    own : Combination
        These predictions, m rows; zeros where there is none.
    own_fit : (m,) array
        The same added up as `fit` is, so that a case that stays is predicted the same to the last
        digit; NaN where there is none.
    observed : (m,) array
        The response, or NaN.
    frame : DataFrame
        The cases moved, m L rows.
    """

    model: FittedModel
    index: pd.Index
    targets: Counterfactuals
    rows: NewRows
    combined: Combination
    own_labels: pd.Index
    is_known: BoolArray
    own: Combination
    own_fit: Array
    observed: Array
    frame: pd.DataFrame

    @property
    def each(self) -> IntArray:
        """The case of each row, (m L,)."""
        return np.repeat(np.arange(len(self.index)), len(self.targets))

    @cached_property
    def parts(self) -> tuple[Array, Array]:
        """The fixed and the random part of each row."""
        return _parts(self.model, self.rows)

    @cached_property
    def fit(self) -> Array:
        """The prediction of each row, (m L,)."""
        return np.asarray(sum(self.parts) + self.combined.constant)

    @property
    def shift(self) -> Array:
        """The change of each row's prediction from its case's own, (m L,); NaN where not known."""
        return np.asarray(self.fit - self.own_fit[self.each])

    @property
    def mean_fit(self) -> Array:
        """The prediction of each row on the scale of the response, (m L,)."""
        return self.model._link.mean(self.fit)

    @property
    def mean_shift(self) -> Array:
        """The same of `shift`."""
        own = self.model._link.mean(self.own_fit)
        return np.asarray(self.mean_fit - own[self.each])


def counterfactual_cases_of(
    model: FittedModel,
    cases: Any,
    group: Group,
    levels: object,
    changes: Changes,
    along: object,
) -> CounterfactualCases:
    """Check the cases and move them; errors as `what_if`."""
    design = model.design
    cases = read_new(design, cases, "cases")
    targets = counterfactuals_of(design, group, levels, changes, along)
    check_others(design, cases, set(targets.columns), "cases")
    has_own = set(targets.columns) <= set(cases.columns)
    own_rows = new_rows(model, cases, unknown="zero", name="cases") if has_own else None
    frame = targets.apply(cases)
    name = "cases" if changes is None else "changes"
    rows = new_rows(model, frame, unknown="zero", name=name)
    offset = _offset(design, frame)
    own_offset = _offset(design, cases) if has_own else np.zeros(len(cases))
    known = np.zeros(len(cases), dtype=bool)
    own_fit = np.full(len(cases), np.nan)
    if own_rows is not None:
        own_fit = np.asarray(sum(_parts(model, own_rows)) + own_offset)
        known = np.isfinite(own_fit)
        for move in targets.moves:
            known &= move.is_known(design, cases, own_rows)
    combined, own = _combinations(
        design, (rows, frame, offset), (own_rows, cases, own_offset), known
    )
    made = CounterfactualCases(
        model,
        cases.index,
        targets,
        rows,
        combined,
        targets.own_labels(design, cases),
        known,
        own,
        np.where(known, own_fit, np.nan),
        _observed(model, cases),
        frame,
    )
    _check_finite(made, name)
    return made


def _check_finite(made: CounterfactualCases, name: str) -> None:
    bad = np.unique(made.each[~np.isfinite(made.fit)])
    if len(bad):
        where = made.index[bad[:10]].tolist()
        raise InvalidArgumentError(f"{name}: no finite prediction for the cases {where}")


def _parts(model: FittedModel, rows: NewRows) -> tuple[Array, Array]:
    """Add up the fixed and the random part of each row, in an order that rows do not change."""
    fixed = np.einsum("mp,p->m", rows.x, model.fixed_estimates)
    return fixed, np.sum(rows.effects(model.modes), axis=0)


def _offset(design: Design, data: pd.DataFrame) -> Array:
    """The offset of rows, zeros without one; errors speak of the cases."""
    try:
        found = offset_of(design, data)
    except InvalidArgumentError as err:
        raise InvalidArgumentError(f"cases: {str(err).removeprefix('newdata: ')}") from err
    return np.zeros(len(data)) if found is None else found


def _combinations(
    design: Design,
    there: tuple[NewRows, pd.DataFrame, Array],
    here: tuple[NewRows | None, pd.DataFrame, Array],
    known: BoolArray,
) -> tuple[Combination, Combination]:
    """The predictions of the moved cases and of those as they are, zeros if not known.

    An unseen level has one number wherever it occurs: its effect cancels in a difference.
    """
    rows, frame, offset = there
    own_rows, cases, own_offset = here
    at, own_at = [], []
    for t, term in enumerate(design.terms):
        new = rows.codes[t] < 0
        own_new = np.zeros(len(cases), dtype=bool)
        labels = [labels_of(frame, term.columns)[new]]
        if own_rows is not None:
            own_new = known & (own_rows.codes[t] < 0)
            labels.append(labels_of(cases, term.columns)[own_new])
        numbers = pd.factorize(np.concatenate(labels), use_na_sentinel=False)[0]
        at.append(np.full(len(new), -1, dtype=np.intp))
        own_at.append(np.full(len(own_new), -1, dtype=np.intp))
        at[t][new] = numbers[: new.sum()]
        own_at[t][own_new] = numbers[new.sum() :]
    counts = [
        1 + int(max(a.max(initial=-1), b.max(initial=-1))) for a, b in zip(at, own_at, strict=True)
    ]
    combined = Combination.of(rows, at, counts, offset)
    if own_rows is None:
        own_rows = rows.take(np.zeros(len(cases), dtype=np.intp))
    blank = NewRows(
        np.where(known[:, None], own_rows.x, 0.0),
        tuple(np.where(known, codes, -1) for codes in own_rows.codes),
        tuple(np.where(known[:, None], values, 0.0) for values in own_rows.values),
        own_rows.n_levels,
    )
    return combined, Combination.of(blank, own_at, counts, np.where(known, own_offset, 0.0))


def _observed(model: FittedModel, cases: pd.DataFrame) -> Array:
    name = model.design.response
    if name not in cases.columns:
        return np.full(len(cases), np.nan)
    if isinstance(model, FittedGlmm) and model.response.form in {"labels", "booleans"}:
        success = model.response.labels[1] if model.response.form == "labels" else True
        return np.asarray(cases[name] == success, dtype=float)
    return responses(cases[name], name, "cases: the response")
