"""From lme4's formula and a data frame to a `Design`."""

from __future__ import annotations

import keyword
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import patsy

from merextras._checks import check_columns, check_frame, one_of
from merextras._typing import Array, IntArray
from merextras.engine.crossprod import TermRows
from merextras.exceptions import InvalidArgumentError
from merextras.model.covariates import Covariates
from merextras.model.design import Design, Term, in_order
from merextras.model.fixed import FormulaPart, names_in
from merextras.model.formula import Bar, MixedFormula, parse


@dataclass(frozen=True)
class Rows:
    """The rows that enter a fit.

    Attributes
    ----------
    frame : DataFrame
        Without the rows that miss a value of a variable of the model, unused categories dropped.
    n_dropped : int
    weights, offset : (n,) arrays or None
    """

    frame: pd.DataFrame
    n_dropped: int
    weights: Array | None
    offset: Array | None


def build_design(
    formula: str,
    data: pd.DataFrame,
    *,
    weights: Array | None = None,
    offset: Array | None = None,
    missing: str = "drop",
) -> tuple[Design, int]:
    """The design of a formula on a frame, and the number of rows dropped for missing values."""
    check_frame(data, "data")
    parsed = _quoted(parse(formula), list(data.columns))
    if not parsed.response:
        raise InvalidArgumentError(f"formula={formula!r}: there is no response left of a '~'")
    if not parsed.bars:
        raise InvalidArgumentError(
            f"formula={formula!r}: there is no random-effects term such as (1 | g); for a model "
            "without one use statsmodels' ols"
        )
    fixed_text, offset_texts = _take_offsets(parsed.fixed)
    rows = _rows(parsed, fixed_text, offset_texts, data, weights, offset, missing)
    frame = rows.frame
    y = _response(parsed.response, frame)
    fixed = FormulaPart.from_formula(fixed_text, frame, plain=True)
    x = fixed.matrix(frame)
    _check_finite(x, fixed.names, formula)
    terms = in_order([t for bar in parsed.bars for t in _terms(bar, frame)])
    used = [c for c in frame.columns if c in _variables(parsed, fixed_text, offset_texts, frame)]
    design = Design(
        _plain(parsed.response), y, x, fixed, terms, frame.index, frame[used], _tidy(formula),
        rows.weights, rows.offset,
    )  # fmt: skip
    return design, rows.n_dropped


def _tidy(formula: str) -> str:
    return " ".join(formula.split())


def _quoted(parsed: MixedFormula, columns: Sequence[object]) -> MixedFormula:
    """Backticks and bare keywords (``class``) as patsy's ``Q("class")``."""
    words = {str(c) for c in columns if keyword.iskeyword(str(c))}

    def quote(text: str) -> str:
        text = re.sub(r"`([^`]*)`", lambda m: f'Q("{m.group(1)}")', text)
        for word in words:
            text = re.sub(rf"(?<![\w\"'.]){re.escape(word)}(?![\w\"'])", f'Q("{word}")', text)
        return text

    bars = tuple(Bar(quote(b.effects), b.factors, b.independent) for b in parsed.bars)
    return MixedFormula(quote(parsed.response), quote(parsed.fixed), bars)


def _plain(text: str) -> str:
    """``Q("class")`` as ``class``."""
    return re.sub(r"Q\((['\"])(.*?)\1\)", r"\2", text)


def _take_offsets(fixed: str) -> tuple[str, list[str]]:
    """The fixed part without its ``offset(...)`` terms, and what is in them."""
    pattern = r"(?:^|\+)\s*offset\(((?:[^()]|\([^()]*\))*)\)"
    found = re.findall(pattern, fixed)
    rest = re.sub(pattern, "", fixed).strip().removeprefix("+").strip()
    return rest or "1", found


def _variables(
    parsed: MixedFormula, fixed: str, offsets: Sequence[str], data: pd.DataFrame
) -> set[object]:
    """Columns of the data that the formula reads."""
    texts = [parsed.response, *offsets, *_pieces(fixed)]
    texts += [piece for bar in parsed.bars for piece in _pieces(bar.effects)]
    used = {name for text in texts for name in names_in(text)}
    used |= {column for bar in parsed.bars for column in bar.factors}
    return {c for c in data.columns if c in used}


def _pieces(text: str) -> list[str]:
    """Code of the factors of a one-sided formula."""
    try:
        description = patsy.ModelDesc.from_formula(text)
    except patsy.PatsyError as err:
        raise InvalidArgumentError(f"formula: {err}") from err
    return [f.name() for term in description.rhs_termlist for f in term.factors]


