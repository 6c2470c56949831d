"""The refusal of models with several residual variances, by verbs that need a single one.

With ``residual_by=`` the residual standard deviation differs by group and is estimated by group.
Given the estimates the model is one with precision weights, and most verbs see no difference. What
fits again in a way that would hold the ratios of the residual variances at their estimates, or has
its theory from a single sigma, asks here first: a number that leaves the groups out of account is
never given.
"""

from __future__ import annotations

from merextras.exceptions import UnsupportedModelError
from merextras.model.state.fitted import FittedModel


def require_one_sigma(model: FittedModel, verb: str, why: str, instead: str = "") -> None:
    """Refuse a model with residual variances by group.

    Parameters
    ----------
    model : FittedModel
    verb : str
        What was asked for.
    why : str
        What one residual variance is needed for, a clause.
    instead : str
        What to do, a clause.

    Raises
    ------
    UnsupportedModelError
    """
    residual = model.design.residual
    if residual is None:
        return
    more = f"; {instead}" if instead else ""
    raise UnsupportedModelError(
        f"{verb}: the model has {residual.argument}, {len(residual)} residual standard deviations, "
        f"and {why}{more}"
    )
