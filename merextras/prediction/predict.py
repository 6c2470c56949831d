"""Prediction for the data of the fit and for new data."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from merextras._typing import Array
from merextras.exceptions import InvalidArgumentError
from merextras.model.build import as_code, contrast_labels, offset_of
from merextras.model.design import INTERCEPT, Design
from merextras.model.fitted import FittedModel
from merextras.model.fixed import FormulaPart, unquoted
from merextras.model.formula import parse
from merextras.prediction.rows import NewRows, new_rows

#: For each kept term, which of its effects are kept, (k,) booleans.
Kept = Mapping[int, "np.ndarray[tuple[int], np.dtype[np.bool_]]"]


def predict(
    model: FittedModel,
    newdata: pd.DataFrame | None = None,
    *,
    re_form: str | float | None = None,
    allow_new_levels: bool = False,
) -> pd.Series:
    """Expected response, lme4's ``predict``.

    ``X beta + Z b`` with the conditional modes b of the random effects that `re_form` keeps.

    Parameters
    ----------
    newdata : DataFrame, optional
        By default the data of the fit.
    re_form : None, "NA" or a formula
        None: all random effects. ``"NA"`` (or ``"~0"``, or NaN as in R): none, the population's
        expectation. A formula of bars such as ``"~ (1 | school)"``: only these effects; they must
        be among the model's.
    allow_new_levels : bool
        Whether a level that the model has not seen is predicted with an effect of zero. If not, it
        is an error. Terms that `re_form` leaves out need no columns in `newdata`.

    Returns
    -------
    Series
        Under the index of `newdata`; NaN where a predictor is missing. With the offset, which
        `newdata` must have if the model has one.

    Raises
    ------
    InvalidArgumentError
        A missing column, an unseen level or category, a term that is not in the model.
    UnsupportedModelError
        A random slope that can't be made from its name; the message says what to pass to `MerMod`.

    Examples
    --------
    >>> from merextras.datasets import load_dataset
    >>> import merextras as mx, statsmodels.formula.api as smf
    >>> sleep = load_dataset("sleepstudy")
    >>> fit = smf.mixedlm("Reaction ~ Days", sleep, groups="Subject", re_formula="~Days").fit()
    >>> m = mx.MerMod(fit)
    >>> m.predict(sleep.head(2)).round(1).tolist()
    [253.7, 273.3]
    >>> m.predict(sleep.head(2), re_form="NA").round(1).tolist()
    [251.4, 261.9]
    """
    kept = kept_effects(model.design, re_form)
    if newdata is None:
        values = model.design.x @ model.solution.beta + _own_effects(model, kept)
        if model.design.offset is not None:
            values = values + model.design.offset
        return pd.Series(values, index=model.design.index, name="fit")
    unknown = "zero" if allow_new_levels else "error"
    rows = mask_effects(new_rows(model, newdata, terms=kept, unknown=unknown), kept)
    effects = rows.effects(model.solution.b)
    values = rows.x @ model.solution.beta + np.sum(effects, axis=0)
    offset = offset_of(model.design, newdata)
    if offset is not None:
        values = values + offset
    return pd.Series(values, index=newdata.index, name="fit")


def kept_effects(design: Design, re_form: str | float | None) -> Kept:
    """Which random effects `re_form` keeps, by term."""
    if re_form is None:
        return {t: np.ones(term.k, dtype=bool) for t, term in enumerate(design.terms)}
    if _is_none_wanted(re_form):
        return {}
    if not isinstance(re_form, str):
        raise InvalidArgumentError(
            f"re_form={re_form!r}: None (all random effects), 'NA' (none) or a formula of bars "
            f"such as '~ (1 | {design.factors[0]})'"
        )
    parsed = parse(re_form, name="re_form")
    if parsed.response or parsed.fixed not in {"0", "1"} or not parsed.bars:
        raise InvalidArgumentError(
            f"re_form={re_form!r}: give bars only, such as '~ (1 | {design.factors[0]})'"
        )
    kept: dict[int, np.ndarray[tuple[int], np.dtype[np.bool_]]] = {}
    columns = [str(c) for c in design.frame.columns]
    for bar in as_code(parsed, columns, design.options.contrasts).bars:
        for name in _effects(bar.effects, design, re_form):
            t, i = _find(design, bar.factors, name, re_form)
            kept.setdefault(t, np.zeros(design.terms[t].k, dtype=bool))[i] = True
    return kept


def _effects(code: str, design: Design, re_form: str) -> tuple[str, ...]:
    """Names of the effects that stand left of a bar."""
    if code == "1":
        return (INTERCEPT,)
    try:
        labels = contrast_labels(design.options.contrasts)
        scope = design.options.scope
        return FormulaPart.from_formula(code, design.frame, labels=labels, scope=scope).names
    except InvalidArgumentError as err:
        raise InvalidArgumentError(f"re_form={re_form!r}: {err}") from err


def _is_none_wanted(re_form: object) -> bool:
    if isinstance(re_form, float):
        return bool(np.isnan(re_form))
    return isinstance(re_form, str) and re_form.replace(" ", "") in {"NA", "~0", "0"}


def _find(design: Design, factors: tuple[str, ...], name: str, re_form: str) -> tuple[int, int]:
    """Term and place of an effect, by the columns of its factor and its own name."""
    for t, term in enumerate(design.terms):
        names = [unquoted(own) for own in term.names]  # lmer's effects have no Q("...")
        if set(term.columns) == set(factors) and unquoted(name) in names:
            return t, names.index(unquoted(name))
    there = [f"({' + '.join(t.names)} | {t.factor})" for t in design.terms]
    raise InvalidArgumentError(
        f"re_form={re_form!r}: there is no random effect {name!r} of {':'.join(factors)!r} in the "
        f"model; there are {', '.join(there)}"
    )


def mask_effects(rows: NewRows, kept: Kept) -> NewRows:
    """The rows with the effects that are not kept at zero."""
    values = list(rows.values)
    for t, mask in kept.items():
        if not mask.all():
            values[t] = np.where(mask, values[t], 0.0)
    return NewRows(rows.x, rows.codes, tuple(values), rows.n_levels)


def _own_effects(model: FittedModel, kept: Kept) -> Array:
    out = np.zeros(model.design.n)
    for t, mask in kept.items():
        rows = model.design.terms[t].rows
        b = np.where(mask, model.solution.b[t], 0.0)
        out += np.einsum("nk,nk->n", rows.values, b[rows.codes])
    return out
