"""From lme4's formula and a data frame to a `Design`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from merextras.engine.products.cells import Cells
from merextras.engine.products.term_rows import TermRows
from merextras.exceptions import DataWarning, InvalidArgumentError
from merextras.foundation.aliases import Array, BoolArray, IntArray
from merextras.foundation.arguments import check_frame, in_index, unknown_column
from merextras.model.columns.coded import CodedPart
from merextras.model.columns.covariates import Covariates
from merextras.model.columns.effect_levels import check_effects_of
from merextras.model.columns.finite import check_finite
from merextras.model.columns.fixed import FormulaPart, Scope
from merextras.model.columns.levels import grouped, without_unused
from merextras.model.columns.part import FixedPart
from merextras.model.columns.plain_columns import PlainPart, plain_part
from merextras.model.columns.plain_factors import TextAsCategories, treatment_part
from merextras.model.design.design import RowDesign, Term, in_order
from merextras.model.design.offset import offset_from
from merextras.model.design.room import warn_of_rows
from merextras.model.design.user_rows import UserRows
from merextras.model.formula.parse import Bar, MixedFormula, parse
from merextras.model.formula.r_spelling import instead_of, written_out
from merextras.model.formula.translate import (
    as_code,
    contrast_labels,
    names_used,
    pieces_of,
    take_offsets,
    unquoted,
)
from merextras.model.frame.engine_frame import date_numbers
from merextras.model.frame.kinds import are_dates, is_text, numbers, responses
from merextras.model.frame.labels import warn_user
from merextras.model.frame.read import COPIES_ON_WRITE, columns_read, only_columns
from merextras.model.settings.options import Options
from merextras.model.settings.residual import ResidualBy, check_grouped, residual_columns

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
    given = list(data.columns)  # once: pandas is slow to go through the names
    formula = written_out(formula, given)
    written = parse(formula)
    check_parts(written, formula, data)
    labels = contrast_labels(options.contrasts)
    parsed = as_code(written, [str(c) for c in given], options.contrasts)
    fixed_code, offsets = take_offsets(parsed.fixed)
    names = names_used(parsed, fixed_code, offsets, given)
    by = residual_columns(list(options.residual_by) or None, given)
    used = {str(c) for c in given if c in names or c in by}
    data, columns = columns_read(data, used, given)
    keep = _complete({c: v for c, v in columns.items() if c in names}, len(data), options)
    check_grouped(data, by, keep)
    frame, columns = _kept_rows(data, columns, keep)
    own = _with_whole(options.kept(keep, names), offsets, frame)
    if respond is None:
        y = response_of(parsed.response, frame, columns, options.scope)
    else:
        y = respond(parsed.response, frame, options.scope)
    rows = _Rows(frame, columns, labels, options.scope)
    fixed, parts = rows.part(fixed_code), [rows.part(bar.effects) for bar in parsed.bars]
    groups = [grouped([columns[c] for c in bar.factors]) for bar in parsed.bars]
    shapes = [(len(at[0]), len(part.names)) for at, part in zip(groups, parts, strict=True)]
    warn_of_rows(len(frame), len(fixed.names), shapes)
    x, cells = rows.by_cell(fixed)
    check_finite(x[:, cells.m if cells else 0 :], fixed.names[cells.m if cells else 0 :], formula)
    each = zip(parsed.bars, parts, groups, strict=True)
    terms = in_order([term for bar, part, group in each for term in _terms(bar, part, group, rows)])
    dates = _days(columns, parsed, fixed_code, offsets, by)
    design = RowDesign(
        response=unquoted(parsed.response),
        y=y,
        x=x,
        fixed=fixed,
        terms=terms,
        index=frame.index,
        frame=_only(frame.assign(**dates) if dates else frame, used, given),
        formula=formula,
        weights=own.weights,
        offset=offset_from(own.offset, offsets, frame, options.scope),
        frequencies=own.frequencies,
        options=own,
        residual=ResidualBy.of_frame(frame, by) if by else None,
        user_rows=_user_rows(data, keep, options),
        cells=cells,
    )
    return design, len(keep) - int(np.count_nonzero(keep))


def response_later(code: str, frame: pd.DataFrame, scope: Scope) -> Array:
    """In the place of a response that is read once the rest of the design is there."""
    del code, scope
    return np.zeros(len(frame))


def _with_whole(options: Options, offsets: Sequence[str], frame: pd.DataFrame) -> Options:
    """The options with the code of offsets that looks at the whole column."""
    if not offsets:
        return options
    codes = [f"I({c})" for c in offsets]
    return replace(options, whole=tuple(options.scope.looking_at_whole(codes, frame)))


def _user_rows(data: pd.DataFrame, keep: BoolArray, options: Options) -> UserRows | None:
    """Where the rows of the fit are among the user's, if some were left out."""
    if keep.all():
        return None
    return UserRows(data.index, np.flatnonzero(keep), options.missing == "keep")


