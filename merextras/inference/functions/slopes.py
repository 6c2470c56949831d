"""Derivatives of the reference grid by its numeric variables."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from math import factorial

import numpy as np
import pandas as pd

from merextras.exceptions import InvalidArgumentError
from merextras.foundation.aliases import Array
from merextras.inference.functions.grid import Grid, evaluated
from merextras.model.formula.translate import names_in

# Of a numeric variable's range, the step of its differences.
_STEP = 1e-3


#: What emmeans calls trends of each degree.
DEGREES = ("linear", "quadratic", "cubic", "quartic", "quintic")


def trends(grid: Grid, code: str, degree: int) -> list[Grid]:
    """The grid with the coefficients of Taylor's expansion in a variable or a function of it.

    Parameters
    ----------
    grid : Grid
    code : str
        A numeric variable, or a function of one as in a formula, ``"np.log(x)"``.
    degree : int
        Of the highest coefficient, the derivative of that order over its factorial; with a function
        2 at most.

    Raises
    ------
    InvalidArgumentError
        No variable, or several, or not a number; a function that is constant at a point of the
        grid; a degree that is too high.
    """
    if code in grid.values:
        orders = range(1, degree + 1)
        return [_scaled(derivative(grid, *[code] * k), 1.0 / factorial(k)) for k in orders]
    used = [name for name in grid.values if name in names_in(code)]
    if len(used) != 1:
        grid.names(code if not used else (), "var")
        raise InvalidArgumentError(f"var={code!r}: a function of one variable, not of {used}")
    if degree > 2:
        raise InvalidArgumentError(
            f"max_degree={degree}: of a function of a variable 2 at most; give the variable itself"
        )
    return _by_function(grid, used[0], code, degree)


def _by_function(grid: Grid, var: str, code: str, degree: int) -> list[Grid]:
    """By the chain rule: ``y' / f'`` and half of ``(y'' - y' f'' / f') / f'**2``."""
    scope = grid.design.options.scope
    first = derivative(grid, var)

    def values(frame: pd.DataFrame) -> Array:
        return scope.column(code, frame)[:, None]

    slope = _differences(values, grid.frame, _steps(grid, [var]))
    if not np.all(np.isfinite(slope)) or np.any(slope == 0.0):
        raise InvalidArgumentError(f"var={code!r}: its slope in {var!r} is zero or not finite")
    out = [_scaled(first, 1.0 / slope)]
    if degree == 2:
        bent = _differences(values, grid.frame, _steps(grid, [var, var]))
        second, share = derivative(grid, var, var), bent / slope
        turned = replace(
            second,
            rows=second.rows - share * first.rows,
            offset=second.offset - share[:, 0] * first.offset,
        )
        out.append(_scaled(turned, 0.5 / slope**2))
    return out


def _scaled(grid: Grid, by: float | Array) -> Grid:
    column = np.broadcast_to(np.reshape(by, (-1, 1)), (len(grid.rows), 1))
    return replace(grid, rows=column * grid.rows, offset=column[:, 0] * grid.offset)


def derivative(grid: Grid, *variables: str) -> Grid:
    """The grid with X and offset differentiated by numeric variables, by each as often as given.

    Raises
    ------
    InvalidArgumentError
        A variable is categorical or constant.
    """
    width = grid.rows.shape[1]

    def values(frame: pd.DataFrame) -> Array:
        rows, offset = evaluated(grid.design, frame)
        return np.column_stack([rows, offset])

    found = _differences(values, grid.frame, _steps(grid, variables))
    return replace(grid, rows=found[:, :width], offset=found[:, width])


def _steps(grid: Grid, variables: Sequence[str]) -> list[tuple[str, float]]:
    # A mixed derivative divides rounding by the product of the steps: they get larger.
    size = _STEP ** (5.0 / (4.0 + len(variables)))
    steps: list[tuple[str, float]] = []
    for var in variables:
        step = size * grid.design.spread(var) if var in grid.numbers else 0.0
        if step == 0.0:
            raise InvalidArgumentError(f"var={var!r}: there is no slope in what is not a number")
        steps.append((var, step))
    return steps


def _differences(
    values: Callable[[pd.DataFrame], Array],
    frame: pd.DataFrame,
    steps: Sequence[tuple[str, float]],
) -> Array:
    """What is computed from a frame's rows, differentiated by the first variable last."""
    if not steps:
        return values(frame)
    (var, step), *others = steps
    parts = []
    for weight, by in ((8.0, 1), (-8.0, -1), (-1.0, 2), (1.0, -2)):
        moved = frame.assign(**{var: frame[var].astype(float) + by * step})
        parts.append(weight * _differences(values, moved, others))
    return np.asarray(sum(parts) / (12.0 * step))
