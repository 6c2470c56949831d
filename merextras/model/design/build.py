"""From lme4's formula and a data frame to a `Design`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from merextras._checks import check_frame, in_index, unknown_column
from merextras._typing import Array, BoolArray
from merextras.engine.products.term_rows import TermRows
from merextras.exceptions import DataWarning, InvalidArgumentError
from merextras.model.columns.covariates import Covariates
from merextras.model.columns.finite import check_finite
from merextras.model.columns.fixed import FormulaPart, Scope
from merextras.model.columns.levels import grouping, without_unused
from merextras.model.columns.part import FixedPart
from merextras.model.columns.plain_columns import plain_part
from merextras.model.design.design import RowDesign, Term, in_order
from merextras.model.design.offset import offset_from
from merextras.model.design.options import Options
from merextras.model.design.residual import ResidualBy, check_grouped, residual_columns
from merextras.model.formula.parse import Bar, MixedFormula, parse
from merextras.model.formula.r_spelling import written_out
from merextras.model.formula.translate import (
    as_code,
    contrast_labels,
    names_used,
    pieces_of,
    take_offsets,
    unquoted,
)
from merextras.model.frame.engine_frame import date_numbers
from merextras.model.frame.kinds import numbers, responses
from merextras.model.frame.labels import warn_user
from merextras.model.frame.read import read_columns

#: From the response's code, the complete rows and the names it is evaluated with to its values.
Respond = Callable[[str, pd.DataFrame, Scope], Array]


def build_design(
    formula: str,
    data: pd.DataFrame,
    options: Options | None = None,
    *,
    respond: Respond | None = None,
) -> tuple[RowDesign, int]:
    """The design of a formula on a frame, and the number of rows dropped for missing values.

    `respond` reads the left side of the formula, by default a number for each row.

    Raises
    ------
    InvalidArgumentError
        A formula that can't be read or evaluated, an unknown column, a response that is not
        numeric, no complete row, infinite values.
    """
    options = Options() if options is None else options
    check_frame(data, "data")
    formula = written_out(formula, data.columns)
    written = parse(formula)
    check_parts(written, formula, data)
    labels = contrast_labels(options.contrasts)
    parsed = as_code(written, [str(c) for c in data.columns], options.contrasts)
    fixed_code, offsets = take_offsets(parsed.fixed)
    names = names_used(parsed, fixed_code, offsets, data.columns)
    by = residual_columns(list(options.residual_by) or None, data.columns)
    used = {str(c) for c in data.columns if c in names or c in by}
    data = read_columns(data, used)
    keep = _complete(data, used - (set(by) - names), options)
    check_grouped(data, by, keep)
    frame = _kept_rows(data, keep, used)
    own = options.kept(keep, names)
    residual = ResidualBy.of_frame(frame, by) if by else None
    own = replace(own, whole=tuple(own.scope.looking_at_whole([f"I({c})" for c in offsets], frame)))
    y = (response_of if respond is None else respond)(parsed.response, frame, options.scope)
    fixed = _part(fixed_code, frame, labels, options.scope)
    x = fixed.matrix(frame)
    check_finite(x, fixed.names, formula)
    terms = in_order([t for bar in parsed.bars for t in _terms(bar, frame, labels, options.scope)])
    design = RowDesign(
        response=unquoted(parsed.response),
        y=y,
        x=x,
        fixed=fixed,
        terms=terms,
        index=frame.index,
        frame=_only(_with_days(frame, parsed, fixed_code, offsets, by), used),
        formula=formula,
        weights=own.weights,
        offset=offset_from(own.offset, offsets, frame, options.scope),
        frequencies=own.frequencies,
        options=own,
        residual=residual,
    )
    return design, int(np.sum(~keep))


def check_parts(written: MixedFormula, formula: str, data: pd.DataFrame) -> None:
    """Raise unless there are a response, a bar, and the columns right of the bars."""
    if not written.response:
        raise InvalidArgumentError(f"formula={formula!r}: there is no response left of a '~'")
    if not written.bars:
        raise InvalidArgumentError(
            f"formula={formula!r}: there is no random-effects term such as (1 | g); for a model "
            "without one use statsmodels' ols"
        )
    for column in (column for bar in written.bars for column in bar.factors):
        if column not in data.columns:
            hint = in_index(column, data)
            raise InvalidArgumentError(
                f"formula: the grouping factor {unknown_column(column, data.columns)}{hint}"
            )


def _complete(data: pd.DataFrame, used: set[str], options: Options) -> BoolArray:
    """Rows with a value for every variable of the model."""
    keep = np.ones(len(data), dtype=bool)
    for column in data.columns:
        if column in used:
            keep &= _has_value(data[column])
    for extra in (options.weights, options.frequencies, options.offset):
        if extra is not None:
            keep = keep & ~np.isnan(extra)
    n_dropped = int(np.sum(~keep))
    if n_dropped and options.missing == "raise":
        raise InvalidArgumentError(
            f"missing='raise': {n_dropped} of {len(data)} rows miss a value of the model's "
            "variables"
        )
    if not keep.any():
        empty = [str(c) for c in data.columns if c in used and data[c].isna().all()]
        which = f"; {empty} have none in any row" if empty else ""
        raise InvalidArgumentError(
            f"data: no row has a value for all variables of the model{which}"
        )
    return keep


def _has_value(column: pd.Series) -> BoolArray | bool:
    """Whether a row has a value; pandas' own answer, without what that costs for plain numbers."""
    dtype = column.dtype
    if isinstance(dtype, np.dtype) and dtype.kind in "iub":
        return True
    if isinstance(dtype, np.dtype) and dtype.kind == "f":
        return np.asarray(~np.isnan(column.to_numpy()))
    return np.asarray(column.notna().to_numpy(dtype=bool))


