"""Means over the population: over the normal distribution of a generalised model's effects."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from merextras.engine.generalised.criterion.marginal import WITHOUT_MEAN, over_normal
from merextras.exceptions import UnsupportedModelError
from merextras.foundation.aliases import Array
from merextras.model.generalised.fitted import FittedGlmm


@dataclass(frozen=True)
class Means:
    """Means over the population of some rows.

    Attributes
    ----------
    mean : (m,) array
    by_fixed : (m, p) array
        Derivatives in the fixed effects.
    by_theta : (m, n_theta) array
        In the engine's theta.
    """

    mean: Array
    by_fixed: Array
    by_theta: Array

    def variances(self, model: FittedGlmm) -> Array:
        """Of the estimates, by the delta method, (m,)."""
        return model.delta_variances(self.by_fixed, self.by_theta, None)


def population_means(model: FittedGlmm, x: Array, offset: Array | float, z: list[Array]) -> Means:
    """Means of rows with fixed covariates `x`, (m, p), and covariates `z` of the effects, (m, k).

    Raises
    ------
    UnsupportedModelError
        An inverse link.
    """
    if model.choice.link in WITHOUT_MEAN:
        raise UnsupportedModelError(
            f"re_form='population': with link {model.choice.link!r} the mean over normal random "
            "effects does not exist; re_form='NA' is the median level"
        )
    eta = x @ model.fixed_estimates + offset
    variance, slopes = np.zeros(len(x)), np.zeros((len(x), len(model.relative_theta)))
    for values, g, by in zip(z, model.covariances, model.covariance_slopes, strict=True):
        variance += np.einsum("na,ab,nb->n", values, g, values)
        slopes += np.einsum("na,iab,nb->ni", values, by, values)
    found = over_normal(model.engine_family, model.choice.link, eta, variance)
    return Means(found.mean, found.by_eta[:, None] * x, found.by_variance[:, None] * slopes)