def _rows(
    parsed: MixedFormula,
    fixed: str,
    offsets: Sequence[str],
    data: pd.DataFrame,
    weights: Array | None,
    offset: Array | None,
    missing: str,
) -> Rows:
    """Drop the rows that miss a value; check the grouping factors' columns are there."""
    for bar in parsed.bars:
        for column in bar.factors:
            if column not in data.columns:
                raise InvalidArgumentError(
                    f"formula: the grouping factor {column!r} is not a column of the data; "
                    f"{one_of(column, [str(c) for c in data.columns])}"
                )
    used = _variables(parsed, fixed, offsets, data)
    keep = data[[c for c in data.columns if c in used]].notna().all(axis=1).to_numpy(dtype=bool)
    for extra in (weights, offset):
        if extra is not None:
            keep &= ~np.isnan(extra)
    n_dropped = int(np.sum(~keep))
    if n_dropped and missing == "raise":
        raise InvalidArgumentError(
            f"missing='raise': {n_dropped} of {len(data)} rows miss a value of the model's variables"
        )
    if not keep.any():
        raise InvalidArgumentError("data: no row has a value for all variables of the model")
    frame = data.loc[keep] if n_dropped else data
    frame = frame.assign(
        **{
            str(c): frame[c].cat.remove_unused_categories()
            for c in frame.columns
            if isinstance(frame[c].dtype, pd.CategoricalDtype) and c in used
        }
    )
    total = None if offset is None else offset[keep]
    for text in offsets:
        own = np.asarray(patsy.dmatrix(f"0 + {text}", frame), dtype=float)[:, 0]
        total = own if total is None else total + own
    return Rows(frame, n_dropped, None if weights is None else weights[keep], total)


def _response(text: str, frame: pd.DataFrame) -> Array:
    name = _plain(text)
    if name in frame.columns:
        column = frame[name]
        if not (pd.api.types.is_numeric_dtype(column) or pd.api.types.is_bool_dtype(column)):
            raise InvalidArgumentError(f"response {name!r} must be numeric, not {column.dtype}")
        y = np.asarray(column, dtype=float)
    else:
        try:
            y = np.asarray(patsy.dmatrix(f"0 + I({text})", frame, NA_action="raise"), dtype=float)
        except patsy.PatsyError as err:
            raise InvalidArgumentError(f"response {text!r}: {str(err).splitlines()[0]}") from err
        if y.shape[1] != 1:
            raise InvalidArgumentError(f"response {text!r} must be one numeric column")
        y = y[:, 0]
    _check_finite(y[:, None], (name,), name)
    return y


def _check_finite(values: Array, names: Sequence[str], what: str) -> None:
    bad = [name for name, ok in zip(names, np.isfinite(values).all(axis=0), strict=True) if not ok]
    if bad:
        raise InvalidArgumentError(f"{what}: infinite or undefined values in {bad}")


def _terms(bar: Bar, frame: pd.DataFrame) -> list[Term]:
    """The terms of one bar: one, or one per effect if they are independent (``||``)."""
    levels, codes = grouping(frame, bar.factors)
    covariates = FormulaPart.from_formula(bar.effects, frame, plain=True)
    values = covariates.matrix(frame)
    _check_finite(values, covariates.names, f"({bar.effects} | {':'.join(bar.factors)})")
    factor, n_levels = ":".join(bar.factors), len(levels)
    if not bar.independent:
        rows = TermRows(codes, values, n_levels)
        return [Term(factor, bar.factors, levels, Covariates(covariates.names, covariates), rows)]
    return [
        Term(
            factor,
            bar.factors,
            levels,
            Covariates((name,), covariates),
            TermRows(codes, values[:, [i]], n_levels),
        )
        for i, name in enumerate(covariates.names)
    ]


def grouping(frame: pd.DataFrame, columns: Sequence[str]) -> tuple[pd.Index, IntArray]:
    """Levels and codes of a grouping factor; of several columns, the combinations that occur.

    Levels are in the order of a categorical's categories, otherwise sorted; combinations vary the
    last column fastest and are named ``x:y``, as lme4 does.
    """
    check_columns(frame, columns, "data")
    levels, codes = _one_factor(frame[columns[0]])
    names: pd.Index | None = None
    for column in columns[1:]:
        other, other_codes = _one_factor(frame[column])
        pairs, codes = np.unique(codes * len(other) + other_codes, return_inverse=True)
        left, right = np.divmod(pairs, len(other))
        own = levels if names is None else names
        names = pd.Index([f"{own[i]}:{other[j]}" for i, j in zip(left, right, strict=True)])
        codes = codes.reshape(-1)
    return (levels if names is None else names), np.asarray(codes, dtype=np.intp)


def _one_factor(column: pd.Series) -> tuple[pd.Index, IntArray]:
    if isinstance(column.dtype, pd.CategoricalDtype):
        column = column.cat.remove_unused_categories()
        return pd.Index(column.cat.categories), np.asarray(column.cat.codes, dtype=np.intp)
    codes, levels = pd.factorize(column, sort=True)
    return pd.Index(levels), np.asarray(codes, dtype=np.intp)