def _kept_rows(data: pd.DataFrame, keep: BoolArray, used: set[str]) -> pd.DataFrame:
    """The complete rows, without the categories that they do not have."""
    frame = data if keep.all() else read_columns(data.loc[keep], used)
    changed: dict[str, Any] = {}
    for c in frame.columns:
        if c in used and isinstance(frame[c].dtype, pd.CategoricalDtype):
            column = frame[c]
            used_only = without_unused(column)
            if used_only is not column:
                changed[str(c)] = used_only
    return frame.assign(**changed) if changed else frame


def _with_days(
    frame: pd.DataFrame,
    parsed: MixedFormula,
    fixed: str,
    offsets: Sequence[str],
    by: Sequence[str],
) -> pd.DataFrame:
    """The frame with dates that are predictors as numbers of days, unless they are levels too."""
    dates = date_numbers(frame, codes_of(parsed, fixed, offsets))
    levels = {column for bar in parsed.bars for column in bar.factors} | set(by)
    say_days(dates)
    made = {c: numbers(frame[c], c, dates=True) for c in dates if c not in levels}
    return frame.assign(**made) if made else frame


def codes_of(parsed: MixedFormula, fixed: str, offsets: Sequence[str]) -> list[str]:
    """Code of the predictors of a formula."""
    texts = [fixed, *(bar.effects for bar in parsed.bars)]
    return [*(piece for text in texts for piece in pieces_of(text)), *offsets]


def say_days(dates: Sequence[str]) -> None:
    """Say which columns of dates are numbers in a model."""
    if dates:
        warn_user(
            f"the dates in {list(dates)} are predictors as numbers: days since 1970-01-01, as R's. "
            "A slope is per day; for another unit or a factor make a column of it",
            DataWarning,
        )


def _only(frame: pd.DataFrame, used: set[str]) -> pd.DataFrame:
    """A copy of the columns that the model uses; the frame may be the user's."""
    kept = [c for c in frame.columns if c in used]
    return frame.copy() if len(kept) == len(frame.columns) else frame[kept]


def _part(code: str, frame: pd.DataFrame, labels: Mapping[str, str], scope: Scope) -> FixedPart:
    return plain_part(code, frame) or FormulaPart.from_formula(
        code, frame, labels=labels, scope=scope
    )


def response_of(code: str, frame: pd.DataFrame, scope: Scope) -> Array:
    """Evaluate the left side of a formula, (n,)."""
    name = unquoted(code)
    if name in frame.columns:
        y = responses(frame[name], name, "response")
    else:
        y = scope.column(code, frame)
    check_finite(y[:, None], (name,), "response")
    return y


def _terms(bar: Bar, frame: pd.DataFrame, labels: Mapping[str, str], scope: Scope) -> list[Term]:
    """The terms of one bar: one, or one per effect if they are independent (``||``).

    lme4 keeps the columns of a factor correlated under ``||``; here every column is on its own.
    """
    levels, codes = grouping(frame, bar.factors)
    part = _part(bar.effects, frame, labels, scope)
    values = part.matrix(frame)
    what = f"({bar.effects} | {':'.join(bar.factors)})"
    if not part.names:
        raise InvalidArgumentError(f"formula: {what} has no effects")
    check_finite(values, part.names, what)
    every = list(range(len(part.names)))
    columns = [[i] for i in every] if bar.independent else [every]
    return [
        Term(
            ":".join(bar.factors),
            bar.factors,
            levels,
            Covariates(tuple(part.names[i] for i in own), part),
            TermRows(codes, values[:, own], len(levels)),
        )
        for own in columns
    ]
