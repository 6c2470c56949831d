"""Fitting a model again: to another response, by ML, with another formula or other data."""

from __future__ import annotations

import re
from typing import TypeVar

import numpy as np
import pandas as pd

from merextras._typing import Array
from merextras.exceptions import InvalidArgumentError
from merextras.model.build import Options, build_design, formula_offset
from merextras.model.design import Design
from merextras.model.fitted import FittedModel, fit_design, refitted
from merextras.model.formula import Bar, parse
from merextras.model.rank import full_rank
from merextras.model.rewrite import bar_text, expanded

M = TypeVar("M", bound=FittedModel)


def refit(model: M, y: Array | pd.Series) -> M:
    """The same model fitted to another response, lme4's ``refit``.

    Parameters
    ----------
    y : (n,) array or Series
        A Series must have the index of the fit, in any order; it is aligned.

    Returns
    -------
    A new model; the old one does not change.

    Raises
    ------
    InvalidArgumentError
        Another length or index, or values that are missing or infinite.
    """
    return refitted(model, y=_response(model, y))


def refit_ml(model: M) -> M:
    """The model fitted by maximum likelihood, lme4's ``refitML``.

    An ML fit is returned as it is. Fits with different fixed effects can be compared after this.
    """
    if not model.solution.reml:
        return model
    return refitted(model, reml=False)


def _response(model: FittedModel, y: Array | pd.Series) -> Array:
    index = model.design.index
    if isinstance(y, pd.Series) and not y.index.equals(index):
        if not (index.is_unique and y.index.is_unique and set(y.index) == set(index)):
            raise InvalidArgumentError(
                "y: the Series has another index than the rows of the fit; give one with that "
                "index (m.model_frame().index) or an array"
            )
        y = y.loc[index]
    try:
        values = np.asarray(y, dtype=float)
    except (TypeError, ValueError):
        raise InvalidArgumentError("y: the response must be numeric") from None
    if values.shape != (model.design.n,):
        raise InvalidArgumentError(
            f"y: expected {model.design.n} values, one per row of the fit, got shape {values.shape}"
        )
    if not np.all(np.isfinite(values)):
        raise InvalidArgumentError("y: there are missing or infinite values")
    return values


def update(
    model: M,
    formula: str | None = None,
    *,
    data: pd.DataFrame | None = None,
    reml: bool | None = None,
) -> M:
    """The model with another formula or other data, fitted again, R's ``update``.

    Parameters
    ----------
    formula : str, optional
        In lme4's notation. ``.`` stands for what was there, as in ``". ~ . - social"``; on the
        right it is the fixed part and the random-effects terms, of which one is taken out by
        ``". ~ . - (1 | class:school)"``.
    data : DataFrame, optional
        By default the model frame of the fit, which has the variables of the model only.
    reml : bool, optional
        By default as before.

    Raises
    ------
    InvalidArgumentError
        A formula that can't be read, or a variable that the data lack.

    Examples
    --------
    >>> from merextras.datasets import load_dataset
    >>> import merextras as mx, statsmodels.formula.api as smf
    >>> fit = smf.mixedlm("extro ~ open + agree", load_dataset("students"), groups="school").fit()
    >>> mx.MerMod(fit).update(". ~ . - agree").formula()
    'extro ~ open + (1 | school)'
    """
    text = model.design.formula if formula is None else _with_dots(formula, model.design.formula)
    reml = model.solution.reml if reml is None else reml
    if data is None:
        return _refitted(model, text, model.design.frame, _same_rows(model.design), reml)
    return _refitted(model, text, data, Options(), reml)


def refit_formula(model: M, formula: str, frame: pd.DataFrame) -> M:
    """The model with another formula on the same rows, whose variables `frame` has."""
    return _refitted(model, formula, frame, _same_rows(model.design), model.solution.reml)


def _refitted(model: M, formula: str, frame: pd.DataFrame, options: Options, reml: bool) -> M:
    design, _ = build_design(formula, frame, options)
    return model._like(fit_design(full_rank(design), reml=reml))


def _same_rows(design: Design) -> Options:
    """Weights and offset of the fit, without what its formula adds to the offset."""
    offset = design.offset
    own = formula_offset(design.formula, design.frame)
    if offset is not None and own is not None:
        offset = offset - own
    return Options(weights=design.weights, frequencies=design.frequencies, offset=offset)


def _with_dots(formula: str, old: str) -> str:
    """Replace ``.`` by the old response or right-hand side, and drop what is subtracted."""
    if not isinstance(formula, str):
        raise InvalidArgumentError(
            f"formula: expected a formula as a string, got {type(formula).__name__}"
        )
    before = parse(old)
    head, _, rhs = formula.rpartition("~")
    response = _undotted(head, before.response).strip() or before.response
    text = _undotted(rhs, f"({before.fixed})")
    parsed = parse(text, subtract=True)
    bars = {_key(bar): bar_text(bar) for bar in parsed.bars}
    if text != rhs:
        bars = {**{_key(bar): bar_text(bar) for bar in before.bars}, **bars}
    for bar in parsed.dropped:
        if _key(bar) not in bars:
            there = ", ".join(bars.values()) or "none"
            raise InvalidArgumentError(
                f"formula={formula!r}: there is no term {bar_text(bar)} to take out of: {there}"
            )
        del bars[_key(bar)]
    return f"{response} ~ {' + '.join([expanded(parsed.fixed), *bars.values()])}"


def _undotted(text: str, before: str) -> str:
    """The text with what was there before in place of its dots, those in quotes left alone."""
    return re.sub(
        r"""(?P<quoted>(?P<mark>['"`]).*?(?P=mark))|(?<![\w.)\]])\.(?![\w.])""",
        lambda m: m["quoted"] or before,
        text,
    )


def _key(bar: Bar) -> tuple[str, frozenset[str], bool]:
    """What two ways to write the same term have in common."""
    return expanded(bar.effects), frozenset(bar.factors), bar.independent
