"""Linear predictors of cases in other levels, part by part, with their variances."""

from __future__ import annotations

import numpy as np
import pandas as pd

from merextras.accessors.pick import COMBINED, FIXED
from merextras.exceptions import InvalidArgumentError
from merextras.foundation.aliases import Array, IntArray
from merextras.model.design.offset import offset_of
from merextras.model.newdata.rows import NewRows, new_rows
from merextras.model.state.fitted import FittedModel
from merextras.prediction.cases.reassign import moved
from merextras.prediction.combinations.prediction_variance import relative_variances


def reassigned_rows(
    model: FittedModel, cases: pd.DataFrame, group: str, levels: pd.Index
) -> NewRows:
    """Each case in each of the levels, cases outermost."""
    frame = moved(model.design, cases, group, levels)
    return new_rows(model, frame, unknown="zero", name="newdata")


def part_of(model: FittedModel, rows: NewRows, part: str) -> NewRows:
    """The rows with nothing but one part in them: all, the fixed one, or a factor's effects."""
    if part == COMBINED:
        return rows
    kept = set() if part == FIXED else set(model.design.terms_of(part))
    codes: list[IntArray] = []
    values: list[Array] = []
    for t in range(len(model.design.terms)):
        codes.append(rows.codes[t] if t in kept else np.full(len(rows), -1, dtype=np.intp))
        values.append(rows.values[t] if t in kept else np.zeros_like(rows.values[t]))
    x = rows.x if part == FIXED else np.zeros_like(rows.x)
    return NewRows(x, tuple(codes), tuple(values), rows.n_levels)


def variances(model: FittedModel, rows: NewRows, *, joint: bool) -> Array:
    """Variances over sigma**2 of the rows' predictors, those of unknown levels before any data.

    Not jointly: the variances of the fixed part and of each term's effects, added up.
    """
    if joint:
        return relative_variances(model.joint, rows, (rows,))
    solution = model.joint
    x = solution.cp.basis.columns(rows.x)
    out = np.einsum("mp,pr,mr->m", x, solution.basis_covariance(), x)
    out += rows.prior(solution.lams)
    for t, (codes, values) in enumerate(zip(rows.codes, rows.values, strict=True)):
        known = codes >= 0
        z, own = values[known], solution.conditional(t)
        out[known] += np.einsum("mk,mkl,ml->m", z, own[codes[known]], z)
    return np.asarray(out)


def offsets(model: FittedModel, newdata: pd.DataFrame | None) -> Array | float:
    """The offset of each case, of the model's own rows for None."""
    if newdata is None:
        return 0.0 if model.design.offset is None else model.design.offset
    found = offset_of(model.design, newdata)
    if found is None:
        return 0.0
    missing = newdata.index[np.isnan(found)]
    if len(missing):
        raise InvalidArgumentError(
            f"newdata: the offset is missing for the cases {missing.tolist()[:10]}"
        )
    return found
