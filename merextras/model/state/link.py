"""The link of a model's means, the same questions to a linear and to a generalised model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from merextras.foundation.aliases import Array


@dataclass(frozen=True)
class Link:
    """How means follow from linear predictors.

    Attributes
    ----------
    name : str
        Such as ``"logit"``; ``"identity"`` for a linear model.
    mean : callable array -> array
        Means of linear predictors, of the same shape.
    slope : callable array -> array
        The means' derivatives in the linear predictors.
    """

    name: str
    mean: Callable[[Array], Array]
    slope: Callable[[Array], Array]

    @property
    def is_identity(self) -> bool:
        """Whether the linear predictor is the mean."""
        return self.name == "identity"


def _same(eta: Array) -> Array:
    return eta


def _one(eta: Array) -> Array:
    return np.ones_like(eta)


#: Of every linear model.
IDENTITY = Link("identity", _same, _one)
