"""Estimates of a generalised model without pooling (each level alone) and with complete pooling."""

from __future__ import annotations

import numpy as np

from merextras.foundation.aliases import Array
from merextras.model.generalised.fitted import FittedGlmm
from merextras.model.generalised.levels_alone import levels_alone
from merextras.model.generalised.refit import with_design


def complete_pooling(model: FittedGlmm) -> Array:
    """Coefficients of the model without random effects, a generalised linear model, (p,)."""
    none = model.design.restricted_to([])
    return with_design(model, none, "shrinkage: without random effects").fixed_estimates


def own_data(model: FittedGlmm, numbers: list[int]) -> Array:
    """How far each level's own maximum of the likelihood is from the model's effects, (J, k).

    The rest of the linear predictor and the dispersion are held. NaN where a level's rows do not
    determine the effects, and where the likelihood rises without end: all of its responses are
    alike, or separated by a covariate.
    """
    rows = [model.design.terms[t].rows for t in numbers]
    z = np.hstack([term.values for term in rows])
    own = levels_alone(
        model.engine_family, model.phi, model.eta, z, rows[0].codes, rows[0].n_levels
    )
    whole = own.found & own.known.all(axis=1)
    return np.where(whole[:, None], own.moved, np.nan)
