"""Likelihoods and criteria of a linear or a generalised model."""

from __future__ import annotations

from types import ModuleType

from merextras.accessors import generalised, likelihood
from merextras.model.state.fitted import FittedModel


def criteria_of(model: FittedModel) -> ModuleType:
    """The module with the model's ``log_lik deviance aic bic nobs df_residual``."""
    return generalised if model.is_generalised else likelihood


def number_of(model: FittedModel, name: str) -> float:
    """One of them."""
    return float(getattr(criteria_of(model), name)(model))
