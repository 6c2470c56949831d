"""Row by row: fitted values and residuals."""

from __future__ import annotations

import numpy as np
import pandas as pd

from merextras.foundation.aliases import Array
from merextras.foundation.arguments import check_choice
from merextras.model.design.user_rows import in_user_rows
from merextras.model.state.fitted import FittedModel


def fitted(model: FittedModel) -> pd.Series:
    """Fitted values with the conditional modes, X beta + Z b, lme4's ``fitted``.

    Of a generalised model the means: probabilities, rates.

    Returns
    -------
    Series, (n,)
        Under the user's index, in the user's order; after ``missing="keep"`` of all rows of the
        data, NaN in those that miss a value.
    """
    return by_row(model, model.mu.copy(), "fitted")


def by_row(model: FittedModel, values: Array, name: str) -> pd.Series:
    """Numbers of the rows of the fit, (n,), as the user's rows."""
    made = pd.Series(values, index=model.design.index, name=name)
    return in_user_rows(made, model.design.user_rows)


def residuals(model: FittedModel, type: str = "response", *, scaled: bool = False) -> pd.Series:
    """Residuals given the conditional modes, lme4's ``residuals``.

    Parameters
    ----------
    type : {"response", "pearson", "working", "deviance"}
        ``"response"`` and ``"working"`` are ``y - mu``; ``"pearson"`` and ``"deviance"`` are those
        times the square root of the prior weight. Without weights all four are the same. With
        residual variances by group they are in the unit of the first: times its sigma over that of
        the row's group, so that their variance is the same in all rows.
    scaled : bool
        Divided by sigma, that of the row's group; of a ``"pearson"`` residual by the one that all
        of them have.

    Returns
    -------
    Series, (n,)
        By row as `fitted`.
    """
    allowed = ("response", "pearson", "working", "deviance")
    type = check_choice(type, allowed, "type")
    return by_row(model, residual_values(model, type, scaled=scaled), "residuals")


def residual_values(model: FittedModel, type: str = "response", *, scaled: bool = False) -> Array:
    """The same of the rows of the fit, (n,)."""
    values = model.design.y - model.mu
    design = model.design
    if type in {"pearson", "deviance"} and design.precision is not None:
        values = values * np.sqrt(design.precision)
        by_group = None
    else:
        by_group = None if design.residual is None else np.sqrt(design.residual.by_row())
    if scaled:
        values = values / np.sqrt(model.solution.sigma2)
        values = values if by_group is None else values * by_group
    return values


def residual_squares(model: FittedModel) -> float:
    """Sum of the squared conditional residuals, without rows, of a model without weights."""
    solution, strata = model.solution, model._fit.strata
    if strata is not None:
        gram = strata.residual(solution.modes_map).gram.sum(axis=0)
        return max(float(solution.contrast @ gram @ solution.contrast), 0.0)
    # The penalised sum of squares less its penalty.
    penalty = sum(float(np.sum(u**2)) for u in solution.u)
    return max(solution.pwrss - penalty, 0.0)
