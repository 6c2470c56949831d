"""Gradients of a criterion at points near one whose modes are known: for differences.

All at once where the random effects are eliminated level by level and the rows are few; else one
after the other.
"""

from __future__ import annotations

import numpy as np

from merextras.engine.generalised.criterion.laplace import Laplace, LaplacePoint
from merextras.engine.generalised.replicates.elimination import ManyFactors
from merextras.engine.generalised.replicates.layout import Layout
from merextras.engine.generalised.replicates.modes import lams_of
from merextras.engine.generalised.replicates.problem import ManyLaplace
from merextras.engine.kernels.blocks import Array
from merextras.engine.kernels.leading import applied, product, transpose

#: Numbers of an array of all rows and replicates of a block: what a processor's cache holds.
BLOCK = 1 << 17
# Fewer points are evaluated sooner one after the other.
_ENOUGH = 10


def gradients(point: LaplacePoint, x: Array) -> Array:
    """The derivatives of the deviance at some parameters near a point, (R, m).

    Parameters
    ----------
    x : (R, m) array
        In the coordinates of the criterion.
    """
    out = np.full(x.shape, np.nan)
    criterion = point.criterion
    most = BLOCK // max(criterion.table.n, 1)
    if min(most, len(x)) >= _ENOUGH and point.modes.found and has_layout(criterion):
        layout = Layout(criterion.table, criterion.covariances)
        for at in range(0, len(x), most):
            out[at : at + most] = _together(point, layout, x[at : at + most])
    for i in np.flatnonzero(~np.isfinite(out).all(axis=1)):
        out[i] = criterion.at(x[i], point).gradient()
    return out


def has_layout(criterion: Laplace) -> bool:
    """Whether random effects are eliminated level by level, and rows are in memory."""
    table = criterion.table
    return type(criterion) is Laplace and not table.template.plan.tail and table.copies is None


def _together(point: LaplacePoint, layout: Layout, x: Array) -> Array:
    """Those of a block."""
    criterion, every = point.criterion, np.arange(len(x))
    family = criterion.family
    y = np.broadcast_to(family.y[:, None], (len(family.y), len(x)))
    problem = ManyLaplace(
        criterion, layout, family.many(y), np.eye(x.shape[1]), np.ones(x.shape[1])
    )
    with np.errstate(all="ignore"):  # where H loses its sign no mode is predicted
        problem.begin(_predicted(point, layout, x))
    return problem.gradient(every, problem.at(every, x))


def _predicted(point: LaplacePoint, layout: Layout, x: Array) -> Array:
    """The v of the modes at some parameters, to first order in the change, (q, R)."""
    criterion, modes = point.criterion, point.modes
    n, end = criterion.covariances.n, criterion.covariances.n + criterion.table.p
    change, v = (x - point.x).T, layout.to_levels(modes.g[:, None])
    here, there = (
        lams_of(layout, criterion.covariances.joint(theta[:, :n])) for theta in (point.x[None], x)
    )
    moved = [
        applied(product(new, transpose(new)), part) - applied(product(old, transpose(old)), part)
        for part, old, new in zip(v, here, there, strict=True)
    ]
    r = modes.w[:, None] * (layout.rows(moved) + criterion.table.x @ change[n:end])
    if np.any(change[end:]):
        first = criterion.family.by_dispersion(modes.eta, point.x[end:]).first
        r = r - np.reshape(first, (-1, 1)) * change[end:]
    factors = ManyFactors(layout, here, modes.w[:, None])
    return layout.joined(v) - layout.joined(factors.solved(layout.to_levels(r))[1])
