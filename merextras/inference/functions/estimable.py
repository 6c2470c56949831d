"""Which functions of the fixed effects the data determine, and what inference on them needs."""

from __future__ import annotations

import numpy as np

from merextras._typing import Array, IntArray
from merextras.inference.ddf.kenward_roger import KenwardRoger
from merextras.inference.ddf.method import Method
from merextras.inference.ddf.satterthwaite import Satterthwaite
from merextras.model.design.design import Design
from merextras.model.design.rank import KeptColumns
from merextras.model.rowless.design import StreamedDesign
from merextras.model.rowless.variables import whole_part
from merextras.results.means.uncertainty import Uncertainty


def rows_of(design: Design) -> Array:
    """X of the observations, or rows with its X'X where those of the fit were not kept."""
    if isinstance(design, StreamedDesign):
        return design.square
    return np.asarray(design.x[design.observed])


def uncertainty_of(method: Method) -> Uncertainty:
    """What is needed of a method and its model."""
    model = method.model
    p = model.solution.p
    slopes, parameters = np.empty((0, p, p)), np.empty((0, 0))
    if isinstance(method, (Satterthwaite, KenwardRoger)):
        slopes, parameters = method.slopes, method.parameters
    kept, null, scale = null_space(model.design)
    return Uncertainty(
        beta=model.solution.beta,
        transform=model.solution.cp.basis.transform,
        covariance=method.inner,
        plain=model.solution.sigma2 * model.solution.basis_covariance(),
        slopes=slopes,
        parameters=parameters,
        kept=kept,
        null=null,
        scale=scale,
        title=method.title,
    )


def null_space(design: Design) -> tuple[IntArray, Array, Array]:
    """Where the kept columns are, the directions that X does not see, and the columns' lengths."""
    names = list(whole_part(design).names)
    if not isinstance(design.fixed, KeptColumns):
        size = np.linalg.norm(rows_of(design), axis=0)
        return np.arange(len(names)), np.empty((len(names), 0)), size
    if isinstance(design, StreamedDesign):
        x = design.facts.x
    else:
        x = whole_part(design).matrix(design.frame)[design.observed]
    size = np.linalg.norm(x, axis=0)
    size = np.where(size > 0.0, size, 1.0)
    _, _, right = np.linalg.svd(np.linalg.qr(x / size, mode="r"))
    null = right[len(design.fixed.kept) :].T / size[:, None]
    return np.array([names.index(name) for name in design.fixed.kept]), null, size