def check_parts(written: MixedFormula, formula: str, data: pd.DataFrame) -> None:
    """Raise unless there are a response, a bar, and the columns right of the bars."""
    if not written.response:
        raise InvalidArgumentError(f"formula={formula!r}: there is no response left of a '~'")
    if not written.bars:
        raise InvalidArgumentError(
            f"formula={formula!r}: there is no random-effects term such as (1 | g); for a model "
            "without one use statsmodels' ols or glm"
        )
    for column in (column for bar in written.bars for column in bar.factors):
        if column not in data.columns:
            hint = in_index(column, data) or _instead_of_code(column)
            raise InvalidArgumentError(
                f"formula: the grouping factor {unknown_column(column, data.columns)}{hint}"
            )
    if "Intercept" in data.columns:
        for text in (written.fixed, *(bar.effects for bar in written.bars)):
            _check_one_intercept(text, formula)


def _check_one_intercept(text: str, formula: str) -> None:
    """Raise where a predictor has the constant's name beside it: columns go by their names."""
    pieces = re.split(r"([+-])", "+" + re.sub(r"\s", "", text))[1:]
    without = {("+", "0"), ("-", "1")} & set(zip(pieces[::2], pieces[1::2], strict=True))
    if not without and re.search(r"(?<![\w.])Intercept(?![\w.])", text):
        raise InvalidArgumentError(
            f"formula={formula!r}: the column 'Intercept' has the name of the constant; rename it, "
            "or leave the constant out, as in 0 + Intercept"
        )


def _instead_of_code(factor: str) -> str:
    """What to do about code right of a bar."""
    called = re.match(r"([\w.]+)\s*\(", factor)
    if called is None:
        return ""
    known = instead_of(called[1])
    return "; " + (known or "make a column of it, and name that right of the bar")


def _complete(columns: Mapping[str, pd.Series], n: int, options: Options) -> BoolArray:
    """Which of n rows have a value for every variable of the model."""
    keep = np.ones(n, dtype=bool)
    for column in columns.values():
        keep &= _has_value(column)
    for extra in (options.weights, options.frequencies, options.offset):
        if extra is not None:
            keep = keep & ~np.isnan(extra)
    n_dropped = n - int(np.count_nonzero(keep))
    if n_dropped and options.missing == "raise":
        raise InvalidArgumentError(
            f"missing='raise': {n_dropped} of {n} rows miss a value of the model's variables"
        )
    if n_dropped == n:
        empty = [name for name, column in columns.items() if column.isna().all()]
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
    if isinstance(dtype, np.dtype) and is_text(column):  # objects, none of them missing
        return True
    return np.asarray(~column.array.isna(), dtype=bool)


