"""Refusals and notes for models with priors: penalised estimates maximise no likelihood.

A verb that compares maxima of likelihoods refuses such a fit, one whose numbers then mean something
else says what. Refits, simulation and whatever depends on the estimates alone keep the prior and
work as before.
"""

from __future__ import annotations

import warnings

from merextras.exceptions import ApproximationWarning, UnsupportedModelError
from merextras.model.state.fitted import FittedModel


def is_penalised(model: object) -> bool:
    """Whether the model has a prior of its covariances."""
    return isinstance(model, FittedModel) and model.design.penalty is not None


def refuse_penalised(verb: str, *models: object) -> None:
    """Refuse a comparison of likelihoods at their maxima.

    Raises
    ------
    UnsupportedModelError
        A model has a prior of its covariances.
    """
    if any(is_penalised(model) for model in models):
        raise UnsupportedModelError(
            f"{verb} compares likelihoods at their maxima, and the model has a prior of its "
            "covariances (cov_prior), with which its estimates are none: give "
            "m.update(cov_prior=None), the fit without it. Fixed effects are tested with the prior "
            "by contest(m, ...), m.anova(ddf='satterthwaite') and m.drop1(ddf='satterthwaite'), "
            "and intervals of all parameters are those of bootstrap(m)"
        )


def say_penalised(model: FittedModel, what: str, *, stacklevel: int) -> None:
    """Say what a number of a model with a prior means.

    The warning points `stacklevel` calls above this function, 1 being who called it.

    Warns
    -----
    ApproximationWarning
    """
    if is_penalised(model):
        warnings.warn(
            f"{what} (the model has a prior of its covariances; m.update(cov_prior=None) is the "
            "fit without it)",
            ApproximationWarning,
            stacklevel=stacklevel + 1,
        )


#: What an information criterion is, with a prior.
CRITERIA = (
    "AIC, BIC and DIC are of the likelihood at the penalised optimum, below its maximum, and count "
    "all parameters as free: compare such fits only if they have the same prior"
)
#: What Kenward-Roger's method does, with a prior.
KENWARD_ROGER = (
    "Kenward-Roger's method takes the variances for REML estimates and does not count what a prior "
    "tells of them: standard errors and degrees of freedom are approximate; ddf='satterthwaite' "
    "takes them from the penalised criterion"
)
