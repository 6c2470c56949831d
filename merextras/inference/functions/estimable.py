"""Estimable functions of the fixed effects, and the inputs of inference on them."""

from __future__ import annotations

import numpy as np

from merextras.distributions.uncertainty import Uncertainty
from merextras.foundation.aliases import Array, IntArray
from merextras.inference.ddf.method import Method
from merextras.model.design.design import Design


def uncertainty_of(method: Method) -> Uncertainty:
    """What is needed of a method and its model."""
    model = method.model
    kept, null, scale = null_space(model.design)
    return Uncertainty(
        beta=model.fixed_estimates,
        transform=model.joint.cp.basis.transform,
        covariance=method.inner,
        degrees=method.degrees,
        kept=kept,
        null=null,
        scale=scale,
        title=method.title,
    )


def null_space(design: Design) -> tuple[IntArray, Array, Array]:
    """Where the kept columns are, the directions that X does not see, and the columns' lengths."""
    names = list(design.fixed.whole.names)
    if not design.fixed.dropped:
        size = np.linalg.norm(design.observed_rows(), axis=0)
        return np.arange(len(names)), np.empty((len(names), 0)), size
    x = design.observed_rows(as_written=True)
    size = np.linalg.norm(x, axis=0)
    size = np.where(size > 0.0, size, 1.0)
    _, _, right = np.linalg.svd(np.linalg.qr(x / size, mode="r"))
    null = right[len(design.fixed.names) :].T / size[:, None]
    return np.array([names.index(name) for name in design.fixed.names]), null, size