def _kept_rows(
    data: pd.DataFrame, columns: dict[str, pd.Series], keep: BoolArray
) -> tuple[pd.DataFrame, dict[str, pd.Series]]:
    """The complete rows and their columns, without the categories that they do not have."""
    if not keep.all():
        data, columns = columns_read(data.loc[keep], columns)
    changed: dict[str, Any] = {}
    for c, column in columns.items():
        if isinstance(column.dtype, pd.CategoricalDtype):
            used_only = without_unused(column)
            if used_only is not column:
                changed[c] = used_only
    return (data.assign(**changed), columns | changed) if changed else (data, columns)


def _days(
    columns: Mapping[str, pd.Series],
    parsed: MixedFormula,
    fixed: str,
    offsets: Sequence[str],
    by: Sequence[str],
) -> dict[str, Array]:
    """The dates that are predictors as numbers of days, unless they are levels too."""
    if not any(map(are_dates, columns.values())):
        return {}
    dates = date_numbers(columns, codes_of(parsed, fixed, offsets))
    levels = {column for bar in parsed.bars for column in bar.factors} | set(by)
    say_days(dates)
    return {c: numbers(columns[c], c, dates=True) for c in dates if c not in levels}


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


def _only(frame: pd.DataFrame, used: set[str], given: Sequence[Any]) -> pd.DataFrame:
    """A copy of the columns that the model uses of those given; the frame may be the user's."""
    if len(used) < len(given):
        return only_columns(frame, used, given)
    return frame.copy(deep=not COPIES_ON_WRITE)


@dataclass(frozen=True, eq=False)
class _Rows:
    """The complete rows, their columns by name, and what formulas are evaluated with."""

    frame: pd.DataFrame
    columns: Mapping[str, pd.Series]
    labels: Mapping[str, str]
    scope: Scope

    @cached_property
    def coded(self) -> TextAsCategories:
        """The columns, text as categories."""
        return TextAsCategories(self.columns)

    def part(self, code: str) -> FixedPart:
        """What makes the columns of a one-sided formula."""
        made: FixedPart | None = plain_part(code, self.coded)
        if made is None and self.scope.engine == "patsy":
            made = treatment_part(code, self.coded)
        return made or FormulaPart.from_formula(
            code, self.frame, labels=self.labels, scope=self.scope
        )

    def matrix(self, part: FixedPart) -> Array:
        """Its columns; those of plain columns without taking these out of the frame again."""
        return self.by_cell(part)[0]

    def by_cell(self, part: FixedPart) -> tuple[Array, Cells | None]:
        """The same, and the cells of the first of them, if there are few."""
        if isinstance(part, CodedPart):
            return part.by_cell(self.coded, len(self.frame))
        if isinstance(part, PlainPart):
            return part.of_columns(self.coded, len(self.frame)), None
        return part.matrix(self.frame), None


def response_of(
    code: str, frame: pd.DataFrame, columns: Mapping[str, pd.Series], scope: Scope
) -> Array:
    """Evaluate the left side of a formula, (n,)."""
    name = unquoted(code)
    y = responses(columns[name], name, "response") if name in columns else scope.column(code, frame)
    check_finite(y[:, None], (name,), "response")
    return y


def _terms(bar: Bar, part: FixedPart, group: tuple[pd.Index, IntArray], data: _Rows) -> list[Term]:
    """The terms of one bar: one, or one per effect if they are independent (``||``).

    lme4 keeps the columns of a factor correlated under ``||``; here every column is on its own.
    """
    levels, codes = group
    values = data.matrix(part)
    what = bar.text
    if not part.names:
        raise InvalidArgumentError(f"formula: {what} has no effects")
    check_finite(values, part.names, what)
    check_effects_of(bar.tag, part, what)
    k = len(part.names)
    columns = [slice(i, i + 1) for i in range(k)] if bar.independent else [slice(0, k)]
    return [
        Term(
            ":".join(bar.factors),
            bar.factors,
            levels,
            Covariates(part.names[own], part),
            TermRows(codes, values[:, own], len(levels)),
            bar.tag,
        )
        for own in columns
    ]
