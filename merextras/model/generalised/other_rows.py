"""A generalised model fitted to other rows: a part of its own, or rows drawn from them."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

import numpy as np

from merextras.engine.deletion.tables import NO_LEVELS, NO_RANK, NO_ROWS, NOT_CONVERGED
from merextras.engine.generalised.criterion.laplace import Laplace, LaplacePoint
from merextras.engine.generalised.searches.optimum import Optimum
from merextras.engine.generalised.searches.search import GlmmControl, optimise
from merextras.engine.kernels import dense
from merextras.exceptions import InvalidArgumentError
from merextras.foundation.aliases import Array, IntArray
from merextras.model.design.design import RowDesign
from merextras.model.design.rank import dependent_columns
from merextras.model.fit.part_of_rows import part_of
from merextras.model.generalised.fit import Request, criterion_of
from merextras.model.generalised.fitted import FittedGlmm
from merextras.model.generalised.responses.response import Response
from merextras.model.generalised.separated import without_maximum
from merextras.model.generalised.whole_fit import GlmmFit

M = TypeVar("M", bound=FittedGlmm)

# A logarithm of a size that a refit starts from where the fit's own is infinite; relative standard
# deviations that it starts from at least; iterations at most.
_SIZE, _INSIDE, _ITERATIONS = 4.0, 0.1, 200
# Steps in the fixed effects alone, and the decrement at which they end.
_STEPS, _DONE = 100, 1e-12


def translated(point: LaplacePoint, new: Laplace) -> Array:
    """The parameters of a point in the coordinates of the same model's criterion of other rows."""
    old = point.criterion
    theta, beta, phi = old.split(point.x)
    own = dense.divided(new.table.transform, old.beta_of(beta)[:, None])[:, 0]
    return np.concatenate([new.own_theta(old.user_theta(theta)), own, phi])


def request_of(model: FittedGlmm) -> Request:
    """How the model was fitted, without a start of its own."""
    return Request(model.choice, replace(model.control, start=None), model.n_agq)


def part_of_model(model: FittedGlmm, rows: IntArray) -> tuple[RowDesign, Response] | str:
    """The design and response of some rows, or why the model can't be fitted to them."""
    x = model.design.x[rows]
    if len(rows) <= x.shape[1]:
        return NO_ROWS
    if dependent_columns(x):
        return NO_RANK
    design = part_of(model.design, rows, keep_levels=False)
    if any(len(term.levels) < 2 for term in design.terms):
        return NO_LEVELS
    try:
        return design, model.response.part(rows, model.choice)
    except InvalidArgumentError as err:
        return str(err)


def fit_rows(model: FittedGlmm, design: RowDesign, response: Response) -> GlmmFit:
    """The model fitted to other rows, from its estimates."""
    request = request_of(model)
    criterion = criterion_of(design, response, request)
    x = translated(model.laplace, criterion)
    n = criterion.covariances.n
    x[:n] = criterion.covariances.inside(x[:n], _INSIDE)
    if model.is_poisson:
        x[-1] = _SIZE
    control = GlmmControl(max(model.control.tolerance, 1e-14), _ITERATIONS)
    with np.errstate(all="ignore"):
        optimum = optimise(criterion, x, control=control)
    return GlmmFit(design, response, model.choice, optimum, 0, request.control, model.n_agq)


def fit_part(model: FittedGlmm, rows: IntArray, *, held: bool = False) -> FittedGlmm | str:
    """The model fitted to some of its rows, or why it can't be.

    Parameters
    ----------
    rows : array of integers
    held : bool
        Whether the covariances and the dispersion are held at the estimates of all rows.
    """
    made = part_of_model(model, rows)
    if isinstance(made, str):
        return made
    design, response = made
    fit = (_fit_fixed if held else fit_rows)(model, design, response)
    if not fit.optimum.converged:
        return NOT_CONVERGED
    fitted = FittedGlmm(fit)  # type: ignore[arg-type]
    return without_maximum(fitted) or fitted


def _fit_fixed(model: FittedGlmm, design: RowDesign, response: Response) -> GlmmFit:
    """The fixed effects and the modes of other rows, all other parameters held.

    By Newton steps with the working model's information, which lacks what the modes' curvature
    tells; the gradient is exact, and so is where it ends.
    """
    request = request_of(model)
    criterion = criterion_of(design, response, request)
    n, p = criterion.covariances.n, criterion.table.p
    free, beta = np.zeros(criterion.m, dtype=bool), slice(n, n + p)
    free[beta] = True
    with np.errstate(all="ignore"):
        point, decrement, log = criterion.at(translated(model.laplace, criterion)), np.inf, []
        for _ in range(_STEPS):
            gradient = np.where(free, point.gradient(), 0.0)
            hessian = 2.0 * point.fixed_information()
            step = np.zeros(criterion.m)
            step[beta] = -np.linalg.solve(hessian, gradient[beta])
            decrement = float(-gradient @ step)
            log.append((point.deviance(), decrement))
            if not decrement > _DONE:
                break
            point = _shorter(criterion, point, step)
    rough = np.eye(criterion.m)
    rough[beta, beta] = 2.0 * point.fixed_information()
    converged = bool(np.isfinite(point.deviance()) and decrement <= _DONE)
    optimum = Optimum(
        point, rough, free, gradient, decrement, len(log), criterion.n_evaluations,
        criterion.n_steps, 0, converged, tuple(log),
    )  # fmt: skip
    return GlmmFit(design, response, model.choice, optimum, 0, request.control, model.n_agq)


def _shorter(criterion: Laplace, point: LaplacePoint, step: Array) -> LaplacePoint:
    """The point after a step, halved until the deviance does not rise."""
    for _ in range(30):
        found = criterion.at(point.x + step, point)
        if found.deviance() <= point.deviance() + point.noise:
            return found
        step = 0.5 * step
    return point


def refitted_to(model: M, design: RowDesign, rows: IntArray) -> M:
    """The model fitted to rows that were drawn from its own, some of them several times.

    Parameters
    ----------
    design : RowDesign
        Of the rows.
    rows : array of integers
        Which they are.

    Raises
    ------
    InvalidArgumentError
        A response without variation, rows that do not determine the fixed effects.
    """
    lost = dependent_columns(design.x) if len(rows) >= design.x.shape[1] else [0]
    if lost:
        name = design.fixed.names[lost[0]]
        raise InvalidArgumentError(f"the resampled rows do not determine the fixed effect {name!r}")
    response = model.response.part(rows, model.choice)
    return model._like(fit_rows(model, design, response))  # type: ignore[arg-type]
