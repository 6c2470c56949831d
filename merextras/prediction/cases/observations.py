"""Observations to predict for: the average one, or one at random."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import numpy as np
import pandas as pd

from merextras.accessors.extract import at_quantile
from merextras.accessors.pick import pick_effect
from merextras.exceptions import InvalidArgumentError
from merextras.foundation.aliases import Array, BoolArray, Rng
from merextras.foundation.arguments import check_choice, check_columns, unknown_column
from merextras.foundation.rng import as_generator
from merextras.model.design.design import INTERCEPT, Design
from merextras.model.frame.kinds import is_number, numbers
from merextras.model.newdata.rows import read_new
from merextras.model.state.fitted import FittedModel
from merextras.model.statsmodels.mixedlm import as_fitted
from merextras.prediction.cases.reassign import values_of

#: Values that a message shows.
_SHOWN = 10

VarList = Mapping[str, Any]


def average_obs(m: object, var_list: VarList | None = None, data: Any = None) -> pd.DataFrame:
    """Return the average observation of a model, as one row of data.

    Parameters
    ----------
    m : MerMod or MixedLMResults
        A fitted model.
    var_list : mapping column -> value or list of values, optional
        Average only the rows that have these values.
    data : DataFrame (pandas or polars), optional
        Rows to average instead of those of the fit, with the same columns.

    Returns
    -------
    DataFrame
        One row with the variables of the model, and the columns that its offset and precision
        weights are from: the mean of a number, the most frequent value of
        anything else (of several the first, in the order of categories or sorted), and of each
        grouping factor the level with the median random effect. Columns keep their dtype, and so
        their categories; a mean is a float.

    Raises
    ------
    InvalidArgumentError
        `var_list` is not a mapping, names no column, or leaves no row; `data` is empty or lacks a
        column.
    UnsupportedModelError
        A level such as ``a:I`` can't be taken apart, its columns not being in the data.

    See Also
    --------
    random_obs, draw, wiggle
    find_form_funs : The functions of the formula at these means.

    Notes
    -----
    The level of a factor is that at its median (`re_quantile`) by its intercept, or its first
    effect, among those that `var_list` allows. The levels of a factor within another are those
    within the one that was picked, outer factors first. Variables are raw: `predict` evaluates
    ``I(x ** 2)`` at the mean of x, and not at that of its squares. Rows of weight zero are no
    observations; a row with a frequency counts as often.

    **R counterpart**: ``merTools::averageObs``. On ties it has the category ``"."``, which is no
    level of the model; its median of an odd number of levels is the one below (see `re_quantile`);
    the inner level of a nested factor is that of the most frequent class, whatever the school. If
    the formula has ``log(x)`` and not ``x``, it needs the data.

    Examples
    --------
    >>> import merextras as mx
    >>> m = mx.lmer("extro ~ open + (1 | school)", mx.load_dataset("students"))
    >>> mx.average_obs(m).round(1)
       extro  open school
    0   60.3  40.1    III
    >>> mx.average_obs(m, {"school": "VI"}).round(1)
       extro  open school
    0   74.2  40.4     VI
    """
    model = as_fitted(m, generalised=True)
    frame, counts = _observations(model, data)
    keep = _matching(frame, var_list)
    out = {
        column: _central(frame[column][keep], counts[keep], numeric=is_number(frame[column]))
        for column in frame.columns
    }
    for column, value in _median_levels(model, var_list or {}).items():
        out[column] = _alike([value], frame.get(column))
    return pd.DataFrame(out)


def random_obs(m: object, var_list: VarList | None = None, *, rng: Rng = None) -> pd.DataFrame:
    """Return one of a model's observations, drawn at random.

    Parameters
    ----------
    m : MerMod or MixedLMResults
        A fitted model.
    var_list : mapping column -> value or list of values, optional
        Draw only from the rows that have these values.
    rng : int, numpy.random.Generator or None
        Seed or source of the random numbers.

    Returns
    -------
    DataFrame
        One row with the variables of the model, and the columns that its offset and precision
        weights are from, under its own index label. Columns keep their dtype, and so all their
        categories.

    Raises
    ------
    InvalidArgumentError
        `var_list` is not a mapping, names no column, or leaves no row.

    See Also
    --------
    average_obs, draw

    Notes
    -----
    Rows of weight zero are not drawn, rows with a frequency as often as it says.
    **R counterpart**: ``merTools::randomObs``, which fails if ``varList`` is left out.

    Examples
    --------
    >>> import merextras as mx
    >>> m = mx.lmer("Reaction ~ Days + (Days | Subject)", mx.load_dataset("sleepstudy"))
    >>> mx.random_obs(m, {"Days": [0, 1]}, rng=1)
        Reaction  Days  Subject
    90  312.3666     0      337
    """
    frame, counts = _observations(as_fitted(m, generalised=True), None)
    rows = np.flatnonzero(_matching(frame, var_list))
    weight = counts[rows] / np.sum(counts[rows])
    chosen = int(as_generator(rng).choice(rows, p=weight))
    return frame.iloc[[chosen]].copy()


def draw(
    m: object,
    type: str = "random",  # noqa: A002 (as in R)
    var_list: VarList | None = None,
    *,
    rng: Rng = None,
) -> pd.DataFrame:
    """Return one observation, `random_obs` or `average_obs`.

    Parameters
    ----------
    m : MerMod or MixedLMResults
        A fitted model.
    type : {"random", "average"}
    var_list : mapping column -> value or list of values, optional
        Only from the rows that have these values.
    rng : int, numpy.random.Generator or None
        Seed or source of the random numbers.

    Returns
    -------
    DataFrame
        One row with the variables of the model.

    Raises
    ------
    InvalidArgumentError
        Another `type`, and the errors of the two.

    Notes
    -----
    **R counterpart**: ``merTools::draw``.

    Examples
    --------
    >>> import merextras as mx
    >>> m = mx.lmer("Reaction ~ Days + (Days | Subject)", mx.load_dataset("sleepstudy"))
    >>> mx.draw(m, "average")
         Reaction  Days  Subject
    0  298.507892   4.5      308
    """
    if check_choice(type, ("random", "average"), "type") == "average":
        return average_obs(m, var_list)
    return random_obs(m, var_list, rng=rng)


def find_form_funs(m: object, data: Any = None) -> pd.DataFrame:
    """Return the average observation with the functions of the formula evaluated at it.

    Parameters
    ----------
    m : MerMod or MixedLMResults
        A fitted model.
    data : DataFrame (pandas or polars), optional
        Rows to average instead of those of the fit.

    Returns
    -------
    DataFrame
        One row: `average_obs`, then every column of X and of the random effects' covariates that is
        no variable itself, such as ``I(x ** 2)``, ``np.log(x)``, ``a:b`` or ``C(g)[T.b]``.

    Raises
    ------
    InvalidArgumentError, UnsupportedModelError
        As `average_obs`.

    Notes
    -----
    ``I(x ** 2)`` is the square of the mean, not the mean of the squares; what a transform such as
    ``center(x)`` remembers is of the fit.

    **R counterpart**: ``merTools::findFormFuns``. Without the original data and without ``x`` among
    the terms it averages the transformed variable, with a warning; the grouping factors are modes
    or ``"."``.

    Examples
    --------
    >>> import merextras as mx
    >>> m = mx.lmer("Reaction ~ I(Days ** 2) + (1 | Subject)", mx.load_dataset("sleepstudy"))
    >>> mx.find_form_funs(m).round(1)
       Reaction  Days  Subject  I(Days ** 2)
    0     298.5   4.5      330          20.2
    """
    model = as_fitted(m, generalised=True)
    out = average_obs(model, data=data)
    design = model.design
    parts = [(design.fixed.names, design.fixed.matrix(out))]
    parts += [(t.names, t.covariates.matrix(out, design.fixed)) for t in design.terms]
    for names, values in parts:
        for name, value in zip(names, values.T, strict=True):
            if name not in out and name not in {INTERCEPT, design.constant}:
                out[name] = value
    return out


def _observations(model: FittedModel, data: Any) -> tuple[pd.DataFrame, Array]:
    """The rows that are observations, and how often each counts."""
    design = model.design
    given = {c: v for c, v in _row_columns(design).items() if c not in design.frame}
    if data is not None:
        data, columns = read_new(design, data, "data"), [*design.frame.columns, *given]
        check_columns(data, columns, "data")
        return data[columns], np.ones(len(data))
    used = design.observed
    frame = design.frame.assign(**given)[used]
    if design.frequencies is None:
        return frame, np.ones(len(frame))
    return frame, design.frequencies[used]


def _row_columns(design: Design) -> dict[str, Array | None]:
    """The columns of the offset and precision weights, without which nothing is predicted."""
    values = {"offset": design.options.offset, "weights": design.options.weights}
    columns = design.options.columns
    return {columns[name]: row for name, row in values.items() if name in columns}


def _matching(frame: pd.DataFrame, var_list: VarList | None) -> BoolArray:
    """The rows that have the values asked for."""
    if var_list is None:
        return np.ones(len(frame), dtype=bool)
    if not isinstance(var_list, Mapping):
        raise InvalidArgumentError(
            f'var_list={var_list!r}: expected a mapping such as {{"school": "II"}}'
        )
    keep = np.ones(len(frame), dtype=bool)
    for column, value in var_list.items():
        if column not in frame.columns:
            raise InvalidArgumentError(f"var_list: {unknown_column(str(column), frame.columns)}")
        keep &= frame[column].astype(object).isin(_several(value)).to_numpy(dtype=bool)
        if not np.any(keep):
            there = [str(v) for v in frame[column].dropna().unique()[:_SHOWN]]
            raise InvalidArgumentError(
                f"var_list={dict(var_list)!r}: no row matches; {column!r} has values such as "
                f"{', '.join(there)}"
            )
    return keep


def _several(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple, set, np.ndarray, pd.Index)) else [value]


def _central(column: pd.Series, counts: Array, *, numeric: bool) -> pd.Series:
    """The mean of numbers, the mode of others: a Series of one."""
    known = column.notna().to_numpy()
    column, counts = column[known], counts[known]
    if numeric:
        values = numbers(column, column.name, "data", dates=True)
        return pd.Series([float(np.average(values, weights=counts)) if len(values) else np.nan])
    if not len(column):
        return _alike([None], column)
    labels = column if isinstance(column.dtype, pd.CategoricalDtype) else _as_factor(column)
    totals = np.bincount(labels.cat.codes, counts, len(labels.cat.categories))
    return _alike([labels.cat.categories[int(np.argmax(totals))]], column)


def _as_factor(column: pd.Series) -> pd.Series:
    """Values that have an order are sorted, others in that of their appearance."""
    seen = list(column.astype(object).unique())
    with suppress(TypeError):
        seen = sorted(seen)
    return pd.Series(pd.Categorical(column.astype(object), categories=seen))


def _alike(values: list[Any], column: pd.Series | None) -> pd.Series:
    """Values in the dtype of a column."""
    if column is None:
        return pd.Series(values)
    if isinstance(column.dtype, pd.CategoricalDtype):
        known = column.cat.categories
        new = [v for v in values if v not in known and not pd.isna(v)]
        return pd.Series(
            pd.Categorical(values, categories=[*known, *new], ordered=column.cat.ordered)
        )
    return pd.Series(values, dtype=column.dtype)


def _median_levels(model: FittedModel, given: VarList) -> dict[str, Any]:
    """The grouping factors' columns at the levels of median effect, plain and outer ones first."""
    design = model.design
    grouping = {column for term in design.terms for column in term.columns}
    frame = design.frame
    allowed = np.zeros(design.n, dtype=bool)
    allowed[design.observed] = True
    allowed &= _matching(frame, {c: v for c, v in given.items() if c in grouping})
    found: dict[str, Any] = {}
    plain_first = sorted(design.terms, key=lambda term: (len(term.columns), len(term.levels)))
    for factor in dict.fromkeys(term.factor for term in plain_first):
        effect = pick_effect(design, factor, None)
        term, modes = design.terms[effect.term], model.modes[effect.term][:, effect.place]
        rows = allowed.copy()
        for column in set(term.columns) & set(found) & set(frame.columns):
            rows &= (frame[column] == found[column]).to_numpy(dtype=bool)
        levels = np.unique(term.rows.codes[rows])
        chosen = term.levels[levels[[at_quantile(modes[levels], 0.5)]]]
        values = values_of(design, factor, list(term.columns), chosen)
        found |= {column: values[column].iloc[0] for column in term.columns}
    return found
