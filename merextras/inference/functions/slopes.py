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

    Parameters and errors as of `coefficients`.
    """
    found = coefficients(grid, code, degree, lambda frame: _stacked(grid, frame))
    return [replace(grid, rows=part[:, :-1], offset=part[:, -1]) for part in found]


def coefficients(
    grid: Grid, code: str, degree: int, values: Callable[[pd.DataFrame], Array]
) -> list[Array]:
    """Coefficients of Taylor's expansion of what is computed from each cell, (cells, m) each.

    Parameters
    ----------
    grid : Grid
    code : str
        A numeric variable, or a function of one as in a formula, ``"np.log(x)"``.
    degree : int
        Of the highest coefficient, the derivative of that order over its factorial; with a function
        2 at most.
    values : callable
        From a frame of cells to (cells, m) numbers.

    Raises
    ------
    InvalidArgumentError
        No variable, or several, or not a number; a function that is constant at a point of the
        grid; a degree that is too high.
    """
    if code in grid.values:
        orders = range(1, degree + 1)
        steps = [_steps(grid, [code] * k) for k in orders]
        found = [_differences(values, grid.frame, each) for each in steps]
        return [part / factorial(k) for k, part in zip(orders, found, strict=True)]
    used = [name for name in grid.values if name in names_in(code)]
    if len(used) != 1:
        grid.names(code if not used else (), "var")
        raise InvalidArgumentError(f"var={code!r}: a function of one variable, not of {used}")
    if degree > 2:
        raise InvalidArgumentError(
            f"max_degree={degree}: of a function of a variable 2 at most; give the variable itself"
        )
    return _by_function(grid, used[0], code, degree, values)


def _by_function(
    grid: Grid, var: str, code: str, degree: int, values: Callable[[pd.DataFrame], Array]
) -> list[Array]:
    """By the chain rule: ``y' / f'`` and half of ``(y'' - y' f'' / f') / f'**2``."""
    scope = grid.design.options.scope

    def function(frame: pd.DataFrame) -> Array:
        return scope.column(code, frame)[:, None]

    once, twice = _steps(grid, [var]), _steps(grid, [var, var])
    first, slope = (_differences(each, grid.frame, once) for each in (values, function))
    if not np.all(np.isfinite(slope)) or np.any(slope == 0.0):
        raise InvalidArgumentError(f"var={code!r}: its slope in {var!r} is zero or not finite")
    out = [first / slope]
    if degree == 2:
        second, bent = (_differences(each, grid.frame, twice) for each in (values, function))
        out.append(0.5 * (second - bent / slope * first) / slope**2)
    return out


def derivative(grid: Grid, *variables: str) -> Grid:
    """The grid with X and offset differentiated by numeric variables, by each as often as given.

    Raises
    ------
    InvalidArgumentError
        A variable is categorical or constant.
    """
    steps = _steps(grid, variables)
    found = _differences(lambda frame: _stacked(grid, frame), grid.frame, steps)
    return replace(grid, rows=found[:, :-1], offset=found[:, -1])


def _stacked(grid: Grid, frame: pd.DataFrame) -> Array:
    """X of some cells, the offset last."""
    rows, offset = evaluated(grid.design, frame, grid.held)
    return np.column_stack([rows, offset])


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
