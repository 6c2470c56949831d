"""Hessians of the deviance that cost less than differences of all its gradients.

The working linear model has one, jointly in theta and beta.
With the working residual's ``V^-1 e = g`` at the mode and ``f_i = dV / dtheta_i g = Z dG_i v``,

    [ a + c'B^-1 c + tr(D d2G)   2 c' ]      a = f'V^-1 f,   c = X'V^-1 f,   B = X'V^-1 X:
    [ 2 c                        2 B  ]

the average information of the linear model's profiled deviance, made joint again. What the weights
and log |H| add is about a tenth of it where the data determine the parameters; and nothing here is
of phi. One-sided differences of the exact gradient give the rows that are wanted exactly.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from merextras.engine.derivatives.average_information import working_columns
from merextras.engine.elimination import columns
from merextras.engine.generalised.criterion.laplace import LaplacePoint
from merextras.engine.generalised.rows.passes import product
from merextras.engine.kernels import blocks
from merextras.engine.kernels.blocks import Array

# Step of one-sided differences.
_STEP = 1e-4


def differenced(
    hessian: Array, point: LaplacePoint, gradient: Array, which: Iterable[int]
) -> Array:
    """A Hessian with some rows and columns by one-sided differences; a gradient for each.

    Those are the identity's where there is no number for them.
    """
    out, criterion = hessian.copy(), point.criterion
    for i in which:
        out[i] = out[:, i] = np.eye(1, criterion.m, i)
        x = point.x.copy()
        x[i] += _STEP * max(0.3, abs(x[i]))
        beside = criterion.at(x, point, settle=False)
        if np.isfinite(beside.deviance()):
            row = (beside.gradient() - gradient) / (x[i] - point.x[i])
            if np.isfinite(row).all():
                out[i] = out[:, i] = row
    return out


def working_hessian(point: LaplacePoint) -> Array:
    """The Hessian in all parameters, (m, m); zero in phi.

    Cost: n_theta + p columns through the factor.
    """
    with np.errstate(all="ignore"):
        return _working_hessian(point)


def _working_hessian(point: LaplacePoint) -> Array:
    criterion, modes = point.criterion, point.modes
    theta, beta, _ = criterion.split(point.x)
    n, m = len(theta), len(theta) + len(beta)
    z_wx, x_wx = point.fixed_products
    moved = _columns(point, theta)
    z_wf = product(modes.factor.system, moved)
    gram = np.empty((m, m))
    gram[n:, n:] = x_wx
    joint = [np.concatenate(each, axis=2) for each in zip(z_wf, z_wx, strict=True)]
    gram[:n] = sum(blocks.outer_sum(*each) for each in zip(moved, joint, strict=True))
    gram[n:, :n] = gram[:n, n:].T
    found = columns.reduce(modes.factor, joint, gram).gram
    across, block = found[n:, :n], found[n:, n:]
    out = np.zeros((criterion.m, criterion.m))
    out[:m, :m] = 2.0 * found
    out[:n, :n] = found[:n, :n]
    try:
        out[:n, :n] += across.T @ np.linalg.solve(block, across)
    except np.linalg.LinAlgError:  # weights of nothing: there is no profile
        out[:n, n:m] = out[n:m, :n] = 0.0
    out[:n, :n] += criterion.covariances.curvature(theta, point.deviance_slopes())
    return out


def _columns(point: LaplacePoint, theta: Array) -> list[Array]:
    """``dG_i v`` of all theta by terms, (J, k, n): zero but for the term's own."""
    covariances, scores = point.criterion.covariances, point.modes.v
    out = [np.zeros((*v.shape, covariances.n)) for v in scores]
    slopes = covariances.covariance_slopes(theta)
    for v, own, at, part in zip(scores, slopes, covariances.parts, out, strict=True):
        part[:, :, at] = working_columns(v, own)
    return out
