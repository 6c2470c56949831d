"""The rows that a prediction is for: the model's own or new ones, with offset and weights."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from merextras.exceptions import InvalidArgumentError
from merextras.foundation.aliases import Array, IntArray
from merextras.model.design.design import Design
from merextras.model.design.offset import offset_of
from merextras.model.design.user_rows import S, UserRows, in_user_rows, rows_of_fit
from merextras.model.newdata.re_form import Kept, mask_effects
from merextras.model.newdata.rows import NewRows, new_rows, number_unseen, own_rows
from merextras.model.settings.options import by_row
from merextras.model.state.fitted import FittedModel


@dataclass(frozen=True, eq=False)
class Target:
    """Rows to predict for.

    Attributes
    ----------
    index : Index
        The user's.
    rows : NewRows
        In the model's terms, with the random effects that are kept.
    unseen : tuple of (m,) integer arrays
        By terms: the number of the row's level among those that the model has not seen, -1 where
        it is known.
    offset : (m,) array or None
    user_rows : UserRows or None
        The table of the fit's own rows, where those are meant.
    """

    index: pd.Index
    rows: NewRows
    unseen: tuple[IntArray, ...]
    offset: Array | None
    user_rows: UserRows | None = None

    def result(self, made: S) -> S:
        """A result by row as the user gets it, see `in_user_rows`."""
        return in_user_rows(made, self.user_rows)

    def __len__(self) -> int:
        return len(self.rows)

    def without_fixed(self) -> Target:
        """The random part alone; rows that miss a predictor stay incomplete."""
        x = np.where(np.isfinite(self.rows.x), 0.0, np.nan)
        return replace(self, rows=replace(self.rows, x=x), offset=None)

    def complete(self) -> IntArray:
        """Return the numbers of the rows without a missing value in what they are made of."""
        whole = np.isfinite(self.rows.x).all(axis=1)
        for values in self.rows.values:
            whole &= np.isfinite(values).all(axis=1)
        if self.offset is not None:
            whole &= np.isfinite(self.offset)
        return np.flatnonzero(whole)


def target_rows(
    model: FittedModel,
    newdata: pd.DataFrame | None,
    *,
    kept: Kept,
    unknown: str = "error",
) -> Target:
    """Make the rows to predict for; errors as `new_rows`.

    Parameters
    ----------
    newdata : DataFrame or None
        None for the model's own rows.
    kept : mapping
        The random effects that are kept, from `kept_effects`. Terms that are not among them need
        no columns.
    unknown : {"error", "zero"}
        What a level that the model has not seen is.
    """
    design = model.design
    if newdata is None:
        rows = mask_effects(own_rows(design, kept), kept)
        nothing = np.full(len(rows), -1, dtype=np.intp)
        unseen = (nothing,) * len(design.terms)
        return Target(design.index, rows, unseen, design.offset, design.user_rows)
    rows = mask_effects(new_rows(model, newdata, terms=kept, unknown=unknown), kept)
    unseen = number_unseen(design, newdata, rows, kept)
    return Target(newdata.index, rows, unseen, offset_of(design, newdata))


def left_out_rows(model: FittedModel, newdata: pd.DataFrame | None, kept: Kept) -> NewRows:
    """Make the rows with only the random effects that are *not* kept, all of unknown levels.

    The covariates of those effects are needed in `newdata`, their grouping columns are not.
    """
    design = model.design
    codes, values = [], []
    m = design.n if newdata is None else len(newdata)
    for t, term in enumerate(design.terms):
        mask = ~kept[t] if t in kept else np.ones(term.k, dtype=bool)
        made = np.zeros((m, term.k))
        if np.any(mask):
            whole = (
                term.rows.values
                if newdata is None
                else term.covariates.matrix(newdata, design.fixed)
            )
            made[:, mask] = whole[:, mask]
        codes.append(np.full(m, -1, dtype=np.intp))
        values.append(made)
    levels = tuple(len(term.levels) for term in design.terms)
    return NewRows(np.zeros((m, len(design.fixed.names))), tuple(codes), tuple(values), levels)


def precisions(design: Design, newdata: pd.DataFrame | None, weights: Any) -> Array | None:
    """What sigma**2 is over in each row to predict for, (m,): its weight, times its group's.

    None if all are one. With residual variances by group sigma is that of the first group.

    Raises
    ------
    InvalidArgumentError
        As `precision_weights`; a row of a group that the model has no residual variance of.
    """
    own = precision_weights(design, newdata, weights)
    if design.residual is None:
        return own
    groups = design.residual.omega[residual_groups(design, newdata)]
    return groups if own is None else own * groups


def residual_groups(design: Design, newdata: pd.DataFrame | None) -> IntArray:
    """The group of each row to predict for, of those with residual variances of their own."""
    assert design.residual is not None
    if newdata is not None:
        return design.residual.codes_of(newdata)
    assert design.residual.codes is not None
    return design.residual.codes


def precision_weights(design: Design, newdata: pd.DataFrame | None, weights: Any) -> Array | None:
    """Find the precision weights of the rows to predict for; None if all are one.

    Parameters
    ----------
    weights : None, number, array, Series or column name
        None: the model's own for its own rows, or the column of `newdata` that the model's are
        from; one if the model has none.

    Raises
    ------
    InvalidArgumentError
        Weights that are negative, not numeric or of another length; for `newdata`, none were given
        and the model's are by array.
    """
    m = design.n if newdata is None else len(newdata)
    if weights is None and newdata is None:
        return design.weights
    if weights is None and newdata is not None:
        if "weights" in design.options.columns:
            return design.options.for_data(newdata, ("weights",)).weights
        if design.weights is None:
            return None
        raise InvalidArgumentError(
            "weights: the model has precision weights by array, whose values for newdata are not "
            "known; give them as weights= (an array, a column's name, or 1)"
        )
    if isinstance(weights, (int, float, np.number)) and not isinstance(weights, bool):
        weights = np.full(m, float(weights))
    if newdata is not None:
        return by_row(weights, newdata, "weights")
    if weights is not None and not isinstance(weights, str):
        weights = rows_of_fit(weights, design.index, design.user_rows, "weights")
    return by_row(weights, design.frame, "weights")
