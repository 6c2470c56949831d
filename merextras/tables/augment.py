"""The rows of the data with what the fit says of each."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from merextras.accessors import generalised
from merextras.accessors.description import model_frame
from merextras.accessors.rows import residual_values
from merextras.diagnostics.case_deletion.leverage import cook_values, hat_values
from merextras.exceptions import InvalidArgumentError
from merextras.foundation.aliases import Array
from merextras.foundation.arguments import check_frame
from merextras.model.design.user_rows import in_user_rows, rows_of_fit
from merextras.model.frame.kinds import responses
from merextras.model.frame.read import read_column
from merextras.model.generalised.fitted import FittedGlmm
from merextras.model.state.fitted import FittedModel
from merextras.model.statsmodels.mixedlm import as_fitted

__all__ = ["augment"]


def augment(m: object, data: pd.DataFrame | None = None, *, prefix: str = "") -> pd.DataFrame:
    """Add fitted values, residuals and influence to the data, broom.mixed's ``augment``.

    Parameters
    ----------
    m : MerMod or MixedLMResults
    data : DataFrame, optional
        The data of the fit with all their columns; by default the variables of the model. Rows that
        the fit left out stay, with NaN. Without `data` they are there after ``missing="keep"``,
        with NaN in all columns, as the model has not kept their variables.
    prefix : str, default ""
        Put before the new columns' names, for data that have columns of these names.

    Returns
    -------
    DataFrame
        A copy with further columns, broom.mixed's in brackets: ``fitted`` (.fitted and .mu),
        ``resid`` (.resid), ``hat`` (.hat), ``cooks_distance`` (.cooksd), ``fixed`` (.fixed: without
        random effects), ``offset`` (.offset), ``weights`` (.weights; the square of .sqrtXwt and
        .sqrtrwt) and ``weighted_resid`` (.wtres: residuals times the root of the weights). All but
        ``hat`` and ``cooks_distance`` are on the scale of the response. Of a model of `glmer`
        ``fitted`` and ``fixed`` are means, ``linear_predictor`` (.fitted there) comes with them,
        ``resid`` are deviance and ``weighted_resid`` Pearson's residuals, ``weights`` the trials.

    Raises
    ------
    InvalidArgumentError
        `data` whose rows are not those of the fit (by index, and by the response if it is a
        column), or that have columns of the new names.

    See Also
    --------
    MerMod.hatvalues, MerMod.cooks_distance : Definitions.

    Notes
    -----
    The data's index is kept, duplicates too. ``fixed`` contains the offset,
    as ``predict(re_form="NA")`` does; lme4 1.1-31 leaves one that was given by ``offset=`` out of
    it but not out of the fitted values. **Cost**: that of `MerMod.hatvalues`.

    Examples
    --------
    >>> import merextras as mx
    >>> m = mx.lmer("Reaction ~ Days + (Days | Subject)", mx.load_dataset("sleepstudy"))
    >>> mx.augment(m).iloc[:2, 2:].drop(columns=["offset", "weights"]).round(3)
       Subject   fitted   resid    hat  cooks_distance    fixed  weighted_resid
    0      308  253.664  -4.104  0.229           0.005  251.405          -4.104
    1      308  273.330 -14.625  0.170           0.040  261.872         -14.625
    """
    model = as_fitted(m, generalised=True)
    design = model.design
    frame = model_frame(model) if data is None else _rows_of_fit(model, check_frame(data, "data"))
    made = _columns(model)
    made.columns = [f"{prefix}{name}" for name in made.columns]
    taken = [name for name in made.columns if name in frame.columns]
    if taken:
        raise InvalidArgumentError(
            f"data: there are columns {taken} already; rename them, or give prefix="
        )
    if data is None:
        frame, made = (in_user_rows(part, design.user_rows) for part in (frame, made))
    elif not frame.index.equals(made.index):
        rows = design.user_rows
        if rows is not None and frame.index.equals(rows.index):
            made = in_user_rows(made, replace(rows, kept=True))
        else:
            made = made.reindex(frame.index)
    out = frame.copy()
    out[list(made.columns)] = made
    return out


def _columns(model: FittedModel) -> pd.DataFrame:
    design = model.design
    offset = np.zeros(design.n) if design.offset is None else design.offset
    if isinstance(model, FittedGlmm):
        return _of_glmm(model, offset)
    weights = np.ones(design.n) if design.weights is None else design.weights
    return pd.DataFrame(
        {
            "fitted": model.mu,
            "resid": residual_values(model),
            "hat": hat_values(model),
            "cooks_distance": cook_values(model),
            "fixed": design.x @ model.solution.beta + offset,
            "offset": offset,
            "weights": weights,
            "weighted_resid": residual_values(model, "pearson"),
        },
        index=design.index,
    )


def _of_glmm(model: FittedGlmm, offset: Array) -> pd.DataFrame:
    """The same of a generalised model, with its linear predictor."""
    trials = model.response.trials
    fixed = model.engine_family.mean(model.design.x @ model.fixed_estimates + offset)
    return pd.DataFrame(
        {
            "fitted": model.mu,
            "linear_predictor": model.eta,
            "resid": generalised.residual_values(model, "deviance"),
            "hat": hat_values(model),
            "cooks_distance": cook_values(model),
            "fixed": fixed,
            "offset": offset,
            "weights": np.ones(len(offset)) if trials is None else trials,
            "weighted_resid": generalised.residual_values(model, "pearson"),
        },
        index=model.design.index,
    )


def _rows_of_fit(model: FittedModel, data: pd.DataFrame) -> pd.DataFrame:
    """The data, whose rows must contain those of the fit."""
    design = model.design
    response = design.response
    try:
        rows = rows_of_fit(data, design.index, design.user_rows, "data", wider=True)
    except InvalidArgumentError:
        raise InvalidArgumentError(
            f"data: its {len(data)} rows are not those of the fit ({design.n}), by their index; "
            "give the data that the model was fitted to"
        ) from None
    if response in data.columns and response in model.design.frame.columns:
        if model.is_generalised:  # in any form: truth values, labels, numbers
            own = model.design.frame[response].astype(object).to_numpy()
            differs = not np.array_equal(rows[response].astype(object).to_numpy(), own)
        else:
            given = responses(read_column(rows[response]), response, "data: the response")
            differs = not np.array_equal(given, model.design.y)
        if differs:
            raise InvalidArgumentError(
                f"data: column {response!r} is not the response of the fit; give the data that the "
                "model was fitted to"
            )
    return data
