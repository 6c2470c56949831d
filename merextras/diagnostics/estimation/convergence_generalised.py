"""The convergence check of a generalised model's fit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from merextras.accessors.parameters import residual_names
from merextras.accessors.theta import theta_names
from merextras.engine.generalised.searches import boundary
from merextras.engine.kernels import dense
from merextras.foundation.aliases import Array, BoolArray
from merextras.model.generalised.fitted import FittedGlmm
from merextras.model.generalised.separated import without_maximum
from merextras.model.state.fitted import is_singular
from merextras.results.checks.convergence import ConvergenceCheck

# A step of differences of the map between coordinates, relative to the size of theta.
_STEP = 1e-6


def of_glmm(model: FittedGlmm) -> ConvergenceCheck:
    """`check_convergence` of a generalised model: theta, the fixed effects and the dispersion."""
    optimum, point = model.optimum, model.laplace
    criterion = point.criterion
    theta, _, phi = criterion.split(point.x)
    n = len(theta)
    bounded = np.zeros(criterion.m, dtype=bool)
    bounded[:n] = criterion.covariances.at_least_zero & (theta == 0.0)
    free = optimum.free & ~bounded
    names = (
        *theta_names(model.design), *model.design.fixed.names, *residual_names(model)[: len(phi)],
    )  # fmt: skip
    size = np.sqrt(np.maximum(np.abs(optimum.hessian.diagonal()), 1e-300))
    hessian = (optimum.hessian / np.outer(size, size))[np.ix_(free, free)]
    slope = optimum.gradient / size
    values, scaled, left = rooted(hessian, slope, free)
    separated = without_maximum(model)
    at_bound = tuple(name for name, inside in zip(names, free, strict=True) if not inside)
    singular, inside = is_singular(model), boundary.inside(point) is not None
    check = ConvergenceCheck(
        names, np.concatenate([model.theta, model.fixed_estimates, phi]), _as_written(model),
        scaled, values, left, at_bound, inside, singular, (),
        (separated,) if separated else (),
    )  # fmt: skip
    return replace(check, advice=_advice(check, model, separated))


def rooted(hessian: Array, slope: Array, free: BoolArray) -> tuple[Array, Array, float]:
    """Eigenvalues of a Hessian, the slope over its root, and what is still to gain."""
    values, vectors = _curvatures(hessian)
    size = np.maximum(np.abs(values), 1e-12 * np.max(np.abs(values), initial=1e-300))
    rotated = vectors.T @ slope[free]
    scaled = np.zeros(len(free))
    scaled[free] = vectors @ (rotated / np.sqrt(size))
    return values, scaled, 0.5 * float(np.sum(rotated**2 / size))


def _curvatures(hessian: Array) -> tuple[Array, Array]:
    """Eigenvalues and vectors; NaN, which is no minimum, where there are no digits left."""
    if not np.all(np.isfinite(hessian)):
        return np.full(len(hessian), np.nan), np.eye(len(hessian))
    values, vectors = np.linalg.eigh(hessian)
    return values, vectors


def _as_written(model: FittedGlmm) -> Array:
    """The gradient in the parameters as the user counts them."""
    criterion, gradient = model.laplace.criterion, model.optimum.gradient
    theta, beta, phi = criterion.split(gradient)
    user, turned = model.theta, np.empty((len(theta), len(theta)))
    for i in range(len(theta)):
        move = np.zeros(len(theta))
        move[i] = _STEP * max(1.0, abs(user[i]))
        up, down = (criterion.own_theta(user + k * move) for k in (1.0, -1.0))
        turned[:, i] = (up - down) / (2.0 * move[i])
    inner = dense.divided(criterion.table.transform, np.eye(len(beta)))
    return np.concatenate([theta @ turned, beta @ inner, phi])


def _advice(check: ConvergenceCheck, model: FittedGlmm, separated: str | None) -> tuple[str, ...]:
    found = []
    if not separated and (check.max_gradient > check.LIMIT or check.pushes_inside):
        found.append(
            "give the optimiser more iterations (LmerControl(max_iterations=...)) or another "
            "start, and see all_fit(m)"
        )
    if not separated and not check.is_minimum:
        found.append(
            "a combination of the parameters is not identified by the data: see all_fit(m) for how "
            "far the estimates differ, and leave out a random-effects term, a correlation or a "
            "predictor"
        )
    if model.is_poisson:
        found.append("there is no overdispersion beyond the random effects: family='poisson'")
    if check.singular:
        found.append(
            "singular: the data do not support this variance or correlation. Fixed effects and "
            "other variances are valid; to simplify, leave the effect out or use '||', and test it "
            "by ranova or pb_modcomp"
        )
    return tuple(found)
