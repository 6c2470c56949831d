"""Row by row: fitted values and residuals."""

from __future__ import annotations

import numpy as np
import pandas as pd

from merextras._checks import check_choice
from merextras.accessors.estimates import sigma
from merextras.model.state.fitted import FittedModel


def fitted(model: FittedModel) -> pd.Series:
    """Fitted values with the conditional modes, X beta + Z b, lme4's ``fitted``.

    Returns
    -------
    Series, (n,)
        Under the user's index, in the user's order.
    """
    return pd.Series(model.mu.copy(), index=model.design.index, name="fitted")


def residuals(model: FittedModel, type: str = "response", *, scaled: bool = False) -> pd.Series:
    """Residuals given the conditional modes, lme4's ``residuals``.

    Parameters
    ----------
    type : {"response", "pearson", "working", "deviance"}
        ``"response"`` and ``"working"`` are ``y - mu``; ``"pearson"`` and ``"deviance"`` are those
        times the square root of the prior weight. Without weights all four are the same.
    scaled : bool
        Divided by sigma.

    Returns
    -------
    Series, (n,)
    """
    allowed = ("response", "pearson", "working", "deviance")
    type = check_choice(type, allowed, "type")
    values = model.design.y - model.mu
    if type in {"pearson", "deviance"} and model.design.weights is not None:
        values = values * np.sqrt(model.design.weights)
    if scaled:
        values = values / sigma(model)
    return pd.Series(values, index=model.design.index, name="residuals")
