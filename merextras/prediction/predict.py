"""Prediction for the data of the fit and for new data."""

from __future__ import annotations

import numpy as np
import pandas as pd

from merextras._typing import Array
from merextras.model.build import offset_of
from merextras.model.fitted import FittedModel
from merextras.model.re_form import Kept, kept_effects, mask_effects
from merextras.model.rows import new_rows


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


def _own_effects(model: FittedModel, kept: Kept) -> Array:
    out = np.zeros(model.design.n)
    for t, mask in kept.items():
        rows = model.design.terms[t].rows
        b = np.where(mask, model.solution.b[t], 0.0)
        out += np.einsum("nk,nk->n", rows.values, b[rows.codes])
    return out
